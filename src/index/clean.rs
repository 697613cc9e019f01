//! Detects changes of fjall's journal while the index was closed, and truncates it on close.
//!
//! fjall's tables have checksums for each block. Parts of its journal have none, and fjall silently
//! truncates the journal at what it cannot decode. A close in order writes the hash of the journal
//! to a mark; an open compares it and removes the mark. After a crash there is no mark, and the
//! store is opened as it is.
//!
//! If tables hold everything, the journal is truncated on close: fjall does so only at 64 MB, and
//! replays all of it on open.

use super::IndexError;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// File with the hash of the journal, present while the index is closed in order.
const MARK: &str = "CLEAN";

/// Writes the mark when dropped, which must happen after the store is closed.
pub(super) struct Clean {
    dir: PathBuf,
    armed: AtomicBool,
    /// Whether tables hold everything that is in the journal.
    spent: AtomicBool,
}

impl Clean {
    /// Removes the mark. Fails if the journal does not match it.
    pub(super) fn open(dir: &Path) -> Result<Clean, IndexError> {
        let mark = dir.join(MARK);
        match fs::read(&mark) {
            Ok(marked) => {
                if marked
                    != hash(dir)
                        .map_err(IndexError::files("read", dir))?
                        .as_bytes()
                {
                    return Err(IndexError::Damaged("its journal is not as it was left"));
                }
                fs::remove_file(&mark).map_err(IndexError::files("remove", &mark))?;
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(IndexError::files("read", &mark)(e)),
        }
        Ok(Clean {
            dir: dir.to_owned(),
            armed: AtomicBool::new(false),
            spent: AtomicBool::new(false),
        })
    }

    /// Has the mark written on drop: the index is being closed in order.
    pub(super) fn arm(&self) {
        self.armed.store(true, Ordering::Release);
    }

    /// Sets whether tables hold everything that is in the journal.
    pub(super) fn spent(&self, spent: bool) {
        self.spent.store(spent, Ordering::Release);
    }

    fn mark(&self) -> io::Result<()> {
        if self.spent.load(Ordering::Acquire) {
            cut(&self.dir)?;
        }
        fs::write(self.dir.join(MARK), hash(&self.dir)?.as_bytes())
    }
}

impl Drop for Clean {
    fn drop(&mut self) {
        if self.armed.load(Ordering::Acquire)
            && let Err(error) = self.mark()
        {
            // Without a mark, the next open treats it as after a crash.
            tracing::debug!("the index is not marked as closed: {error}");
        }
    }
}

/// Returns the journal files with their numbers, oldest first.
fn journal(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_suffix(".jnl")?.parse().ok());
        files.extend(number.map(|number| (number, path)));
    }
    files.sort();
    Ok(files)
}

/// Returns the hash of all journal files.
fn hash(dir: &Path) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    for (number, path) in journal(dir)? {
        hasher.update(&number.to_le_bytes());
        hasher.update_reader(File::open(path)?)?;
    }
    Ok(hasher.finalize())
}

/// Truncates the journal but keeps its newest file: without one, fjall would restart its sequence
/// numbers.
fn cut(dir: &Path) -> io::Result<()> {
    let mut files = journal(dir)?;
    if let Some((_, newest)) = files.pop() {
        let file = File::options().write(true).open(newest)?;
        file.set_len(0)?;
        file.sync_all()?;
    }
    files
        .iter()
        .try_for_each(|(_, older)| fs::remove_file(older))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_changed_while_closed_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("0.jnl");
        fs::write(&journal, "entries").unwrap();
        let close_with = |spent| {
            let clean = Clean::open(dir.path()).unwrap();
            clean.spent(spent);
            clean.arm();
        };
        let close = || close_with(false);
        close();
        close();
        fs::write(&journal, "entrieS").unwrap();
        assert!(Clean::open(dir.path()).is_err_and(|e| e.is_damage()));
        fs::write(&journal, "entries").unwrap();
        // A crash leaves no mark.
        drop(Clean::open(dir.path()).unwrap());
        fs::write(&journal, "more entries").unwrap();
        close();
        // A journal whose entries are in tables is truncated, and its older files are removed.
        let older = journal.with_file_name("1.jnl");
        fs::rename(&journal, &older).unwrap();
        fs::remove_file(dir.path().join(MARK)).unwrap();
        fs::write(dir.path().join("2.jnl"), "the newest").unwrap();
        close_with(true);
        assert!(!older.exists());
        assert_eq!(fs::metadata(dir.path().join("2.jnl")).unwrap().len(), 0);
        close();
    }
}
