//! What a pond does not do, or does otherwise than ext4: one test for each line of `docs/semantics.md`.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use mount_tests::place::{file, folder, on_mount};
use mount_tests::pond::Pond;
use mount_tests::run::{NOBODY, need_root, shell, tool};
use mount_tests::sys::{refused, set_xattr};
use rustix::fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags, StatxFlags, XattrFlags};
use rustix::io::Errno;

#[test]
fn reading_does_not_move_the_time_of_access() {
    on_mount(|root, _| {
        let path = file(root, "f", "x");
        let atime = || {
            let meta = fs::metadata(&path).unwrap();
            (meta.atime(), meta.atime_nsec())
        };
        let before = atime();
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::read(&path).unwrap();
        assert_eq!(atime(), before);
    });
}

#[test]
fn the_time_of_birth_is_not_told() {
    on_mount(|root, _| {
        let path = file(root, "f", "x");
        let seen = rustix::fs::statx(CWD, &path, AtFlags::empty(), StatxFlags::ALL).unwrap();
        assert_eq!(seen.stx_mask & StatxFlags::BTIME.bits(), 0);
    });
}

#[test]
fn files_without_a_name_cannot_be_made() {
    on_mount(|root, _| {
        let flags = OFlags::TMPFILE | OFlags::RDWR;
        refused(rustix::fs::open(root, flags, Mode::RUSR), Errno::OPNOTSUPP);
        // Programs fall back on a name that they remove.
        tempfile::tempfile_in(root).unwrap();
    });
}

#[test]
fn access_control_lists_are_not_supported_and_nothing_pretends_they_are() {
    on_mount(|root, outside| {
        let path = file(root, "f", "x");
        let set = tool("setfacl").args(["-m", "u:1:r"]).arg(&path).outcome();
        set.fails().says(&["Operation not supported"]);
        // `cp` and `rsync` say so, and bring what can be brought.
        let script = r#"
            echo text > "$2/f"; setfacl -m u:1:rw "$2/f"; mkdir "$2/d"; setfacl -d -m g:1:r "$2/d"
            ! cp -a "$2/f" "$1/copied" 2> "$2/said"; grep -q "Operation not supported" "$2/said"; test "$(cat "$1/copied")" = text
            rsync -rA "$2/" "$1/synced/" 2> /dev/null || test $? = 23; test "$(cat "$1/synced/f")" = text
            ls -l "$1" | awk '/\+/ { exit 1 }'; test "$(getfacl -cs "$1/copied" | wc -l)" = 0
        "#;
        shell(script).arg(root).arg(outside).ok();
    });
}

#[test]
fn no_file_gives_privileges() {
    need_root("makes a program that is set-user-id root");
    let pond = Pond::new();
    let mount = pond.mount_with(&["--allow-other"]);
    fs::set_permissions(mount.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let script =
        r#"cp /usr/bin/id "$1/id"; chmod 4755 "$1/id"; test "$(stat -c %a "$1/id")" = 4755"#;
    shell(script).arg(mount.path()).ok();
    let id = tool("setpriv").args(["--reuid=65534", "--clear-groups"]);
    let said = id.arg(mount.join("id")).arg("-u").ok().text();
    assert_eq!(said.trim(), NOBODY.to_string());
}

#[test]
fn device_nodes_are_kept_and_lead_nowhere() {
    need_root("makes a device node");
    on_mount(|root, _| {
        let script = r#"cd "$1"; mknod null c 1 3; chmod 666 null; test "$(stat -c '%F %t,%T' null)" = "character special file 1,3""#;
        shell(script).arg(root).ok();
        refused(fs::read(root.join("null")), Errno::ACCESS);
    });
}

#[test]
fn ranges_are_not_cut_out_nor_put_in() {
    on_mount(|root, _| {
        let path = file(root, "f", vec![1; 100_000]);
        let open = File::options().write(true).open(path).unwrap();
        for flags in [FallocateFlags::COLLAPSE_RANGE, FallocateFlags::INSERT_RANGE] {
            let cut = rustix::fs::fallocate(&open, flags, 4096, 4096);
            refused(cut, Errno::OPNOTSUPP);
        }
    });
}

#[test]
fn there_are_no_file_flags() {
    on_mount(|root, _| {
        let open = File::open(file(root, "f", "x")).unwrap();
        refused(rustix::fs::ioctl_getflags(&open), Errno::NOTTY);
        let lsattr = tool("lsattr").arg(root.join("f")).outcome();
        lsattr.fails().says(&["not supported"]);
    });
}

#[test]
fn names_of_attributes_that_are_ours_cannot_be_set() {
    on_mount(|root, _| {
        let path = file(root, "f", "x");
        let set = |name| set_xattr(&path, name, b"1", XattrFlags::empty());
        refused(set("user.pond.id"), Errno::PERM);
        refused(set("user.pond.anything"), Errno::PERM);
        set("user.pond").unwrap();
    });
}

#[test]
fn sync_without_a_file_does_not_reach_the_pond() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    let dir = File::open(mount.path()).unwrap();
    file(mount.path(), "kept", "x");
    dir.sync_all().unwrap();
    file(mount.path(), "lost", "x");
    // SAFETY: a valid descriptor.
    assert_eq!(unsafe { libc::syncfs(dir.as_raw_fd()) }, 0);
    drop(dir);
    mount.kill9();
    let mount = pond.mount();
    assert!(mount.join("kept").exists() && !mount.join("lost").exists());
}

#[test]
fn room_is_not_set_aside() {
    on_mount(|root, _| {
        let path = file(root, "f", "x");
        let open = File::options().write(true).open(&path).unwrap();
        rustix::fs::fallocate(&open, FallocateFlags::empty(), 0, 1 << 20).unwrap();
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.size(), meta.blocks()), (1 << 20, 1));
    });
}

#[test]
fn directories_have_no_size() {
    on_mount(|root, _| {
        let dir = folder(root, "d");
        file(&dir, "f", "x");
        assert_eq!(fs::metadata(&dir).unwrap().size(), 0);
    });
}
