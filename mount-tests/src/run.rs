//! Runs programs with a time limit, keeps both outputs, and reports failures in detail.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The uid and gid of `nobody`.
pub const NOBODY: u32 = 65534;

/// A program that is about to run.
pub struct Run {
    command: Command,
    input: Vec<u8>,
    limit: Duration,
}

/// The result of a program.
#[derive(Debug)]
pub struct Outcome {
    line: String,
    status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// Returns the path of an external program; fails the test with a hint if it is missing.
pub fn need(tool: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(tool))
        .find(|file| file.is_file())
        .unwrap_or_else(|| {
            panic!("this test needs `{tool}`, which is not installed: run scripts/setup")
        })
}

/// Returns the library that fakes the clock of a program.
fn need_faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten();
    folders
        .map(|folder| folder.path().join("faketime/libfaketime.so.1"))
        .find(|library| library.is_file())
        .unwrap_or_else(|| {
            panic!("this test needs libfaketime, which is not installed: run scripts/setup")
        })
}

/// Fails unless the test runs as root, which mounting file systems and changing users needs.
pub fn need_root(why: &str) {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test {why}: run it as root, or leave it out with --skip"
    );
}

/// Returns a command of an external program.
pub fn tool(name: &str) -> Run {
    Run::new(need(name))
}

/// Returns the Python that `scripts/setup` has prepared, with all modules that the tests import.
pub fn python() -> Run {
    let cache = || {
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
        let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
        cache.join("pondmount/venv/bin/python")
    };
    let path = std::env::var_os("POND_TEST_PYTHON").map_or_else(cache, PathBuf::from);
    assert!(
        path.is_file(),
        "this test needs a Python with packages of its own at {}: run scripts/setup",
        path.display()
    );
    Run::new(path)
}

/// Returns a Python script that uses Arrow. It ends without the interpreter's finalization, during
/// which threads of Arrow sometimes still run, and end the process with SIGABRT.
pub fn arrow(script: &str) -> Run {
    let end = "import os, sys\nsys.stdout.flush()\nos._exit(0)\n";
    python().args(["-c".to_owned(), format!("{script}\n{end}")])
}

/// A function for bash, for a script in a mount namespace of its own: unmounts all ponds there but the
/// one at `$1`. The copy of a mount keeps its daemon alive, and other tests wait for theirs to end.
pub const KEEP_ONLY: &str = r#"
    keep_only() {
        awk -v at="$1" '/ - fuse.pondmount / && $5 != at { print $5 }' /proc/self/mountinfo |
            while read -r other; do umount --lazy --no-canonicalize --internal-only "$other" || true; done
    }
"#;

/// Returns a shell script that stops at its first failing command, with its arguments as `$1…`. A
/// command that must fail is written `(! command)`: without the parentheses any exit code passes.
pub fn shell(script: &str) -> Run {
    tool("bash").args(["-euo", "pipefail", "-c", script, "bash"])
}

impl Run {
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        Run {
            command,
            input: Vec::new(),
            limit: Duration::from_secs(300),
        }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    pub fn within(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts the program's clock at `time` (UTC).
    pub fn at_time(self, time: &str) -> Self {
        self.env("LD_PRELOAD", need_faketime())
            .env("FAKETIME", format!("@{time}"))
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }

    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    pub fn as_nobody(mut self) -> Self {
        self.command.uid(NOBODY).gid(NOBODY);
        self
    }

    /// Runs to the end. Outputs go to files, not pipes, so that a daemon that keeps them open
    /// blocks nothing.
    pub fn outcome(self) -> Outcome {
        let limit = self.limit;
        let mut started = self.start();
        let status = started.wait(limit);
        started.outcome(status)
    }

    /// Runs to the end, and checks that the program succeeded.
    #[track_caller]
    pub fn ok(self) -> Outcome {
        self.outcome().ok()
    }

    /// Starts without waiting.
    pub fn start(mut self) -> Started {
        let (stdin, stdout, stderr) = (
            scratch_file(&self.input),
            scratch_file(b""),
            scratch_file(b""),
        );
        let line = format!("{:?}", self.command);
        let child = self
            .command
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::from(stdout.try_clone().expect("dup")))
            .stderr(Stdio::from(stderr.try_clone().expect("dup")))
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {line}: {error}"));
        Started {
            line,
            child,
            stdout,
            stderr,
        }
    }
}

/// A running program, killed when this is dropped.
pub struct Started {
    line: String,
    child: Child,
    stdout: File,
    stderr: File,
}

impl Started {
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Returns its standard error so far.
    pub fn said(&self) -> String {
        let mut bytes = vec![0; 64 << 10];
        // Read by offset: the file position belongs to the program's writes.
        let read = std::os::unix::fs::FileExt::read_at(&self.stderr, &mut bytes, 0);
        bytes.truncate(read.expect("read a program's output"));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns whether it has a socket open: then a `pondmount` command has reached a daemon.
    pub fn has_a_socket(&self) -> bool {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.pid()));
        let mut links = open
            .into_iter()
            .flatten()
            .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
        links.any(|link| link.as_os_str().as_encoded_bytes().starts_with(b"socket:"))
    }

    /// Kills it by SIGKILL, if it has not ended yet, and waits for its end.
    pub fn kill9(&mut self) {
        self.end();
    }

    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the end; kills a program that exceeds the limit, and fails the test.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("wait for a child") {
                return status;
            }
            if Instant::now() > deadline {
                self.end();
                let (out, err) = (text(&self.stdout), text(&self.stderr));
                panic!("{} did not finish within {limit:?}\n{out}{err}", self.line);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for the end and returns the outputs.
    pub fn finish(mut self, limit: Duration) -> Outcome {
        let status = self.wait(limit);
        self.outcome(status)
    }

    fn outcome(&self, status: ExitStatus) -> Outcome {
        Outcome {
            line: self.line.clone(),
            status,
            stdout: contents(&self.stdout),
            stderr: contents(&self.stderr),
        }
    }

    fn end(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.end();
    }
}

impl Outcome {
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Checks the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(
            self.status.code() == Some(code),
            "expected exit {code}\n{self}"
        );
        self
    }

    /// Checks that it failed by its own decision (not by a signal or a panic).
    #[track_caller]
    pub fn fails(self) -> Self {
        let code = self.status.code();
        assert!(
            code.is_some_and(|code| code != 0 && code != 101),
            "expected an orderly failure\n{self}"
        );
        self
    }

    /// Checks that standard error contains all of these, in any case.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        let said = self.err().to_lowercase();
        for word in words {
            assert!(
                said.contains(&word.to_lowercase()),
                "standard error does not name \"{word}\"\n{self}"
            );
        }
        self
    }

    /// Returns the exit code, unless it was ended by a signal.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub fn succeeded(&self) -> bool {
        self.status.success()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Parses standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        parse(&self.stdout)
            .unwrap_or_else(|error| panic!("standard output is not JSON: {error}\n{self}"))
    }

    /// Parses standard output as JSON lines.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let lines = self
            .stdout
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        lines
            .map(|line| {
                parse(line).unwrap_or_else(|error| panic!("a line is not JSON: {error}\n{self}"))
            })
            .collect()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit {code}"),
            (None, signal) => format!("killed by signal {}", signal.unwrap_or_default()),
        };
        write!(
            f,
            "{}\n{end}\n--- stdout\n{}--- stderr\n{}",
            self.line,
            self.text(),
            self.err()
        )
    }
}

fn parse(bytes: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(bytes)
}

fn scratch_file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a temporary file for a program's output");
    file.write_all(bytes)
        .and_then(|()| file.rewind())
        .expect("fill a temporary file");
    file
}

fn contents(mut file: &File) -> Vec<u8> {
    let mut out = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut out))
        .expect("read a program's output");
    out
}

fn text(file: &File) -> String {
    String::from_utf8_lossy(&contents(file)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_and_exit_codes_are_told_apart() {
        let outcome = shell("cat; echo err >&2; exit 7")
            .input("in")
            .outcome()
            .exits(7)
            .says(&["ERR"]);
        assert_eq!(
            (outcome.text(), outcome.err()),
            ("in".into(), "err\n".into())
        );
        assert!(
            shell("kill -9 $$")
                .outcome()
                .to_string()
                .contains("killed by signal 9")
        );
    }

    #[test]
    #[should_panic(expected = "run scripts/setup")]
    fn a_missing_tool_is_a_failure_that_names_the_cure() {
        need("no-such-tool-at-all");
    }

    #[test]
    #[should_panic(expected = "did not finish within")]
    fn a_hang_is_a_failure() {
        tool("sleep")
            .arg("60")
            .limit(Duration::from_millis(50))
            .outcome();
    }

    #[test]
    fn a_background_process_that_keeps_the_output_open_holds_nobody_up() {
        let start = Instant::now();
        shell("sleep 2 & echo done").ok();
        assert!(start.elapsed() < Duration::from_secs(2));
    }
}
