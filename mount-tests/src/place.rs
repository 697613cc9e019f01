//! Runs a test body on a plain directory, as the reference, and on a mount, which must do the same.

use std::fs;
use std::path::{Path, PathBuf};

use crate::mount::Mount;
use crate::pond::{Pond, scratch};
use crate::tree::Tree;

/// Returns whether `POND_TEST_PLAIN` selects the plain directory alone.
pub fn plain_only() -> bool {
    std::env::var_os("POND_TEST_PLAIN").is_some_and(|value| value == "1")
}

/// Runs the body on a plain directory and on a mount. Both must end with the same tree (except for
/// the times), the mount also after it was unmounted, its index deleted, and mounted again.
#[track_caller]
pub fn on_both(body: impl Fn(&Path)) {
    on_both_mounted(&[], body);
}

/// Does the same, with arguments for the mount.
#[track_caller]
pub fn on_both_mounted(args: &[&str], body: impl Fn(&Path)) {
    let plain = scratch();
    open_to_all(plain.path());
    body(plain.path());
    if plain_only() {
        return;
    }
    let expected = Tree::of(plain.path()).without_times();
    let pond = Pond::new();
    let mount = pond.mount_with(args);
    open_to_all(mount.path());
    body(mount.path());
    let found = Tree::of(mount.path());
    found
        .clone()
        .without_times()
        .assert_equals(&expected, "the mount against a plain directory");
    let mount = mount.remount_without_index();
    Tree::of(mount.path()).assert_equals(
        &found,
        "after unmounting, deleting the index and mounting again",
    );
    mount.unmount();
    pond.check();
}

/// Runs the body on a mount, or on a plain directory if that was selected. The second path is
/// outside of it, for copies.
#[track_caller]
pub fn on_mount(body: impl Fn(&Path, &Path)) {
    let outside = scratch();
    if plain_only() {
        return body(scratch().path(), outside.path());
    }
    let pond = Pond::new();
    let mount: Mount = pond.mount();
    body(mount.path(), outside.path());
    mount.unmount();
    pond.check();
}

/// Does the same, and runs `again` after it was unmounted, its index deleted, and mounted once
/// more.
#[track_caller]
pub fn on_mount_again(body: impl Fn(&Path, &Path), again: impl Fn(&Path, &Path)) {
    let outside = scratch();
    if plain_only() {
        let plain = scratch();
        body(plain.path(), outside.path());
        return again(plain.path(), outside.path());
    }
    let pond = Pond::new();
    let mount = pond.mount();
    body(mount.path(), outside.path());
    let mount = mount.remount_without_index();
    again(mount.path(), outside.path());
    mount.unmount();
    pond.check();
}

/// Creates a directory `name` below `root`.
#[track_caller]
pub fn folder(root: &Path, name: &str) -> PathBuf {
    let path = root.join(name);
    fs::create_dir(&path).unwrap_or_else(|error| panic!("mkdir {}: {error}", path.display()));
    path
}

/// Creates a file `name` below `root`.
#[track_caller]
pub fn file(root: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = root.join(name);
    fs::write(&path, bytes).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
    path
}

/// Opens a temporary directory to others; roots of compared trees must have the same mode.
pub fn open_to_all(path: &Path) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("chmod 755");
}
