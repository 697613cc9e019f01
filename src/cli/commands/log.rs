//! `pondmount log`: the versions of a pond.

use super::About;
use crate::cli::control::{LogPage, LogRow, Reached, Request, reach};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::place;
use crate::pond::OpenOptions;
use clap::Args;

/// How many versions are asked for at a time.
const PAGE: usize = 500;

/// List the versions of a pond, the newest first
///
/// A line has the number of a version, when it was committed, and how many entries it changed.
#[derive(Debug, Args)]
pub struct Log {
    #[command(flatten)]
    about: About,
    /// List this many at most
    #[arg(short = 'n', long = "max", value_name = "N")]
    max: Option<usize>,
}

pub(super) fn run(args: &Log, output: &Output) -> Result<u8, Failure> {
    let place = place::find(args.about.pond.as_deref())?;
    let mut pond = reach(
        &place.pond,
        &OpenOptions {
            read_only: true,
            ..OpenOptions::default()
        },
    )?;
    let listed = list(&mut pond, args.max.unwrap_or(usize::MAX), output);
    let closed = pond.close();
    listed.and(closed)?;
    Ok(0)
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
    format!(
        "{:>8}  {}  {:>8} {changes}",
        row.version, row.committed, row.changes
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_line() {
        let row = LogRow {
            version: 7,
            committed: "2026-11-24T03:17:31.000000Z".into(),
            changes: 1,
        };
        assert_eq!(
            text(&row),
            "       7  2026-11-24T03:17:31.000000Z         1 change"
        );
    }
}
