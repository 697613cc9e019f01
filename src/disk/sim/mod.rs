//! A disk in memory that fails as a seed has it.
//!
//! Role: show what the code above does when the power is cut, a call fails or the disk is full. In: the
//! calls of [`Disk`]. Out: what a disk would answer, and after [`SimDisk::power_up`] what one would have
//! kept: all that was synced, and any part of the rest. Holds always: the same seed and the same calls
//! that change something give the same disk.
//!
//! [`state`] is what stands on it, and what a power cut leaves.

mod state;

use super::{Disk, DiskFile, Seen, Space};
use parking_lot::Mutex;
use state::{Id, State};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A random generator (splitmix64): the same seed makes the same test.
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

    /// True `n` times in a thousand.
    pub(crate) fn per_mille(&mut self, n: u64) -> bool {
        self.below(1000) < n
    }
}

/// How often what fails, in a thousand calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Writes, creations and renames that do nothing, or only a part, and are an error.
    pub(crate) writes: u64,
    /// Renames that are done, and an error all the same.
    pub(crate) told_wrong: u64,
    /// Syncs after which what was to be kept may be lost.
    pub(crate) syncs: u64,
    /// Reads of segments that are an error.
    pub(crate) reads: u64,
    /// Files and folders that cannot be opened, nor therefore made or synced, for want of a descriptor.
    pub(crate) descriptors: u64,
    /// Bytes that the disk holds.
    pub(crate) room: u64,
    /// Says that it synced, and did nothing. To see that a test would find it out.
    pub(crate) lies: bool,
}

/// What is told of each call that changes something, before it is made.
type Hook = Box<dyn FnMut() + Send>;

pub(crate) struct SimDisk {
    state: Mutex<State>,
    rng: Mutex<Rng>,
    /// For calls that only read: how many there are, side by side, is up to the scheduler.
    reading: Mutex<Rng>,
    faults: Mutex<Faults>,
    /// Calls until the power goes; `None` while it stays.
    until_cut: Mutex<Option<u64>>,
    hook: Mutex<Option<Hook>>,
    /// What was lost on purpose, for the test to know that it tested something.
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
            met: Mutex::new(0),
        })
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        *self.faults.lock() = faults;
    }

    /// Does something while nothing fails.
    pub(crate) fn without_faults<T>(&self, act: impl FnOnce() -> T) -> T {
        let faults = std::mem::take(&mut *self.faults.lock());
        let done = act();
        *self.faults.lock() = faults;
        done
    }

    /// Has the power go after so many more calls that change something.
    pub(crate) fn cut_after(&self, calls: u64) {
        *self.until_cut.lock() = Some(calls);
    }

    /// The power stays.
    pub(crate) fn disarm(&self) {
        *self.until_cut.lock() = None;
    }

    pub(crate) fn is_cut(&self) -> bool {
        *self.until_cut.lock() == Some(0)
    }

    /// Ends the power cut. What was not synced is there, or in part, or not.
    pub(crate) fn power_up(&self) {
        *self.until_cut.lock() = None;
        let mut rng = self.rng.lock();
        self.state.lock().crash(&mut rng);
    }

    /// Has something called before each call that changes something; nothing, while it runs.
    pub(crate) fn set_hook(&self, hook: Option<Hook>) {
        *self.hook.lock() = hook;
    }

    /// How many faults were met.
    pub(crate) fn met(&self) -> u64 {
        *self.met.lock()
    }

    /// A number that tells two states apart.
    pub(crate) fn digest(&self) -> u64 {
        self.state.lock().digest()
    }

    /// Flips one bit of a file.
    pub(crate) fn flip(&self, path: &Path, offset: u64, bit: u8) {
        self.state.lock().flip(path, offset, bit);
    }

    fn powered(&self) -> io::Result<()> {
        match self.is_cut() {
            true => Err(os(libc::EIO)),
            false => Ok(()),
        }
    }

    /// Before a call that changes something: others get their turn, and the power may go.
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

    /// Whether a descriptor is left.
    fn describe(&self) -> io::Result<()> {
        match self.meets(|f| f.descriptors) {
            true => Err(os(libc::EMFILE)),
            false => Ok(()),
        }
    }

    /// The same, for who only reads.
    fn describe_reader(&self) -> io::Result<()> {
        let rate = self.faults.lock().descriptors;
        match rate > 0 && self.reading.lock().per_mille(rate) {
            true => Err(os(libc::EMFILE)),
            false => Ok(()),
        }
    }

    /// Whether so many more bytes fit.
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

/// Handles need the disk that they are of.
#[derive(Debug)]
struct SimFile {
    disk: Arc<SimDisk>,
    id: Id,
    path: PathBuf,
}

/// The disk as it is handed out.
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
        // Of others the order is not that of the calls.
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
            // A part may have been written.
            let part = disk.rng.lock().below(bytes.len() as u64) as usize;
            disk.state.lock().write(self.id, &bytes[..part], offset);
            return Err(os(libc::EIO));
        }
        disk.state.lock().write(self.id, bytes, offset);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.sync(|state, rng, failed| match failed {
            // The pages are taken for clean from now on, whatever became of them.
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
    fn what_was_synced_stays_and_what_was_not_stays_in_some_worlds_only() {
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
    fn the_power_goes_when_it_was_told_to() {
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
