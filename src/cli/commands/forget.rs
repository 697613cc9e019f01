//! `pondmount forget`: removes a path from all of history.

use super::prune::{bytes, left, runs};
use super::{In, end};
use crate::cli::control::{Forget as About, ForgetReport, Request};
use crate::cli::failure::{Failure, exit};
use crate::cli::output::Output;
use clap::Args;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::PathBuf;

/// Remove a file or directory from all of history, such as a secret that was written by mistake
///
/// Every version but the newest loses what PATH led to. What it leads to now stays: remove it
/// first, if it is to go as well. The bytes are taken out of the pond's folder; blocks of the disk
/// that they stood in, backups and copies of the pond, and files that hold the same bytes are out
/// of reach.
///
/// On a terminal it asks before it forgets; nothing brings back what was forgotten.
#[derive(Debug, Args)]
pub struct Forget {
    /// The path, which may lead nowhere now
    path: PathBuf,
    /// Only say what would be forgotten
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long, conflicts_with = "dry_run")]
    yes: bool,
    #[command(flatten)]
    within: In,
}

pub(super) fn run(args: &Forget, output: &Output) -> Result<u8, Failure> {
    let (mut pond, path) = args.within.reach(Some(&args.path), false)?;
    let mut ask = |dry_run| -> Result<ForgetReport, Failure> {
        let path = path.clone();
        let about = About::Path { path, dry_run };
        pond.ask(&Request::Forget { about })
    };
    let asks = !args.dry_run && !args.yes && can_ask();
    let plan = match args.dry_run || asks {
        true => Some(ask(true)),
        false => None,
    };
    let done = match plan {
        Some(Ok(plan)) if args.dry_run => Ok(Some(plan)),
        Some(Ok(plan)) => match confirmed(&plan, &path.to_string()) {
            Ok(true) => ask(false).map(Some),
            Ok(false) => Ok(None),
            Err(failure) => Err(failure),
        },
        Some(Err(failure)) => Err(failure),
        None => ask(false).map(Some),
    };
    let Some(report) = end(pond, done)? else {
        output.notice("nothing was forgotten");
        return Ok(exit::FAILED);
    };
    let dry_run = args.dry_run;
    output.row(&report, |report| text(report, dry_run))?;
    if !dry_run {
        output.notice("backups and copies of the pond still have it, and so may the blocks of the disk that it stood in");
    }
    Ok(0)
}

fn text(report: &ForgetReport, dry_run: bool) -> String {
    let mut lines = Vec::new();
    if dry_run {
        lines.push(plan(report));
        lines.extend(runs(report));
    }
    lines.extend(left(report));
    if !dry_run {
        lines.push(bytes(report));
    }
    lines.join("\n")
}

/// Returns a sentence on what would be forgotten.
fn plan(report: &ForgetReport) -> String {
    let ForgetReport {
        nodes, forgotten, ..
    } = report;
    format!("{nodes} files and directories would leave {forgotten} versions")
}

/// Returns whether both input and output are a terminal, so that the user can be asked.
fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for confirmation. Only `y` and `yes` confirm.
fn confirmed(report: &ForgetReport, path: &str) -> Result<bool, Failure> {
    let failed = |error: io::Error| Failure::system("cannot ask", &error);
    let mut err = io::stderr().lock();
    let asked = writeln!(err, "{}", plan(report)).and_then(|()| {
        write!(
            err,
            "forget /{path} in all versions but the newest, for ever? [y/N] "
        )?;
        err.flush()
    });
    asked.map_err(failed)?;
    let mut answer = String::new();
    // A longer answer is neither.
    let mut line = io::stdin().lock().take(80);
    line.read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
}
