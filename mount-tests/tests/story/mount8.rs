//! mount(8), umount(8), findmnt(8) and fstab, as other programs use them; each script in a mount namespace of its own,
//! where the helper is installed.

use std::fs;

use mount_tests::place::file;
use mount_tests::pond::Pond;
use mount_tests::run::{Outcome, need_root, shell};

/// Runs a script with `$pond`, `$mnt` (an empty directory) and `$dir` (for other files). The helper stands in a copy of
/// the folder that mount(8) takes it from. Whatever the script leaves mounted is taken away.
#[track_caller]
pub fn with_helper(pond: &Pond, script: &str) -> Outcome {
    need_root("mounts by mount(8)");
    let prepare = r#"
        pond="$2" mnt="$3" dir="$4"
        cp -a /usr/sbin "$dir/sbin"; ln -s "$1" "$dir/sbin/mount.fuse.pondmount"; mount --bind "$dir/sbin" /usr/sbin
        trap 'while mountpoint -q "$mnt"; do umount -l "$mnt"; done' EXIT
        shows() { findmnt -n -o "$1" "$mnt"; }
        has() { [[ ",$(shows OPTIONS)," == *",$1,"* ]]; }
        code() { local code=0; "$@" > "$dir/said" 2>&1 || code=$?; echo "$code"; }
    "#;
    let inside = format!("{prepare}\n{script}");
    let dir = pond.mountpoint("dir");
    shell(r#"exec unshare --mount --propagation private bash -euo pipefail -c "$@""#)
        .arg(inside)
        .arg("bash")
        .arg(pond.binary())
        .arg(pond.store())
        .arg(pond.mountpoint("mnt"))
        .arg(dir)
        .without_env("POND_STORE")
        .outcome()
}

#[test]
fn mount_shows_type_source_and_options_as_they_were_asked_for() {
    let pond = Pond::new();
    let script = r#"
        mount -t fuse.pondmount -o allow_other,noexec,_netdev,x-systemd.automount,relatime,commit=7 "$pond" "$mnt"
        test "$(shows FSTYPE)" = fuse.pondmount; test "$(shows SOURCE)" = "$pond"
        has allow_other; has noexec; has rw; has nosuid; has nodev; has default_permissions
        test "$(df --output=fstype "$mnt" | tail -1)" = fuse.pondmount; test "$(df --output=source "$mnt" | tail -1)" = "$pond"
        grep -q "^$pond $mnt fuse.pondmount " /proc/mounts; mount | grep -q "^$pond on $mnt type fuse.pondmount "
        printf '#!/bin/sh\n' > "$mnt/x"; chmod 755 "$mnt/x"; test "$(code "$mnt/x")" = 126
        umount "$mnt"; ! mountpoint -q "$mnt"
        mount -t fuse.pondmount "$pond" "$mnt"; "$mnt/x"; umount "$mnt"
    "#;
    with_helper(&pond, script).ok();
    pond.check();
}

#[test]
fn fstab_lines_are_mounted_by_their_directory() {
    let pond = Pond::new();
    let script = r#"
        echo "$pond $mnt fuse.pondmount noauto,nofail,user,ro,x-systemd.automount 0 0" > "$dir/fstab"
        mount --fstab "$dir/fstab" "$mnt"; has ro; has noexec; umount "$mnt"
        echo "$pond $mnt fuse.pondmount defaults,allow_other,noatime 0 0" > "$dir/fstab"
        mount --fstab "$dir/fstab" -a; has rw; has allow_other; echo text > "$mnt/f"; umount "$mnt"
    "#;
    with_helper(&pond, script).ok();
    assert_eq!(
        fs::read_to_string(pond.mount().join("f")).unwrap(),
        "text\n"
    );
}

#[test]
fn a_pond_is_mounted_and_unmounted_many_times_within_seconds() {
    let pond = Pond::new();
    let script = r#"
        for n in $(seq 1 50); do
            mount -t fuse.pondmount "$pond" "$mnt"
            test "$(cat "$mnt"/* 2> /dev/null | wc -l)" = $((n - 1))
            seq "$n" "$n" > "$mnt/f$n"; head -c 300000 /dev/urandom > "$mnt/.noise"
            umount "$mnt"
        done
    "#;
    with_helper(&pond, script).ok();
    let mount = pond.mount();
    for n in 1..=50 {
        let text = fs::read_to_string(mount.join(format!("f{n}"))).unwrap();
        assert_eq!(text, format!("{n}\n"));
    }
    mount.unmount();
    pond.check();
}

#[test]
fn remounting_read_only_and_back_ends_and_allows_changes() {
    let pond = Pond::new();
    let script = r#"
        mount -t fuse.pondmount "$pond" "$mnt"; echo a > "$mnt/f"; exec 3>> "$mnt/f"
        test "$(code mount -o remount,ro "$mnt")" = 32; grep -q busy "$dir/said"; exec 3>&-
        mount -o remount,ro "$mnt"; has ro; test "$(code touch "$mnt/g")" = 1; grep -q 'Read-only' "$dir/said"
        mount -o remount,rw,noexec "$mnt"; has rw; has noexec; echo b >> "$mnt/f"; umount "$mnt"
        mount -t fuse.pondmount -o ro "$pond" "$mnt"; has ro; test "$(xargs < "$mnt/f")" = "a b"
        test "$(code mount -o remount,rw "$mnt")" = 32; grep -q 'read-only' "$dir/said"; umount "$mnt"
    "#;
    with_helper(&pond, script).ok();
    pond.check();
}

#[test]
fn failures_have_the_codes_of_mount_and_a_sentence() {
    let pond = Pond::new();
    let script = r#"
        mnt_of() { code mount -t fuse.pondmount "$@"; }
        test "$(mnt_of -o no_such_option "$pond" "$mnt")" = 1; grep -q 'no_such_option' "$dir/said"
        test "$(mnt_of "$dir/nothing" "$mnt")" = 32; grep -q "error:.*$dir/nothing" "$dir/said"
        test "$(mnt_of "$pond" "$dir/nothing")" = 32
        mount -t fuse.pondmount "$pond" "$mnt"; mkdir "$dir/other"; start=$SECONDS
        test "$(mnt_of "$pond" "$dir/other")" = 32; grep -q 'in use by process' "$dir/said"; test $((SECONDS - start)) -le 2
        umount "$mnt"
    "#;
    with_helper(&pond, script).ok();
}

#[test]
fn sync_mounts_keep_what_was_written_without_being_asked() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "sync,commit=3600"]);
    file(mount.path(), "f", "kept");
    mount.kill9();
    let mount = pond.mount();
    assert_eq!(fs::read_to_string(mount.join("f")).unwrap(), "kept");
}
