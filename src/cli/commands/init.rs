//! `pondmount init`: creates a pond.

use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::pond::Pond;
use clap::Args;
use std::path::PathBuf;

/// Make an empty pond
///
/// The folder is made too; when it exists, it has to be empty.
#[derive(Debug, Args)]
pub struct Init {
    /// The folder of the new pond
    #[arg(value_name = "POND", env = "POND_STORE")]
    pond: PathBuf,
}

pub(super) fn run(args: &Init, output: &Output) -> Result<u8, Failure> {
    Pond::init(&args.pond)?;
    output.notice(&format!("made an empty pond at {}", args.pond.display()));
    Ok(0)
}
