//! A long mixed load: files are replaced, read, moved, linked and removed, and versions are read
//! again. The tree stays about as large as it is; only its history grows.
//!
//! The first bytes of every file describe its content, so that a reader can check that it is
//! complete.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::XattrFlags;

use super::Signals;
use crate::rng::Rng;
use crate::sys;
use crate::tree::Tree;

/// The pause of a worker after each step: the load is to last, not to fill the disk.
const REST: Duration = Duration::from_millis(8);
const SLOTS: usize = 300;

/// A worker: works in a directory until the end, and returns its number of steps or a finding.
pub type Worker = fn(&Path, Rng, &Signals) -> Result<u64, String>;

/// Writes files, syncs some of them, and renames them over existing ones.
pub fn writer(dir: &Path, mut rng: Rng, signals: &Signals) -> Result<u64, String> {
    let name = rng.number();
    until_end(signals, |step| {
        let temporary = dir.join(format!("{name:x}-{step}.tmp"));
        let mut file = File::create_new(&temporary)?;
        file.write_all(&content(&mut rng))?;
        if rng.below(4) == 0 {
            file.sync_all()?;
            let _whenever_it_was = signals.count_sync();
        }
        fs::rename(&temporary, dir.join(format!("slot{}", rng.below(SLOTS))))
    })
}

/// Reads files that others replace; each must be complete.
pub fn reader(dir: &Path, mut rng: Rng, signals: &Signals) -> Result<u64, String> {
    until_end(signals, |_| {
        let path = dir.join(format!("slot{}", rng.below(SLOTS)));
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(bytes) if is_whole(&bytes) => Ok(()),
            Ok(bytes) => Err(wrong(&path, bytes.len())),
        }
    })
}

/// Creates, moves and removes directories with files, links and attributes.
pub fn mover(dir: &Path, mut rng: Rng, signals: &Signals) -> Result<u64, String> {
    let home = dir.join("moving");
    fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    until_end(signals, |step| {
        let made = home.join(format!("box{step}"));
        fs::create_dir(&made)?;
        for n in 0..4 {
            fs::write(made.join(format!("f{n}")), content(&mut rng))?;
        }
        fs::hard_link(made.join("f0"), made.join("same"))?;
        std::os::unix::fs::symlink("f1", made.join("link"))?;
        sys::set_xattr(
            &made.join("f2"),
            "user.step",
            b"moving",
            XattrFlags::empty(),
        )?;
        fs::rename(&made, home.join(format!("kept{step}")))?;
        match step.checked_sub(20) {
            Some(old) => fs::remove_dir_all(home.join(format!("kept{old}"))),
            None => Ok(()),
        }
    })
}

/// Reads versions repeatedly; each must stay as it was when it was first read.
pub fn historian(mount: &Path, mut rng: Rng, signals: &Signals) -> Result<u64, String> {
    let mut known: HashMap<u64, Tree> = HashMap::new();
    until_end(signals, |_| {
        let mut versions: Vec<u64> = fs::read_dir(mount.join("@version"))?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            // Version 0 is empty.
            .filter(|version| *version > 0)
            .collect();
        versions.sort_unstable();
        // Mostly the same few, sometimes another one.
        let version = match known.keys().copied().collect::<Vec<_>>() {
            read if read.len() > 10 || read.len() > rng.below(20) => *rng.pick(&read),
            _ if versions.is_empty() => return Ok(()),
            _ => *rng.pick(&versions),
        };
        let root = mount.join(format!("@version/{version}/moving"));
        let tree = Tree::of(&root);
        let before = known.entry(version).or_insert_with(|| tree.clone());
        let differences = before.differences(&tree);
        let Some(first) = differences.first() else {
            return Ok(());
        };
        // A second look distinguishes a transient error from a loss.
        let again = before.differences(&Tree::of(&root));
        let numbers = |path: &Path| {
            let number = |path: &Path| {
                fs::symlink_metadata(root.join(path)).map(|meta| (meta.dev(), meta.ino()))
            };
            format!("{path:?} is {:?}", number(path))
        };
        let all: Vec<_> = tree
            .0
            .iter()
            .filter(|(_, entry)| entry.links > 1)
            .map(|(path, _)| numbers(path))
            .collect();
        Err(io::Error::other(format!(
            "version {version}: {first}; {} differences in all, a moment later {again:?}; {all:?}",
            differences.len(),
        )))
    })
}

fn until_end(
    signals: &Signals,
    mut step: impl FnMut(u64) -> io::Result<()>,
) -> Result<u64, String> {
    let mut done = 0;
    while !signals.ended() {
        step(done).map_err(|error| format!("step {done}: {error}"))?;
        done += 1;
        thread::sleep(REST);
    }
    Ok(done)
}

/// Returns a seed, a length, and that many bytes that follow from the seed; mostly small.
fn content(rng: &mut Rng) -> Vec<u8> {
    let limit = *rng.pick(&[
        100, 1_000, 3_000, 3_000, 8_000, 8_000, 20_000, 20_000, 200_000,
    ]);
    let (seed, len) = (rng.number(), rng.below(limit));
    let mut bytes: Vec<u8> = [seed, len as u64]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    bytes.extend(Rng::new(seed).bytes(len));
    bytes
}

fn is_whole(bytes: &[u8]) -> bool {
    let number = |at: usize| {
        let field = bytes.get(at..)?.first_chunk()?;
        Some(u64::from_le_bytes(*field))
    };
    match (number(0), number(8)) {
        (Some(seed), Some(len)) => {
            len == bytes.len() as u64 - 16 && Rng::new(seed).bytes(len as usize) == bytes[16..]
        }
        _ => false,
    }
}

fn wrong(path: &Path, len: usize) -> io::Error {
    io::Error::other(format!(
        "{} ({len} bytes) is not what was written",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file_is_told_from_a_torn_one() {
        let bytes = content(&mut Rng::new(8));
        assert!(is_whole(&bytes));
        let (mut flipped, last) = (bytes.clone(), bytes.len() - 1);
        flipped[last] ^= 1;
        assert!(!is_whole(&flipped) && !is_whole(&bytes[..last]) && !is_whole(&[]));
    }
}
