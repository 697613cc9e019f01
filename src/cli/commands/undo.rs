//! `pondmount undo`: reverts the newest version.

use super::restore::text;
use super::{In, ask, end};
use crate::cli::control::{ReturnReport, Travel};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use clap::Args;

/// Take back what the newest version changed
///
/// A version that only gave a name is passed over. Changes that are in no version yet are put into
/// one first, which is then the newest. An undo is a version too, so a second one takes back the
/// first. What `forget` or `prune` folded into the newest version, because older versions that
/// changed it are forgotten, stays.
#[derive(Debug, Args)]
pub struct Undo {
    #[command(flatten)]
    within: In,
}

pub(super) fn run(args: &Undo, output: &Output) -> Result<u8, Failure> {
    let (mut pond, _) = args.within.reach(None, false)?;
    let done: Result<ReturnReport, _> = ask(&mut pond, Travel::Undo);
    output.row(&end(pond, done)?, text)?;
    Ok(0)
}
