//! The watchdog: tracks operations under way and the longest of each kind, and detects a stall.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::dump::{Connection, stacks};

/// The interval of the watchdog.
const EVERY: Duration = Duration::from_millis(50);
/// The additional time of a command: a `restore` waits up to a minute for saves to end.
const COMMAND: Duration = Duration::from_secs(100);

/// An operation under way.
#[derive(Clone, Copy, Debug)]
struct Running {
    kind: &'static str,
    since: Instant,
    limit: Duration,
}

/// One thread that performs operations.
#[derive(Debug)]
struct Slot {
    name: String,
    tid: i32,
    running: Mutex<Option<Running>>,
}

/// Statistics of one kind of operation.
#[derive(Clone, Debug, Default)]
struct Figures {
    count: u64,
    longest: Duration,
    total: Duration,
    errors: BTreeMap<i32, u64>,
}

/// All operations of a run.
#[derive(Debug)]
pub struct Watch {
    limit: Duration,
    daemon: i32,
    connection: Connection,
    status: PathBuf,
    slots: Mutex<Vec<Arc<Slot>>>,
    figures: Mutex<BTreeMap<&'static str, Figures>>,
    ended: AtomicBool,
    stall: Mutex<Option<String>>,
}

/// Records operations of one thread.
#[derive(Debug)]
pub struct Clock<'w> {
    watch: &'w Watch,
    slot: Arc<Slot>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Creates a watch for the mount behind `connection`, which `daemon` serves. `status` is read
    /// for the dump.
    pub fn new(limit: Duration, daemon: i32, connection: Connection, status: PathBuf) -> Watch {
        Watch {
            limit,
            daemon,
            connection,
            status,
            slots: Mutex::default(),
            figures: Mutex::default(),
            ended: AtomicBool::new(false),
            stall: Mutex::default(),
        }
    }

    /// Registers the calling thread, under a name for the dump.
    pub fn clock(&self, name: &str) -> Clock<'_> {
        let slot = Arc::new(Slot {
            name: name.into(),
            tid: rustix::thread::gettid().as_raw_nonzero().get(),
            running: Mutex::default(),
        });
        lock(&self.slots).push(slot.clone());
        Clock { watch: self, slot }
    }

    /// Checks the operations until [`Watch::end`] or a stall.
    pub fn guard(&self) {
        while !self.ended() {
            thread::sleep(EVERY);
            let late = lock(&self.slots).iter().find_map(|slot| {
                let running = (*lock(&slot.running))?;
                let took = running.since.elapsed();
                (took > running.limit).then(|| (slot.clone(), running, took))
            });
            if let Some((slot, running, took)) = late {
                self.stalled(&slot, running, took);
            }
        }
    }

    fn stalled(&self, slot: &Slot, running: Running, took: Duration) {
        let mut text = format!(
            "{} of {} (thread {}) has not returned after {took:.1?}\n",
            running.kind, slot.name, slot.tid
        );
        for other in lock(&self.slots).iter() {
            if let Some(running) = *lock(&other.running) {
                let took = running.since.elapsed();
                writeln!(
                    text,
                    "under way: {} of {} (thread {}) for {took:.1?}",
                    running.kind, other.name, other.tid
                )
                .expect("a string");
            }
        }
        writeln!(
            text,
            "{} requests wait in the kernel",
            self.connection.waiting()
        )
        .expect("a string");
        text += &stacks("the test", std::process::id() as i32);
        text += &stacks("the daemon", self.daemon);
        text += &status(&self.status);
        eprintln!("{text}");
        *lock(&self.stall) = Some(text);
        self.end();
        self.connection.abort();
    }

    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Returns the stall, if there was one.
    pub fn stall(&self) -> Option<String> {
        lock(&self.stall).clone()
    }

    /// Returns the operation that took longest.
    pub fn longest(&self) -> Option<(&'static str, Duration)> {
        let figures = lock(&self.figures);
        let longest = figures.iter().map(|(kind, of)| (*kind, of.longest));
        longest.max_by_key(|(_, longest)| *longest)
    }

    /// Returns a line for each kind, prefixed by the name of the load: count, longest, mean, and
    /// errors.
    pub fn figures(&self, load: &str) -> String {
        let mut text = String::new();
        for (kind, figures) in lock(&self.figures).iter() {
            let mean = figures.total / u32::try_from(figures.count).unwrap_or(u32::MAX).max(1);
            let errors: Vec<String> = figures
                .errors
                .iter()
                .map(|(errno, count)| {
                    format!("{:?} {count}", io::Error::from_raw_os_error(*errno).kind())
                })
                .collect();
            writeln!(
                text,
                "{load}: {kind:<28} {:>9} times, longest {:>9.3} ms, mean {:>8.3} ms  {}",
                figures.count,
                figures.longest.as_secs_f64() * 1e3,
                mean.as_secs_f64() * 1e3,
                errors.join(", ")
            )
            .expect("a string");
        }
        text
    }

    /// Returns how often operations failed with this error.
    pub fn errors(&self, errno: rustix::io::Errno) -> Vec<(&'static str, u64)> {
        let figures = lock(&self.figures);
        let of = |figures: &Figures| figures.errors.get(&errno.raw_os_error()).copied();
        figures
            .iter()
            .filter_map(|(kind, figures)| Some((*kind, of(figures)?)))
            .collect()
    }

    /// Returns the number of operations of a kind.
    pub fn count(&self, kind: &str) -> u64 {
        lock(&self.figures)
            .get(kind)
            .map_or(0, |figures| figures.count)
    }
}

impl Clock<'_> {
    /// Runs one operation, which has to return within the limit.
    pub fn op<T, E: Into<io::Error>>(
        &self,
        kind: &'static str,
        call: impl FnOnce() -> Result<T, E>,
    ) -> io::Result<T> {
        self.within(kind, self.watch.limit, call)
    }

    /// Runs a command, or an operation that may have to wait for one.
    pub fn command<T, E: Into<io::Error>>(
        &self,
        kind: &'static str,
        call: impl FnOnce() -> Result<T, E>,
    ) -> io::Result<T> {
        self.within(kind, self.watch.limit + COMMAND, call)
    }

    fn within<T, E: Into<io::Error>>(
        &self,
        kind: &'static str,
        limit: Duration,
        call: impl FnOnce() -> Result<T, E>,
    ) -> io::Result<T> {
        let since = Instant::now();
        *lock(&self.slot.running) = Some(Running { kind, since, limit });
        let done = call().map_err(Into::into);
        let took = since.elapsed();
        *lock(&self.slot.running) = None;
        // Errors after the connection was aborted mean nothing.
        if self.watch.stall().is_none() {
            let mut figures = lock(&self.watch.figures);
            let of = figures.entry(kind).or_default();
            of.count += 1;
            of.total += took;
            of.longest = of.longest.max(took);
            if let Err(error) = &done {
                *of.errors
                    .entry(error.raw_os_error().unwrap_or(0))
                    .or_default() += 1;
            }
        }
        done
    }

    pub fn ended(&self) -> bool {
        self.watch.ended()
    }
}

impl Drop for Clock<'_> {
    fn drop(&mut self) {
        lock(&self.watch.slots).retain(|slot| !Arc::ptr_eq(slot, &self.slot));
    }
}

/// Returns the content of `.pond/status`, if it can be read within a second: the reader may hang
/// too.
fn status(path: &std::path::Path) -> String {
    let (path, shown) = (path.to_owned(), path.display().to_string());
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || tell.send(std::fs::read_to_string(path)));
    match told.recv_timeout(Duration::from_secs(1)) {
        Ok(Ok(text)) => format!("--- {shown}\n{text}"),
        Ok(Err(error)) => format!("--- {shown}: {error}\n"),
        Err(_) => format!("--- {shown}: no answer within a second\n"),
    }
}
