//! Whether the key-value store's journal is what it was when the index was closed.
//!
//! Role: the store checks its tables block by block, but its journal has parts that no checksum covers (where
//! a batch stands among the others), and cuts itself off silently at what it cannot decode. In: the folder of
//! the index, before it is opened and after it was closed. Out: whether the journal was changed by anybody
//! else meanwhile. Holds always: after a crash there is no mark, and the store is taken as it is found.
//!
//! Where tables hold all that the journal says, it is cut to nothing: the store does so only with journals of 64 MB,
//! and reads all of one when it is opened, however little of it is news.

use super::IndexError;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Holds the hash of the journal while nobody has the index open.
const MARK: &str = "CLEAN";

/// Writes the mark when it is dropped, which must be after the store was.
pub(super) struct Clean {
    dir: PathBuf,
    armed: AtomicBool,
    /// Whether tables hold all that the journal says.
    spent: AtomicBool,
}

impl Clean {
    /// Refuses an index whose journal is not as it was left, and takes the mark away.
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

    /// The index is being closed in order.
    pub(super) fn arm(&self) {
        self.armed.store(true, Ordering::Release);
    }

    /// Tables hold all that the journal says, or do so no longer.
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
            // As after a crash.
            tracing::debug!("the index is not marked as closed: {error}");
        }
    }
}

/// The files of the journal by their numbers, the newest last.
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

/// The hash of all files of the journal.
fn hash(dir: &Path) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    for (number, path) in journal(dir)? {
        hasher.update(&number.to_le_bytes());
        hasher.update_reader(File::open(path)?)?;
    }
    Ok(hasher.finalize())
}

/// Leaves an empty journal: without any, the store would begin to count its batches anew.
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
    fn a_journal_that_was_changed_meanwhile_is_not_believed() {
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
        // After a crash there is no mark.
        drop(Clean::open(dir.path()).unwrap());
        fs::write(&journal, "more entries").unwrap();
        close();
        // What is spent is cut, and an older file goes first.
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
