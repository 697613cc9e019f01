//! Reads the journal back, and distinguishes unacknowledged ends of files from damage.
//!
//! An acknowledged record was synced whole. So an end that looks like a write during a power cut
//! (short, or with sectors of zeros) was not acknowledged, and is skipped. Any other mismatch of
//! a checksum may concern an acknowledged record, and is damage, unless the next record has the
//! number of the unreadable one: then its write had failed, and was repeated in another file.

use super::record::{self, HEADER, TAIL};
use super::{FileId, path, sectors};
use crate::disk::{Disk, DiskFile, display_path};
use crate::index::IndexError;
use crate::tinyfs::{Changes, Version};
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// The content of the files.
#[derive(Default)]
pub(in crate::index) struct Loaded {
    /// The entries of each generation, oldest first.
    pub(in crate::index) generations: Vec<(u64, Changes)>,
    /// An id above all ids in the entries.
    pub(in crate::index) next_id: u64,
    /// The number of the next record.
    pub(in crate::index) next_sequence: u64,
    pub(in crate::index) damage: Option<Damage>,
}

/// An unreadable record that may have been acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub(super) file: FileId,
    path: PathBuf,
    offset: u64,
    why: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage {
            path, offset, why, ..
        } = self;
        write!(
            f,
            "the journal {} is damaged at offset {offset}: {why}",
            path.display()
        )
    }
}

/// The end of a file.
enum End {
    Clean,
    /// Like a write that a power cut interrupted.
    Torn,
    Bad(&'static str),
}

/// Bytes of a record that are read at a time.
const PIECE: u64 = 1 << 20;

/// Returns the file of the journal that has this name, if there is one: each number is written in
/// one way. Generations are limited as in [`record::header`].
fn file_id(name: &OsStr) -> Option<FileId> {
    let (generation, part) = name.to_str()?.strip_suffix(".jnl")?.split_once('-')?;
    let id: FileId = (generation.parse().ok()?, part.parse().ok()?);
    (path(Path::new(""), id).as_os_str() == name && i64::try_from(id.0).is_ok()).then_some(id)
}

/// Returns the files of the journal in order. Files with other names are left alone.
pub(super) fn files(disk: &dyn Disk, dir: &Path) -> Result<Vec<FileId>, IndexError> {
    let names = disk.list(dir).map_err(IndexError::journal("list", dir))?;
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        match file_id(&name) {
            Some(id) => ids.push(id),
            None if Path::new(&name).extension() == Some(OsStr::new("jnl")) => {
                let path = display_path(&dir.join(&name));
                tracing::warn!("{} is not a file of the journal: ignored", path.display());
            }
            None => {}
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Returns the newest version that any readable record knows to be committed.
pub(super) fn known(
    disk: &dyn Disk,
    dir: &Path,
    pond: Uuid,
    files: &[FileId],
) -> Result<Version, IndexError> {
    let mut newest = Version(0);
    for &id in files {
        let mut records = Records::open(disk, dir, id, pond)?;
        while let Next::Record(_, bytes) = records.next()? {
            if let Ok((_, known, _)) = record::payload(&bytes) {
                newest = newest.max(known);
            }
        }
    }
    Ok(newest)
}

/// Reads the files up to the first damage.
pub(super) fn load(
    disk: &dyn Disk,
    dir: &Path,
    pond: Uuid,
    files: &[FileId],
) -> Result<Loaded, IndexError> {
    let mut loaded = Loaded::default();
    let mut unread: Option<Damage> = None;
    for &id in files {
        let mut records = Records::open(disk, dir, id, pond)?;
        let end = loop {
            let offset = records.at;
            let (header, bytes) = match records.next()? {
                Next::Record(header, bytes) => (header, bytes),
                Next::End(end) => break end,
            };
            let first = loaded.generations.is_empty();
            // A write that succeeded and was reported as failed is repeated in the next file.
            let again = offset == 0
                && id == (header.generation, id.1.max(1))
                && header.sequence.checked_add(1) == Some(loaded.next_sequence);
            let why = match header.sequence {
                _ if !first && again => None,
                found if !first && found != loaded.next_sequence => {
                    let missing = loaded.next_sequence;
                    Some(format!("record {missing} is missing before record {found}"))
                }
                // The number of the unreadable record is unknown.
                found if first && unread.is_some() => {
                    Some(format!("records are missing before record {found}"))
                }
                _ if header.generation != id.0 => {
                    Some("it holds a record of another generation".into())
                }
                _ => None,
            };
            if let Some(why) = why {
                loaded.damage = Some(unread.unwrap_or(records.damage(offset, why)));
                return Ok(loaded);
            }
            let (next_id, _, changes) = match record::payload(&bytes) {
                Ok(read) => read,
                Err(error) => {
                    loaded.damage = Some(records.damage(offset, error.to_string()));
                    return Ok(loaded);
                }
            };
            // The unreadable write had failed, and was repeated here.
            unread = None;
            loaded.next_id = loaded.next_id.max(next_id);
            loaded.next_sequence = header.sequence.saturating_add(1);
            match loaded.generations.last_mut() {
                Some((generation, all)) if *generation == header.generation => all.absorb(changes),
                _ => loaded.generations.push((header.generation, changes)),
            }
        };
        match end {
            End::Clean => {}
            End::Torn => tracing::debug!("a flush never ended: {}", records.path.display()),
            End::Bad(why) => {
                unread.get_or_insert(records.damage(records.at, why.into()));
            }
        }
    }
    loaded.damage = unread;
    Ok(loaded)
}

enum Next {
    Record(record::Header, Vec<u8>),
    End(End),
}

/// Reads the records of one file.
struct Records {
    file: Arc<dyn DiskFile>,
    id: FileId,
    path: PathBuf,
    pond: Uuid,
    /// The offset of the next record, and the length, both as [`sectors`] counts.
    at: u64,
    len: u64,
}

impl Records {
    fn open(disk: &dyn Disk, dir: &Path, id: FileId, pond: Uuid) -> Result<Records, IndexError> {
        let path = path(dir, id);
        let opened = (disk.open_cold(&path)).and_then(|file| Ok((file.size()?, file)));
        let (len, file) = opened.map_err(IndexError::journal("open", &path))?;
        Ok(Records {
            file,
            id,
            path,
            pond,
            at: 0,
            len: sectors::bytes_in(len),
        })
    }

    fn damage(&self, offset: u64, why: String) -> Damage {
        Damage {
            file: self.id,
            path: self.path.clone(),
            offset,
            why,
        }
    }

    /// Reads `len` bytes of records at `at`, as they are in the file.
    fn read(&self, at: u64, len: u64) -> Result<Vec<u8>, IndexError> {
        let place = sectors::place(at);
        let mut raw = vec![0; (sectors::place(at + len) - place) as usize];
        (self.file.read_at(&mut raw, place)).map_err(IndexError::journal("read", &self.path))?;
        Ok(raw)
    }

    /// Reads `len` bytes at `at`, as they are in the file, in pieces; `None` if a sector was never
    /// written. Allocates no more than was written, whatever length a header claims in a sparse
    /// file.
    fn read_written(&self, at: u64, len: u64) -> Result<Option<Vec<u8>>, IndexError> {
        let (mut place, end) = (sectors::place(at), sectors::place(at + len));
        let mut raw = Vec::new();
        while place < end {
            // Pieces end where sectors do.
            let next = ((place + PIECE) / sectors::SECTOR * sectors::SECTOR).min(end);
            let begin = raw.len();
            raw.resize(begin + (next - place) as usize, 0);
            let piece = &mut raw[begin..];
            (self.file.read_at(piece, place)).map_err(IndexError::journal("read", &self.path))?;
            if sectors::any_is_empty_at(piece, place) {
                return Ok(None);
            }
            place = next;
        }
        Ok(Some(raw))
    }

    fn next(&mut self) -> Result<Next, IndexError> {
        let left = self.len - self.at;
        if left == 0 {
            return Ok(Next::End(End::Clean));
        }
        if left < HEADER as u64 {
            return Ok(Next::End(End::Torn));
        }
        let raw = self.read(self.at, HEADER as u64)?;
        let head = sectors::plain(&raw, self.at);
        let (header, size, hash) = match record::header(&head, self.pond) {
            Ok(read) => read,
            Err(_) if was_never_written(&head) || sectors::any_is_empty(&raw, self.at) => {
                return Ok(Next::End(End::Torn));
            }
            Err(why) => return Ok(Next::End(End::Bad(why))),
        };
        if size > left - HEADER as u64 {
            return Ok(Next::End(End::Torn));
        }
        let begin = self.at + HEADER as u64;
        let tail = (left - HEADER as u64 - size).min(TAIL as u64);
        let Some(raw) = self.read_written(begin, size + tail)? else {
            return Ok(Next::End(End::Torn));
        };
        let mut bytes = sectors::plain(&raw, begin);
        let ends = bytes.len() > size as usize && bytes.last() != Some(&0);
        bytes.truncate(size as usize);
        if blake3::hash(&bytes).as_bytes() == &hash {
            self.at = begin + size + tail;
            return Ok(Next::Record(header, bytes));
        }
        Ok(Next::End(match ends {
            false => End::Torn,
            true => End::Bad("the checksum of its entries does not match"),
        }))
    }
}

/// Returns whether an invalid header was not written completely: a complete one begins with
/// letters and ends in a checksum. One bit that is flipped later makes no difference.
fn was_never_written(head: &[u8]) -> bool {
    let empty = |part: Option<&[u8]>| part.is_some_and(|part| part.iter().all(|byte| *byte == 0));
    empty(head.first_chunk::<4>().map(|part| &part[..]))
        || empty(head.last_chunk::<4>().map(|part| &part[..]))
}
