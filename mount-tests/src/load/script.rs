//! Small operations, one system call each, and a model of them: after a crash the tree must be the
//! state after some prefix of the acknowledged operations that holds every one up to the last
//! fsync.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink,
};
use std::path::Path;

use rustix::fs::XattrFlags;

use super::{Proof, Signals};
use crate::rng::Rng;
use crate::sys;

const XATTR: &str = "user.load";

/// One system call that changes the tree, or an fsync. A write is small enough to be one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Create(String),
    Write(String, u64, Vec<u8>),
    Truncate(String, u64),
    Chmod(String, u32),
    SetXattr(String, Vec<u8>),
    Link(String, String),
    Symlink(String, String),
    Rename(String, String),
    Unlink(String),
    Mkdir(String),
    Fsync(String),
}

/// The observed state of a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    kind: &'static str,
    mode: u32,
    links: usize,
    bytes: Vec<u8>,
    xattr: Vec<u8>,
}

/// The model: names, and the files behind them.
#[derive(Clone, Debug, Default)]
struct Model {
    names: BTreeMap<String, usize>,
    files: Vec<Seen>,
}

/// The operations of a writer.
#[derive(Debug, Default)]
pub struct Journal {
    /// Acknowledged operations in order.
    ops: Vec<Op>,
    /// The operation that was under way at the crash: it may have been applied.
    pending: Option<Op>,
    /// Why the writer stopped, if it was not the crash.
    early: Option<String>,
}

/// Performs random operations in `dir` until the end.
pub fn write_until_end(dir: &Path, rng: Rng, signals: &Signals) -> Journal {
    let (mut journal, error) = write(dir, rng, signals, usize::MAX);
    if let (Some(op), Some(error)) = (&journal.pending, error) {
        journal.early = signals.judge(error, &format!("{op:.60?}"));
    }
    journal
}

/// Performs `steps` random operations in `dir`, fewer if one fails.
pub fn write_steps(dir: &Path, rng: Rng, steps: usize) -> Journal {
    write(dir, rng, &Signals::default(), steps).0
}

fn write(
    dir: &Path,
    mut rng: Rng,
    signals: &Signals,
    steps: usize,
) -> (Journal, Option<io::Error>) {
    let (mut journal, mut model, mut serial) = (Journal::default(), Model::default(), 0);
    while !signals.ended() && journal.ops.len() < steps {
        let op = model.choose(&mut rng, &mut serial);
        if let Err(error) = op.perform(dir) {
            journal.pending = Some(op);
            return (journal, Some(error));
        }
        if matches!(op, Op::Fsync(_)) && !signals.count_sync() {
            journal.pending = Some(op);
            break;
        }
        model.apply(&op);
        journal.ops.push(op);
    }
    (journal, None)
}

impl Journal {
    /// Compares the tree in `dir` with the journal.
    pub fn verify(&self, dir: &Path) -> Result<Proof, String> {
        if let Some(early) = &self.early {
            return Err(early.clone());
        }
        let found = look(dir).map_err(|error| format!("cannot read {}: {error}", dir.display()))?;
        let durable = self
            .ops
            .iter()
            .rposition(|op| matches!(op, Op::Fsync(_)))
            .map_or(0, |last| last + 1);
        let mut model = Model::default();
        let (mut matching, mut closest) = (None, (usize::MAX, 0, String::new()));
        let mut look = |model: &Model, done| {
            let differences = model.differences(&found);
            if differences.is_empty() {
                matching = Some(done);
            } else if differences.len() < closest.0 {
                closest = (differences.len(), done, differences.join("; "));
            }
        };
        look(&model, 0);
        for (done, op) in self.ops.iter().chain(&self.pending).enumerate() {
            for part in op.parts() {
                model.apply(&part);
                look(&model, done);
            }
            model.apply(op);
            look(&model, done + 1);
        }
        let acknowledged = self.ops.len();
        match matching {
            Some(found) if found >= durable => Ok(Proof {
                durable,
                acknowledged,
                found,
            }),
            Some(found) => Err(format!(
                "the tree is the state after {found} of {acknowledged} operations, but {durable} were durable by fsync; \
                 the first one lost is {:.80?}",
                self.ops[found]
            )),
            None => Err(format!(
                "the tree is the state after no prefix of the {acknowledged} acknowledged operations ({durable} durable); \
                 the closest is {}, which differs in {}: {}",
                closest.1, closest.0, closest.2
            )),
        }
    }
}

impl Op {
    /// Returns the partial effects that a crash can leave of the operation. The kernel splits a
    /// write that begins within a page into several requests to a FUSE filesystem, at page
    /// boundaries.
    fn parts(&self) -> Vec<Op> {
        const PAGE: u64 = 4096;
        let Op::Write(name, offset, bytes) = self else {
            return Vec::new();
        };
        let end = offset + bytes.len() as u64;
        let cuts = (offset / PAGE + 1..=end / PAGE).map(|page| page * PAGE);
        cuts.filter(|cut| *cut < end)
            .map(|cut| {
                Op::Write(
                    name.clone(),
                    *offset,
                    bytes[..(cut - offset) as usize].to_vec(),
                )
            })
            .collect()
    }

    fn perform(&self, dir: &Path) -> io::Result<()> {
        let at = |name: &String| dir.join(name);
        match self {
            Op::Create(name) => OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(at(name))
                .map(drop),
            Op::Write(name, offset, bytes) => OpenOptions::new()
                .write(true)
                .open(at(name))?
                .write_all_at(bytes, *offset),
            Op::Truncate(name, len) => OpenOptions::new().write(true).open(at(name))?.set_len(*len),
            Op::Chmod(name, mode) => {
                fs::set_permissions(at(name), fs::Permissions::from_mode(*mode))
            }
            Op::SetXattr(name, value) => Ok(sys::set_xattr(
                &at(name),
                XATTR,
                value,
                XattrFlags::empty(),
            )?),
            Op::Link(name, new) => fs::hard_link(at(name), at(new)),
            Op::Symlink(target, new) => symlink(target, at(new)),
            Op::Rename(from, to) => fs::rename(at(from), at(to)),
            Op::Unlink(name) => fs::remove_file(at(name)),
            Op::Mkdir(name) => DirBuilder::new().mode(0o700).create(at(name)),
            Op::Fsync(name) => File::open(at(name))?.sync_all(),
        }
    }
}

impl Model {
    /// Returns an operation that will succeed. About one in eight is an fsync.
    fn choose(&self, rng: &mut Rng, serial: &mut u64) -> Op {
        let of_kind = |kind: &str| -> Vec<&String> {
            self.names
                .iter()
                .filter(|(_, file)| self.files[**file].kind == kind)
                .map(|(name, _)| name)
                .collect()
        };
        let (files, directories) = (of_kind("file"), of_kind("directory"));
        let mut fresh = |rng: &mut Rng| {
            *serial += 1;
            match directories.is_empty() || rng.below(2) == 0 {
                true => format!("n{serial}"),
                false => format!("{}/n{serial}", rng.pick(&directories)),
            }
        };
        if files.len() < 3 {
            return Op::Create(fresh(rng));
        }
        let file = rng.pick(&files).to_string();
        let len = self.seen(&file).bytes.len() as u64;
        match rng.below(32) {
            0..4 if files.len() < 40 => Op::Create(fresh(rng)),
            0..10 => {
                // Mostly appends, sometimes an overwrite, sometimes past the end.
                let offset = if rng.below(3) == 0 {
                    rng.below(len as usize + 5000) as u64
                } else {
                    len
                };
                let count = 1 + rng.below(6000);
                Op::Write(file, offset.min(40_000), rng.bytes(count))
            }
            10..12 => Op::Truncate(file, rng.below(len as usize + 2000) as u64),
            12..14 => Op::Chmod(file, *rng.pick(&[0o600, 0o640, 0o644, 0o755])),
            14..16 => Op::SetXattr(file, serial.to_le_bytes().to_vec()),
            16..18 => Op::Link(file, fresh(rng)),
            18 => Op::Symlink(file, fresh(rng)),
            19..22 => Op::Rename(file, fresh(rng)),
            // A rename over another name of the same file does nothing, also in the model.
            22..24 => Op::Rename(file, rng.pick(&files).to_string()),
            24..27 => Op::Unlink(file),
            27 if directories.len() < 4 => {
                *serial += 1;
                Op::Mkdir(format!("d{serial}"))
            }
            _ => Op::Fsync(file),
        }
    }

    fn seen(&self, name: &str) -> &Seen {
        &self.files[self.names[name]]
    }

    fn seen_mut(&mut self, name: &str) -> &mut Seen {
        &mut self.files[self.names[name]]
    }

    fn insert(&mut self, name: &str, kind: &'static str, mode: u32, bytes: Vec<u8>) {
        self.names.insert(name.into(), self.files.len());
        self.files.push(Seen {
            kind,
            mode,
            links: 1,
            bytes,
            xattr: Vec::new(),
        });
    }

    fn remove(&mut self, name: &str) {
        if let Some(file) = self.names.remove(name) {
            self.files[file].links -= 1;
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Create(name) => self.insert(name, "file", 0o600, Vec::new()),
            Op::Mkdir(name) => self.insert(name, "directory", 0o700, Vec::new()),
            Op::Symlink(target, new) => {
                self.insert(new, "symlink", 0o777, target.clone().into_bytes())
            }
            Op::Write(name, offset, bytes) => {
                let (start, end) = (*offset as usize, *offset as usize + bytes.len());
                let file = &mut self.seen_mut(name).bytes;
                file.resize(file.len().max(end), 0);
                file[start..end].copy_from_slice(bytes);
            }
            Op::Truncate(name, len) => self.seen_mut(name).bytes.resize(*len as usize, 0),
            Op::Chmod(name, mode) => self.seen_mut(name).mode = *mode,
            Op::SetXattr(name, value) => self.seen_mut(name).xattr = value.clone(),
            Op::Link(name, new) => {
                self.seen_mut(name).links += 1;
                self.names.insert(new.clone(), self.names[name]);
            }
            Op::Rename(from, to) if self.names.get(from) == self.names.get(to) => {}
            Op::Rename(from, to) => {
                self.remove(to);
                let file = self
                    .names
                    .remove(from)
                    .expect("a name that the model chose");
                self.names.insert(to.clone(), file);
            }
            Op::Unlink(name) => self.remove(name),
            Op::Fsync(_) => {}
        }
    }

    fn differences(&self, found: &BTreeMap<String, Seen>) -> Vec<String> {
        let wrong = self.names.iter().filter_map(|(name, file)| {
            match (found.get(name), &self.files[*file]) {
                (None, _) => Some(format!("{name} is missing")),
                (Some(seen), expected) => {
                    let how = seen.differs(expected);
                    how.map(|how| format!("{name} is different: {how}"))
                }
            }
        });
        let extra = found.keys().filter(|name| !self.names.contains_key(*name));
        wrong
            .chain(extra.map(|name| format!("{name} is too many")))
            .collect()
    }
}

impl Seen {
    /// Returns how this differs from what was expected.
    fn differs(&self, expected: &Seen) -> Option<String> {
        if self == expected {
            return None;
        }
        let (len, there) = (expected.bytes.len(), self.bytes.len());
        let mut pairs = self.bytes.iter().zip(&expected.bytes);
        Some(match pairs.position(|(a, b)| a != b) {
            Some(at) => format!("byte {at} of {there}, with {len} expected"),
            None if len != there => format!("{there} bytes, with {len} expected"),
            None => format!(
                "{} {:o}, {} links, xattr {:x?}, with {} {:o}, {} links, xattr {:x?} expected",
                self.kind,
                self.mode,
                self.links,
                self.xattr,
                expected.kind,
                expected.mode,
                expected.links,
                expected.xattr
            ),
        })
    }
}

/// Reads the tree.
fn look(dir: &Path) -> io::Result<BTreeMap<String, Seen>> {
    let (mut found, mut todo) = (BTreeMap::new(), vec![String::new()]);
    while let Some(prefix) = todo.pop() {
        for entry in fs::read_dir(dir.join(&prefix))? {
            let name = format!("{prefix}{}", entry?.file_name().to_string_lossy());
            let path = dir.join(&name);
            let meta = fs::symlink_metadata(&path)?;
            let (kind, bytes) = match meta.file_type() {
                kind if kind.is_dir() => ("directory", Vec::new()),
                kind if kind.is_symlink() => (
                    "symlink",
                    fs::read_link(&path)?.into_os_string().into_encoded_bytes(),
                ),
                _ => ("file", fs::read(&path)?),
            };
            let xattr = if kind == "file" {
                sys::get_xattr(&path, XATTR).unwrap_or_default()
            } else {
                Vec::new()
            };
            let links = if kind == "directory" {
                1
            } else {
                meta.nlink() as usize
            };
            if kind == "directory" {
                todo.push(format!("{name}/"));
            }
            found.insert(
                name,
                Seen {
                    kind,
                    mode: meta.mode() & 0o7777,
                    links,
                    bytes,
                    xattr,
                },
            );
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Performs `count` operations in a real directory, the last ten without an fsync.
    fn written(count: usize) -> (tempfile::TempDir, Journal) {
        let (dir, mut rng) = (tempfile::tempdir().unwrap(), Rng::new(42));
        let (mut journal, mut model, mut serial) = (Journal::default(), Model::default(), 0);
        while journal.ops.len() < count {
            let op = model.choose(&mut rng, &mut serial);
            if matches!(op, Op::Fsync(_)) && journal.ops.len() + 10 > count {
                continue;
            }
            op.perform(dir.path()).unwrap();
            model.apply(&op);
            journal.ops.push(op);
        }
        (dir, journal)
    }

    fn replay(ops: &[Op]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        ops.iter().for_each(|op| op.perform(dir.path()).unwrap());
        dir
    }

    #[test]
    fn the_model_agrees_with_a_plain_directory() {
        let (dir, journal) = written(2000);
        assert_eq!(journal.verify(dir.path()).unwrap().found, 2000);
    }

    #[test]
    fn the_unsynced_end_may_be_lost_and_the_pending_operation_may_have_happened() {
        let (_, mut journal) = written(300);
        assert!(journal.verify(replay(&journal.ops[..295]).path()).is_ok());
        let whole = replay(&journal.ops);
        journal.pending = journal.ops.pop();
        assert_eq!(journal.verify(whole.path()).unwrap().found, 300);
    }

    #[test]
    fn a_lost_fsync_is_found() {
        let (_, mut journal) = written(300);
        let lost = replay(&journal.ops[..299]);
        let name = journal
            .ops
            .iter()
            .find_map(|op| {
                if let Op::Create(name) = op {
                    Some(name)
                } else {
                    None
                }
            })
            .cloned();
        journal.ops.push(Op::Fsync(name.unwrap()));
        assert!(
            journal
                .verify(lost.path())
                .unwrap_err()
                .contains("durable by fsync")
        );
    }

    #[test]
    fn a_hole_in_the_sequence_is_found() {
        let (dir, journal) = written(300);
        OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(dir.path().join("stray"))
            .unwrap();
        assert!(
            journal
                .verify(dir.path())
                .unwrap_err()
                .contains("no prefix")
        );
    }
}
