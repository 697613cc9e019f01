//! A pond in a temporary directory, and the commands that a user would run on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

use crate::mount::Mount;
use crate::process::mounted_below;
use crate::run::{Outcome, Run};

/// A pond for one test, removed at the end. Mountpoints are created beside it.
pub struct Pond {
    dir: TempDir,
    binary: PathBuf,
}

/// Finds the binary under test.
fn find_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("POND_BIN") {
        return path.into();
    }
    // The test runs as TARGET/PROFILE/deps/story-HASH, the binary is TARGET/PROFILE/pondmount.
    let test = std::env::current_exe().expect("the path of this test");
    let path = test
        .ancestors()
        .nth(2)
        .expect("a target directory")
        .join("pondmount");
    assert!(
        path.is_file(),
        "no binary at {}: run `cargo build` first, or scripts/test, or set POND_BIN",
        path.display()
    );
    path
}

/// Creates a temporary directory on the disk that the tests use.
pub fn scratch() -> TempDir {
    let parent = std::env::var_os("POND_TEST_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    // Canonical, as in the kernel's mount table.
    let parent = parent
        .canonicalize()
        .unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
    tempfile::Builder::new()
        .prefix("pond-test-")
        .tempdir_in(parent)
        .expect("a temporary directory")
}

impl Pond {
    /// Creates an empty pond by `pondmount init`.
    pub fn new() -> Pond {
        let pond = Pond::missing();
        pond.run(["init"]).arg(pond.store()).ok();
        pond
    }

    /// Returns the path for a pond that does not exist yet.
    pub fn missing() -> Pond {
        Pond {
            dir: scratch(),
            binary: find_binary(),
        }
    }

    /// Creates a pond owned by `nobody`, with a copy of the binary that every user may execute.
    pub fn for_nobody() -> Pond {
        crate::run::need_root("becomes another user");
        let mut pond = Pond::missing();
        let copy = pond.outside("pondmount");
        if fs::hard_link(&pond.binary, &copy).is_err() {
            fs::copy(&pond.binary, &copy).expect("copy the binary");
        }
        pond.binary = copy;
        let nobody = Some(crate::run::NOBODY);
        std::os::unix::fs::chown(pond.dir.path(), nobody, nobody)
            .expect("give the directory to nobody");
        pond
    }

    /// Returns the binary that the commands of this pond run.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Returns the pond's folder.
    pub fn store(&self) -> PathBuf {
        self.outside("pond")
    }

    /// Returns a path in the temporary directory, outside the pond.
    pub fn outside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Creates an empty directory to mount on.
    pub fn mountpoint(&self, name: &str) -> PathBuf {
        let path = self.outside(name);
        match fs::create_dir(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                panic!("{}: {error}", path.display())
            }
            _ => path,
        }
    }

    /// Returns the command `pondmount ARGS…`, without the caller's configuration.
    pub fn run<const N: usize>(&self, args: [&str; N]) -> Run {
        let run = Run::new(&self.binary).args(args).without_env("POND_STORE");
        run.env("XDG_CONFIG_HOME", self.dir.path())
            .env("XDG_STATE_HOME", self.outside("state"))
            .within(self.dir.path())
    }

    /// Returns the log of this pond's daemons.
    pub fn daemon_log(&self) -> String {
        let Ok(logs) = fs::read_dir(self.outside("state/pondmount")) else {
            return String::new();
        };
        let read = |log: std::io::Result<fs::DirEntry>| fs::read_to_string(log.ok()?.path()).ok();
        logs.filter_map(read).collect()
    }

    /// Runs `pondmount --json ARGS… POND`, which must succeed.
    #[track_caller]
    pub fn ask<const N: usize>(&self, args: [&str; N]) -> Outcome {
        self.run(["--json"]).args(args).arg(self.store()).ok()
    }

    #[track_caller]
    pub fn mount(&self) -> Mount<'_> {
        self.mount_with(&[])
    }

    /// Mounts on `mnt` with these arguments.
    #[track_caller]
    pub fn mount_with(&self, args: &[&str]) -> Mount<'_> {
        Mount::new(self, self.mountpoint("mnt"), args)
    }

    /// Mounts on `mnt` and creates the pond if there is none. The daemon's clock starts at `time`
    /// (UTC) and runs on from there.
    #[track_caller]
    pub fn mount_at_time(&self, time: &str) -> Mount<'_> {
        let (start, at) = (Instant::now(), self.mountpoint("mnt"));
        self.mount_command_at_time(time, &at).ok();
        Mount::adopt(self, at, start.elapsed())
    }

    /// Runs the command of [`Pond::mount_at_time`].
    pub fn mount_command_at_time(&self, time: &str, at: &Path) -> Outcome {
        self.run(["mount", "--create"])
            .arg(self.store())
            .arg(at)
            .at_time(time)
            .outcome()
    }

    /// Runs `pondmount mount ARGS… POND mnt`; the caller expects a failure.
    pub fn try_mount(&self, args: &[&str]) -> Outcome {
        self.run(["mount"])
            .args(args)
            .arg(self.store())
            .arg(self.mountpoint("mnt"))
            .outcome()
    }

    #[track_caller]
    pub fn status(&self) -> Value {
        self.ask(["status"]).json()
    }

    /// Returns the versions in the log, newest first.
    #[track_caller]
    pub fn log(&self) -> Vec<u64> {
        self.ask(["log"])
            .json_lines()
            .iter()
            .map(|line| number(line, "version"))
            .collect()
    }

    /// Checks that `check` finds nothing.
    #[track_caller]
    pub fn check(&self) {
        let answer = self.ask(["check"]).json();
        assert_eq!(
            (&answer["ok"], &answer["problems"]),
            (&true.into(), &Value::Array(vec![])),
            "check: {answer}"
        );
    }

    /// Deletes what can be rebuilt from the oplog.
    pub fn forget_index(&self) {
        for name in ["index", "cache"] {
            let path = self.store().join(name);
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    panic!("{}: {error}", path.display())
                }
                _ => {}
            }
        }
    }
}

impl Drop for Pond {
    /// A mount that should have failed and did not has no guard.
    fn drop(&mut self) {
        mounted_below(self.dir.path())
            .iter()
            .for_each(|at| crate::mount::clear(at));
    }
}

impl Default for Pond {
    fn default() -> Self {
        Pond::new()
    }
}

/// Returns a number in a JSON object.
#[track_caller]
pub fn number(object: &Value, name: &str) -> u64 {
    object[name]
        .as_u64()
        .unwrap_or_else(|| panic!("no number \"{name}\" in {object}"))
}

/// Returns the names in a directory, sorted.
#[track_caller]
pub fn names(dir: &Path) -> Vec<String> {
    let list =
        fs::read_dir(dir).unwrap_or_else(|error| panic!("readdir {}: {error}", dir.display()));
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry
            .expect("readdir")
            .file_name()
            .to_string_lossy()
            .into_owned()
    };
    let mut names: Vec<_> = list.map(name).collect();
    names.sort();
    names
}
