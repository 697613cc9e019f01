//! `pondmount umount`: unmounts a pond, and returns when all of it is committed and its process is gone.

use crate::cli::control::{Client, Request};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::place::{self, Mount, resolve};
use crate::mount::{self, MountError};
use crate::pond::lock::{self, Holder};
use clap::Args;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long the last commit may take.
const LIMIT: Duration = Duration::from_secs(300);
/// After a lazy one the daemon ends when the last file is closed, which may be never.
const LAZY_LIMIT: Duration = Duration::from_secs(2);

/// Unmount a pond
///
/// Every change is committed, and the command returns when the process behind the mount has ended.
/// A mount that has died is removed.
#[derive(Debug, Args)]
pub struct Umount {
    /// Where the pond is mounted
    #[arg(value_name = "MOUNTPOINT")]
    mountpoint: PathBuf,
    /// Hide the mount at once; programs that have files open keep them until they are done
    #[arg(long)]
    lazy: bool,
}

pub(super) fn run(args: &Umount, output: &Output) -> Result<u8, Failure> {
    let mount = find(&args.mountpoint)?;
    // A dead mount has nobody to talk to.
    let mut client = Client::connect(&mount.pond).ok();
    if let Some(daemon) = &mut client {
        // What a version cannot be made of now stays in the index, and the end says why.
        let synced: Result<Value, _> = daemon.ask(&Request::Sync);
        if let Err(failure) = synced {
            tracing::debug!("before unmounting: {failure}");
        }
        // Asked before, as there is nobody to be asked after.
        if daemon.send(&Request::End).is_err() {
            client = None;
        }
    }
    mount::unmount(&mount.at, args.lazy)?;
    let limit = match args.lazy {
        true => LAZY_LIMIT,
        false => LIMIT,
    };
    let ended = match client {
        Some(daemon) => follow(daemon, limit)?,
        None => wait_for_lock(&mount, limit)?,
    };
    match (ended, args.lazy) {
        (true, _) => Ok(0),
        (false, true) => {
            output.notice("the process behind the mount ends when the last of its files is closed");
            Ok(0)
        }
        (false, false) => Err(still_there(&mount)),
    }
}

/// The mount at a path. Its inside will not do: nobody should unmount by mistake.
fn find(path: &Path) -> Result<Mount, Failure> {
    let resolved = resolve(path);
    let mounts = place::mounts()?;
    let around = place::around(&mounts, &resolved);
    if let Some(mount) = around.filter(|mount| mount.at == resolved) {
        return Ok(mount.clone());
    }
    let failure = Failure::from(MountError::NotMounted(path.to_owned()));
    let of_pond = || mounts.iter().find(|mount| mount.pond == resolved);
    Err(match around.or_else(of_pond) {
        Some(mount) => failure.hinted(format!("that pond is mounted at {}", mount.at.display())),
        None => failure,
    })
}

/// Hears how the pond was closed, and waits for the end of its daemon. False when that takes too long.
fn follow(mut daemon: Client, limit: Duration) -> Result<bool, Failure> {
    let failed = |error| Failure::system("cannot wait for the daemon of the pond", &error);
    daemon.limit(limit).map_err(failed)?;
    let end: Result<Value, _> = daemon.answer();
    match end {
        Err(failure) if failure.is_silent() => return Ok(false),
        // It was quicker than its answer.
        Err(failure) if failure.is_lost() => return Ok(true),
        _ => {}
    }
    let gone = daemon.wait_for_end();
    end?;
    Ok(gone.is_ok())
}

/// Without a socket the lock tells when the daemon has gone. False when that takes too long.
fn wait_for_lock(mount: &Mount, limit: Duration) -> Result<bool, Failure> {
    let deadline = Instant::now() + limit;
    while holder(mount)?.is_some() {
        if Instant::now() > deadline {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(true)
}

/// Who holds the pond for this mount; another one is not to be waited for.
fn holder(mount: &Mount) -> Result<Option<Holder>, Failure> {
    let holder = lock::holder(&mount.pond)?;
    Ok(holder.filter(|holder| holder.mountpoint.as_deref() == Some(&mount.at)))
}

fn still_there(mount: &Mount) -> Failure {
    let who = match lock::holder(&mount.pond) {
        Ok(Some(holder)) => holder.to_string(),
        _ => "its daemon".to_owned(),
    };
    Failure::new(
        "daemon_silent",
        format!(
            "{} is unmounted, but {who} is still at work on the pond {} after {} s",
            mount.at.display(),
            mount.pond.display(),
            LIMIT.as_secs()
        ),
    )
    .hinted("it may have much to commit: do not kill it, wait until it has ended")
}
