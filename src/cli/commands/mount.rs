//! `pondmount mount`: mounts a pond, or lists what is mounted.

use super::remount;
use crate::cli::Globals;
use crate::cli::control::{MountState, mount_state};
use crate::cli::daemon::{self, Plan, Reporter};
use crate::cli::failure::Failure;
use crate::cli::options::Options;
use crate::cli::output::Output;
use crate::cli::place::{self, resolve};
use crate::observe::log_to_file;
use crate::pond::Pond;
use clap::Args;
use serde::Serialize;
use std::env;
use std::path::{Path, PathBuf};

/// Mount a pond, or list the ponds that are mounted
///
/// The command returns when the mount is ready; a process in the background serves it until it is
/// unmounted. Without arguments, the mounts are listed.
#[derive(Debug, Args)]
pub struct Mount {
    /// The pond's folder; POND_STORE when only the mountpoint is given
    #[arg(value_name = "POND")]
    pond: Option<PathBuf>,
    /// The directory to mount it on
    #[arg(value_name = "MOUNTPOINT")]
    mountpoint: Option<PathBuf>,
    /// Make the pond if there is nothing yet
    #[arg(long)]
    create: bool,
    /// Take no changes
    #[arg(long)]
    read_only: bool,
    /// Show this version, and not the present: a number, a date or time, 3h-ago, the name of a
    /// snapshot
    #[arg(long, value_name = "VERSION")]
    at: Option<String>,
    /// Stay in the foreground until the pond is unmounted
    #[arg(long)]
    foreground: bool,
    /// Let other users in, as far as the modes of the files do
    #[arg(long)]
    allow_other: bool,
    /// What fsync waits for: that all is durable in the journal, or that a version holds it
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    sync: Sync,
    /// Options as in fstab: ro, rw, allow_other, commit=SECONDS (5), sync=commit
    #[arg(short, value_name = "OPTIONS")]
    options: Vec<String>,
    /// Tell on standard output how it goes: for the command that waits for a daemon
    #[arg(long, hide = true, requires = "foreground")]
    report_ready: bool,
}

/// What `fsync` waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Sync {
    #[default]
    Journal,
    Commit,
}

impl Mount {
    /// Returns whether this is the background process.
    pub(super) fn is_daemon(&self) -> bool {
        self.report_ready
    }
}

pub(super) fn run(args: &Mount, globals: &Globals) -> Result<u8, Failure> {
    let options = Options::parse(&args.options.join(","))?;
    let Some((pond, mountpoint)) = args.paths(env::var_os("POND_STORE").map(Into::into))? else {
        return list(&globals.output());
    };
    if options.remount {
        return remount::run(&mountpoint, &options).map(|()| 0);
    }
    let mut plan = plan(&pond, &mountpoint, &options)?;
    plan.create = args.create;
    plan.read_only |= args.read_only;
    plan.allow_other |= args.allow_other;
    plan.at = args.at.clone().or(plan.at);
    plan.commit_on_sync |= args.sync == Sync::Commit;
    match (args.foreground, args.report_ready) {
        (false, _) => {
            daemon::launch(&plan, &globals.to_arguments(), &globals.output())?;
            Ok(0)
        }
        (true, false) => serve(&plan, Reporter::Terminal(globals.output())),
        (true, true) => {
            let reporter = daemon::release()?;
            let pond = plan.pond.clone();
            log_to_file(globals.verbosity(), move || log_path(&pond));
            serve(&plan, reporter)
        }
    }
}

/// Mounts as requested by mount(8).
pub(in crate::cli) fn in_background(
    pond: &Path,
    mountpoint: &Path,
    options: &Options,
    globals: &Globals,
) -> Result<(), Failure> {
    if options.remount {
        return remount::run(mountpoint, options);
    }
    let plan = plan(pond, mountpoint, options)?;
    daemon::launch(&plan, &globals.to_arguments(), &globals.output())
}

fn plan(pond: &Path, mountpoint: &Path, options: &Options) -> Result<Plan, Failure> {
    Ok(Plan {
        pond: resolve(pond)?,
        mountpoint: resolve(mountpoint)?,
        create: false,
        read_only: options.read_only == Some(true),
        at: options.at.clone(),
        allow_other: options.allow_other,
        rules: options.rules,
        commit: options.commit,
        commit_on_sync: options.commit_on_sync,
    })
}

fn serve(plan: &Plan, mut reporter: Reporter) -> Result<u8, Failure> {
    let Err(failure) = daemon::serve(plan, &mut reporter) else {
        return Ok(0);
    };
    let exit = failure.exit;
    reporter.failed(failure).map_or(Ok(exit), Err)
}

impl Mount {
    /// Returns the pond and the mountpoint, or `None` if the mounts are to be listed.
    fn paths(&self, store: Option<PathBuf>) -> Result<Option<(PathBuf, PathBuf)>, Failure> {
        let store = store.filter(|store| !store.as_os_str().is_empty());
        let missing = |what: &str| {
            Err(Failure::usage(format!("{what} is missing"))
                .hinted("Usage: pondmount mount [OPTIONS] POND MOUNTPOINT"))
        };
        match (&self.pond, &self.mountpoint, store) {
            (Some(pond), Some(mountpoint), _) => Ok(Some((pond.clone(), mountpoint.clone()))),
            (Some(mountpoint), None, Some(store)) => Ok(Some((store, mountpoint.clone()))),
            (Some(_), None, None) => missing("the mountpoint"),
            (None, ..) if self.asks_for_a_mount() => missing("what to mount"),
            (None, ..) => Ok(None),
        }
    }

    /// Returns whether there are options that mean nothing for a list.
    fn asks_for_a_mount(&self) -> bool {
        let flags = [
            self.create,
            self.read_only,
            self.foreground,
            self.allow_other,
            self.sync != Sync::default(),
        ];
        flags.contains(&true) || !self.options.is_empty()
    }
}

fn list(output: &Output) -> Result<u8, Failure> {
    #[derive(Serialize)]
    struct Row {
        pond: String,
        mountpoint: String,
        /// `served`, `dead`, or `unknown`.
        state: &'static str,
        pid: Option<u32>,
    }
    for mount in place::mounts()? {
        let mut row = Row {
            pond: mount.source.display().to_string(),
            mountpoint: mount.mountpoint.display().to_string(),
            state: "unknown",
            pid: None,
        };
        match mount_state(&mount) {
            MountState::Served(daemon) => {
                row.state = "served";
                row.pid = Some(daemon.pid);
                if let Some(pond) = daemon.pond {
                    row.pond = pond.display().to_string();
                }
            }
            MountState::Dead => row.state = "dead",
            MountState::Unknown => {}
        }
        output.row(&row, |row| {
            let dead = match row.state {
                "dead" => " (dead: the process behind it has ended)",
                _ => "",
            };
            format!("{} on {}{dead}", row.pond, row.mountpoint)
        })?;
    }
    Ok(0)
}

/// Returns the daemon's log file, named by the pond's identity, which stays when the pond is moved.
fn log_path(pond: &Path) -> Option<PathBuf> {
    let given = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = given("XDG_STATE_HOME").or_else(|| Some(given("HOME")?.join(".local/state")))?;
    let id = Pond::id_at(pond).ok()?;
    Some(state.join("pondmount").join(format!("{id}.log")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        mount: Mount,
    }

    fn paths(line: &str, store: Option<&str>) -> Result<Option<(PathBuf, PathBuf)>, Failure> {
        let words = std::iter::once("mount").chain(line.split_whitespace());
        Line::try_parse_from(words)
            .map_err(|error| Failure::usage(error.to_string()))?
            .mount
            .paths(store.map(Into::into))
    }

    #[test]
    fn a_mount_needs_a_pond_and_a_mountpoint_and_a_list_neither() {
        let both = Some(("p".into(), "m".into()));
        assert_eq!(paths("p m", Some("other")).unwrap(), both);
        assert_eq!(paths("m", Some("p")).unwrap(), both);
        assert_eq!(paths("", None).unwrap(), None);
        assert_eq!(paths("", Some("p")).unwrap(), None);
        for wrong in ["p", "--create", "-o ro", "p m x", "--report-ready p m"] {
            assert_eq!(paths(wrong, None).unwrap_err().exit, 2, "{wrong}");
        }
    }
}
