//! `pondmount cat`: the bytes of a file at a version.

use super::{At, In, ask, end, standing, warn_if_by_time};
use crate::cli::control::{Piece, Raw, Reached, Travel};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use base64::prelude::{BASE64_STANDARD, Engine};
use clap::Args;
use std::ffi::OsString;
use std::io::{self, Write};

/// Print a file as it is or was, without a mount
#[derive(Debug, Args)]
pub struct Cat {
    /// The file, and after an @ the version: data.csv@17, data.csv@2026-11-23, data.csv@3h-ago
    #[arg(value_name = "PATH[@VERSION]", required = true)]
    files: Vec<OsString>,
    #[command(flatten)]
    within: In,
}

pub(super) fn run(args: &Cat, output: &Output) -> Result<u8, Failure> {
    for file in &args.files {
        let At { path, version } = At::parse(file);
        let (mut pond, path) = args.within.reach(Some(&path), true)?;
        let mut print = |bytes: &[u8]| {
            io::stdout()
                .lock()
                .write_all(bytes)
                .map_err(|error| Failure::output(&error))
        };
        let done = read(&mut pond, &path, version.as_deref(), &mut print);
        warn_if_by_time(&mut pond, &[version.as_deref()], output);
        end(pond, done)?;
    }
    io::stdout()
        .lock()
        .flush()
        .map_err(|error| Failure::output(&error))?;
    Ok(0)
}

/// Passes all bytes of a file to `take`.
pub(super) fn read(
    pond: &mut Reached,
    path: &Raw,
    at: Option<&str>,
    take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let at = standing(pond, path, at)?;
    let mut offset = 0;
    loop {
        let piece: Piece = ask(
            pond,
            Travel::Read {
                path: path.clone(),
                at: at.clone(),
                offset,
            },
        )?;
        let bytes = BASE64_STANDARD
            .decode(&piece.data)
            .map_err(|error| Failure::system("cannot read the answer of the pond", &error))?;
        if bytes.is_empty() {
            return Ok(());
        }
        take(&bytes)?;
        offset += bytes.len() as u64;
    }
}
