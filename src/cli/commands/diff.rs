//! `pondmount diff`: the differences between two versions.

use super::cat::read;
use super::{In, ask, end, warn_if_by_time};
use crate::cli::control::{DiffPage, DiffRow, Raw, Reached, Travel};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::pond::Reference;
use clap::Args;
use serde::Serialize;
use similar::TextDiff;
use std::path::{Path, PathBuf};

/// The largest file that is compared line by line, in bytes.
const LONGEST: u64 = 16 << 20;
/// The bytes of a file that are searched for a NUL, which marks it as binary.
const LOOKED_AT: usize = 8_000;

/// Show what is different between two versions, or a version and the present
#[derive(Debug, Args)]
pub struct Diff {
    /// The earlier version
    from: String,
    /// The later version; the present without it
    #[arg(value_name = "TO")]
    to: Option<String>,
    /// Only what is at this path and below
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Print a line for each path, with its length before and after
    #[arg(long)]
    stat: bool,
    /// Print only the paths
    #[arg(long, conflicts_with = "stat")]
    name_only: bool,
    #[command(flatten)]
    within: In,
}

/// A difference with its lines, as JSON.
#[derive(Serialize)]
struct WithLines<'a> {
    #[serde(flatten)]
    row: &'a DiffRow,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<&'a str>,
}

pub(super) fn run(args: &Diff, output: &Output) -> Result<u8, Failure> {
    // `diff 3 d/a.csv`: the second may be a path.
    let (to, path) = match (&args.to, &args.path) {
        (Some(to), None) if Reference::parse(to.as_bytes()).is_none() => {
            (None, Some(Path::new(to)))
        }
        (Some(to), None) if is_path_rather(to) => (None, Some(Path::new(to))),
        (to, path) => (to.as_deref(), path.as_deref()),
    };
    let (mut pond, path) = args.within.reach(path, true)?;
    let done = compare(&mut pond, args, to, &path, output);
    warn_if_by_time(&mut pond, &[Some(&args.from), to], output);
    end(pond, done)?;
    Ok(0)
}

/// Returns whether a word that could be a tag exists in the current directory.
fn is_path_rather(text: &str) -> bool {
    let tag = matches!(Reference::parse(text.as_bytes()), Some(Reference::Tag(_)));
    tag && Path::new(text).exists()
}

fn compare(
    pond: &mut Reached,
    args: &Diff,
    to: Option<&str>,
    path: &Raw,
    output: &Output,
) -> Result<(), Failure> {
    let (mut from, mut to) = (args.from.clone(), to.map(str::to_owned));
    let mut after = None;
    loop {
        let about = Travel::Diff {
            from: from.clone(),
            to: to.clone(),
            path: path.clone(),
            after,
        };
        let page: DiffPage = ask(pond, about)?;
        // The next page compares the same two versions, whatever is committed meanwhile.
        from = page.from.to_string();
        to = page.to.map(|to| to.to_string());
        for row in &page.rows {
            if args.name_only {
                output.row(row, |row| row.path.to_string())?;
            } else if args.stat {
                output.row(row, line)?;
            } else {
                let text = lines(pond, row, &from, to.as_deref())?;
                let shown = WithLines {
                    row,
                    diff: text.as_deref(),
                };
                output.row(&shown, |shown| match shown.diff {
                    Some(diff) => diff.trim_end_matches('\n').to_owned(),
                    None => line(row),
                })?;
            }
        }
        match page.rows.last().filter(|_| page.more) {
            Some(last) => after = Some(last.path.clone()),
            None => return Ok(()),
        }
    }
}

fn line(row: &DiffRow) -> String {
    let sizes = match (row.size_before, row.size_after) {
        (Some(before), Some(after)) => format!("  {before} -> {after} bytes"),
        (None, Some(size)) | (Some(size), None) => format!("  {size} bytes"),
        (None, None) => String::new(),
    };
    let from = row.moved_from.as_ref();
    let from = from.map_or(String::new(), |from| format!("{from} -> "));
    let slash = if row.kind == "directory" { "/" } else { "" };
    format!("{:<10} {from}{}{slash}{sizes}", row.change, row.path)
}

/// Prints the differing lines of a text file.
fn lines(
    pond: &mut Reached,
    row: &DiffRow,
    from: &str,
    to: Option<&str>,
) -> Result<Option<String>, Failure> {
    let longest = row.size_before.max(row.size_after).unwrap_or(u64::MAX);
    let has_lines = matches!(
        row.change.as_str(),
        "added" | "removed" | "modified" | "moved"
    );
    if row.kind != "file" || !has_lines || longest > LONGEST {
        return Ok(None);
    }
    let path_before = row.moved_from.as_ref().unwrap_or(&row.path);
    let mut side = |there: bool, path: &Raw, at: Option<&str>| {
        let mut bytes = Vec::new();
        if there {
            read(pond, path, at, &mut |piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            })?;
        }
        Ok::<_, Failure>(bytes)
    };
    let before = side(row.size_before.is_some(), path_before, Some(from))?;
    let after = side(row.size_after.is_some(), &row.path, to)?;
    let text = |bytes: &[u8]| bytes.iter().take(LOOKED_AT).all(|b| *b != 0);
    if !text(&before) || !text(&after) {
        return Ok(None);
    }
    let name = |there: bool, side: &str, path: &Raw| match there {
        true => format!("{side}/{path}"),
        false => "/dev/null".to_owned(),
    };
    let names = (
        name(row.size_before.is_some(), "a", path_before),
        name(row.size_after.is_some(), "b", &row.path),
    );
    let (before, after) = (
        String::from_utf8_lossy(&before),
        String::from_utf8_lossy(&after),
    );
    let diff = TextDiff::from_lines(before.as_ref(), after.as_ref());
    let mut diff = diff.unified_diff();
    let text = diff.header(&names.0, &names.1).to_string();
    Ok((!text.is_empty()).then_some(text))
}
