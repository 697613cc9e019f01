//! One file under concurrent direct reads, mapped writes, punched holes and changes of its size.
//!
//! This is the mix of xfstests generic/446. The test runs [`ALL`] on one [`MappedFile`] for a
//! while, waits until all have returned, and runs [`MappedFile::compare_views`]; then it begins
//! again. Every word of eight bytes holds its own position and a serial number, so that a reader
//! can detect words that were never written: a word is either one that was written at its position,
//! or zero.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::FromRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::fs::{FallocateFlags, fallocate};

use super::watch::Clock;
use crate::rng::Rng;
use crate::sys::Mapping;

const PAGE: usize = 4096;
/// The size of the file in bytes, unless it is truncated.
pub const LEN: usize = 4 << 20;
/// The least size of the file, so that the pages below can be written by plain stores.
const FLOOR: usize = LEN / 2;
/// The most pages that one operation reads or writes.
const MOST_PAGES: usize = 16;
/// The low bits of a word: its position in the file.
const PLACE_BITS: u32 = 24;
/// The number of operations before an actor pauses, and the length of the pause.
const BURST: u64 = 16;
const REST: Duration = Duration::from_millis(4);

/// The file, and its possible content.
pub struct MappedFile {
    path: PathBuf,
    /// The highest serial number of a write.
    issued: AtomicU64,
    /// The number of pages of which the kernel has shown zeros in place of written data.
    zeroed: AtomicU64,
    /// The first wrong content that was found.
    wrong: Mutex<Option<String>>,
}

/// One actor: a name, and its function, which runs until the end.
pub type Actor = (
    &'static str,
    fn(&MappedFile, &Clock<'_>, &mut Rng) -> io::Result<()>,
);

/// All actors; two of each kind that took part in the stall of generic/446.
pub const ALL: &[Actor] = &[
    ("reads directly", read_directly),
    ("reads directly too", read_directly),
    ("reads through the page cache", read_cached),
    ("writes by a mapping", write_mapped),
    ("writes by a mapping too", write_mapped),
    ("punches holes", punch),
    ("cuts and extends", cut),
];

/// Bytes at an address that direct reads accept.
struct Aligned {
    bytes: Vec<u8>,
    start: usize,
}

impl Aligned {
    fn new(len: usize) -> Aligned {
        let bytes = vec![0; len + PAGE];
        let start = bytes.as_ptr().align_offset(PAGE);
        Aligned { bytes, start }
    }

    fn get(&mut self, len: usize) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + len]
    }
}

impl MappedFile {
    /// Creates the file, full of zeros.
    #[track_caller]
    pub fn new(path: PathBuf) -> MappedFile {
        File::create_new(&path)
            .and_then(|file| file.set_len(LEN as u64))
            .expect("the file that is mapped");
        MappedFile {
            path,
            issued: AtomicU64::new(0),
            zeroed: AtomicU64::new(0),
            wrong: Mutex::default(),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the first wrong content that was found.
    pub fn wrong(&self) -> Option<String> {
        self.wrong
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn open(&self, flags: i32) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(&self.path)
    }

    /// Runs one actor until the watch or the round ends.
    pub fn act(
        &self,
        (_, act): Actor,
        clock: &Clock<'_>,
        rng: &mut Rng,
        over: impl Fn() -> bool,
    ) -> io::Result<()> {
        let mut done = 0;
        while !clock.ended() && !over() {
            act(self, clock, rng)?;
            done += 1;
            if done % BURST == 0 {
                thread::sleep(REST);
            }
        }
        Ok(())
    }

    fn found_wrong(&self, what: String) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.get_or_insert(what);
    }

    /// Returns in how many pages the page cache shows zeros where the file holds written data, and
    /// drops them from the page cache.
    fn zeroed_by_kernel(&self, direct: &File, cached: &File) -> io::Result<u64> {
        cached.sync_all()?;
        let mut buffer = Aligned::new(LEN);
        direct.read_exact_at(buffer.get(LEN), 0)?;
        let mut through_cache = vec![0; LEN];
        cached.read_exact_at(&mut through_cache, 0)?;
        let pages = buffer
            .get(LEN)
            .chunks_exact(PAGE)
            .zip(through_cache.chunks_exact(PAGE));
        let zeroed = pages.filter(|(file, cache)| {
            let mut words = file.chunks_exact(8).zip(cache.chunks_exact(8));
            file != cache && words.all(|(file, cache)| file == cache || cache == [0; 8])
        });
        let zeroed = zeroed.count() as u64;
        if zeroed > 0 {
            rustix::fs::fadvise(cached, 0, None, rustix::fs::Advice::DontNeed)?;
        }
        Ok(zeroed)
    }

    /// Returns the number of pages that the kernel has zeroed: see [`MappedFile::compare_views`].
    pub fn zeroed(&self) -> u64 {
        self.zeroed.load(Ordering::Relaxed)
    }

    /// Records the first word of `bytes`, read at `offset`, that was never written there.
    fn judge(&self, how: &str, bytes: &[u8], offset: usize) {
        let issued = self.issued.load(Ordering::Acquire);
        if let Err(what) = judge(bytes, offset, issued) {
            self.found_wrong(format!("{how}: {what}"));
        }
    }

    /// Compares the whole file as read directly, from the page cache and by a mapping, which must
    /// be equal while nothing else uses it; also after a write by a mapping, and after a hole.
    pub fn compare_views(&self, clock: &Clock<'_>, rng: &mut Rng) -> io::Result<()> {
        let (cached, direct) = (self.open(0)?, self.open(libc::O_DIRECT)?);
        clock.op("truncate", || cached.set_len(LEN as u64))?;
        let mut mapping = Mapping::new(&cached, LEN)?;
        let mut buffer = Aligned::new(LEN);
        let mut same = |when: &str, mapping: &mut Mapping| -> io::Result<()> {
            clock.op("fsync", || cached.sync_all())?;
            clock.op("read, direct", || direct.read_exact_at(buffer.get(LEN), 0))?;
            let mut through_cache = vec![0; LEN];
            clock.op("read, cached", || {
                cached.read_exact_at(&mut through_cache, 0)
            })?;
            let direct = buffer.get(LEN);
            self.judge(when, direct, 0);
            for (how, other) in [
                ("the page cache", &through_cache[..]),
                ("a mapping", mapping.bytes()),
            ] {
                if let Some(differs) = first_difference(direct, other) {
                    self.found_wrong(format!("{when}: a direct read and {how} differ: {differs}"));
                }
            }
            Ok(())
        };
        // The kernel zeroes the edges of a hole in the page cache after the daemon has made the
        // hole. If a mapped write is written back between the two, the file has it, and the kernel
        // shows zeros instead.
        let zeroed = clock.op("compare", || self.zeroed_by_kernel(&direct, &cached))?;
        self.zeroed.fetch_add(zeroed, Ordering::Relaxed);
        same("at rest", &mut mapping)?;
        let page = rng.below(LEN / PAGE);
        let range = page * PAGE..(page + 1) * PAGE;
        let serial = self.issued.fetch_add(1, Ordering::AcqRel) + 1;
        let bytes = words(serial, range.start, PAGE);
        mapping.bytes()[range.clone()].copy_from_slice(&bytes);
        clock.op("msync", || mapping.sync())?;
        same("after a mapped write", &mut mapping)?;
        let mut found = vec![0; PAGE];
        cached.read_exact_at(&mut found, range.start as u64)?;
        let mut wrong = None;
        if found != bytes {
            wrong = Some("a mapped write is not read back");
        }
        clock.op("fallocate, hole", || {
            fallocate(&cached, HOLE, range.start as u64, PAGE as u64)
        })?;
        same("after a hole", &mut mapping)?;
        cached.read_exact_at(&mut found, range.start as u64)?;
        if found.iter().any(|byte| *byte != 0) {
            wrong = Some("a hole holds what was there before");
        }
        if let Some(what) = wrong {
            self.found_wrong(format!("{what}: page {page}"));
        }
        Ok(())
    }
}

const HOLE: FallocateFlags = FallocateFlags::PUNCH_HOLE.union(FallocateFlags::KEEP_SIZE);

/// Returns the bytes that a write with this serial number puts at this position.
fn words(serial: u64, offset: usize, len: usize) -> Vec<u8> {
    let places = (offset / 8..(offset + len) / 8).map(|place| place as u64);
    places
        .flat_map(|place| (serial << PLACE_BITS | place).to_le_bytes())
        .collect()
}

/// Returns the first word in which two views of the file differ, with both values and the number of
/// differences.
fn first_difference(direct: &[u8], other: &[u8]) -> Option<String> {
    let words = direct.chunks_exact(8).zip(other.chunks_exact(8));
    let mut differing = words.enumerate().filter(|(_, (a, b))| a != b);
    let (place, (a, b)) = differing.next()?;
    let more = differing.count();
    let at = 8 * place;
    Some(format!(
        "byte {at} is {a:02x?} and {b:02x?}, and {more} words behind it"
    ))
}

/// Checks that each word is zero, or one that was written at its position.
fn judge(bytes: &[u8], offset: usize, issued: u64) -> Result<(), String> {
    for (n, word) in bytes.chunks_exact(8).enumerate() {
        let word = u64::from_le_bytes(word.try_into().expect("eight bytes"));
        let place = (offset / 8 + n) as u64;
        let is_here = word & ((1 << PLACE_BITS) - 1) == place;
        let serial = word >> PLACE_BITS;
        if word != 0 && !(is_here && (1..=issued).contains(&serial)) {
            return Err(format!(
                "byte {} holds {word:#x}, which was never written there",
                offset + 8 * n
            ));
        }
    }
    Ok(())
}

/// Returns a random range of pages.
fn pages(rng: &mut Rng) -> (usize, usize) {
    let count = 1 + rng.below(MOST_PAGES);
    let first = rng.below(LEN / PAGE - count);
    (first * PAGE, count * PAGE)
}

fn read_directly(file: &MappedFile, clock: &Clock<'_>, rng: &mut Rng) -> io::Result<()> {
    let direct = clock.op("open, direct", || file.open(libc::O_DIRECT))?;
    let mut buffer = Aligned::new(MOST_PAGES * PAGE);
    for _ in 0..BURST {
        let (offset, len) = pages(rng);
        let into = buffer.get(len);
        let read = clock.op("read, direct", || direct.read_at(into, offset as u64))?;
        file.judge("a direct read", &into[..read], offset);
    }
    Ok(())
}

fn read_cached(file: &MappedFile, clock: &Clock<'_>, rng: &mut Rng) -> io::Result<()> {
    let cached = clock.op("open", || file.open(0))?;
    let (offset, len) = pages(rng);
    let mut into = vec![0; len];
    let read = clock.op("read, cached", || cached.read_at(&mut into, offset as u64))?;
    file.judge("a read through the page cache", &into[..read], offset);
    Ok(())
}

fn write_mapped(file: &MappedFile, clock: &Clock<'_>, rng: &mut Rng) -> io::Result<()> {
    let mapped = clock.op("open", || file.open(0))?;
    let mut mapping = clock.op("mmap", || Mapping::new(&mapped, LEN))?;
    for _ in 0..BURST {
        let (offset, len) = pages(rng);
        let serial = file.issued.fetch_add(1, Ordering::AcqRel) + 1;
        let bytes = words(serial, offset, len);
        let into = &mut mapping.bytes()[offset..offset + len];
        let written = if offset + len <= FLOOR {
            clock.op("store, mapped", || {
                into.copy_from_slice(&bytes);
                Ok::<(), io::Error>(())
            })
        } else {
            // By a system call: a store beyond the end of the file would raise a signal, a call
            // fails.
            let source = in_memory(&bytes)?;
            clock.op("read into the mapping", || {
                source.read_at(into, 0).map(drop)
            })
        };
        match written {
            Err(error) if error.raw_os_error() != Some(libc::EFAULT) => return Err(error),
            _ => {}
        }
        if rng.below(2) == 0 {
            clock.op("msync", || mapping.sync())?;
        }
    }
    Ok(())
}

/// Creates a file in memory.
fn in_memory(bytes: &[u8]) -> io::Result<File> {
    // SAFETY: a NUL-terminated string, and a number.
    let fd = unsafe { libc::memfd_create(c"pond-test".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor with no other owner.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(bytes)?;
    Ok(file)
}

fn punch(file: &MappedFile, clock: &Clock<'_>, rng: &mut Rng) -> io::Result<()> {
    let punched = clock.op("open", || file.open(0))?;
    // Holes begin and end within pages, but not within words.
    let len = 8 * (1 + rng.below(MOST_PAGES * PAGE / 8));
    let offset = 8 * rng.below((LEN - len) / 8);
    clock.op("fallocate, hole", || {
        fallocate(&punched, HOLE, offset as u64, len as u64)
    })
}

fn cut(file: &MappedFile, clock: &Clock<'_>, rng: &mut Rng) -> io::Result<()> {
    let cut = clock.op("open", || file.open(0))?;
    let len = FLOOR + 8 * rng.below((LEN - FLOOR) / 8);
    clock.op("truncate", || cut.set_len(len as u64))?;
    thread::sleep(Duration::from_micros(500));
    clock.op("truncate", || cut.set_len(LEN as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_was_never_written_is_told_from_one_that_was() {
        let bytes = words(3, 2 * PAGE, PAGE);
        judge(&bytes, 2 * PAGE, 3).unwrap();
        judge(&[0; 64], 8, 0).unwrap();
        assert!(judge(&bytes, 2 * PAGE, 2).is_err(), "a later serial number");
        assert!(judge(&bytes, 3 * PAGE, 3).is_err(), "another place");
        let mut torn = bytes;
        torn[8 * 5 + 2] ^= 1;
        assert!(
            judge(&torn, 2 * PAGE, 3)
                .unwrap_err()
                .contains("byte 8232 ")
        );
    }
}
