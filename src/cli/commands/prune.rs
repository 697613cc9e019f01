//! `pondmount prune`: forgets versions by rules.

use super::{In, end, warn_of_clock};
use crate::cli::control::{Forget, ForgetReport, Request};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::pond::{Policy, Within};
use clap::Args;
use std::path::PathBuf;

/// Forget versions that no rule keeps, and give back the room that only they need
///
/// The rules are those of restic; a version stays if any of them keeps it. The newest version and
/// all that have a name stay in any case. What a version that stays shows does not change. Without
/// any rule, those of the [prune] table in pond.toml apply; by default everything is kept. Rules of
/// time are refused while the clock is behind a version.
#[derive(Debug, Args)]
pub struct Prune {
    /// Keep the newest N versions
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_last: u64,
    /// Keep the newest version of each of the last N hours that have one
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_hourly: u64,
    /// The same for days
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_daily: u64,
    /// The same for weeks
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_weekly: u64,
    /// The same for months
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_monthly: u64,
    /// The same for years
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_yearly: u64,
    /// Keep all versions of the last DURATION before the newest, such as 1y6m, 14d or 36h
    #[arg(long, value_name = "DURATION")]
    keep_within: Option<Within>,
    /// Keep the version of this name; as the only rule, forget all that have none
    #[arg(long, value_name = "NAME")]
    keep_tag: Vec<String>,
    /// Forget versions of this file or directory only
    #[arg(long, value_name = "PATH")]
    path: Option<PathBuf>,
    /// Only say what would be forgotten
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// The clock is right now, although a version was made when it showed a later time
    #[arg(long)]
    trust_clock: bool,
    #[command(flatten)]
    within: In,
}

impl Prune {
    fn policy(&self) -> Policy {
        Policy {
            keep_last: self.keep_last,
            keep_hourly: self.keep_hourly,
            keep_daily: self.keep_daily,
            keep_weekly: self.keep_weekly,
            keep_monthly: self.keep_monthly,
            keep_yearly: self.keep_yearly,
            keep_within: self.keep_within,
            keep_tag: self.keep_tag.clone(),
        }
    }
}

pub(super) fn run(args: &Prune, output: &Output) -> Result<u8, Failure> {
    let (mut pond, path) = args.within.reach(args.path.as_deref(), false)?;
    let about = Forget::Versions {
        policy: args.policy(),
        path: args.path.as_ref().map(|_| path),
        dry_run: args.dry_run,
        trust_clock: args.trust_clock,
    };
    let done: Result<ForgetReport, _> = pond.ask(&Request::Forget { about });
    if done.is_ok() {
        warn_of_clock(&mut pond, output);
    }
    let dry_run = args.dry_run;
    output.row(&end(pond, done)?, |report| text(report, dry_run))?;
    Ok(0)
}

fn text(report: &ForgetReport, dry_run: bool) -> String {
    let (would, is) = match dry_run {
        true => ("would be forgotten", "would be kept"),
        false => ("are forgotten", "are kept"),
    };
    let mut lines = vec![format!("{} versions {is}", report.kept)];
    for (rule, count) in &report.rules {
        lines.push(format!("{count:>8}  {rule}"));
    }
    lines.push(format!("{} versions {would}", report.forgotten));
    lines.extend(runs(report));
    lines.extend(left(report));
    if !dry_run {
        lines.push(bytes(report));
    }
    lines.join("\n")
}

/// Returns a line for each run of forgotten versions.
pub(super) fn runs(report: &ForgetReport) -> impl Iterator<Item = String> {
    report.runs.iter().map(|(first, last)| match first == last {
        true => format!("          {first}"),
        false => format!("          {first} to {last}"),
    })
}

/// Returns lines on nodes that are elsewhere now.
pub(super) fn left(report: &ForgetReport) -> Vec<String> {
    let line = |path: &String| format!("{path} was there once and keeps its history");
    report.left.iter().map(line).collect()
}

/// Describes the change of the pond's size.
pub(super) fn bytes(report: &ForgetReport) -> String {
    let ForgetReport {
        bytes_before,
        bytes_after,
        ..
    } = report;
    format!("{bytes_before} bytes before, {bytes_after} after")
}
