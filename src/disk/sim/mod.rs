//! A simulated disk in memory for fault-injection tests, driven by a seed.
//!
//! Tests of the pond run on a [`SimDisk`] through its [`Handle`]. It injects failed calls, failed
//! syncs and a full disk ([`Faults`]), and cuts the power ([`SimDisk::cut_after`]). After
//! [`SimDisk::power_up`] the disk holds everything that was synced, and any part of the rest.
//!
//! The same seed, with the same sequence of mutating calls and segment reads, produces the same
//! disk.
//!
//! [`state`] holds the files and directories and decides what a power cut leaves.

mod state;

use super::{Disk, DiskFile, Seen, Space};
use parking_lot::Mutex;
use state::{Id, State};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A random generator (splitmix64). The same seed produces the same sequence.
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit.max(1)
    }

    /// Returns true `n` times in a thousand, on average.
    pub(crate) fn per_mille(&mut self, n: u64) -> bool {
        self.below(1000) < n
    }
}

/// Fault rates, each per thousand calls, and the capacity of the disk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Writes, creations and renames that fail. A failed write may store a prefix of its bytes.
    pub(crate) writes: u64,
    /// Renames that take effect but return an error.
    pub(crate) told_wrong: u64,
    /// Syncs that fail and may lose the data that they were to write.
    pub(crate) syncs: u64,
    /// Reads of segments that fail.
    pub(crate) reads: u64,
    /// Opens, creations and directory syncs that fail with `EMFILE`.
    pub(crate) descriptors: u64,
    /// Capacity in bytes; 0 means unlimited.
    pub(crate) room: u64,
    /// Syncs return success but do nothing. Shows that a test detects lost data.
    pub(crate) lies: bool,
}

/// Called before each mutating call.
type Hook = Box<dyn FnMut() + Send>;

/// Called before each sync of a file, with its path.
type SyncHook = Box<dyn FnMut(&Path) + Send>;

pub(crate) struct SimDisk {
    state: Mutex<State>,
    rng: Mutex<Rng>,
    /// Generator for calls that only read. Their number depends on the scheduler, so they must not
    /// advance `rng`.
    reading: Mutex<Rng>,
    faults: Mutex<Faults>,
    /// Mutating calls until the power cut, `Some(0)` while the power is off; `None` if no cut is
    /// armed.
    until_cut: Mutex<Option<u64>>,
    hook: Mutex<Option<Hook>>,
    on_sync: Mutex<Option<SyncHook>>,
    /// Number of injected faults, so that a test can assert that it met some.
    met: Mutex<u64>,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimDisk")
    }
}

fn os(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

impl SimDisk {
    pub(crate) fn new(seed: u64) -> Arc<SimDisk> {
        Arc::new(SimDisk {
            state: Mutex::new(State::new()),
            rng: Mutex::new(Rng(seed)),
            reading: Mutex::new(Rng(!seed)),
            faults: Mutex::default(),
            until_cut: Mutex::new(None),
            hook: Mutex::new(None),
            on_sync: Mutex::new(None),
            met: Mutex::new(0),
        })
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        *self.faults.lock() = faults;
    }

    /// Runs `act` with all faults switched off.
    pub(crate) fn without_faults<T>(&self, act: impl FnOnce() -> T) -> T {
        let faults = std::mem::take(&mut *self.faults.lock());
        let done = act();
        *self.faults.lock() = faults;
        done
    }

    /// Cuts the power at the given mutating call, counted from now.
    pub(crate) fn cut_after(&self, calls: u64) {
        *self.until_cut.lock() = Some(calls);
    }

    /// Disarms the power cut.
    pub(crate) fn disarm(&self) {
        *self.until_cut.lock() = None;
    }

    pub(crate) fn is_cut(&self) -> bool {
        *self.until_cut.lock() == Some(0)
    }

    /// Ends the power cut. Of the data that was not synced, all, a part or nothing is left.
    pub(crate) fn power_up(&self) {
        *self.until_cut.lock() = None;
        let mut rng = self.rng.lock();
        self.state.lock().crash(&mut rng);
    }

    /// Sets a hook to call before each mutating call. Mutating calls of the hook itself do not call
    /// it.
    pub(crate) fn set_hook(&self, hook: Option<Hook>) {
        *self.hook.lock() = hook;
    }

    /// Calls `hook` before each sync of a file, but not for syncs that are made while it runs.
    pub(crate) fn on_sync(&self, hook: impl FnMut(&Path) + Send + 'static) {
        *self.on_sync.lock() = Some(Box::new(hook));
    }

    /// Returns the number of faults injected so far.
    pub(crate) fn met(&self) -> u64 {
        *self.met.lock()
    }

    /// Returns a hash of the state, to compare two runs.
    pub(crate) fn digest(&self) -> u64 {
        self.state.lock().digest()
    }

    /// Flips one bit of a file, in the cache and on the disk.
    pub(crate) fn flip(&self, path: &Path, offset: u64, bit: u8) {
        self.state.lock().flip(path, offset, bit);
    }

    fn powered(&self) -> io::Result<()> {
        match self.is_cut() {
            true => Err(os(libc::EIO)),
            false => Ok(()),
        }
    }

    /// Runs before each mutating call: calls the hook, and counts down to the power cut.
    fn changing(&self) -> io::Result<()> {
        let hook = self.hook.lock().take();
        if let Some(mut hook) = hook {
            hook();
            self.hook.lock().get_or_insert(hook);
        }
        let mut until = self.until_cut.lock();
        if let Some(calls) = until.as_mut() {
            *calls = calls.saturating_sub(1);
            if *calls == 0 {
                return Err(os(libc::EIO));
            }
        }
        Ok(())
    }

    fn meets(&self, per_mille: impl Fn(&Faults) -> u64) -> bool {
        let rate = per_mille(&self.faults.lock());
        let met = rate > 0 && self.rng.lock().per_mille(rate);
        *self.met.lock() += u64::from(met);
        met
    }

    /// Fails with `EMFILE` at the configured rate.
    fn describe(&self) -> io::Result<()> {
        match self.meets(|f| f.descriptors) {
            true => Err(os(libc::EMFILE)),
            false => Ok(()),
        }
    }

    /// The same for calls that only read.
    fn describe_reader(&self) -> io::Result<()> {
        let rate = self.faults.lock().descriptors;
        match rate > 0 && self.reading.lock().per_mille(rate) {
            true => Err(os(libc::EMFILE)),
            false => Ok(()),
        }
    }

    /// Fails with `ENOSPC` if `bytes` more bytes do not fit.
    fn fit(&self, bytes: u64) -> io::Result<()> {
        let room = self.faults.lock().room;
        if room > 0 && self.state.lock().used() + bytes > room {
            *self.met.lock() += 1;
            return Err(os(libc::ENOSPC));
        }
        Ok(())
    }

    fn sync(&self, work: impl FnOnce(&mut State, &mut Rng, bool)) -> io::Result<()> {
        self.changing()?;
        if self.faults.lock().lies {
            return Ok(());
        }
        let failed = self.meets(|f| f.syncs);
        work(&mut self.state.lock(), &mut self.rng.lock(), failed);
        match failed {
            true => Err(os(libc::EIO)),
            false => Ok(()),
        }
    }
}

/// An open file of a [`SimDisk`].
#[derive(Debug)]
struct SimFile {
    disk: Arc<SimDisk>,
    id: Id,
    path: PathBuf,
}

/// A shared handle of a [`SimDisk`] that implements [`Disk`].
#[derive(Clone, Debug)]
pub(crate) struct Handle(pub(crate) Arc<SimDisk>);

impl Disk for Handle {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let disk = &self.0;
        disk.changing()?;
        if disk.meets(|f| f.writes) {
            return Err(os(libc::ENOSPC));
        }
        disk.describe()?;
        disk.fit(1)?;
        let id = disk.state.lock().create(path)?;
        Ok(self.file(id, path))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.powered()?;
        self.0.describe_reader()?;
        let id = self.0.state.lock().file(path)?;
        Ok(self.file(id, path))
    }

    fn open_cold(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.0.powered()?;
        let id = self.0.state.lock().file(path)?;
        self.0.sync(|state, rng, failed| match failed {
            true => state.lose(id, rng),
            false => state.sync_file(id),
        })?;
        self.0.state.lock().forget_cache(id);
        Ok(self.file(id, path))
    }

    fn rename(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        let disk = &self.0;
        disk.changing()?;
        if disk.meets(|f| f.writes) {
            return Err(os(libc::EIO));
        }
        disk.state.lock().rename(from, to, replace)?;
        match disk.meets(|f| f.told_wrong) {
            true => Err(os(libc::EIO)),
            false => Ok(()),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.changing()?;
        self.0.state.lock().remove(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.0.changing()?;
        self.0.fit(1)?;
        self.0.state.lock().make_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.describe()?;
        self.0.sync(|state, _, failed| {
            if !failed {
                state.sync_dir(path);
            }
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.0.powered()?;
        self.0.state.lock().list(path)
    }

    fn look(&self, path: &Path) -> io::Result<Seen> {
        self.0.powered()?;
        self.0.state.lock().look(path)
    }

    fn space(&self, _: &Path) -> io::Result<Space> {
        self.0.powered()?;
        let room = match self.0.faults.lock().room {
            0 => 1 << 30,
            room => room,
        };
        let free = room.saturating_sub(self.0.state.lock().used());
        Ok(Space {
            block: 1,
            blocks: room,
            free,
            available: free,
            files: 1 << 20,
            files_free: 1 << 20,
        })
    }
}

impl Handle {
    fn file(&self, id: Id, path: &Path) -> Arc<dyn DiskFile> {
        Arc::new(SimFile {
            disk: self.0.clone(),
            id,
            path: path.to_owned(),
        })
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.powered()?;
        // Only segments are read in a deterministic order.
        let segment = self.path.extension().is_some_and(|e| e == "seg");
        if segment && self.disk.meets(|f| f.reads) {
            return Err(os(libc::EIO));
        }
        self.disk.state.lock().read(self.id, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let disk = &self.disk;
        disk.changing()?;
        disk.fit(bytes.len() as u64)?;
        if disk.meets(|f| f.writes) {
            // A short write: a prefix of the bytes is stored.
            let part = disk.rng.lock().below(bytes.len() as u64) as usize;
            disk.state.lock().write(self.id, &bytes[..part], offset);
            return Err(os(libc::EIO));
        }
        disk.state.lock().write(self.id, bytes, offset);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let hook = self.disk.on_sync.lock().take();
        if let Some(mut hook) = hook {
            hook(&self.path);
            self.disk.on_sync.lock().get_or_insert(hook);
        }
        self.disk.sync(|state, rng, failed| match failed {
            // As on Linux: after a failed sync the pages count as clean, so that no later sync
            // writes them.
            true => state.lose(self.id, rng),
            false => state.sync_file(self.id),
        })
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.powered()?;
        Ok(self.disk.state.lock().len(self.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(seed: u64) -> (Arc<SimDisk>, Handle) {
        let disk = SimDisk::new(seed);
        let handle = Handle(disk.clone());
        handle.make_dir(Path::new("/d")).unwrap();
        handle.sync_dir(Path::new("/")).unwrap();
        (disk, handle)
    }

    #[test]
    fn synced_data_survives_and_unsynced_data_only_under_some_seeds() {
        let path = Path::new("/d/f");
        let (mut named, mut whole) = (0, 0);
        for seed in 0..200 {
            let (disk, handle) = disk(seed);
            let file = handle.create(path).unwrap();
            file.write_at(b"kept", 0).unwrap();
            file.sync_data().unwrap();
            handle.sync_dir(Path::new("/d")).unwrap();
            file.write_at(b"more", 4).unwrap();
            handle.rename(path, Path::new("/d/g"), true).unwrap();
            disk.power_up();
            let there = [path, Path::new("/d/g")].map(|p| handle.look(p).is_ok());
            assert_ne!(there[0], there[1], "a rename is done or not");
            named += u64::from(there[1]);
            let found = handle.open(if there[0] { path } else { Path::new("/d/g") });
            let found = found.unwrap();
            let mut bytes = [0; 4];
            found.read_at(&mut bytes, 0).unwrap();
            assert_eq!(&bytes, b"kept");
            whole += u64::from(found.size().unwrap() == 8);
        }
        assert!((20..180).contains(&named) && (20..180).contains(&whole));
    }

    #[test]
    fn power_is_cut_at_the_given_call() {
        let (disk, handle) = disk(1);
        let file = handle.create(Path::new("/d/f")).unwrap();
        disk.cut_after(2);
        file.write_at(b"x", 0).unwrap();
        assert!(file.write_at(b"y", 1).is_err());
        assert!(disk.is_cut() && handle.list(Path::new("/d")).is_err());
        disk.power_up();
        assert!(handle.list(Path::new("/d")).is_ok());
    }
}
