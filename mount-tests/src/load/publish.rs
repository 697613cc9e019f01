//! The usual safe save: write a temporary file, fsync it, rename it over the old one. After a crash
//! every published name refers to a complete file, and no fsynced file is lost.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::{Proof, Signals};
use crate::rng::Rng;

/// The number of names that are published repeatedly.
const SLOTS: u64 = 8;

/// The files that a writer published.
#[derive(Debug, Default)]
pub struct Journal {
    writer: u64,
    /// For each slot the newest file whose fsync succeeded.
    durable: [Option<u64>; SLOTS as usize],
    /// The number of the file that was being written at the crash.
    pending: u64,
    early: Option<String>,
}

/// Publishes files in `dir` until the end. Sizes range from 1 byte to 2 MiB, with small ones more
/// often.
pub fn write_until_end(dir: &Path, writer: u64, signals: &Signals) -> Journal {
    let mut journal = Journal {
        writer,
        ..Journal::default()
    };
    while !signals.ended() {
        let serial = journal.pending;
        if let Err(error) = publish(dir, &mut journal, serial, signals) {
            journal.early = signals.judge(error, &format!("file {serial} of writer {writer}"));
            break;
        }
        journal.pending += 1;
    }
    journal
}

fn publish(dir: &Path, journal: &mut Journal, serial: u64, signals: &Signals) -> io::Result<()> {
    let (name, slot) = (dir.join(journal.temporary(serial)), serial % SLOTS);
    let mut file = File::create_new(&name)?;
    for chunk in content(journal.writer, serial).chunks(100_000) {
        file.write_all(chunk)?;
    }
    file.sync_all()?;
    if signals.count_sync() {
        journal.durable[slot as usize] = Some(serial);
    }
    drop(file);
    fs::rename(&name, dir.join(journal.published(slot)))
}

/// Returns the content of a file: its writer, serial number and length, which determine the rest.
fn content(writer: u64, serial: u64) -> Vec<u8> {
    let mut rng = Rng::new(writer << 40 | serial);
    let limit = *rng.pick(&[100, 5_000, 5_000, 70_000, 2 << 20]);
    let body = rng.below(limit) + 1;
    let mut bytes: Vec<u8> = [writer, serial, body as u64]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    bytes.extend(rng.bytes(body));
    bytes
}

impl Journal {
    fn temporary(&self, serial: u64) -> String {
        format!("w{}-{serial}.tmp", self.writer)
    }

    fn published(&self, slot: u64) -> String {
        format!("w{}-slot{slot}", self.writer)
    }

    /// Compares the files in `dir` with the journal.
    pub fn verify(&self, dir: &Path) -> Result<Proof, String> {
        if let Some(early) = &self.early {
            return Err(early.clone());
        }
        let mut proof = Proof {
            acknowledged: self.pending as usize,
            ..Proof::default()
        };
        for slot in 0..SLOTS {
            let name = self.published(slot);
            let published = match fs::read(dir.join(&name)) {
                Ok(bytes) => Some(self.whole(&name, slot, &bytes)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(format!("{name}: {error}")),
            };
            if published.is_some_and(|serial| serial > self.pending) {
                return Err(format!("{name} holds a file that was never written"));
            }
            proof.found += usize::from(published.is_some());
            let Some(durable) = self.durable[slot as usize] else {
                continue;
            };
            proof.durable += 1;
            let temporary = self.temporary(durable);
            let kept = || {
                fs::read(dir.join(&temporary))
                    .is_ok_and(|bytes| bytes == content(self.writer, durable))
            };
            if published.is_none_or(|serial| serial < durable) && !kept() {
                return Err(format!(
                    "file {durable} was fsynced and is lost: {name} holds {published:?}, {temporary} is not whole"
                ));
            }
        }
        self.unfinished(dir)?;
        Ok(proof)
    }

    /// Checks that a published file is complete, and returns its serial number.
    fn whole(&self, name: &str, slot: u64, bytes: &[u8]) -> Result<u64, String> {
        let header = bytes
            .get(8..16)
            .and_then(|field| field.try_into().ok())
            .map(u64::from_le_bytes);
        let serial = header
            .ok_or_else(|| format!("{name} was published whole and has {} bytes", bytes.len()))?;
        let expected = if serial % SLOTS == slot {
            content(self.writer, serial)
        } else {
            Vec::new()
        };
        match expected == bytes {
            true => Ok(serial),
            false => Err(format!(
                "{name} is not the file {serial} that its header names ({} bytes)",
                bytes.len()
            )),
        }
    }

    /// Checks the temporary files: at most the one that was being written and one whose rename was
    /// lost, each a prefix of its content.
    fn unfinished(&self, dir: &Path) -> Result<(), String> {
        for serial in self.pending.saturating_sub(2 * SLOTS)..=self.pending {
            let name = self.temporary(serial);
            let bytes = fs::read(dir.join(&name)).unwrap_or_default();
            if !content(self.writer, serial).starts_with(&bytes) {
                return Err(format!(
                    "{name} ({} bytes) is not what was written",
                    bytes.len()
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(count: u64) -> (tempfile::TempDir, Journal) {
        let (dir, signals) = (tempfile::tempdir().unwrap(), Signals::default());
        let mut journal = Journal {
            writer: 3,
            ..Journal::default()
        };
        for serial in 0..count {
            publish(dir.path(), &mut journal, serial, &signals).unwrap();
            journal.pending += 1;
        }
        (dir, journal)
    }

    #[test]
    fn whole_files_pass_and_a_lost_rename_is_no_loss() {
        let (dir, journal) = written(20);
        assert_eq!(journal.verify(dir.path()).unwrap().durable, SLOTS as usize);
        fs::rename(dir.path().join("w3-slot3"), dir.path().join("w3-19.tmp")).unwrap();
        journal.verify(dir.path()).unwrap();
    }

    #[test]
    fn a_lost_file_and_a_torn_file_are_found() {
        let (dir, journal) = written(20);
        let name = dir.path().join("w3-slot1");
        let bytes = fs::read(&name).unwrap();
        fs::write(&name, &bytes[..bytes.len() - 1]).unwrap();
        assert!(
            journal
                .verify(dir.path())
                .unwrap_err()
                .contains("is not the file 17")
        );
        fs::remove_file(&name).unwrap();
        assert!(
            journal
                .verify(dir.path())
                .unwrap_err()
                .contains("was fsynced and is lost")
        );
    }
}
