//! Whether the key-value store's journal is what it was when the index was closed.
//!
//! Role: the store checks its tables block by block, but its journal has parts that no checksum covers (where
//! a batch stands among the others), and cuts itself off silently at what it cannot decode. In: the folder of
//! the index, before it is opened and after it was closed. Out: whether the journal was changed by anybody
//! else meanwhile. Holds always: after a crash there is no mark, and the store is taken as it is found.

use super::IndexError;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Holds the hash of the journal while nobody has the index open.
const MARK: &str = "CLEAN";

/// Writes the mark when it is dropped, which must be after the store was.
pub(super) struct Clean {
    dir: PathBuf,
    armed: AtomicBool,
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
        })
    }

    /// The index is being closed in order.
    pub(super) fn arm(&self) {
        self.armed.store(true, Ordering::Release);
    }
}

impl Drop for Clean {
    fn drop(&mut self) {
        if self.armed.load(Ordering::Acquire) {
            let marked =
                hash(&self.dir).and_then(|hash| fs::write(self.dir.join(MARK), hash.as_bytes()));
            if let Err(error) = marked {
                // As after a crash.
                tracing::debug!("the index is not marked as closed: {error}");
            }
        }
    }
}

/// The hash of all files of the journal.
fn hash(dir: &Path) -> io::Result<blake3::Hash> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "jnl") {
            files.push(path);
        }
    }
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for path in files {
        hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        hasher.update_reader(fs::File::open(path)?)?;
    }
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_was_changed_meanwhile_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("0.jnl");
        fs::write(&journal, "entries").unwrap();
        let close = || {
            let clean = Clean::open(dir.path()).unwrap();
            clean.arm();
        };
        close();
        close();
        fs::write(&journal, "entrieS").unwrap();
        assert!(Clean::open(dir.path()).is_err_and(|e| e.is_damage()));
        fs::write(&journal, "entries").unwrap();
        // After a crash there is no mark.
        drop(Clean::open(dir.path()).unwrap());
        fs::write(&journal, "more entries").unwrap();
        close();
    }
}
