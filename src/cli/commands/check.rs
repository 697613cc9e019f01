//! `pondmount check`: looks for damage.

use super::About;
use crate::cli::control::{Checked, Request, reach};
use crate::cli::failure::{Failure, exit};
use crate::cli::output::Output;
use crate::cli::place;
use crate::pond::OpenOptions;
use clap::Args;

/// Look for damage in a pond
///
/// The operation log, the index and the tree are compared with one another. Prints what is wrong,
/// and exits with 4 if anything is. Nothing is changed.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    about: About,
    /// Read the content of all files too, and compare it with its checksums
    #[arg(long)]
    read_data: bool,
}

pub(super) fn run(args: &Check, output: &Output) -> Result<u8, Failure> {
    let place = place::find(args.about.pond.as_deref())?;
    let mut pond = reach(
        &place.pond,
        &OpenOptions {
            read_only: true,
            ..OpenOptions::default()
        },
    )?;
    let read_data = args.read_data;
    let checked: Result<Checked, _> = pond.ask(&Request::Check { read_data });
    let closed = pond.close();
    let checked = checked?;
    closed?;
    output.row(&checked, text)?;
    Ok(match checked.ok {
        true => 0,
        false => exit::DAMAGED,
    })
}

fn text(checked: &Checked) -> String {
    match checked.problems.as_slice() {
        [] => "no problem found".to_owned(),
        problems => problems.join("\n"),
    }
}
