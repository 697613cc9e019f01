//! Prints data to standard output, and notices and failures to standard error.
//!
//! In: rows, notices and failures. Out: text, or JSON with `--json`. Invariants: standard output
//! carries nothing but data; a reader that closes the pipe ends the command without an error.

use super::failure::Failure;
use clap::ValueEnum;
use serde::Serialize;
use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// When output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The output options of a command.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
    quiet: bool,
    color: bool,
}

impl Output {
    /// Returns the output for these options.
    pub fn new(json: bool, quiet: bool, color: Color) -> Output {
        Output {
            json,
            quiet,
            color: !json && colored(color),
        }
    }

    /// Prints `row` as JSON, or the result of `text` as text.
    pub fn row<T: Serialize, D: Display>(
        &self,
        row: &T,
        text: impl FnOnce(&T) -> D,
    ) -> Result<(), Failure> {
        let line = match self.json {
            true => serde_json::to_string(row)
                .map_err(|error| Failure::system("cannot write the answer as JSON", &error))?,
            false => text(row).to_string(),
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")
            .and_then(|()| out.flush())
            .map_err(|error| Failure::output(&error))
    }

    /// Prints a notice: neither data nor a failure.
    pub fn notice(&self, text: &str) {
        #[derive(Serialize)]
        #[serde(tag = "type", rename = "notice")]
        struct Notice<'a> {
            message: &'a str,
        }
        if self.quiet {
            return;
        }
        let line = match self.json {
            true => serde_json::to_string(&Notice { message: text }).unwrap_or_default(),
            false => format!("{} {text}", self.word("note:", "36")),
        };
        say(&line);
    }

    /// Prints a failure.
    pub fn failure(&self, failure: &Failure) {
        say(&match self.json {
            true => serde_json::to_string(failure).unwrap_or_else(|_| failure.to_string()),
            false => self.render(failure),
        });
    }

    /// Returns whether notices are printed, as text.
    pub fn is_for_people(&self) -> bool {
        !self.json && !self.quiet
    }

    fn render(&self, failure: &Failure) -> String {
        let mut text = format!("{} {}", self.word("error:", "1;31"), failure.message);
        for cause in &failure.causes {
            text += &format!("\n  {} {cause}", self.word("cause:", "33"));
        }
        for hint in &failure.hints {
            text += &format!("\n  {} {hint}", self.word("hint:", "36"));
        }
        text
    }

    fn word(&self, word: &str, style: &str) -> String {
        match self.color {
            true => format!("\x1b[{style}m{word}\x1b[0m"),
            false => word.to_owned(),
        }
    }
}

/// Writes a line to standard error. Errors are ignored, since they cannot be reported.
fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Returns whether to colour: by the flag, else by the environment, else by whether it is a
/// terminal.
fn colored(color: Color) -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if set("NO_COLOR") => false,
        Color::Auto if env::var_os("CLICOLOR_FORCE").is_some_and(|v| !v.is_empty() && v != "0") => {
            true
        }
        Color::Auto => {
            io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> Failure {
        let mut failure = Failure::new("io", "cannot open /srv/pond").hinted("ask its owner");
        failure.causes.push("permission denied".into());
        failure
    }

    #[test]
    fn a_failure_is_a_sentence_with_its_causes_and_hints() {
        let plain = Output::new(false, false, Color::Never).render(&failure());
        assert_eq!(
            plain,
            "error: cannot open /srv/pond\n  cause: permission denied\n  hint: ask its owner"
        );
    }

    #[test]
    fn colours_are_on_the_words_only_and_never_in_json() {
        let colored = Output::new(false, false, Color::Always).render(&failure());
        assert!(
            colored.starts_with("\x1b[1;31merror:\x1b[0m cannot open"),
            "{colored}"
        );
        assert!(!Output::new(true, false, Color::Always).color);
    }
}
