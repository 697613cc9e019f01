//! The commands, one file each: its arguments, whose comments are the help text, and what it does.

mod check;
mod init;
mod log;
pub(super) mod mount;
mod remount;
mod scrub;
mod status;
mod sync;
mod umount;

use super::Globals;
use super::failure::Failure;
use crate::observe::log_to_stderr;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    Init(init::Init),
    Mount(mount::Mount),
    Umount(umount::Umount),
    Status(status::Status),
    Log(log::Log),
    Sync(sync::Sync),
    Check(check::Check),
    Scrub(scrub::Scrub),
}

/// Runs a command. Answers the exit code of one that has done its work.
pub(super) fn run(command: Command, globals: &Globals) -> Result<u8, Failure> {
    // A daemon chooses another place for its log.
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
        Command::Sync(sync) => sync::run(&sync, &output),
        Command::Check(check) => check::run(&check, &output),
        Command::Scrub(scrub) => scrub::run(&scrub, &output),
    }
}

/// The pond that a command is about.
#[derive(Debug, Args)]
struct About {
    /// The pond's folder, where it is mounted, or a path inside the mount; without it, the pond
    /// that is mounted around the current directory
    #[arg(value_name = "POND|PATH", env = "POND_STORE")]
    pond: Option<PathBuf>,
}
