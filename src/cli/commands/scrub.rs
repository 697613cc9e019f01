//! `pondmount scrub`: reads all content slowly.

use super::About;
use crate::cli::control::{Request, ScrubReport, reach};
use crate::cli::failure::{Failure, exit};
use crate::cli::output::Output;
use crate::cli::place;
use crate::pond::OpenOptions;
use clap::Args;

/// Read all content of all versions slowly, and compare it with its checksums
///
/// Of a mounted pond the daemon does it beside its work, and `pondmount status` tells how far it is
/// and what it found. Of any other pond the command does it itself, and exits with 4 if anything is
/// damaged.
#[derive(Debug, Args)]
pub struct Scrub {
    #[command(flatten)]
    about: About,
    /// Megabytes to read a second at most; 0 for as fast as it goes
    #[arg(long, value_name = "MB", default_value_t = 20)]
    rate: u64,
}

pub(super) fn run(args: &Scrub, output: &Output) -> Result<u8, Failure> {
    let place = place::find(args.about.pond.as_deref())?;
    let options = OpenOptions {
        read_only: true,
        ..OpenOptions::default()
    };
    let mut pond = reach(&place, &options)?;
    let rate = args.rate.saturating_mul(1_000_000);
    let scrubbed: Result<ScrubReport, _> = pond.ask(&Request::Scrub { rate });
    let closed = pond.close();
    let scrubbed = scrubbed?;
    closed?;
    output.row(&scrubbed, text)?;
    Ok(match scrubbed.damaged {
        0 => 0,
        _ => exit::DAMAGED,
    })
}

/// Describes the state of a scrub in a few lines.
pub(super) fn text(scrub: &ScrubReport) -> String {
    let ScrubReport {
        began,
        read,
        extents,
        bytes,
        damaged,
        ..
    } = scrub;
    let mut text = match &scrub.ended {
        None => format!("runs since {began}: {read} of {extents} extents read"),
        Some(ended) => format!("ended {ended}: {read} extents read ({bytes} bytes)"),
    };
    text += &match damaged {
        0 => ", none damaged".to_owned(),
        n => format!(", {n} damaged"),
    };
    for problem in &scrub.problems {
        text += &format!("\n  {problem}");
    }
    text
}
