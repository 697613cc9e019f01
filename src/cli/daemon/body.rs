//! The daemon's main function: opens the pond, mounts, serves, unmounts, closes.

use super::{Plan, Reporter, mountpoint};
use crate::cli::control::{Server, explain, mount_of, version_of};
use crate::cli::failure::Failure;
use crate::cli::progress::Pace;
use crate::mount::{self, MountError, MountOptions, Mounted, Unmounter};
use crate::pond::lock::{Holder, MountNote};
use crate::pond::{OpenOptions, Pond, PondError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long the unmount may take after a signal. Open files delay it; then they get errors.
const LEAVING: Duration = Duration::from_secs(5);

/// How long a mount waits for a command that has the pond open, or for a daemon's last commit.
const COMMITTING: Duration = Duration::from_secs(60);

/// How long it waits for a daemon to notice that it was unmounted.
const NOTICING: Duration = Duration::from_secs(5);

/// How long it waits before it prints a notice about it.
const SILENCE: Duration = Duration::from_secs(1);

/// Events that end a mount.
enum Event {
    /// The mount is gone, in order or not.
    Gone(Result<(), MountError>),
    /// A signal asked the daemon to stop.
    Signal(i32),
}

/// The number of malloc arenas that threads share. By default each thread has its own, and each
/// keeps what a checkpoint or a large write once took: a third of the daemon's memory in an hour of
/// mixed load.
#[cfg(target_env = "gnu")]
const HEAPS: libc::c_int = 2;

/// Sets the number of arenas. Must be called before threads are started.
fn share_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` sets a number in the allocator and touches no memory of this program.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS);
    }
}

/// Mounts as planned, and returns when the mount is gone and the pond is closed.
pub fn serve(plan: &Plan, reporter: &mut Reporter) -> Result<(), Failure> {
    let (tell, events) = channel();
    allow_files();
    share_heaps();
    // From here on, a signal ends the daemon in order.
    watch_signals(tell.clone())?;
    mountpoint::prepare(plan, reporter)?;
    let pond = open(plan, reporter)?;
    let server = listen(plan, &pond);
    let served = mounted(plan, &pond, server.as_ref(), reporter, tell, &events);
    // From now on, other openers of the pond need only wait for the last commit.
    if let Err(error) = pond.mounted_at(None) {
        tracing::warn!("{error}");
    }
    let closed = pond.close().map_err(Failure::from);
    if let Some(server) = server {
        server.end(closed.clone());
    }
    served.and(closed)
}

/// Raises the limit of open files to its maximum: the default of a shell, which suits programs that
/// use `select`, is low for a server.
fn allow_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::info!("the number of open files stays as it is: {error}");
    }
}

fn open(plan: &Plan, reporter: &mut Reporter) -> Result<Arc<Pond>, Failure> {
    let defaults = OpenOptions::default();
    let options = OpenOptions {
        read_only: plan.read_only || plan.at.is_some(),
        commit_interval: plan.commit.unwrap_or(defaults.commit_interval),
        commit_on_sync: plan.commit_on_sync,
        ..defaults
    };
    if plan.create && is_nothing(plan) {
        Pond::init(&plan.pond)?;
        reporter.notice(&format!("made an empty pond at {}", plan.pond.display()));
    }
    let (start, mut told) = (Instant::now(), false);
    loop {
        let (mut pace, mut bar) = (Pace::default(), None);
        let opened = Pond::open_telling(&plan.pond, &options, &mut |progress| {
            if pace.is_due() {
                reporter.progress(&mut bar, &progress);
            }
        });
        match opened {
            Err(PondError::Locked { holder, .. }) if start.elapsed() < patience(&holder) => {
                if !told && start.elapsed() > SILENCE {
                    reporter.notice(&format!("waiting for {holder} to let go of the pond"));
                    told = true;
                }
                thread::sleep(Duration::from_millis(20));
            }
            opened => {
                let pond = opened.map_err(explain)?;
                if let Ok(Some(behind)) = pond.clock_behind() {
                    reporter.notice(&format!(
                        "{behind}: dates, ages and rules of time may mislead"
                    ));
                }
                return Ok(pond);
            }
        }
    }
}

/// Returns how long to wait for the process that has the pond open. A live mount keeps it; a
/// command, or a daemon that was unmounted, releases it once it has committed.
fn patience(holder: &Holder) -> Duration {
    match (&holder.device, mount_of(holder)) {
        (None, _) => COMMITTING,
        (Some(_), Some(_)) => Duration::ZERO,
        (Some(_), None) => NOTICING,
    }
}

/// Returns whether a pond may be created: existing files are left alone, even if they cannot be
/// opened.
fn is_nothing(plan: &Plan) -> bool {
    match std::fs::symlink_metadata(plan.pond.join("pond.toml")) {
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(_) => false,
    }
}

/// Opens the control socket. A pond on a disk that takes no files is mounted without one.
fn listen(plan: &Plan, pond: &Arc<Pond>) -> Option<Server> {
    match Server::start(pond.clone()) {
        Ok(server) => Some(server),
        Err(error) => {
            tracing::warn!("no control socket in {}: {error}", plan.pond.display());
            None
        }
    }
}

fn mounted(
    plan: &Plan,
    pond: &Arc<Pond>,
    server: Option<&Server>,
    reporter: &mut Reporter,
    tell: Sender<Event>,
    events: &Receiver<Event>,
) -> Result<(), Failure> {
    let at = plan
        .at
        .as_deref()
        .map(|at| version_of(pond, at))
        .transpose()?;
    let options = MountOptions {
        read_only: plan.read_only || at.is_some(),
        at,
        allow_other: plan.allow_other,
        rules: plan.rules,
        ..MountOptions::default()
    };
    let mounted = mount::mount(pond.clone(), &plan.mountpoint, &options)?;
    let unmounter = mounted.unmounter();
    let mount = mounted.mount().clone();
    let note = MountNote {
        mountpoint: &mount.mountpoint,
        device: &mount.device,
        source: &mount.source,
    };
    if let Some(server) = server {
        server.mounted(mount.clone());
    }
    watch_mount(mounted, tell)?;
    if let Err(error) = pond.mounted_at(Some(note)) {
        // The lock holds nevertheless; only the message to the next opener is less precise.
        tracing::warn!("{error}");
    }
    if reporter.ready().is_err() {
        leave(&unmounter, events);
        return Err(Failure::new(
            "interrupted",
            "the command that wanted the mount has gone",
        ));
    }
    tracing::info!(
        "{} is mounted on {}",
        plan.pond.display(),
        plan.mountpoint.display()
    );
    match events.recv() {
        Ok(Event::Gone(outcome)) => Ok(outcome?),
        Ok(Event::Signal(signal)) => {
            tracing::info!("signal {signal}: unmounting");
            leave(&unmounter, events);
            Ok(())
        }
        Err(_) => Ok(()),
    }
}

/// Unmounts even while the mount is in use; open files stay usable until the daemon ends.
fn leave(unmounter: &Unmounter, events: &Receiver<Event>) {
    if let Err(busy) = unmounter.unmount(false) {
        tracing::info!("{busy}; detaching");
        if let Err(error) = unmounter.unmount(true) {
            tracing::warn!("{error}");
        }
    }
    // A second signal ends the wait, and so does the timeout.
    if let Ok(Event::Gone(Err(error))) = events.recv_timeout(LEAVING) {
        tracing::warn!("{error}");
    }
}

fn watch_mount(mounted: Mounted, tell: Sender<Event>) -> Result<(), Failure> {
    thread::Builder::new()
        .name("mount".into())
        .spawn(move || {
            // No receiver is left if the daemon is ending already.
            let _ = tell.send(Event::Gone(mounted.wait()));
        })
        .map(drop)
        .map_err(|error| Failure::system("cannot start a thread", &error))
}

fn watch_signals(tell: Sender<Event>) -> Result<(), Failure> {
    let start = || -> io::Result<()> {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for signal in signals.forever() {
                    if tell.send(Event::Signal(signal)).is_err() {
                        break;
                    }
                }
            })?;
        Ok(())
    };
    start().map_err(|error| Failure::system("cannot wait for signals", &error))
}
