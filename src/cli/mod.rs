//! The command line.
//!
//! Role: maps arguments to calls on `mount` and `pond`, and their results to text or JSON. In:
//! arguments, environment, current directory. Out: standard output, standard error, an exit code.
//! Invariants: data goes to standard output and notices to standard error; every failure is one
//! sentence with its causes and hints; a command works the same with and without a daemon.

mod commands;
mod control;
mod daemon;
mod failure;
#[cfg(test)]
mod fuzz_tests;
mod helper;
mod options;
mod output;
mod place;
mod progress;

use crate::observe::Verbosity;
use clap::{ArgAction, Args, Parser};
use commands::Command;
use failure::{Failure, exit};
use output::{Color, Output};
use rustix::fs::Mode;
use std::ffi::OsString;
use std::process::ExitCode;

/// A filesystem that keeps every version of what is written to it
///
/// A pond is a folder that holds a tree of files and its past. Mounted, it is used like any other
/// directory; a few seconds after a change there is a new version, and every version stays readable
/// under @version in every directory.
#[derive(Debug, Parser)]
#[command(
    name = "pondmount",
    bin_name = "pondmount",
    version,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// The global options.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Everywhere")]
struct Globals {
    /// Print answers, notices and errors as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Print no notices
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Print what goes on; -vv and -vvv print more. The short form stands before the command
    #[arg(short = 'v', action = ArgAction::Count)]
    short_verbose: u8,
    /// Print what goes on; again, to print more
    #[arg(long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// When to colour words on standard error
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    color: Color,
}

impl Globals {
    fn output(&self) -> Output {
        Output::new(self.json, self.quiet, self.color)
    }

    fn verbosity(&self) -> Verbosity {
        Verbosity::new(self.quiet, self.verbose.saturating_add(self.short_verbose))
    }

    /// Returns them as arguments for a daemon, whose output goes through the command that started
    /// it.
    fn to_arguments(self) -> Vec<OsString> {
        let verbose = usize::from(self.verbose) + usize::from(self.short_verbose);
        let verbose = std::iter::repeat_n("--verbose", verbose);
        let quiet = self.quiet.then_some("-q");
        verbose.chain(quiet).map(Into::into).collect()
    }
}

/// Runs the command of `arguments`, which include the name of the program.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    // Files in a pond are protected by the modes in its tree. The pond's own files and the logs are
    // for their owner alone, even in a folder that is open to others.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    if helper::is_asked(&arguments) {
        return helper::run(&arguments);
    }
    if control::is_probe(&arguments) {
        return control::probe(&arguments);
    }
    // Needed before parsing, for the format of parse errors.
    let json = arguments.iter().any(|argument| argument == "--json");
    match Cli::try_parse_from(arguments) {
        Ok(cli) => {
            let output = cli.globals.output();
            end(commands::run(cli.command, &cli.globals), &output)
        }
        Err(error) if json && error.use_stderr() => {
            let output = Output::new(true, false, Color::Never);
            end(Err(wrong_usage(&error)), &output)
        }
        Err(error) => {
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit::USAGE))
        }
    }
}

fn end(outcome: Result<u8, Failure>, output: &Output) -> ExitCode {
    match outcome {
        Ok(exit) => ExitCode::from(exit),
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.exit)
        }
    }
}

/// Returns the sentence of a command line error, without the usage that follows it.
fn wrong_usage(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let sentence = text.lines().next().unwrap_or_default();
    let sentence = sentence.strip_prefix("error: ").unwrap_or(sentence);
    Failure::usage(sentence).hinted("`pondmount --help` shows how it is used")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_before_and_after_the_command() {
        for line in [
            "pondmount --json -vv status",
            "pondmount status --json --verbose --verbose",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert!(cli.globals.json, "{line}");
            assert_eq!(cli.globals.to_arguments(), ["--verbose", "--verbose"]);
        }
    }

    #[test]
    fn a_wrong_command_line_is_one_sentence_in_json() {
        let error = Cli::try_parse_from(["pondmount", "--json", "no-such"]).unwrap_err();
        let failure = wrong_usage(&error);
        assert_eq!(failure.exit, 2);
        assert!(
            failure.message.contains("no-such") && !failure.message.contains("Usage"),
            "{failure}"
        );
    }
}
