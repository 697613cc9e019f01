//! `pondmount forget`: a path leaves all of history.

use super::prune::{bytes, left};
use super::{In, end};
use crate::cli::control::{Forget as About, ForgetReport, Request};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use clap::Args;
use std::path::PathBuf;

/// Remove a file or directory from all of history, such as a secret that was written by mistake
///
/// Every version but the newest loses what PATH led to. What it leads to now stays: remove it first, if it is to
/// go as well. The bytes are taken out of the pond's folder; blocks of the disk that they stood in, backups and
/// copies of the pond, and files that hold the same bytes are out of reach.
#[derive(Debug, Args)]
pub struct Forget {
    /// The path, which may lead nowhere now
    path: PathBuf,
    #[command(flatten)]
    within: In,
}

pub(super) fn run(args: &Forget, output: &Output) -> Result<u8, Failure> {
    let (mut pond, path) = args.within.reach(Some(&args.path), false)?;
    let about = About::Path { path };
    let done: Result<ForgetReport, _> = pond.ask(&Request::Forget { about });
    let report = end(pond, done)?;
    output.row(&report, |report: &ForgetReport| {
        let mut lines = left(report);
        lines.push(bytes(report));
        lines.join("\n")
    })?;
    output.notice("backups and copies of the pond still have it, and so may the blocks of the disk that it stood in");
    Ok(0)
}
