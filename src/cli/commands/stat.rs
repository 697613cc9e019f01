//! `pondmount stat`: the node of a path at a version.

use super::{At, In, ask, end, warn_if_by_time};
use crate::cli::control::{NodeReport, Travel};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use clap::Args;
use std::ffi::OsString;

/// Show what a path leads to or led to, without a mount
#[derive(Debug, Args)]
pub struct Stat {
    /// The path, and after an @ the version
    #[arg(value_name = "PATH[@VERSION]")]
    path: OsString,
    #[command(flatten)]
    within: In,
}

pub(super) fn run(args: &Stat, output: &Output) -> Result<u8, Failure> {
    let At { path, version } = At::parse(&args.path);
    let (mut pond, path) = args.within.reach(Some(&path), true)?;
    let at = version.clone();
    let report: Result<NodeReport, _> = ask(&mut pond, Travel::Stat { path, at });
    warn_if_by_time(&mut pond, &[version.as_deref()], output);
    output.row(&end(pond, report)?, text)?;
    Ok(0)
}

fn text(report: &NodeReport) -> String {
    let mut text = format!("path       /{}\n", report.path);
    if let Some(version) = report.version {
        text += &format!("version    {version}\n");
    }
    text += &format!(
        "kind       {}\nsize       {}\nmode       {:04o}\nowner      {}:{}\nlinks      {}\ninode      {}\nmodified   {}",
        report.kind,
        report.size,
        report.mode,
        report.uid,
        report.gid,
        report.links,
        report.inode,
        report.modified
    );
    if let Some(target) = &report.target {
        text += &format!("\ntarget     {target}");
    }
    text
}
