//! Compares a mounted tree with the expected one, where reads may fail: a read returns the right
//! result or `EIO`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::tree::{Entry, Tree};

/// The result of reading a whole tree.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Paths whose read failed with an error.
    pub unreadable: Vec<PathBuf>,
    /// Files with other bytes than were written, which is always a fault.
    pub false_bytes: Vec<String>,
    /// All other wrong results.
    pub wrong: Vec<String>,
}

impl Look {
    /// Reads all expected entries below `root`, and looks for unexpected ones.
    pub fn at(root: &Path, expected: &Tree) -> Look {
        let mut look = Look::default();
        let mut inodes = BTreeMap::new();
        for (path, entry) in &expected.0 {
            let at = match path.as_os_str().is_empty() {
                true => root.to_path_buf(),
                false => root.join(path),
            };
            if entry.kind == "directory" {
                look.list(&at, path, expected);
            }
            match Entry::read(&at) {
                Ok((found, inode)) => {
                    inodes.insert(path.as_path(), inode);
                    look.compare(path, &found, entry);
                }
                Err(error) => look.failed(path, &error),
            }
        }
        for (path, entry) in &expected.0 {
            let Some(other) = &entry.same_as else {
                continue;
            };
            let [one, two] = [path, other].map(|path| inodes.get(path.as_path()));
            if one.is_some() && two.is_some() && one != two {
                look.wrong
                    .push(format!("{path:?}: not the same file as {other:?}"));
            }
        }
        look
    }

    fn compare(&mut self, path: &Path, found: &Entry, expected: &Entry) {
        // Hard links are compared for the whole tree only.
        let expected = Entry {
            same_as: None,
            ..expected.clone()
        };
        if found.kind == expected.kind
            && (found.content, &found.target) != (expected.content, &expected.target)
        {
            self.false_bytes.push(format!("{path:?}: its bytes"));
        }
        let differences = found.differences(&expected);
        self.wrong
            .extend(differences.map(|line| format!("{path:?}: {line}")));
    }

    /// Compares the names in a directory with the expected ones.
    fn list(&mut self, at: &Path, path: &Path, expected: &Tree) {
        let list = || -> io::Result<BTreeSet<OsString>> {
            fs::read_dir(at)?
                .map(|entry| Ok(entry?.file_name()))
                .collect()
        };
        let found = match list() {
            Ok(found) => found,
            Err(error) => return self.failed(path, &error),
        };
        let children = expected
            .0
            .keys()
            .filter(|child| child.parent() == Some(path));
        let names: BTreeSet<OsString> = children
            .filter_map(|child| Some(child.file_name()?.to_owned()))
            .collect();
        for name in found.difference(&names) {
            self.wrong
                .push(format!("{:?}: should not be there", path.join(name)));
        }
        for name in names.difference(&found) {
            self.wrong
                .push(format!("{:?}: not listed", path.join(name)));
        }
    }

    fn failed(&mut self, path: &Path, error: &io::Error) {
        match Errno::from_io_error(error) {
            Some(Errno::IO) => self.unreadable.push(path.to_path_buf()),
            _ => self.wrong.push(format!("{path:?}: {error}")),
        }
    }

    /// Adds the findings of another tree, named `of`.
    pub fn absorb(&mut self, of: &str, other: Look) {
        let told = |lines: Vec<String>| lines.into_iter().map(move |line| format!("{of}: {line}"));
        self.unreadable.extend(other.unreadable);
        self.false_bytes.extend(told(other.false_bytes));
        self.wrong.extend(told(other.wrong));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_right_passes_and_each_wrong_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir(root.join("d")).unwrap();
        fs::write(root.join("d/f"), "text").unwrap();
        fs::hard_link(root.join("d/f"), root.join("g")).unwrap();
        let tree = Tree::of(root);
        let look = Look::at(root, &tree);
        assert!(
            look.wrong.is_empty() && look.unreadable.is_empty(),
            "{look:?}"
        );
        let expect = |change: &dyn Fn(&mut Tree)| {
            let mut other = tree.clone();
            change(&mut other);
            Look::at(root, &other)
        };
        let entry = |tree: &mut Tree, name: &str| tree.0[Path::new(name)].clone();
        let bytes = expect(&|tree| tree.0.get_mut(Path::new("g")).unwrap().content = 0);
        assert_eq!((bytes.false_bytes.len(), bytes.wrong.len()), (1, 1));
        let mode = expect(&|tree| tree.0.get_mut(Path::new("d")).unwrap().mode = 0);
        assert_eq!((mode.false_bytes.len(), mode.wrong.len()), (0, 1));
        let extra = expect(&|tree| drop(tree.0.remove(Path::new("d/f"))));
        assert!(extra.wrong[0].contains("should not be there"), "{extra:?}");
        let missing = expect(&|tree| {
            let file = entry(tree, "g");
            tree.0.insert("d/h".into(), file);
        });
        assert!(missing.wrong[0].contains("not listed"), "{missing:?}");
        let another = expect(&|tree| {
            tree.0.get_mut(Path::new("g")).unwrap().same_as = Some("d".into());
        });
        assert!(another.wrong[0].contains("not the same"), "{another:?}");
    }
}
