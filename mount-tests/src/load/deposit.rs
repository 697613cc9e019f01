//! Writes that a concurrent operation may replace: whole files, each under a name of its own.
//!
//! A writer creates a file in `drafts`, syncs it, renames it into `into` and syncs `into`. Then the
//! file is acknowledged. Meanwhile a `restore` or an `undo` may return `into` to an older state,
//! which has none of these files. [`Journal::verify`] looks for each acknowledged file in the
//! present, and in the version that holds the replaced state.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::{Proof, Signals};
use crate::rng::Rng;

/// The pause of a writer after each file, so that there are moments between saves.
const REST: Duration = Duration::from_millis(2);

/// The files of a writer.
#[derive(Debug, Default)]
pub struct Journal {
    writer: u64,
    /// The files that were acknowledged.
    durable: Vec<u64>,
    /// The number of files that were begun.
    begun: u64,
    early: Option<String>,
}

/// Puts files into `into` until the end. A draft that another process removes is not acknowledged.
pub fn write_until_end(drafts: &Path, into: &Path, writer: u64, signals: &Signals) -> Journal {
    let mut journal = Journal {
        writer,
        ..Journal::default()
    };
    while !signals.ended() {
        let serial = journal.begun;
        journal.begun += 1;
        match put(drafts, into, writer, serial) {
            Ok(()) if signals.count_sync() => journal.durable.push(serial),
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                journal.early = signals.judge(error, &format!("file {serial} of writer {writer}"));
                break;
            }
        }
        thread::sleep(REST);
    }
    journal
}

fn put(drafts: &Path, into: &Path, writer: u64, serial: u64) -> io::Result<()> {
    let name = name(writer, serial);
    let draft = drafts.join(&name);
    let mut file = File::create_new(&draft)?;
    file.write_all(&content(writer, serial))?;
    file.sync_all()?;
    drop(file);
    fs::rename(&draft, into.join(&name))?;
    File::open(into)?.sync_all()
}

fn name(writer: u64, serial: u64) -> String {
    format!("w{writer}-{serial}")
}

/// Returns the content of a file, which follows from its name.
fn content(writer: u64, serial: u64) -> Vec<u8> {
    let mut rng = Rng::new(writer << 40 | serial);
    let limit = *rng.pick(&[100, 5_000, 5_000, 20_000, 100_000]);
    let len = rng.below(limit) + 1;
    rng.bytes(len)
}

impl Journal {
    /// Compares the files in `present`, and in `replaced` if there is such a state, with the
    /// journal.
    pub fn verify(&self, present: &Path, replaced: Option<&Path>) -> Result<Proof, String> {
        if let Some(early) = &self.early {
            return Err(early.clone());
        }
        let mut found = 0;
        for serial in 0..self.begun {
            let mut is_there = self.holds(present, serial)?;
            if let Some(replaced) = replaced {
                is_there |= self.holds(replaced, serial)?;
            }
            found += usize::from(is_there);
            if !is_there && self.durable.binary_search(&serial).is_ok() {
                return Err(format!(
                    "{} was acknowledged and is lost: it is not in {}, nor in {replaced:?}",
                    name(self.writer, serial),
                    present.display()
                ));
            }
        }
        Ok(Proof {
            durable: self.durable.len(),
            acknowledged: self.durable.len(),
            found,
        })
    }

    /// Returns whether a file is in a directory. It was synced before the rename, so it must be
    /// complete.
    fn holds(&self, dir: &Path, serial: u64) -> Result<bool, String> {
        let path = dir.join(name(self.writer, serial));
        match fs::read(&path) {
            Ok(bytes) if bytes == content(self.writer, serial) => Ok(true),
            Ok(bytes) => Err(format!(
                "{} ({} bytes) is not what was written",
                path.display(),
                bytes.len()
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::folder;

    #[test]
    fn a_file_is_looked_for_in_the_present_and_in_what_was_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let [drafts, into, before] = ["drafts", "into", "before"].map(|n| folder(dir.path(), n));
        let journal = Journal {
            writer: 2,
            durable: vec![0, 1],
            begun: 3,
            early: None,
        };
        put(&drafts, &into, 2, 0).unwrap();
        put(&drafts, &before, 2, 1).unwrap();
        let proof = journal.verify(&into, Some(&before)).unwrap();
        assert_eq!((proof.durable, proof.found), (2, 2));
        assert!(journal.verify(&into, None).unwrap_err().contains("w2-1"));
        fs::write(into.join("w2-2"), "torn").unwrap();
        assert!(journal.verify(&into, Some(&before)).is_err());
    }
}
