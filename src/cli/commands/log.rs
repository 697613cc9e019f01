//! `pondmount log`: the versions of a pond, or of a path in it.

use super::{ask, end, warn_of_clock};
use crate::cli::control::{
    HistoryPage, HistoryRow, LogPage, LogRow, Raw, Reached, Request, Travel, reach,
};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::place;
use crate::pond::OpenOptions;
use clap::Args;
use std::path::PathBuf;

/// The number of versions in one request.
const PAGE: usize = 500;

/// List the versions of a pond, or those that changed a path, the newest first
///
/// A line has the number of a version, what the clock said when it was committed, and how many
/// entries it changed; and that the clock was wrong, where other versions tell so. With the path of
/// a file or directory, also of one that is gone: what the version did to it, and its path then;
/// renames are followed.
#[derive(Debug, Args)]
pub struct Log {
    /// A path in a pond; or the pond's folder, or where it is mounted, for all of it
    #[arg(value_name = "PATH|POND")]
    path: Option<PathBuf>,
    /// The pond that PATH is in, if it is not mounted around it
    #[arg(long, value_name = "POND", env = "POND_STORE")]
    pond: Option<PathBuf>,
    /// List this many at most
    #[arg(short = 'n', long = "max", value_name = "N")]
    max: Option<usize>,
}

pub(super) fn run(args: &Log, output: &Output) -> Result<u8, Failure> {
    let (pond, path) = (args.pond.as_deref(), args.path.as_deref());
    let (place, path) = match path {
        Some(path) => {
            let found = place::find(Some(path))?;
            // A folder that is itself a pond is taken as that pond.
            match found.mount.is_none() && found.pond.join("pond.toml").is_file() {
                true => (found, Vec::new()),
                false => match place::within(pond, Some(path)) {
                    Err(failure) if failure.code == place::NO_POND_NAMED => (found, Vec::new()),
                    within => within?,
                },
            }
        }
        None => place::within(pond, None)?,
    };
    let options = OpenOptions {
        read_only: true,
        ..OpenOptions::default()
    };
    let mut pond = reach(&place, &options)?;
    let max = args.max.unwrap_or(usize::MAX);
    let listed = match path.is_empty() {
        true => list(&mut pond, max, output),
        false => follow(&mut pond, &Raw(path), max, output),
    };
    if listed.is_ok() {
        warn_of_clock(&mut pond, output);
    }
    end(pond, listed)?;
    Ok(0)
}

/// Prints the versions of a path.
fn follow(pond: &mut Reached, path: &Raw, max: usize, output: &Output) -> Result<(), Failure> {
    let (mut from, mut left) = (None, max);
    while left > 0 {
        let about = Travel::History {
            path: path.clone(),
            from,
        };
        let page: HistoryPage = ask(pond, about)?;
        for row in page.rows.iter().take(left) {
            output.row(row, step)?;
        }
        left = left.saturating_sub(page.rows.len());
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    Ok(())
}

fn step(row: &HistoryRow) -> String {
    let HistoryRow {
        version,
        committed,
        clock,
        change,
        path,
        size,
    } = row;
    let committed = clock.as_ref().unwrap_or(committed);
    let size = size.map_or(String::new(), |size| size.to_string());
    format!("{version:>8}  {committed}  {change:<7}  {size:>12}  {path}")
}

fn list(pond: &mut Reached, mut left: usize, output: &Output) -> Result<(), Failure> {
    let mut before = None;
    while left > 0 {
        let limit = left.min(PAGE);
        let page: LogPage = pond.ask(&Request::Log { before, limit })?;
        left = left.saturating_sub(page.rows.len());
        for row in &page.rows {
            output.row(row, text)?;
        }
        match page.before {
            Some(at) => before = Some(at),
            None => break,
        }
    }
    Ok(())
}

fn text(row: &LogRow) -> String {
    let changes = match row.changes {
        1 => "change",
        _ => "changes",
    };
    let time = row.clock.as_ref().unwrap_or(&row.committed);
    let doubt = match row.doubted {
        true => "  (the clock was wrong)",
        false => "",
    };
    format!(
        "{:>8}  {time}  {:>8} {changes}{doubt}",
        row.version, row.changes
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_line() {
        let mut row = LogRow {
            version: 7,
            committed: "2026-11-24T03:17:31.000000Z".into(),
            clock: None,
            doubted: false,
            changes: 1,
        };
        assert_eq!(
            text(&row),
            "       7  2026-11-24T03:17:31.000000Z         1 change"
        );
        row.clock = Some("1970-01-01T00:00:31.000000Z".into());
        row.doubted = true;
        assert_eq!(
            text(&row),
            "       7  1970-01-01T00:00:31.000000Z         1 change  (the clock was wrong)"
        );
    }
}
