//! The commands, one file each: its arguments, whose comments are the help text, and its function.

mod apply;
mod cat;
mod check;
mod diff;
mod forget;
mod init;
mod log;
mod ls;
pub(super) mod mount;
mod prune;
mod remount;
mod resources;
mod restore;
mod scrub;
mod snapshot;
mod stat;
mod status;
mod sync;
mod umount;
mod undo;

use super::Globals;
use super::control::{ClockReport, NodeReport, Raw, Reached, Request, Travel, reach};
use super::failure::Failure;
use super::output::Output;
use super::place;
use crate::observe::log_to_stderr;
use crate::pond::{OpenOptions, Reference};
use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The command.
#[derive(Debug, Subcommand)]
pub enum Command {
    Init(init::Init),
    Mount(mount::Mount),
    Umount(umount::Umount),
    Status(status::Status),
    Log(log::Log),
    Diff(diff::Diff),
    Cat(cat::Cat),
    Ls(ls::Ls),
    Stat(stat::Stat),
    Snapshot(snapshot::Snapshot),
    Restore(restore::Restore),
    Undo(undo::Undo),
    Prune(prune::Prune),
    Forget(forget::Forget),
    Apply(apply::Apply),
    Get(resources::Get),
    List(resources::List),
    Describe(resources::Describe),
    Delete(resources::Delete),
    Sync(sync::Sync),
    Check(check::Check),
    Scrub(scrub::Scrub),
}

/// Runs a command. Returns the exit code of one that succeeded.
pub(super) fn run(command: Command, globals: &Globals) -> Result<u8, Failure> {
    // A daemon logs elsewhere.
    if !matches!(&command, Command::Mount(mount) if mount.is_daemon()) {
        log_to_stderr(globals.verbosity());
    }
    let output = globals.output();
    match command {
        Command::Init(init) => init::run(&init, &output),
        Command::Mount(mount) => mount::run(&mount, globals),
        Command::Umount(umount) => umount::run(&umount, &output),
        Command::Status(status) => status::run(&status, &output),
        Command::Log(log) => log::run(&log, &output),
        Command::Diff(diff) => diff::run(&diff, &output),
        Command::Cat(cat) => cat::run(&cat, &output),
        Command::Ls(ls) => ls::run(&ls, &output),
        Command::Stat(stat) => stat::run(&stat, &output),
        Command::Snapshot(snapshot) => snapshot::run(&snapshot, &output),
        Command::Restore(restore) => restore::run(&restore, &output),
        Command::Undo(undo) => undo::run(&undo, &output),
        Command::Prune(prune) => prune::run(&prune, &output),
        Command::Forget(forget) => forget::run(&forget, &output),
        Command::Apply(apply) => apply::run(&apply, &output),
        Command::Get(get) => resources::get(&get, &output),
        Command::List(list) => resources::list(&list, &output),
        Command::Describe(describe) => resources::describe(&describe, &output),
        Command::Delete(delete) => resources::delete(&delete, &output),
        Command::Sync(sync) => sync::run(&sync, &output),
        Command::Check(check) => check::run(&check, &output),
        Command::Scrub(scrub) => scrub::run(&scrub, &output),
    }
}

/// The pond of the paths.
#[derive(Debug, Args)]
struct In {
    /// The pond that PATH is in, if it is not mounted around it: its folder or its mountpoint
    #[arg(long, value_name = "POND", env = "POND_STORE")]
    pond: Option<PathBuf>,
}

impl In {
    /// Reaches the pond of a path, to read or to change it. Returns the path from its root.
    fn reach(&self, path: Option<&Path>, read_only: bool) -> Result<(Reached, Raw), Failure> {
        let (place, inner) = place::within(self.pond.as_deref(), path)?;
        let options = OpenOptions {
            read_only,
            ..OpenOptions::default()
        };
        Ok((reach(&place, &options)?, Raw(inner)))
    }
}

/// A path and its version: `PATH@VERSION`, or the present without a version.
#[derive(Clone, Debug, PartialEq, Eq)]
struct At {
    path: PathBuf,
    version: Option<String>,
}

impl At {
    /// Splits at the last `@`, if the part behind it can name a version.
    fn parse(text: &OsStr) -> At {
        let bytes = text.as_bytes();
        let at = bytes.iter().rposition(|b| *b == b'@');
        let parts = at.and_then(|at| Some((bytes.get(..at)?, bytes.get(at + 1..)?)));
        match parts {
            Some((path, version)) if Reference::parse(version).is_some() => At {
                path: OsStr::from_bytes(path).into(),
                version: Some(String::from_utf8_lossy(version).into_owned()),
            },
            _ => At {
                path: text.into(),
                version: None,
            },
        }
    }
}

/// Sends a request about the past.
fn ask<T: DeserializeOwned>(pond: &mut Reached, about: Travel) -> Result<T, Failure> {
    pond.ask(&Request::Travel { about })
}

/// Prints a notice if the clock is behind: dates and ages may be wrong.
fn warn_of_clock(pond: &mut Reached, output: &Output) {
    // An older daemon does not know the request.
    if let Ok(ClockReport {
        behind: Some(behind),
    }) = pond.ask(&Request::Clock)
    {
        output.notice(&format!(
            "{behind}: dates, ages and rules of time may mislead"
        ));
    }
}

/// Does the same for a command with versions, if one of them is a date or an age.
fn warn_if_by_time(pond: &mut Reached, versions: &[Option<&str>], output: &Output) {
    let by_time = |version: &&str| {
        let reference = Reference::parse(version.as_bytes());
        matches!(reference, Some(Reference::Time(_) | Reference::Ago(_)))
    };
    if versions.iter().flatten().any(by_time) {
        warn_of_clock(pond, output);
    }
}

/// Returns the number of the version: `latest` must be the same for all pieces of a reply.
fn standing(pond: &mut Reached, path: &Raw, at: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(at) = at else { return Ok(None) };
    let about = Travel::Stat {
        path: path.clone(),
        at: Some(at.to_owned()),
    };
    let report: NodeReport = ask(pond, about)?;
    Ok(report.version.map(|version| version.to_string()))
}

/// Closes the pond or the connection, whether the request succeeded or not.
fn end<T>(pond: Reached, done: Result<T, Failure>) -> Result<T, Failure> {
    let closed = pond.close();
    let done = done?;
    closed.map(|()| done)
}

/// The pond of a command.
#[derive(Debug, Args)]
struct About {
    /// The pond's folder, where it is mounted, or a path inside the mount; without it, the pond
    /// that is mounted around the current directory
    #[arg(value_name = "POND|PATH", env = "POND_STORE")]
    pond: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_stands_behind_the_last_at_sign() {
        let parse = |text: &str| {
            let at = At::parse(OsStr::new(text));
            (at.path.display().to_string(), at.version)
        };
        let version = |text: &str| Some(text.to_owned());
        assert_eq!(parse("d/a.csv@17"), ("d/a.csv".into(), version("17")));
        assert_eq!(parse("a@b@latest~2"), ("a@b".into(), version("latest~2")));
        assert_eq!(parse("@2026-11-23"), (String::new(), version("2026-11-23")));
        assert_eq!(parse("me@home/x"), ("me@home/x".into(), None));
        assert_eq!(parse("x@"), ("x@".into(), None));
    }
}
