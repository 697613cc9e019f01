//! Twenty versions of a source tree that people work on: every one of them is, for ever, the copy that was taken
//! outside at that moment.

use std::fs;
use std::path::{Path, PathBuf};

use mount_tests::grow::{edit, sow};
use mount_tests::mount::Mount;
use mount_tests::place::plain_only;
use mount_tests::pond::{Pond, scratch};
use mount_tests::rng::Rng;
use mount_tests::run::tool;
use mount_tests::setting;
use mount_tests::tree::{Tree, copy_outside};

const VERSIONS: usize = 20;

/// What the test remembers: the number of each version and the copy of that moment.
type Copies = Vec<(u64, PathBuf)>;

#[test]
fn every_version_equals_the_copy_taken_at_that_moment() {
    let (mut rng, outside) = (Rng::for_test("history"), scratch());
    let archive = tarball(outside.path(), &mut rng);
    if plain_only() {
        let plain = scratch();
        let copies = live(
            plain.path(),
            &archive,
            outside.path(),
            &mut rng,
            |version| version,
        );
        let (_, last) = copies.last().unwrap();
        return Tree::of(plain.path()).assert_equals(&Tree::of(last), "the last copy");
    }
    let pond = Pond::new();
    let mount = pond.mount();
    let root = mount.path().to_path_buf();
    let copies = live(&root, &archive, outside.path(), &mut rng, |_| mount.sync());
    compare(&mount, &copies, "in the mount that made them");
    let mount = mount.remount();
    compare(&mount, &copies, "after a remount");
    let mount = mount.remount_without_index();
    compare(&mount, &copies, "after the index was deleted and rebuilt");
    compare_directories(&mount, &copies);
    mount.unmount();
    pond.check();
}

/// A tar of a generated tree, as a user would unpack one.
fn tarball(outside: &Path, rng: &mut Rng) -> PathBuf {
    let (tree, archive) = (outside.join("source"), outside.join("source.tar"));
    fs::create_dir(&tree).unwrap();
    sow(&tree, rng, setting("POND_TEST_FILES", 2000));
    tool("tar")
        .args(["--xattrs", "-cf"])
        .arg(&archive)
        .arg("-C")
        .arg(&tree)
        .arg(".")
        .ok();
    archive
}

/// Unpacks, edits, and takes a copy after each commit.
fn live(
    root: &Path,
    archive: &Path,
    outside: &Path,
    rng: &mut Rng,
    commit: impl Fn(u64) -> u64,
) -> Copies {
    let mut copies: Copies = Vec::new();
    for round in 0..VERSIONS as u64 {
        if round == 0 {
            tool("tar")
                .args(["--xattrs", "-xf"])
                .arg(archive)
                .arg("-C")
                .arg(root)
                .ok();
        } else {
            edit(root, rng, 60);
        }
        let version = commit(round);
        let before = copies.last().map(|(version, _)| *version);
        assert!(
            before.is_none_or(|before| version > before),
            "edits make a version: {version} after {before:?}"
        );
        let copy = outside.join(format!("copy{version}"));
        copy_outside(root, &copy);
        copies.push((version, copy));
    }
    copies
}

#[track_caller]
fn compare(mount: &Mount, copies: &Copies, when: &str) {
    for (version, copy) in copies {
        let (found, expected) = (Tree::of(&mount.version(*version)), Tree::of(copy));
        assert!(
            expected.0.len() > 10,
            "the copy of version {version} proves nothing"
        );
        found.assert_equals(&expected, &format!("version {version} {when}"));
    }
    let (_, last) = copies.last().unwrap();
    Tree::of(mount.path()).assert_equals(&Tree::of(last), &format!("the present {when}"));
}

/// `DIR/@version/N` of directories that live now and were there then, at the same path.
#[track_caller]
fn compare_directories(mount: &Mount, copies: &Copies) {
    let directories = Tree::of(mount.path())
        .0
        .into_iter()
        .filter(|(path, entry)| entry.kind == "directory" && !path.as_os_str().is_empty());
    let (mut compared, (version, copy)) = (0, &copies[copies.len() / 2]);
    for (path, _) in directories.step_by(7) {
        if copy.join(&path).is_dir() {
            let past = mount.join(&path).join(format!("@version/{version}"));
            // Names of one file may lie outside the directory, so link groups are those of the directory alone.
            Tree::of(&past).assert_equals(
                &Tree::of(&copy.join(&path)),
                &format!("{path:?} at version {version}"),
            );
            compared += 1;
        }
    }
    assert!(
        compared > 0,
        "no directory lived through half of the history"
    );
}
