//! `pondmount check`: looks for damage, and repairs what can be repaired.

use super::About;
use crate::cli::control::{Checked, Request, folder, reach};
use crate::cli::failure::{Failure, exit};
use crate::cli::output::Output;
use crate::cli::place::{self, Place};
use crate::pond::{Damaged, OpenOptions, Pond};
use clap::Args;
use std::path::Path;

/// Look for damage in a pond
///
/// The operation log, the journal, the index, the tree and the segments are compared with one
/// another. Prints what is wrong, each with the path that it concerns, and exits with 4 if anything
/// is. Nothing is changed, unless --repair is given.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    about: About,
    /// Read the content of all versions too, and compare it with its checksums
    #[arg(long)]
    read_data: bool,
    /// Repair a pond that is not mounted: rebuild what can be rebuilt, and set aside what cannot be
    /// read
    #[arg(long)]
    repair: bool,
}

pub(super) fn run(args: &Check, output: &Output) -> Result<u8, Failure> {
    let place = place::find(args.about.pond.as_deref())?;
    let checked = match args.repair {
        true => repair(&folder(&place)?, args.read_data)?,
        false => check(&place, args.read_data)?,
    };
    output.row(&checked, text)?;
    Ok(match checked.ok {
        true => 0,
        false => exit::DAMAGED,
    })
}

fn check(place: &Place, read_data: bool) -> Result<Checked, Failure> {
    let options = OpenOptions {
        read_only: true,
        damaged_journal: Damaged::Tell,
        ..OpenOptions::default()
    };
    let mut pond = reach(place, &options)?;
    let checked = pond.ask(&Request::Check { read_data });
    let closed = pond.close();
    let checked = checked?;
    closed?;
    Ok(checked)
}

fn repair(pond: &Path, read_data: bool) -> Result<Checked, Failure> {
    let repaired = Pond::repair(pond, read_data)?;
    Ok(Checked {
        ok: repaired.problems.is_empty(),
        problems: repaired.problems.iter().map(ToString::to_string).collect(),
        done: repaired.done,
    })
}

fn text(checked: &Checked) -> String {
    let mut lines = checked.done.clone();
    match checked.problems.as_slice() {
        [] if lines.is_empty() => lines.push("no problem found".to_owned()),
        [] => lines.push("no problem is left".to_owned()),
        problems => lines.extend_from_slice(problems),
    }
    lines.join("\n")
}
