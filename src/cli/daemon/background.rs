//! Starts a daemon in the background: runs the program again, and waits until that has mounted.

use super::Plan;
use super::reporter::{Reporter, Word};
use crate::cli::control::program;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::progress::Bar;
use crate::mount;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Starts a daemon that carries out `plan`, and returns when its mount is ready. The daemon gets
/// the global `arguments`.
pub fn launch(plan: &Plan, arguments: &[OsString], output: &Output) -> Result<(), Failure> {
    keep_files_to_ourselves();
    // Checked first, since without any devices not even a process starts.
    mount::available()?;
    let mut child = Command::new(program())
        .arg0("pondmount")
        .args(arguments)
        .args(arguments_of(plan))
        .stdin(Stdio::null())
        // Its standard output is the pipe on which it reports.
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| Failure::system("cannot start the daemon of the mount", &error))?;
    listen(&mut child, output)
}

/// Reads the daemon's reports until it is ready or has failed.
fn listen(child: &mut Child, output: &Output) -> Result<(), Failure> {
    let Some(pipe) = child.stdout.take() else {
        return Err(Failure::new(
            "daemon",
            "the daemon of the mount cannot be heard",
        ));
    };
    let mut bar = Bar::new(*output);
    for line in BufReader::new(pipe).lines() {
        let line =
            line.map_err(|error| Failure::system("cannot hear the daemon of the mount", &error))?;
        match serde_json::from_str(&line) {
            Ok(Word::Notice(text)) => output.notice(&text),
            Ok(Word::Progress(progress)) => bar.show(&progress),
            Ok(Word::Ready) => return Ok(()),
            Ok(Word::Failed(failure)) => {
                // The daemon releases the pond when it ends, and the user may try again at once.
                let _ = child.wait();
                return Err(failure);
            }
            Err(error) => tracing::debug!("the daemon says `{line}`: {error}"),
        }
    }
    let status = child
        .wait()
        .map_err(|error| Failure::system("cannot wait for the daemon of the mount", &error))?;
    Err(ended(status))
}

fn ended(status: ExitStatus) -> Failure {
    Failure::new(
        "daemon",
        format!("the daemon of the mount has ended before it was ready ({status})"),
    )
    .hinted("`pondmount -v mount --foreground …` shows what happens")
}

fn arguments_of(plan: &Plan) -> Vec<OsString> {
    let flags = [
        (true, "mount"),
        (true, "--foreground"),
        (true, "--report-ready"),
        (plan.create, "--create"),
        (plan.read_only, "--read-only"),
        (plan.allow_other, "--allow-other"),
    ];
    let mut arguments: Vec<OsString> = flags
        .into_iter()
        .filter(|(given, _)| *given)
        .map(|(_, flag)| flag.into())
        .collect();
    for rule in plan.rules.names() {
        arguments.push(format!("-o{rule}").into());
    }
    if plan.commit_on_sync {
        arguments.push("-osync=commit".into());
    }
    if let Some(at) = &plan.at {
        arguments.push(format!("--at={at}").into());
    }
    if let Some(commit) = plan.commit {
        arguments.push(format!("-ocommit={}", commit.as_secs()).into());
    }
    arguments.push("--".into());
    arguments.push(plan.pond.clone().into());
    arguments.push(plan.mountpoint.clone().into());
    arguments
}

/// Detaches the daemon from the terminal and the working directory. Its former standard output is
/// the pipe to the waiting command.
pub fn release() -> Result<Reporter, Failure> {
    let release = || -> io::Result<File> {
        let pipe = io::stdout().as_fd().try_clone_to_owned()?;
        let null = File::options().write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdout(&null)?;
        // Fails harmlessly if the daemon already leads a process group, as when it is started by
        // hand.
        let _ = rustix::process::setsid();
        env::set_current_dir("/")?;
        Ok(pipe.into())
    };
    release()
        .map(Reporter::Pipe)
        .map_err(|error| Failure::system("cannot go into the background", &error))
}

/// Marks files that the caller left open, such as the end of a pipe, as close-on-exec: the daemon
/// must not inherit them.
fn keep_files_to_ourselves() {
    let flags = libc::CLOSE_RANGE_CLOEXEC as libc::c_int;
    // SAFETY: it touches no memory and closes nothing here; it marks files for the next exec.
    unsafe {
        // A kernel before 5.11 does not support it; then they stay open.
        let _ = libc::close_range(3, libc::c_uint::MAX, flags);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::Rules;
    use std::time::Duration;

    #[test]
    fn the_plan_survives_the_command_line() {
        let plan = Plan {
            pond: "/srv/-odd".into(),
            mountpoint: "/mnt/a b".into(),
            create: true,
            read_only: false,
            at: Some("latest~2".into()),
            allow_other: true,
            rules: Rules {
                sync: true,
                ..Rules::default()
            },
            commit: Some(Duration::from_secs(7)),
            commit_on_sync: true,
        };
        let expected = "mount --foreground --report-ready --create --allow-other -osync -osync=commit --at=latest~2 -ocommit=7 --|/srv/-odd|/mnt/a b";
        let given = arguments_of(&plan);
        let given: Vec<_> = given
            .iter()
            .map(|argument| argument.to_string_lossy())
            .collect();
        assert_eq!(given.join(" ").replace(" /", "|/"), expected);
    }

    #[test]
    fn a_daemon_that_ends_without_a_word_is_told_with_its_status() {
        let output = Output::new(false, true, Default::default());
        let start = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdout(Stdio::piped());
            command.spawn().unwrap()
        };
        let failure = listen(&mut start("exit 3"), &output).unwrap_err();
        assert!(failure.message.contains("exit status: 3"), "{failure}");
        listen(&mut start("echo what?; echo '\"ready\"'; sleep 1"), &output).unwrap();
        let failed = r#"echo '{"failed":{"type":"error","code":"locked","exit":11,"message":"m","causes":[],"hints":[]}}'"#;
        assert_eq!(listen(&mut start(failed), &output).unwrap_err().exit, 11);
    }
}
