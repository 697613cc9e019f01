//! `pondmount ls`: the entries of a directory at a version.

use super::{At, In, ask, end, standing, warn_if_by_time};
use crate::cli::control::{ListPage, NodeReport, Raw, Reached, Travel};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use clap::Args;
use std::ffi::OsString;

/// List a directory as it is or was, without a mount
#[derive(Debug, Args)]
pub struct Ls {
    /// The directory, and after an @ the version; the root without it
    #[arg(value_name = "PATH[@VERSION]", default_value = "")]
    path: OsString,
    /// Print kind, mode, owner, length and time as well
    #[arg(short)]
    long: bool,
    #[command(flatten)]
    within: In,
}

pub(super) fn run(args: &Ls, output: &Output) -> Result<u8, Failure> {
    let At { path, version } = At::parse(&args.path);
    let (mut pond, path) = args.within.reach(Some(&path), true)?;
    let text = if args.long { long } else { short };
    let listed = list(&mut pond, &path, version.as_deref(), &mut |row| {
        output.row(row, text)
    });
    warn_if_by_time(&mut pond, &[version.as_deref()], output);
    end(pond, listed)?;
    Ok(0)
}

fn list(
    pond: &mut Reached,
    path: &Raw,
    at: Option<&str>,
    print: &mut dyn FnMut(&NodeReport) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let at = standing(pond, path, at)?;
    let mut after = None;
    loop {
        let about = Travel::List {
            path: path.clone(),
            at: at.clone(),
            after,
        };
        let page: ListPage = ask(pond, about)?;
        page.rows.iter().try_for_each(&mut *print)?;
        match page.rows.last().filter(|_| page.more) {
            Some(last) => after = Some(last.path.clone()),
            None => return Ok(()),
        }
    }
}

fn short(row: &NodeReport) -> String {
    row.path.to_string()
}

fn long(row: &NodeReport) -> String {
    let kind = match row.kind.as_str() {
        "file" => '-',
        "symlink" => 'l',
        other => other.chars().next().unwrap_or('?'),
    };
    let target = row.target.as_ref();
    format!(
        "{kind}{:04o} {:>3} {:>5} {:>5} {:>12} {} {}{}",
        row.mode,
        row.links,
        row.uid,
        row.gid,
        row.size,
        row.modified,
        row.path,
        target.map_or(String::new(), |target| format!(" -> {target}"))
    )
}
