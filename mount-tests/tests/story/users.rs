//! Somebody who is not root: mounts through `fusermount3`, and is told when it is not allowed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use mount_tests::mount::Mount;
use mount_tests::place::plain_only;
use mount_tests::pond::{Pond, scratch};
use mount_tests::process::mounted_at;
use mount_tests::run::{NOBODY, need, shell, tool};

pub fn give(path: &Path, owner: u32, mode: u32) {
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
    let script = r#"cd "$1"; umask 022; mkdir d; echo text > d/f; ln d/f g; mv g h; test "$(stat -c %u:%a d/f)" = 65534:644; cat h
        mkdir @version/mine; cat @version/mine/h; rm @version/mine; ! touch @version/file 2> /dev/null"#;
    let shell = || tool("bash").as_nobody().args(["-euc"]);
    assert_eq!(
        shell().arg(script).arg("bash").arg(&at).ok().text(),
        "text\ntext\n"
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

/// What each of two users may and may not do, asked on a plain directory and on a mount: the answers are the kernel's.
#[test]
fn two_users_meet_the_same_rules_as_on_a_plain_directory() {
    need("setpriv");
    let script = r#"
        cd "$1"; umask 022
        as() { local user="$1"; shift; setpriv --reuid="${user%%:*}" --regid="${user#*:}" ${groups:---clear-groups} "$@"; }
        a=1001:1001 b=1002:1002
        try() { local code=0; "$@" 2> said || code=$?; echo "$* -> $code $(sed 's/.*: //' said)"; rm -f said; }
        mode() { stat -c '%n %a %u:%g %h' "$@"; }

        echo secret > f; chown 1001:1001 f; chmod 640 f; try as $a cat f; try as $b cat f; try as 1002:1001 cat f
        groups=--groups=1001 try as $b cat f; groups=--groups=1001 try as $b tee f < /dev/null
        chmod 604 f; try as 1002:1001 cat f; try as $b cat f; chmod 000 f; try as $a cat f; chmod 644 f; try as $b cat f
        chmod 600 f; try as $b cat f; try as $b stat -c %s f; try as $b chmod 777 f; try as $b chown 1002 f; try as $a chown 1002 f
        try as $a chgrp 1002 f; groups=--groups=1003 try as $a chgrp 1003 f; mode f
        try as $b touch f; try as $b touch -d 2001-01-01 f; chmod 666 f; try as $b touch f; try as $b touch -d 2001-01-01 f

        mkdir closed; chown 1001:1001 closed; chmod 700 closed; echo x > closed/x; try as $b ls closed; try as $b cat closed/x
        chmod 711 closed; try as $b ls closed; try as $b cat closed/x; try as $b touch closed/y; try as $b rm -f closed/x
        try as $b mv closed/x closed/z; try as $b ln closed/x elsewhere

        mkdir sticky; chmod 1777 sticky; as $a touch sticky/a; as $b touch sticky/b; as $a mkdir sticky/d
        try as $b rm -f sticky/a; try as $b mv sticky/a sticky/c; try as $a mv sticky/b sticky/a; try as $b rmdir sticky/d
        try as $a rm -f sticky/a; chown 1002 sticky; try as $b rmdir sticky/d
        echo x > sticky/root; chmod 600 sticky/root; try as $a ln sticky/root sticky/link; ln -s ../f sticky/follow; chown -h 1001 sticky/follow
        try as $a cat sticky/follow; try as $b cat sticky/follow

        mkdir shared; chown 1001:1003 shared; chmod 2775 shared; umask 002; groups=--groups=1003
        as $b touch shared/f; as $b mkdir shared/d; as $b touch shared/d/f; mode shared/f shared/d shared/d/f
        as $b chmod 2755 shared/f; mode shared/f; unset groups; try as $b chmod 2755 shared/f; mode shared/f
        chmod 6775 shared/f; as $b tee shared/f <<< x > /dev/null; mode shared/f; chmod 6775 shared/f; as $b truncate -s 0 shared/f; mode shared/f
        chmod 6664 shared/f; as $b tee -a shared/f <<< x > /dev/null; mode shared/f
        chmod 6775 shared/f; as 0:0 tee shared/f <<< x > /dev/null; mode shared/f; chown 1001 shared/f; mode shared/f
        umask 077; chmod 777 .; as $b touch private; as $b mkdir private.d; umask 000; as $b touch open; as $b mkdir open.d
        mode private private.d open open.d; chmod 755 .
    "#;
    let run = |root: &Path| {
        fs::set_permissions(root, PermissionsExt::from_mode(0o755)).unwrap();
        shell(script).arg(root).ok().text()
    };
    let plain = scratch();
    let expected = run(plain.path());
    assert!(expected.contains("Permission denied") && expected.contains("Operation not permitted"));
    if plain_only() {
        return;
    }
    let pond = Pond::new();
    let mount = pond.mount_with(&["--allow-other"]);
    let found = run(mount.path());
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

#[test]
fn the_past_is_as_open_as_it_was() {
    need("setpriv");
    let pond = Pond::new();
    let mount = pond.mount_with(&["--allow-other"]);
    let path = mount.join("f");
    fs::write(&path, "secret").unwrap();
    give(&path, 0, 0o600);
    fs::set_permissions(mount.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let closed = mount.sync();
    give(&path, 0, 0o644);
    let open = mount.sync();
    let read = |version| {
        let cat = tool("cat").arg(mount.version(version).join("f"));
        cat.as_nobody().outcome().succeeded()
    };
    assert_eq!((read(closed), read(open)), (false, true));
}
