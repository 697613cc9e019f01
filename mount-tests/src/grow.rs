//! Generated trees, and random edits of them, as users make between two versions.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::XattrFlags;

use crate::rng::Rng;
use crate::sys;

/// The files and directories below a root.
#[derive(Debug)]
struct Listing {
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
}

/// Creates a source tree of `count` files below `root`: nested directories, sizes from 0 to 200 kB,
/// modes, times, some symlinks, hard links and xattrs.
pub fn sow(root: &Path, rng: &mut Rng, count: usize) {
    let mut directories = vec![root.to_path_buf()];
    for serial in 0..count {
        if serial % 20 == 0 {
            let path = rng.pick(&directories).join(format!("dir{serial}"));
            fs::create_dir(&path).expect("mkdir");
            directories.push(path);
        }
        let path = rng.pick(&directories).join(format!("file{serial}.txt"));
        let len = *rng.pick(&[0, 50, 500, 2_000, 6_000, 20_000]);
        let len = if serial % 500 == 7 {
            200_000
        } else {
            rng.below(len + 1)
        };
        fs::write(&path, rng.bytes(len)).expect("write");
        match serial % 25 {
            1 => fs::set_permissions(&path, PermissionsExt::from_mode(0o750)).expect("chmod"),
            2 => sys::set_xattr(&path, "user.origin", b"generated", XattrFlags::empty())
                .expect("setxattr"),
            3 => {
                symlink(&path, path.with_extension("link")).expect("symlink");
                age(&path.with_extension("link"), rng);
            }
            4 => fs::hard_link(&path, path.with_extension("same")).expect("link"),
            _ => {}
        }
        age(&path, rng);
    }
    // Directories last, since every new entry has changed their times.
    directories.iter().for_each(|path| age(path, rng));
}

/// Sets a modification time in the past: some programs skip a file whose time is equal to the
/// second.
fn age(path: &Path, rng: &mut Rng) {
    let (seconds, nanos) = (
        1_600_000_000 + rng.below(100_000_000),
        rng.below(1_000_000_000),
    );
    let past = sys::instant(seconds as i64, nanos as i64);
    sys::set_times(path, past, past).expect("utimensat");
}

/// Makes `count` random edits of the tree below `root`, of every kind.
#[track_caller]
pub fn edit(root: &Path, rng: &mut Rng, count: usize) {
    let mut listing = Listing::of(root).expect("list the tree");
    for serial in 0..count {
        let stamp = rng.number();
        if let Err(error) = listing.edit(rng, &format!("new{serial}-{stamp:x}")) {
            panic!("edit {serial} of {count} in {}: {error}", root.display());
        }
    }
}

impl Listing {
    fn of(root: &Path) -> io::Result<Listing> {
        let mut listing = Listing {
            files: Vec::new(),
            directories: vec![root.to_path_buf()],
        };
        let mut next = 0;
        while next < listing.directories.len() {
            let directory = listing.directories[next].clone();
            next += 1;
            for entry in fs::read_dir(&directory)? {
                let entry = entry?;
                match entry.file_type()? {
                    kind if kind.is_dir() => listing.directories.push(entry.path()),
                    kind if kind.is_file() => listing.files.push(entry.path()),
                    _ => {}
                }
            }
        }
        // Directories are listed in the file system's order; the edits must follow from the seed
        // alone.
        listing.files.sort();
        listing.directories.sort();
        Ok(listing)
    }

    fn edit(&mut self, rng: &mut Rng, name: &str) -> io::Result<()> {
        let fresh = rng.pick(&self.directories).join(name);
        if self.files.is_empty() {
            fs::write(&fresh, name)?;
            self.files.push(fresh);
            return Ok(());
        }
        let index = rng.below(self.files.len());
        let file = self.files[index].clone();
        let open = || OpenOptions::new().write(true).open(&file);
        match rng.below(20) {
            0..3 => {
                let len = rng.below(30_000);
                fs::write(&fresh, rng.bytes(len))?;
                self.files.push(fresh);
            }
            3..5 => OpenOptions::new()
                .append(true)
                .open(&file)?
                .write_all(name.as_bytes())?,
            5..7 => {
                let offset = rng.below(10_000) as u64;
                open()?.write_all_at(&rng.bytes(100), offset)?;
            }
            7 => open()?.set_len(rng.below(8_000) as u64)?,
            8 => File::create(&file)?.write_all(name.as_bytes())?,
            9..12 => {
                fs::remove_file(&file)?;
                self.files.swap_remove(index);
            }
            12..14 => {
                fs::rename(&file, &fresh)?;
                self.files[index] = fresh;
            }
            14 => fs::set_permissions(
                &file,
                PermissionsExt::from_mode(*rng.pick(&[0o600, 0o644, 0o755])),
            )?,
            15 => sys::set_xattr(
                &file,
                &format!("user.x{}", rng.below(3)),
                name.as_bytes(),
                XattrFlags::empty(),
            )?,
            16 => {
                fs::hard_link(&file, &fresh)?;
                self.files.push(fresh);
            }
            17 => symlink(&file, &fresh)?,
            18 => sys::set_times(
                &file,
                sys::instant(1, 1),
                sys::instant(rng.below(2_000_000_000) as i64, 123_456_789),
            )?,
            _ => self.edit_directories(rng, fresh)?,
        }
        Ok(())
    }

    /// Creates a directory, and sometimes moves one with its content, or removes one.
    fn edit_directories(&mut self, rng: &mut Rng, fresh: PathBuf) -> io::Result<()> {
        let root = self.directories[0].clone();
        let victim = rng.pick(&self.directories).clone();
        // Only small directories are removed, so that there is something left to edit.
        let within = self
            .files
            .iter()
            .filter(|file| file.starts_with(&victim))
            .count();
        match rng.below(4) {
            0 if victim != root && !fresh.starts_with(&victim) => fs::rename(&victim, &fresh)?,
            1 if victim != root && within * 20 < self.files.len() => fs::remove_dir_all(&victim)?,
            _ => fs::create_dir(&fresh)?,
        }
        *self = Listing::of(&root)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn the_same_seed_grows_and_edits_the_same_tree() {
        let grown = || {
            let dir = tempfile::tempdir().unwrap();
            let mut rng = Rng::new(5);
            sow(dir.path(), &mut rng, 200);
            edit(dir.path(), &mut rng, 400);
            let prefix = dir.path().to_path_buf();
            let mut tree = Tree::of(dir.path()).without_times();
            // Symlinks are absolute and name the directory.
            for entry in tree.0.values_mut() {
                entry.target = entry
                    .target
                    .take()
                    .and_then(|target| Some(target.strip_prefix(&prefix).ok()?.into()));
                entry.size *= u64::from(entry.target.is_none());
            }
            tree
        };
        let (first, second) = (grown(), grown());
        first.assert_equals(&second, "two runs of one seed");
        assert!(first.0.len() > 150);
        for kind in ["file", "directory", "symlink"] {
            assert!(
                first.0.values().any(|entry| entry.kind == kind),
                "no {kind}"
            );
        }
        assert!(
            first.0.values().any(|entry| entry.links > 1)
                && first.0.values().any(|entry| !entry.xattrs.is_empty())
        );
    }
}
