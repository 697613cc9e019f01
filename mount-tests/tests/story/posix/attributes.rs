//! Owners and modes: kept as given, and setuid cleared when a file changes hands.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;

use mount_tests::place::{file, folder, on_both, on_both_mounted};
use mount_tests::run::{need_root, shell, tool};
use mount_tests::sys::{lstat, mode};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn all_mode_bits_are_kept() {
    on_both(|root| {
        let (f, dir) = (file(root, "f", "x"), folder(root, "dir"));
        for bits in [
            0o000, 0o400, 0o644, 0o755, 0o777, 0o1644, 0o2755, 0o4755, 0o7777,
        ] {
            chmod(&f, bits);
            chmod(&dir, bits);
            assert_eq!((mode(&f), mode(&dir)), (bits, bits));
        }
        let created = root.join("created");
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&created)
            .unwrap();
        DirBuilder::new()
            .mode(0o700)
            .create(root.join("made"))
            .unwrap();
        assert_eq!((mode(&created), mode(root.join("made"))), (0o600, 0o700));
    });
}

#[test]
fn a_file_that_was_created_without_write_permission_can_still_be_written_by_its_creator() {
    on_both(|root| {
        let open = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o400)
            .open(root.join("f"));
        open.unwrap().write_all(b"x").unwrap();
    });
}

#[test]
fn owners_are_kept_and_setuid_goes_when_they_change() {
    need_root("changes owners");
    on_both(|root| {
        let f = file(root, "f", "x");
        chmod(&f, 0o6755);
        chown(&f, Some(1234), Some(2345)).unwrap();
        let meta = lstat(&f);
        assert_eq!(
            (meta.uid(), meta.gid(), mode(&f)),
            (1234, 2345, 0o755),
            "chown clears setuid and setgid"
        );
        chown(&f, None, Some(4_000_000_000)).unwrap();
        assert_eq!((lstat(&f).uid(), lstat(&f).gid()), (1234, 4_000_000_000));
        let dir = folder(root, "dir");
        chmod(&dir, 0o2755);
        chown(&dir, Some(1), Some(2)).unwrap();
        assert_eq!(mode(&dir), 0o2755, "directories keep setgid");
    });
}

#[test]
fn a_write_by_somebody_else_clears_setuid() {
    need_root("becomes another user");
    on_both_mounted(&["--allow-other"], |root| {
        let f = file(root, "f", "x");
        chmod(&f, 0o6777);
        let open = OpenOptions::new().append(true).open(&f).unwrap();
        (&open).write_all(b"by root").unwrap();
        assert_eq!(mode(&f), 0o6777, "root may write without clearing it");
        let as_nobody =
            "setpriv --reuid=65534 --regid=65534 --clear-groups bash -c 'echo more >&9' 9>>\"$1\"";
        shell(as_nobody).arg(&f).ok();
        assert_eq!(mode(&f), 0o777, "nobody may not");
    });
}

#[test]
fn a_directory_hands_its_group_down() {
    need_root("changes owners");
    on_both(|root| {
        let dir = folder(root, "dir");
        chown(&dir, None, Some(4321)).unwrap();
        chmod(&dir, 0o2775);
        let (f, sub) = (file(&dir, "f", "x"), folder(&dir, "sub"));
        assert_eq!((lstat(&f).gid(), lstat(&sub).gid()), (4321, 4321));
        assert_eq!(
            mode(&sub) & 0o2000,
            0o2000,
            "setgid is handed down to directories"
        );
    });
}

#[test]
fn others_are_kept_out_unless_allowed() {
    need_root("becomes another user");
    let pond = mount_tests::pond::Pond::new();
    // The way to the mountpoint is open, so that it is the mount that decides.
    chmod(&pond.outside(""), 0o755);
    let look = |path: &Path| {
        tool("cat")
            .arg(path)
            .as_nobody()
            .within(Path::new("/"))
            .outcome()
            .succeeded()
    };
    let mount = pond.mount();
    chmod(mount.path(), 0o755);
    let (open, closed) = (
        file(mount.path(), "open", "x"),
        file(mount.path(), "closed", "x"),
    );
    chmod(&closed, 0o600);
    assert!(
        !look(&open),
        "without allow_other nobody else sees anything"
    );
    mount.unmount();
    for args in [&["--allow-other"][..], &["-o", "allow_other"]] {
        let mount = pond.mount_with(args);
        assert!(look(&open), "{args:?}");
        assert!(!look(&closed), "{args:?}: permissions are still checked");
        // What the kernel has cached must not outlive a chmod.
        chmod(&open, 0o600);
        assert!(!look(&open), "{args:?}: after chmod");
        chmod(&open, 0o644);
        mount.unmount();
    }
}

#[test]
fn sticky_directories_protect_their_entries() {
    need_root("becomes another user");
    let pond = mount_tests::pond::Pond::new();
    chmod(&pond.outside(""), 0o755);
    let mount = pond.mount_with(&["--allow-other"]);
    chmod(mount.path(), 0o755);
    let dir = folder(mount.path(), "tmp");
    chmod(&dir, 0o1777);
    let f = file(&dir, "f", "root's");
    let remove = |path: &Path| {
        tool("rm")
            .arg("-f")
            .arg(path)
            .as_nobody()
            .within(Path::new("/"))
            .outcome()
            .succeeded()
    };
    assert!(!remove(&f), "the sticky bit keeps root's file");
    chmod(&dir, 0o777);
    assert!(remove(&f), "without it anybody may remove");
}
