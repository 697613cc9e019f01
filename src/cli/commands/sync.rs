//! `pondmount sync`: makes a version now.

use super::About;
use crate::cli::control::{Request, Synced, reach};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::place;
use crate::pond::OpenOptions;
use clap::Args;

/// Commit every change now, and print the number of the newest version
///
/// When nothing has changed since the last version, no new one is made.
#[derive(Debug, Args)]
pub struct Sync {
    #[command(flatten)]
    about: About,
}

pub(super) fn run(args: &Sync, output: &Output) -> Result<u8, Failure> {
    let place = place::find(args.about.pond.as_deref())?;
    let mut pond = reach(&place, &OpenOptions::default())?;
    let synced: Result<Synced, _> = pond.ask(&Request::Sync);
    let closed = pond.close();
    let synced = synced?;
    closed?;
    output.row(&synced, |synced| synced.version)?;
    Ok(0)
}
