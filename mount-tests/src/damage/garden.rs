//! A pond with a past, created once, whose trees are known, and which is copied for every damage.
//!
//! Everything in its segments belongs to a tree that is compared, so that no flip of a bit there is
//! harmless.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use rustix::fs::XattrFlags;

use super::kind;
use crate::mount::Mount;
use crate::pond::Pond;
use crate::rng::Rng;
use crate::sys::set_xattr;
use crate::tree::Tree;

/// Options with which only requested versions are made.
pub const QUIET: [&str; 2] = ["-o", "commit=3600"];

/// How its last daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In order: a version holds everything.
    Closed,
    /// By `kill -9`, with fsynced changes that no version holds.
    Killed,
    /// In order; then the index was deleted, so that everything is read from the oplog.
    Unindexed,
}

/// A closed pond on disk, and its expected content.
pub struct Garden {
    pond: Pond,
    /// Its files, as paths in it.
    pub files: Vec<PathBuf>,
    /// The expected trees: the path below the mount, and the tree there. The present comes last.
    pub trees: Vec<(PathBuf, Tree)>,
    /// The newest version.
    pub latest: u64,
}

impl Garden {
    /// Returns the one that ended in order, shared by all tests that run at the same time.
    pub fn closed() -> Arc<Garden> {
        static SHARED: Mutex<Weak<Garden>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(|broken| broken.into_inner());
        let garden = shared.upgrade();
        let garden = garden.unwrap_or_else(|| Arc::new(Garden::grow(End::Closed)));
        *shared = Arc::downgrade(&garden);
        garden
    }

    /// Creates about sixty entries and a hundred and ten versions, so that there is a checkpoint.
    #[track_caller]
    pub fn grow(end: End) -> Garden {
        let (pond, mut rng) = (Pond::new(), Rng::new(11));
        let mount = pond.mount_with(&QUIET);
        let root = mount.path().to_path_buf();
        plant(&root, &mut rng);
        let mut versions = vec![mount.sync()];
        tick(&mount, 50);
        prune(&root, &mut rng);
        versions.push(mount.sync());
        tick(&mount, 52);
        fs::write(root.join("b/late"), rng.bytes(9_000)).expect("write");
        versions.push(mount.sync());
        tick(&mount, 5);
        // Tables of the index are written at an orderly end.
        let mount = mount_again(mount, &pond);
        let latest = mount.sync();
        if end == End::Killed {
            pend(&root, &mut rng);
            File::open(&root)
                .and_then(|dir| dir.sync_all())
                .expect("fsync");
        }
        let mut trees: Vec<_> = versions
            .into_iter()
            .map(|version| PathBuf::from(format!("@version/{version}")))
            .chain([PathBuf::new()])
            .map(|at| (at.clone(), Tree::of(&mount.join(&at))))
            .collect();
        // Removes the trailing slash of an empty path.
        trees
            .iter_mut()
            .for_each(|(at, _)| *at = at.components().collect());
        match end {
            End::Closed | End::Unindexed => mount.unmount(),
            End::Killed => mount.kill9(),
        }
        if end == End::Unindexed {
            pond.forget_index();
        }
        let files = kind::files(&pond.store());
        Garden {
            pond,
            files,
            trees,
            latest,
        }
    }

    /// Returns the pond on disk. It must not be changed.
    pub fn store(&self) -> PathBuf {
        self.pond.store()
    }

    /// Returns a copy that may be damaged.
    #[track_caller]
    pub fn copy(&self) -> Pond {
        let copy = Pond::missing();
        for path in &self.files {
            let (from, to) = (self.store().join(path), copy.store().join(path));
            let parent = to.parent().expect("a path in the pond");
            fs::create_dir_all(parent)
                .and_then(|()| fs::copy(&from, &to))
                .unwrap_or_else(|error| panic!("copy {}: {error}", from.display()));
        }
        // An empty folder.
        fs::create_dir_all(copy.store().join("cache")).expect("mkdir");
        fs::set_permissions(copy.store(), PermissionsExt::from_mode(0o700)).expect("chmod");
        copy
    }

    /// Returns the one file of the pond whose path has this ending.
    #[track_caller]
    pub fn file(&self, end: &str) -> &Path {
        let mut found = self
            .files
            .iter()
            .filter(|path| path.to_string_lossy().ends_with(end));
        match (found.next(), found.next()) {
            (Some(path), None) => path,
            found => panic!("not one file ends in {end}: {found:?}"),
        }
    }
}

fn mount_again<'p>(mount: Mount<'p>, pond: &'p Pond) -> Mount<'p> {
    mount.unmount();
    pond.mount_with(&QUIET)
}

/// Makes `count` versions with small changes.
fn tick(mount: &Mount, count: usize) {
    for n in 0..count {
        fs::write(mount.join("counter"), format!("{n}")).expect("write");
        mount.sync();
    }
}

/// Creates the tree of the first version.
fn plant(root: &Path, rng: &mut Rng) {
    for dir in ["a", "b", "a/deep", "a/deep/er"] {
        fs::create_dir(root.join(dir)).expect("mkdir");
    }
    for (n, dir) in ["", "a", "b", "a/deep", "a/deep/er"].iter().enumerate() {
        let dir = root.join(dir);
        for (m, len) in [0, 1, 300, 4_000, 7_000, 40_000].into_iter().enumerate() {
            let path = dir.join(format!("f{m}"));
            fs::write(&path, rng.bytes(len)).expect("write");
            let mode = *rng.pick(&[0o600, 0o644, 0o755]);
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("chmod");
        }
        let attribute = |name: &str, value: &[u8]| {
            set_xattr(&dir.join("f2"), name, value, XattrFlags::empty()).expect("setxattr");
        };
        attribute("user.small", b"value");
        attribute("user.large", &rng.bytes(2_000));
        fs::hard_link(dir.join("f4"), root.join(format!("same{n}"))).expect("link");
        symlink(format!("f{n}"), dir.join("link")).expect("symlink");
    }
    fs::write(root.join("a/large"), rng.bytes(300_000)).expect("write");
    let sparse = File::create(root.join("b/sparse")).expect("create");
    sparse
        .write_all_at(&rng.bytes(20_000), 1_000_000)
        .expect("write");
}

/// Makes the changes of the second version: parts of files, names, directories.
fn prune(root: &Path, rng: &mut Rng) {
    let large = File::options().write(true).open(root.join("a/large"));
    let large = large.expect("open");
    large
        .write_all_at(&rng.bytes(10_000), 150_000)
        .expect("write");
    large.write_all_at(&rng.bytes(10), 250_000).expect("write");
    let whole = File::options().write(true).open(root.join("a/deep/f4"));
    // Overwrites all of its bytes in place; only the first version has the old ones.
    whole
        .expect("open")
        .write_all_at(&rng.bytes(7_000), 0)
        .expect("write");
    fs::rename(root.join("a/deep/er"), root.join("moved")).expect("rename");
    fs::rename(root.join("b/f5"), root.join("a/f4")).expect("rename");
    for name in ["b/f3", "same1", "a/deep/f5"] {
        fs::remove_file(root.join(name)).expect("unlink");
    }
    rustix::fs::lremovexattr(root.join("a/f2"), "user.small").expect("removexattr");
    fs::write(root.join("b/f2"), rng.bytes(500)).expect("write");
}

/// Makes changes that are fsynced and in no version.
fn pend(root: &Path, rng: &mut Rng) {
    fs::create_dir(root.join("pending")).expect("mkdir");
    for (n, len) in [0, 10, 2_000, 12_000, 90_000].into_iter().enumerate() {
        let path = root.join(format!("pending/p{n}"));
        fs::write(&path, rng.bytes(len)).expect("write");
        set_xattr(&path, "user.pending", b"yes", XattrFlags::empty()).expect("setxattr");
        // Each flush is a separate entry of the journal.
        File::open(&path)
            .and_then(|file| file.sync_all())
            .expect("fsync");
    }
    fs::rename(root.join("moved"), root.join("pending/moved")).expect("rename");
    fs::remove_file(root.join("f3")).expect("unlink");
    fs::write(root.join("b/f1"), "now longer than it was").expect("write");
}
