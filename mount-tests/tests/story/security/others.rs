//! What other users of the machine may do: what the modes in the tree allow, on a mount that was opened to them, and else nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use mount_tests::mount::Mount;
use mount_tests::place::{file, folder, on_both_mounted, open_to_all};
use mount_tests::pond::{Pond, number};
use mount_tests::process::mounted_at;
use mount_tests::run::{NOBODY, need, shell, tool};
use mount_tests::sys::{as_nobody, mode, refused};
use rustix::io::Errno;

use crate::mount8::with_helper;
use crate::users::give;

/// `as COMMAND…` runs it as user and group 1001.
const AS: &str =
    r#"as() { setpriv --reuid=1001 --regid=1001 --clear-groups "$@" > /dev/null 2>&1; }"#;

#[test]
fn what_was_seen_before_is_closed_at_once() {
    need("setpriv");
    let script = r#"
        cd "$1"; echo secret > f; mkdir -p d/e; echo x > d/e/x; chmod 755 d d/e; chmod 644 f d/e/x
        as cat f; as stat d/e/x; as ls -l d/e; as cat d/e/x
        chmod 000 f; (! as cat f); as stat f; (! as tee f); chmod 644 f; as cat f
        chmod 700 d; (! as cat d/e/x); (! as stat d/e/x); (! as ls d); (! as ls d/e)
        chmod 711 d; as cat d/e/x; as ls d/e; (! as ls d); chmod 744 d; (! as cat d/e/x); chmod 755 d
        chown 1001:1001 f; chmod 600 f; as cat f; as tee f; chown 0 f; (! as cat f)
        chmod 640 f; as cat f; (! as tee f); chgrp 0 f; (! as cat f); chmod 604 f; as cat f
        exec 3< d/e/x; mv d/e moved; chmod 700 moved; (! as cat moved/x); (! as stat d/e/x); cat <&3 > /dev/null
        chown 1001 moved; as cat moved/x; as rm -f moved/x; (! as rm -rf d)
        ln f g; chmod 600 g; (! as cat f); rm g; (! as cat f)
    "#;
    let script = format!("{AS}\n{script}");
    on_both_mounted(&["--allow-other"], |root| {
        open_to_all(root);
        shell(&script).arg(root).ok();
    });
}

#[test]
fn a_version_is_as_closed_as_it_was_whatever_the_present_allows() {
    need("setpriv");
    let pond = Pond::new();
    let mount = pond.mount_with(&["--allow-other"]);
    open_to_all(mount.path());
    let dir = folder(mount.path(), "d");
    let path = file(&dir, "f", "secret");
    let set = |dir_mode, file_mode| {
        fs::set_permissions(&dir, PermissionsExt::from_mode(dir_mode)).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(file_mode)).unwrap();
        mount.sync()
    };
    let (closed, open, shut) = (set(0o700, 0o644), set(0o755, 0o644), set(0o755, 0o600));
    fs::set_permissions(mount.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let hidden = mount.sync();
    open_to_all(mount.path());
    let reads = |path: &Path| tool("cat").arg(path).as_nobody().outcome().succeeded();
    for (version, expected) in [
        (closed, false),
        (open, true),
        (shut, false),
        (hidden, false),
    ] {
        // By the way of the root, which is as open as it was; and from the directory itself, whose past is its own.
        let by_root = mount.version(version).join("d/f");
        assert_eq!(reads(&by_root), expected, "version {version}");
        let by_dir = dir.join(format!("@version/{version}/f"));
        let own = expected || version == hidden && reads(&path);
        assert_eq!(reads(&by_dir), own, "version {version} of d");
    }
    // Being closed now does not close the past, nor does it open it to those whom the way there is closed to.
    fs::set_permissions(&dir, PermissionsExt::from_mode(0o700)).unwrap();
    assert!(reads(&mount.version(open).join("d/f")));
    assert!(!reads(&dir.join(format!("@version/{open}/f"))));
}

#[test]
fn without_allow_other_nobody_else_gets_in() {
    let pond = Pond::for_nobody();
    pond.run(["init"]).arg(pond.store()).ok();
    let at = pond.mountpoint("mnt");
    let mount = pond.mount();
    open_to_all(mount.path());
    let path = file(mount.path(), "f", "secret");
    for command in ["ls", "stat"] {
        tool(command).arg(&at).as_nobody().outcome().fails();
    }
    for path in [path, at.join("@version"), at.join("@version/0")] {
        tool("stat").arg(path).as_nobody().outcome().fails();
    }
}

#[test]
fn the_files_of_a_pond_are_their_owners_alone() {
    let pond = Pond::missing();
    // Nobody is kept out by the caller's umask, nor by the folder, which was there and is open to all.
    let script = r#"
        umask 000; export XDG_STATE_HOME="$3"; "$1" -v mount --create "$2" "$4"
        for f in a b; do head -c 100000 /dev/urandom > "$4/$f"; "$1" sync "$4" > /dev/null; done; "$1" umount "$4"
        find "$2" "$3" -mindepth 1 -perm /077 -ls
    "#;
    let run = |store: &Path, name: &str| {
        let run = shell(script).arg(pond.binary()).arg(store);
        let run = run.arg(pond.outside(&format!("state-{name}")));
        run.arg(pond.mountpoint("mnt")).ok().text()
    };
    let closed = pond.outside("closed");
    assert_eq!(run(&closed, "closed"), "");
    assert_eq!(mode(&closed), 0o700);
    let open = pond.mountpoint("open");
    fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).unwrap();
    assert_eq!(run(&open, "open"), "");
}

#[test]
fn nobody_else_can_ask_or_stop_the_daemon() {
    let pond = Pond::for_nobody();
    pond.run(["init"]).arg(pond.store()).ok();
    let mount = pond.mount_with(&["--allow-other"]);
    open_to_all(mount.path());
    file(mount.path(), "f", "x");
    let version = number(&mount.status(), "version");
    for folder in [0o700, 0o755, 0o777] {
        fs::set_permissions(pond.store(), PermissionsExt::from_mode(folder)).unwrap();
        for place in [pond.store(), mount.path().to_owned()] {
            for command in ["status", "sync", "log", "check", "umount"] {
                let run = pond.run([command]).arg(&place).as_nobody();
                run.outcome().fails().says(&["error:"]);
            }
        }
        let socket = pond.store().join("control.sock");
        refused(as_nobody(|| UnixStream::connect(&socket)), Errno::ACCESS);
        // Nor can anybody keep the owner from it by holding the lock.
        let lock = tool("flock").arg("-n").arg(pond.store().join("lock"));
        lock.arg("true").as_nobody().outcome().fails();
    }
    fs::set_permissions(pond.store(), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(number(&mount.status(), "version"), version);
    assert!(mounted_at(mount.path()).is_some());
}

#[test]
fn no_mount_option_gives_privileges() {
    let pond = Pond::new();
    let script = r#"
        mount -t fuse.pondmount -o suid,dev,allow_other "$pond" "$mnt"; has nosuid; has nodev; has default_permissions
        cp /usr/bin/id "$mnt/id"; chmod 6755 "$mnt/id"; test "$(stat -c %a "$mnt/id")" = 6755
        test "$(setpriv --reuid=65534 --regid=65534 --clear-groups "$mnt/id" -u)" = 65534
        test "$(setpriv --reuid=65534 --regid=65534 --clear-groups "$mnt/id" -g)" = 65534
        mknod "$mnt/null" c 1 3; chmod 666 "$mnt/null"; (! cat "$mnt/null"); (! setpriv --reuid=65534 --clear-groups cat "$mnt/null")
        mount -o remount,suid,dev "$mnt"; has nosuid; has nodev; test "$("$mnt/id" -u)" = 0; (! cat "$mnt/null"); umount "$mnt"
    "#;
    with_helper(&pond, script).ok();
}

#[test]
fn a_user_gains_no_privileges_by_an_option_either() {
    need("fusermount3");
    let pond = Pond::for_nobody();
    let at = pond.mountpoint("mnt");
    give(&at, NOBODY, 0o755);
    let run = pond.run(["mount", "--create", "-o", "suid,dev"]);
    run.arg(pond.store()).arg(&at).as_nobody().ok();
    let mount = Mount::adopt(&pond, at, Default::default());
    let options = mounted_at(mount.path()).unwrap().options;
    let options: Vec<_> = options.split(',').collect();
    assert!(
        options.contains(&"nosuid") && options.contains(&"nodev"),
        "{options:?}"
    );
}
