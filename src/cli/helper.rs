//! The helper of mount(8): installed as `mount.fuse.pondmount`, it is called for lines of fstab.
//!
//! In: `mount.fuse.pondmount POND MOUNTPOINT [-sfnv] [-t TYPE] [-o OPTIONS]`. Out: the same as
//! `pondmount mount`, with the exit codes that mount(8) knows.

use super::commands::mount;
use super::failure::{Failure, exit};
use super::output::{Color, Output};
use super::{Globals, options::Options};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The exit codes of mount(8).
const USAGE: u8 = 1;
const FAILED: u8 = 32;

/// Returns whether the program was called by the name of a helper.
pub(super) fn is_asked(arguments: &[OsString]) -> bool {
    let name = arguments
        .first()
        .and_then(|name| Path::new(name).file_name());
    name.is_some_and(|name| name.as_encoded_bytes().starts_with(b"mount."))
}

/// Mounts as requested by mount(8).
pub(super) fn run(arguments: &[OsString]) -> ExitCode {
    let output = Output::new(false, false, Color::Auto);
    let outcome = Request::parse(arguments.get(1..).unwrap_or_default()).and_then(|request| {
        if request.fake {
            return Ok(());
        }
        let options = Options::parse(&request.options)?;
        let globals = Globals {
            verbose: request.verbose,
            ..Globals::default()
        };
        mount::in_background(&request.pond, &request.mountpoint, &options, &globals)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(match failure.exit {
                exit::USAGE => USAGE,
                _ => FAILED,
            })
        }
    }
}

/// A request of mount(8).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pond: PathBuf,
    mountpoint: PathBuf,
    options: String,
    verbose: u8,
    fake: bool,
}

impl Request {
    /// Returns the list of options, as [`Options::parse`] takes it.
    #[cfg(test)]
    pub(super) fn options(&self) -> &str {
        &self.options
    }

    pub(super) fn parse(arguments: &[OsString]) -> Result<Request, Failure> {
        let mut request = Request::default();
        let mut paths = Vec::new();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let flags = argument.to_str().and_then(|text| text.strip_prefix('-'));
            let Some(flags) = flags.filter(|flags| !flags.is_empty()) else {
                paths.push(PathBuf::from(argument));
                continue;
            };
            for (at, flag) in flags.char_indices() {
                match flag {
                    // An option's argument is the rest of the word, or the next one.
                    'o' | 't' | 'N' => {
                        let rest = flags.get(at + 1..).filter(|rest| !rest.is_empty());
                        let value = match rest {
                            Some(rest) => rest.to_owned(),
                            None => next(&mut arguments, flag)?,
                        };
                        if flag == 'o' {
                            request.options = format!("{},{value}", request.options);
                        }
                        break;
                    }
                    'f' => request.fake = true,
                    'v' => request.verbose = request.verbose.saturating_add(1),
                    'r' => request.options += ",ro",
                    'w' => request.options += ",rw",
                    // Be lenient with options (they are few), and write no mtab (there is none).
                    's' | 'n' => {}
                    _ => return Err(Failure::usage(format!("there is no option -{flag}"))),
                }
            }
        }
        let mut paths = paths.into_iter();
        match (paths.next(), paths.next(), paths.next()) {
            (Some(pond), Some(mountpoint), None) => Ok(Request {
                pond,
                mountpoint,
                ..request
            }),
            _ => Err(Failure::usage(
                "this is the helper of mount(8): POND MOUNTPOINT [-o OPTIONS]",
            )),
        }
    }
}

fn next<'a>(
    arguments: &mut impl Iterator<Item = &'a OsString>,
    flag: char,
) -> Result<String, Failure> {
    let value = arguments.next().and_then(|value| value.to_str());
    value
        .map(str::to_owned)
        .ok_or_else(|| Failure::usage(format!("the option -{flag} needs a value")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, Failure> {
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        Request::parse(&words)
    }

    #[test]
    fn the_name_of_the_program_decides() {
        let asked = |name: &str| is_asked(&[name.into()]);
        assert!(asked("/sbin/mount.fuse.pondmount") && asked("mount.pondmount"));
        assert!(!asked("/usr/bin/pondmount") && !asked("/opt/mount.d/pondmount"));
        assert!(!is_asked(&[]));
    }

    #[test]
    fn it_reads_what_mount_passes() {
        let request = parse("/srv/pond /mnt/pond -sv -o ro,nosuid -oallow_other").unwrap();
        assert_eq!(request.pond, Path::new("/srv/pond"));
        assert_eq!(request.mountpoint, Path::new("/mnt/pond"));
        assert_eq!((request.verbose, request.fake), (1, false));
        let options = Options::parse(&request.options).unwrap();
        assert_eq!((options.read_only, options.allow_other), (Some(true), true));
        assert!(parse("-f -n -t fuse.pondmount a b").unwrap().fake);
    }

    #[test]
    fn anything_else_is_wrong_usage() {
        for line in ["a", "a b c", "a b -o", "a b -z"] {
            assert_eq!(parse(line).unwrap_err().exit, exit::USAGE, "{line}");
        }
    }
}
