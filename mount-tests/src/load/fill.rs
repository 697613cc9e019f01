//! Writers that run until the disk is full, with a record of what was acknowledged.
//!
//! Only `ENOSPC` may end a step. Written files exist as long as the mount does; synced files for
//! ever.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::rng::Rng;

/// How often in a row a writer must get `ENOSPC` before it stops.
const TIMES: usize = 4;

/// A file and the seed of its content.
#[derive(Clone, Debug)]
struct Written {
    path: PathBuf,
    seed: u64,
    len: usize,
    synced: bool,
}

/// The files of one writer.
#[derive(Clone, Debug, Default)]
pub struct Filled {
    files: Vec<Written>,
    /// How often `ENOSPC` was returned by a call that creates a name, writes, and syncs.
    pub refused: [usize; 3],
}

/// Fills `dir` with files until the disk is full.
pub fn fill(dir: &Path, mut rng: Rng) -> Result<Filled, String> {
    let (mut filled, mut in_a_row) = (Filled::default(), 0);
    for serial in 0.. {
        let path = dir.join(format!("f{serial}"));
        match filled.step(path.clone(), &mut rng) {
            Ok(()) => in_a_row = 0,
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NOSPC) => {
                in_a_row += 1;
                // Deleting must work on a full disk.
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(format!("unlink {}: {error}", path.display()));
                    }
                    _ => {}
                }
            }
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
        if in_a_row == TIMES {
            break;
        }
    }
    Ok(filled)
}

impl Filled {
    fn step(&mut self, path: PathBuf, rng: &mut Rng) -> io::Result<()> {
        let limit = *rng.pick(&[2_000, 60_000, 60_000, 500_000]);
        let (seed, len, synced) = (rng.number(), rng.below(limit), rng.below(2) == 0);
        let count = |refused: &mut usize| {
            *refused += 1;
        };
        let mut file = File::create_new(&path).inspect_err(|_| count(&mut self.refused[0]))?;
        file.write_all(&Rng::new(seed).bytes(len))
            .inspect_err(|_| count(&mut self.refused[1]))?;
        if synced {
            file.sync_all()
                .inspect_err(|_| count(&mut self.refused[2]))?;
        }
        self.files.push(Written {
            path,
            seed,
            len,
            synced,
        });
        Ok(())
    }

    /// Returns how many files were written, and how many of them synced.
    pub fn counts(&self) -> (usize, usize) {
        let synced = self.files.iter().filter(|file| file.synced).count();
        (self.files.len(), synced)
    }

    /// Removes every other file.
    #[track_caller]
    pub fn thin(&mut self) {
        let mut keep = false;
        self.files.retain(|file| {
            keep = !keep;
            if !keep && let Err(error) = fs::remove_file(&file.path) {
                panic!("unlink {}: {error}", file.path.display());
            }
            keep
        });
    }

    /// Checks that all written files are there; after a crash, all synced files.
    #[track_caller]
    pub fn verify(&self, after_a_crash: bool, when: &str) {
        for file in &self.files {
            let (path, expected) = (&file.path, Rng::new(file.seed).bytes(file.len));
            match fs::read(path) {
                Ok(bytes) if bytes == expected => {}
                found if file.synced || !after_a_crash => panic!(
                    "{when}: {} is not what was written: {:?}",
                    path.display(),
                    found.map(|bytes| bytes.len())
                ),
                // Not synced: missing, or a prefix of what was written.
                Ok(bytes) => assert!(
                    expected.starts_with(&bytes),
                    "{when}: {} is not a part of what was written",
                    path.display()
                ),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}"),
            }
        }
    }
}
