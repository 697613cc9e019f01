//! Somebody who is not root: mounts through `fusermount3`, and is told when it is not allowed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use mount_tests::mount::Mount;
use mount_tests::pond::Pond;
use mount_tests::process::mounted_at;
use mount_tests::run::{NOBODY, need, tool};

fn give(path: &Path, owner: u32, mode: u32) {
    chown(path, Some(owner), Some(owner)).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn a_user_mounts_writes_and_unmounts_without_root() {
    need("fusermount3");
    let pond = Pond::for_nobody();
    let at = pond.mountpoint("mnt");
    give(&at, NOBODY, 0o755);
    pond.run(["mount", "--create"])
        .arg(pond.store())
        .arg(&at)
        .as_nobody()
        .ok();
    let mount = Mount::adopt(&pond, at.clone(), Default::default());
    assert_eq!(mounted_at(&at).unwrap().kind, "fuse.pondmount");
    let script = r#"cd "$1"; umask 022; mkdir d; echo text > d/f; ln d/f g; mv g h; test "$(stat -c %u:%a d/f)" = 65534:644; cat h"#;
    let shell = || tool("bash").as_nobody().args(["-euc"]);
    assert_eq!(
        shell().arg(script).arg("bash").arg(&at).ok().text(),
        "text\n"
    );
    // Not even root looks into a mount that its owner has not opened to others.
    assert!(fs::read_dir(&at).is_err());
    pond.run(["sync"]).arg(&at).as_nobody().ok();
    pond.run(["umount"]).arg(&at).as_nobody().ok();
    assert_eq!(mounted_at(&at), None);
    assert!(mount.daemon().ended(mount_tests::mount::LEAVING));
    drop(mount);
    pond.run(["mount"])
        .arg(pond.store())
        .arg(&at)
        .as_nobody()
        .ok();
    let _mount = Mount::adopt(&pond, at.clone(), Default::default());
    assert_eq!(
        tool("cat").arg(at.join("h")).as_nobody().ok().text(),
        "text\n"
    );
}

#[test]
fn a_pond_of_somebody_else_is_not_opened() {
    let pond = Pond::for_nobody();
    let at = pond.mountpoint("mnt");
    give(&at, NOBODY, 0o755);
    pond.run(["init"]).arg(pond.store()).ok();
    give(&pond.store(), 0, 0o700);
    let outcome = pond
        .run(["mount"])
        .arg(pond.store())
        .arg(&at)
        .as_nobody()
        .outcome();
    outcome.fails().says(&["error:", "permission denied"]);
    assert_eq!(mounted_at(&at), None);
}

#[test]
fn a_mountpoint_of_somebody_else_is_refused_in_words() {
    need("fusermount3");
    let pond = Pond::for_nobody();
    let at = pond.mountpoint("mnt");
    give(&at, 0, 0o755);
    pond.run(["init"]).arg(pond.store()).as_nobody().ok();
    let outcome = pond
        .run(["mount"])
        .arg(pond.store())
        .arg(&at)
        .as_nobody()
        .outcome();
    outcome.fails().says(&["error:", at.to_str().unwrap()]);
    assert_eq!(mounted_at(&at), None);
}

#[test]
fn without_fusermount_a_user_is_told_what_to_install() {
    let pond = Pond::for_nobody();
    let at = pond.mountpoint("mnt");
    give(&at, NOBODY, 0o755);
    pond.run(["init"]).arg(pond.store()).as_nobody().ok();
    // It is there, or the other tests would fail; here it is covered up, for this one command.
    let script = r#"
        for file in $(type -aP fusermount3 fusermount); do mount --bind /dev/null "$file"; done
        exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
    "#;
    let unshare = tool("unshare")
        .args(["-m", "bash", "-c", script, "bash"])
        .arg(pond.binary());
    let outcome = unshare.arg("mount").arg(pond.store()).arg(&at).outcome();
    outcome.fails().says(&["error:", "fusermount3", "hint:"]);
    assert_eq!(mounted_at(&at), None);
}
