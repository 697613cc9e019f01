//! What containers are made of: bind mounts, chroot, and overlays with either half on the mount.

use std::fs;
use std::path::{Path, PathBuf};

use mount_tests::grow::sow;
use mount_tests::place::{file, folder, on_mount, on_mount_again};
use mount_tests::rng::Rng;
use mount_tests::run::{Run, need, need_root, shell, tool};
use mount_tests::stacked::{Stacked, kernel_has};
use mount_tests::sys::{get_xattr, lstat};
use mount_tests::tree::Tree;

#[test]
fn a_directory_of_the_mount_is_bound_elsewhere() {
    need_root("makes bind mounts");
    on_mount(|root, outside| {
        let dir = folder(root, "d");
        file(&dir, "f", "here");
        let bound = Stacked::bind(&dir, &outside.join("bound"));
        assert_eq!(fs::read_to_string(bound.join("f")).unwrap(), "here");
        file(bound.path(), "g", "there");
        fs::rename(bound.join("f"), bound.join("h")).unwrap();
        Tree::of(&dir).assert_equals(&Tree::of(bound.path()), "the directory and its bind mount");
        // They are two mounts, though one file system.
        let across = fs::rename(bound.join("h"), root.join("h")).unwrap_err();
        assert_eq!(across.kind(), std::io::ErrorKind::CrossesDevices);
        // A single file, bound over another; and a read-only view.
        let one = Stacked::bind(&dir.join("g"), &bound.join("h"));
        assert_eq!(fs::read_to_string(bound.join("h")).unwrap(), "there");
        one.unmount();
        tool("mount")
            .args(["-o", "remount,bind,ro"])
            .arg(bound.path())
            .ok();
        let refused = fs::write(bound.join("g"), "x").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
        file(&dir, "g", "still writable here");
        assert_eq!(
            fs::read_to_string(bound.join("g")).unwrap(),
            "still writable here"
        );
        // Gone from one place, it is still at the other.
        fs::rename(&dir, root.join("renamed")).unwrap();
        assert_eq!(fs::read_to_string(bound.join("h")).unwrap(), "here");
        bound.unmount();
    });
}

/// Copies programs into a new root, with the libraries that they need.
fn furnish(root: &Path, programs: &[PathBuf]) {
    let script = r#"
        root="$1"; shift
        mkdir -p "$root"/{bin,proc,dev,tmp,etc}; chmod 1777 "$root/tmp"
        for program; do
            cp "$program" "$root/bin/"
            { ldd "$program" 2> /dev/null || true; } | { grep -o '/[^ ]*' || true; } | while read -r library; do
                mkdir -p "$root$(dirname "$library")"; cp -L "$library" "$root$library"
            done
        done
    "#;
    shell(script).arg(root).args(programs).ok();
}

/// A shell script in that root.
fn inside(root: &Path, shell: &[&str], script: &str) -> Run {
    tool("chroot").arg(root).args(shell).args(["-euc", script])
}

#[test]
fn a_chroot_on_the_mount_runs_programs_with_proc_and_dev() {
    need_root("changes its root");
    on_mount(|root, outside| {
        let new_root = folder(root, "root");
        furnish(&new_root, &[need("busybox"), need("bash"), need("ls")]);
        let proc = Stacked::bind_read_only(Path::new("/proc"), &new_root.join("proc"));
        let dev = Stacked::bind_read_only(Path::new("/dev"), &new_root.join("dev"));
        let script = r#"
            /bin/busybox --install -s /bin; PATH=/bin
            test "$(readlink /proc/self/exe)" = /bin/busybox; echo gone > /dev/null; head -c 1000 /dev/urandom > /tmp/random
            printf '#!/bin/sh\necho script "$@"\n' > /bin/script; chmod 755 /bin/script; test "$(script a b)" = "script a b"
            test ! -e "$0"; cd /..; test "$(pwd)" = /; stat -c %s /tmp/random
        "#;
        let said = inside(&new_root, &["/bin/busybox", "sh"], script)
            .arg(root)
            .ok();
        assert_eq!(said.text(), "1000\n");
        assert_eq!(lstat(new_root.join("tmp/random")).len(), 1000);
        // A program with libraries, which it maps from the mount.
        let script =
            r#"grep -q ' /lib.*libc' /proc/$$/maps; cd /tmp; echo text > f; PATH=/bin; ls"#;
        let said = inside(&new_root, &["/bin/bash"], script).ok();
        assert_eq!(said.text(), "f\nrandom\n");
        // The same root, bound to another place.
        let bound = Stacked::bind(&new_root, &outside.join("bound"));
        let said = inside(
            bound.path(),
            &["/bin/bash"],
            "echo more >> /tmp/f; read -r line < /tmp/f; echo $line",
        );
        assert_eq!(said.ok().text(), "text\n");
        assert_eq!(
            fs::read_to_string(new_root.join("tmp/f")).unwrap(),
            "text\nmore\n"
        );
        bound.unmount();
        dev.unmount();
        proc.unmount();
    });
}

/// What is done to a tree through an overlay: creation, copying up, deletion, renames, an opaque directory.
fn edit(root: &Path) {
    let script = r#"
        cd "$1"; echo new > new; mkdir -p newdir/deep; echo deep > newdir/deep/f
        echo more >> dir0/written; chmod 750 dir0/moded; setfattr -n user.a -v 1 dir0/tagged; touch -d 2001-02-03 dir0/timed
        rm dir0/deleted; mv dir0/renamed dir0/named; mv dir0/written dir0/moded
        rm -r opaque; mkdir opaque; echo only > opaque/only; rm -r removed; echo file > removed
        mv newdir moved; mv tree tree2; echo over > t; mv t dir0/replaced
        ln new hard; ln -s new soft; mkfifo fifo; truncate -s 3 dir0/cut; rm hard; echo again > dir0/deleted
        sync new
    "#;
    shell(script).arg(root).ok();
}

/// A tree to put below an overlay.
fn lower(root: &Path) {
    sow(root, &mut Rng::new(21), 60);
    let script = r#"
        cd "$1"; mkdir -p opaque removed tree/below; touch opaque/a removed/b; seq 1000 > tree/below/c
        for f in written moded tagged timed deleted renamed replaced cut; do echo "$f" > "dir0/$f"; done
    "#;
    shell(script).arg(root).ok();
}

/// The overlay shows what a plain directory would after the same edits; nothing of it reaches the lower half; and a
/// second overlay of the same halves shows the same, also after the pond was mounted again. `on(mount, outside)`
/// gives the places of the lower and of the upper half. With `redirect`, a directory of the lower half is renamed by a
/// note in the upper half; without it, `mv` has to copy.
fn overlay_edits(redirect: &str, on: impl Fn(&Path, &Path) -> (PathBuf, PathBuf)) {
    need_root("mounts an overlay");
    if !kernel_has("overlay") {
        return;
    }
    let mount = |root: &Path, outside: &Path| {
        let (below, above) = on(root, outside);
        let (upper, work) = (above.join("upper"), above.join("work"));
        Stacked::overlay(
            &below.join("lower"),
            &upper,
            &work,
            &outside.join("merged"),
            &format!("redirect_dir={redirect}"),
        )
    };
    let same = |merged: &Path, outside: &Path, when: &str| {
        let plain = Tree::of(&outside.join("plain")).without_times();
        Tree::of(merged).without_times().assert_equals(&plain, when);
    };
    on_mount_again(
        |root, outside| {
            let (below, above) = on(root, outside);
            let lower_half = folder(&below, "lower");
            lower(&lower_half);
            folder(&above, "upper");
            folder(&above, "work");
            tool("cp")
                .arg("-a")
                .arg(&lower_half)
                .arg(outside.join("plain"))
                .ok();
            edit(&outside.join("plain"));
            let untouched = Tree::of(&lower_half);

            let merged = mount(root, outside);
            edit(merged.path());
            same(merged.path(), outside, "the overlay");
            merged.unmount();
            Tree::of(&lower_half).assert_equals(&untouched, "the lower half");
            let whiteout = lstat(above.join("upper/tree"));
            assert_eq!(
                (
                    std::os::unix::fs::MetadataExt::rdev(&whiteout),
                    kind(&whiteout)
                ),
                (0, "char"),
                "a deletion is a whiteout"
            );
            let opaque = get_xattr(&above.join("upper/opaque"), "trusted.overlay.opaque");
            assert_eq!(opaque.unwrap(), b"y");
            let note = get_xattr(&above.join("upper/tree2"), "trusted.overlay.redirect");
            assert_eq!(note.is_ok(), redirect == "on", "{note:?}");
            let merged = mount(root, outside);
            same(merged.path(), outside, "a second overlay");
            merged.unmount();
        },
        |root, outside| {
            let merged = mount(root, outside);
            same(merged.path(), outside, "an overlay after mounting again");
            shell(r#"cd "$1"; rm -r dir0 tree2; mkdir tree; test -z "$(ls tree)""#)
                .arg(merged.path())
                .ok();
            merged.unmount();
        },
    );
}

fn kind(meta: &fs::Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if meta.file_type().is_char_device() {
        "char"
    } else {
        "other"
    }
}

#[test]
fn an_overlay_has_its_upper_half_on_the_mount() {
    for redirect in ["off", "on"] {
        overlay_edits(redirect, |root, outside| {
            (outside.to_path_buf(), root.to_path_buf())
        });
    }
}

#[test]
fn an_overlay_has_its_lower_half_on_the_mount() {
    for redirect in ["off", "on"] {
        overlay_edits(redirect, |root, outside| {
            (root.to_path_buf(), outside.to_path_buf())
        });
    }
}

#[test]
fn an_overlay_has_both_halves_on_the_mount() {
    overlay_edits("on", |root, _| (root.to_path_buf(), root.to_path_buf()));
}
