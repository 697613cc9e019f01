//! Editors: each saves in its own way, by rename, in place, with backups and with lock files.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use mount_tests::place::{file, folder, on_mount};
use mount_tests::pond::names;
use mount_tests::run::{need, shell, tool};
use mount_tests::sys::{lstat, mode};

#[test]
fn vim_saves_by_rename_and_in_place() {
    need("vim");
    on_mount(|root, _| {
        for (name, settings) in [
            ("renamed", "backupcopy=no"),
            ("in-place", "backupcopy=yes"),
            ("default", ""),
        ] {
            let path = file(root, name, "one\ntwo\nthree\n");
            let backup = format!("set backup writebackup backupskip= {settings}");
            let edits = ["%s/two/2/", "$put ='four'", "wq"];
            let vim = tool("vim").args(["-u", "NONE", "-N", "-es", "-c", &backup]);
            edits
                .into_iter()
                .fold(vim, |vim, edit| vim.args(["-c", edit]))
                .arg(&path)
                .within(root)
                .ok();
            assert_eq!(
                fs::read_to_string(&path).unwrap(),
                "one\n2\nthree\nfour\n",
                "{name}"
            );
            assert_eq!(
                fs::read_to_string(root.join(format!("{name}~"))).unwrap(),
                "one\ntwo\nthree\n",
                "backup of {name}"
            );
        }
        assert!(
            names(root).iter().all(|name| !name.ends_with(".swp")),
            "{:?}",
            names(root)
        );
    });
}

#[test]
fn nano_saves_what_was_typed_at_a_terminal() {
    need("nano");
    on_mount(|root, _| {
        let path = file(root, "note", "one\ntwo\n");
        let nano = |backups: &str| {
            tool("python3")
                .args(["-c", include_str!("scripts/nano.py"), "typed here"])
                .arg(&path)
                .args(["nano", "--ignorercfiles", backups])
                .within(root)
                .env("TERM", "xterm")
                .limit(Duration::from_secs(60))
                .ok();
        };
        nano("--nohelp");
        assert_eq!(fs::read_to_string(&path).unwrap(), "typed here\none\ntwo\n");
        assert_eq!(names(root), ["note"]);
        // With a backup, and with a lock file while it is open.
        nano("--backup");
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "typed here\ntyped here\none\ntwo\n"
        );
        assert_eq!(
            fs::read_to_string(root.join("note~")).unwrap(),
            "typed here\none\ntwo\n"
        );
        nano("--locking");
        assert_eq!(names(root), ["note", "note~"]);
    });
}

#[test]
fn emacs_locks_saves_itself_and_keeps_a_backup() {
    need("emacs");
    on_mount(|root, _| {
        for by_copying in ["nil", "t"] {
            let dir = folder(root, &format!("copying-{by_copying}"));
            let path = file(&dir, "note", "one\ntwo\n");
            fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
            let inode = lstat(&path).ino();
            let how = format!("(setq backup-by-copying {by_copying})");
            tool("emacs")
                .args(["-Q", "-nw", "--batch", "note", "--eval", &how])
                .args(["--eval", include_str!("scripts/emacs.el")])
                .within(&dir)
                .ok();
            assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
            let backup = dir.join("note~");
            assert_eq!(fs::read_to_string(&backup).unwrap(), "one\ntwo\n");
            let (kept, moved) = if by_copying == "t" {
                (&path, &backup)
            } else {
                (&backup, &path)
            };
            assert_eq!(lstat(kept).ino(), inode, "copying: {by_copying}");
            assert_ne!(lstat(moved).ino(), inode, "copying: {by_copying}");
            assert_eq!((mode(&path), mode(&backup)), (0o640, 0o640));
            assert_eq!(names(&dir), ["note", "note~"]);
        }
    });
}

#[test]
fn emacs_heeds_the_lock_of_another() {
    need("emacs");
    on_mount(|root, outside| {
        file(root, "note", "one\n");
        // A lock is a symlink to nowhere that tells who holds it, here process 1 of this host.
        let script = r#"
            cd "$1"; ln -s "somebody@$(hostname).1" .#note
            (! emacs -Q -nw --batch note --eval '(progn (insert "x") (save-buffer))' 2> "$2/said" < /dev/null)
            grep -i lock "$2/said"; test "$(cat note)" = one; test -L .#note
        "#;
        shell(script).arg(root).arg(outside).ok();
    });
}

#[test]
fn sed_and_patch_replace_files_and_keep_their_modes() {
    need("patch");
    on_mount(|root, outside| {
        let script = r#"
            cd "$1"; seq 1000 > f; chmod 751 f; cp -p f g; mkdir d; cp -p f d/f; ln f same
            sed -i.bak 's/^500$/five hundred/' f; test "$(sed -n 500p f)" = "five hundred"; seq 1000 | cmp - f.bak
            test "$(stat -c '%a %h' f same f.bak | xargs)" = "751 1 751 2 751 2"
            sed -i -e '1d' -e '$d' g d/f; test "$(wc -l < g)" = 998; cmp g d/f; test "$(stat -c %a g)" = 751
            (! diff -u f.bak f > "$2/change")
            (! sed -i 's/x/' g 2> /dev/null); test "$(wc -l < g)" = 998
            patch -s f.bak < "$2/change"; cmp f f.bak; patch -s -R f.bak < "$2/change"; seq 1000 | cmp - f.bak
            echo unlike > f.bak; (! patch -s -f f.bak < "$2/change" > /dev/null); test "$(cat f.bak)" = unlike; test -e f.bak.rej
            test -z "$(find . -name 'sed*')"
        "#;
        shell(script).arg(root).arg(outside).ok();
    });
}
