//! A tree as a value: everything that POSIX reports about it, so that two trees can be compared.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::sys;

/// One file, directory, link or node. Size and link count of directories are up to the file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub kind: &'static str,
    pub mode: u32,
    pub owner: (u32, u32),
    pub size: u64,
    pub links: u64,
    /// The first path, in order, of the same file; only for files with several names.
    pub same_as: Option<PathBuf>,
    pub mtime: (i64, i64),
    pub device: u64,
    pub target: Option<PathBuf>,
    pub xattrs: BTreeMap<OsString, Vec<u8>>,
    /// A hash of the content.
    pub content: u64,
}

/// All entries below a directory by their path from it; the directory itself is `""`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<PathBuf, Entry>);

impl Tree {
    /// Reads the tree. Paths that vanish meanwhile are an error: nothing else may write.
    #[track_caller]
    pub fn of(root: &Path) -> Tree {
        Tree::read(root)
            .unwrap_or_else(|error| panic!("cannot read the tree {}: {error}", root.display()))
    }

    fn read(root: &Path) -> io::Result<Tree> {
        let mut tree = BTreeMap::new();
        let mut todo = vec![PathBuf::new()];
        let mut inodes = BTreeMap::new();
        while let Some(path) = todo.pop() {
            let full = if path.as_os_str().is_empty() {
                root.to_path_buf()
            } else {
                root.join(&path)
            };
            let (entry, inode) = Entry::read(&full).map_err(|error| at(&full, error))?;
            if entry.kind == "directory" {
                for child in fs::read_dir(&full).map_err(|error| at(&full, error))? {
                    todo.push(path.join(child.map_err(|error| at(&full, error))?.file_name()));
                }
            } else if entry.links > 1 {
                inodes.insert(path.clone(), inode);
            }
            if tree.insert(path.clone(), entry).is_some() {
                return Err(io::Error::other(format!(
                    "{} is listed twice",
                    full.display()
                )));
            }
        }
        let mut first = HashMap::new();
        for (path, inode) in inodes {
            let known = first.entry(inode).or_insert_with(|| path.clone()).clone();
            if let Some(entry) = tree.get_mut(&path) {
                entry.same_as = (known != path).then_some(known);
            }
        }
        Ok(Tree(tree))
    }

    /// Removes modification times, for trees that were created by the same operations at different
    /// times.
    pub fn without_times(mut self) -> Tree {
        self.0.values_mut().for_each(|entry| entry.mtime = (0, 0));
        self
    }

    pub fn paths(&self) -> Vec<&Path> {
        self.0.keys().map(PathBuf::as_path).collect()
    }

    /// Fails with the first differences, if there are any.
    #[track_caller]
    pub fn assert_equals(&self, expected: &Tree, what: &str) {
        let differences = self.differences(expected);
        let count = differences.len();
        let shown = differences
            .into_iter()
            .take(12)
            .collect::<Vec<_>>()
            .join("\n  ");
        assert!(
            count == 0,
            "{what}: {count} differences (found | expected)\n  {shown}"
        );
    }

    /// Returns one line for each difference.
    pub fn differences(&self, expected: &Tree) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, entry) in &self.0 {
            match expected.0.get(path) {
                Some(other) => lines.extend(
                    entry
                        .differences(other)
                        .map(|line| format!("{path:?}: {line}")),
                ),
                None => lines.push(format!("{path:?}: should not be there")),
            }
        }
        lines.extend(
            expected
                .0
                .keys()
                .filter(|path| !self.0.contains_key(*path))
                .map(|path| format!("{path:?}: missing")),
        );
        lines
    }
}

impl Entry {
    /// Returns the entry at a path, and its device and inode.
    pub fn read(path: &Path) -> io::Result<(Entry, (u64, u64))> {
        let meta = fs::symlink_metadata(path)?;
        let kind = kind(&meta.file_type());
        let directory = kind == "directory";
        let mut xattrs = BTreeMap::new();
        if directory || kind == "file" {
            for name in sys::list_xattrs(path)? {
                let value = sys::get_xattr(path, &name)?;
                xattrs.insert(name, value);
            }
        }
        let entry = Entry {
            kind,
            mode: meta.mode() & 0o7777,
            owner: (meta.uid(), meta.gid()),
            size: if directory { 0 } else { meta.size() },
            links: if directory { 0 } else { meta.nlink() },
            same_as: None,
            mtime: (meta.mtime(), meta.mtime_nsec()),
            device: meta.rdev(),
            target: if kind == "symlink" {
                Some(fs::read_link(path)?)
            } else {
                None
            },
            xattrs,
            content: if kind == "file" {
                hash(path, meta.size())?
            } else {
                0
            },
        };
        Ok((entry, (meta.dev(), meta.ino())))
    }

    /// Returns one line for each difference.
    pub fn differences(&self, other: &Entry) -> impl Iterator<Item = String> {
        let (ours, theirs) = (self.fields(), other.fields());
        let differing = ours.into_iter().zip(theirs).filter(|(a, b)| a != b);
        differing.map(|((name, ours), (_, theirs))| format!("{name} {ours} | {theirs}"))
    }

    fn fields(&self) -> [(&'static str, String); 11] {
        [
            ("kind", self.kind.to_string()),
            ("mode", format!("{:o}", self.mode)),
            ("owner", format!("{:?}", self.owner)),
            ("size", self.size.to_string()),
            ("links", self.links.to_string()),
            ("same file as", format!("{:?}", self.same_as)),
            ("mtime", format!("{}.{:09}", self.mtime.0, self.mtime.1)),
            ("device", self.device.to_string()),
            ("target", format!("{:?}", self.target)),
            ("xattrs", format!("{:?}", self.xattrs)),
            ("content", format!("{:016x}", self.content)),
        ]
    }
}

fn kind(kind: &fs::FileType) -> &'static str {
    match () {
        () if kind.is_dir() => "directory",
        () if kind.is_file() => "file",
        () if kind.is_symlink() => "symlink",
        () if kind.is_fifo() => "fifo",
        () if kind.is_socket() => "socket",
        () => "device",
    }
}

/// Hashes the content of a file, which must be as long as `stat` said.
fn hash(path: &Path, size: u64) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer, mut total) = (DefaultHasher::new(), vec![0; 128 * 1024], 0);
    // Full blocks only, so that equal contents have equal hashes however the reads were split.
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read(&mut buffer[filled..])? {
                0 => break,
                n => filled += n,
            }
        }
        hasher.write(&buffer[..filled]);
        total += filled as u64;
        if filled < buffer.len() {
            break;
        }
    }
    match total == size {
        true => Ok(hasher.finish()),
        false => Err(io::Error::other(format!(
            "stat says {size} bytes, reading gives {total}"
        ))),
    }
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Copies a tree outside by `cp -a` with all attributes: the reference for a version.
#[track_caller]
pub fn copy_outside(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory for the copy");
    crate::run::tool("cp")
        .args(["-a", "--preserve=all"])
        .arg(from.join("."))
        .arg(to)
        .ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::XattrFlags;

    fn sample() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir(root.join("d")).unwrap();
        fs::write(root.join("d/f"), "text").unwrap();
        fs::hard_link(root.join("d/f"), root.join("g")).unwrap();
        std::os::unix::fs::symlink("d/f", root.join("s")).unwrap();
        sys::set_xattr(&root.join("g"), "user.a", b"1", XattrFlags::empty()).unwrap();
        sys::set_times(&root.join("g"), sys::instant(1, 2), sys::instant(-5, 6)).unwrap();
        dir
    }

    #[test]
    fn a_copy_by_cp_is_equal_down_to_links_times_and_xattrs() {
        let (dir, copy) = (sample(), tempfile::tempdir().unwrap());
        copy_outside(dir.path(), copy.path());
        let tree = Tree::of(copy.path());
        tree.assert_equals(&Tree::of(dir.path()), "copy");
        assert_eq!(
            tree.0[Path::new("g")].same_as.as_deref(),
            Some(Path::new("d/f"))
        );
        assert_eq!(tree.0[Path::new("g")].mtime, (-5, 6));
    }

    #[test]
    fn each_kind_of_difference_is_seen() {
        let dir = sample();
        let root = dir.path();
        let before = Tree::of(root);
        let acts: [(&str, &dyn Fn()); 7] = [
            ("mode", &|| {
                fs::set_permissions(
                    root.join("g"),
                    std::os::unix::fs::PermissionsExt::from_mode(0o600),
                )
                .unwrap()
            }),
            ("content", &|| fs::write(root.join("g"), "tex!").unwrap()),
            ("mtime", &|| {
                sys::set_times(&root.join("d"), sys::instant(1, 1), sys::instant(1, 1)).unwrap()
            }),
            ("xattrs", &|| {
                sys::set_xattr(&root.join("d"), "user.b", b"", XattrFlags::empty()).unwrap()
            }),
            ("links", &|| fs::remove_file(root.join("g")).unwrap()),
            ("missing", &|| fs::remove_file(root.join("s")).unwrap()),
            ("should not be there", &|| {
                fs::write(root.join("new"), "").unwrap()
            }),
        ];
        for (what, act) in acts {
            act();
            let found = Tree::of(root).differences(&before).join("\n");
            assert!(found.contains(what), "{what} is not in: {found}");
        }
    }
}
