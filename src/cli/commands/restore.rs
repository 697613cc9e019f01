//! `pondmount restore`: restores a path in place.

use super::{In, ask, end, warn_if_by_time};
use crate::cli::control::{ReturnReport, Travel};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use clap::Args;
use std::path::PathBuf;

/// Bring a file or directory back as it was at a version, in its place
///
/// What is there now goes into a version of its own first, so nothing is lost: restore --at that
/// version brings it back. A directory comes back with all that was in it, and without what was
/// not.
#[derive(Debug, Args)]
pub struct Restore {
    /// The path, which may lead nowhere now
    path: PathBuf,
    /// The version: a number, a date or time, 3h-ago, latest~1, or the name of a snapshot
    #[arg(long, value_name = "VERSION")]
    at: String,
    #[command(flatten)]
    within: In,
}

pub(super) fn run(args: &Restore, output: &Output) -> Result<u8, Failure> {
    let (mut pond, path) = args.within.reach(Some(&args.path), false)?;
    let about = Travel::Restore {
        path,
        at: args.at.clone(),
    };
    let done: Result<ReturnReport, _> = ask(&mut pond, about);
    warn_if_by_time(&mut pond, &[Some(&args.at)], output);
    output.row(&end(pond, done)?, text)?;
    Ok(0)
}

pub(super) fn text(report: &ReturnReport) -> String {
    let ReturnReport { from, version, .. } = report;
    match (report.changes, report.undone) {
        (0, _) => format!("it is as it was in version {from} already"),
        (_, Some(undone)) => {
            format!("version {version} is as version {from} was; {undone} is undone")
        }
        (_, None) => format!("version {version} has it as version {from} did"),
    }
}
