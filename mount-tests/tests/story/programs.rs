//! The programs people use: they find a file system they can trust, and it finds nothing missing afterwards.

use std::fs;

use mount_tests::grow::sow;
use mount_tests::place::{file, folder, on_mount};
use mount_tests::pond::names;
use mount_tests::rng::Rng;
use mount_tests::run::{need, shell, tool};
use mount_tests::sys::{instant, set_times};
use mount_tests::tree::Tree;

#[test]
fn git_clones_commits_collects_and_checks() {
    need("git");
    on_mount(|root, outside| {
        let script = r#"
            export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
            export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
            git init -q -b main "$2/origin"; cd "$2/origin"
            for n in $(seq 1 15); do
                mkdir -p "dir$((n % 4))"; seq 1 $((n * 100)) > "dir$((n % 4))/file$n"; git add -A; git commit -qm "commit $n"
            done
            git clone -q --no-hardlinks "$2/origin" "$1/clone"; cd "$1/clone"
            git fsck --strict --no-progress
            echo more >> dir1/file1; git mv dir2/file2 dir3/renamed; git rm -q dir0/file4
            git commit -qam "edited"; git checkout -q -b side HEAD~3; echo side > side; git add side; git commit -qm side
            git checkout -q main; git merge -q -m merged side; git gc -q --prune=now; git fsck --strict --no-progress
            test -z "$(git status --porcelain)"; test "$(git rev-list --count HEAD)" = 18; test "$(cat side)" = side
            git clone -q "$1/clone" "$2/back"; diff -r --exclude=.git "$1/clone" "$2/back"
        "#;
        shell(script).arg(root).arg(outside).ok();
    });
}

#[test]
fn sqlite_keeps_its_tables_in_every_journal_mode() {
    need("sqlite3");
    on_mount(|root, _| {
        for mode in ["delete", "wal", "truncate", "persist"] {
            let script = r#"
                db="$1/$2.db"; test "$(sqlite3 "$db" "pragma journal_mode=$2")" = "$2"
                sqlite3 "$db" "create table t(id integer primary key, text); pragma synchronous=full;"
                for n in 1 2 3; do
                    sqlite3 -cmd ".timeout 60000" "$db" "begin; with recursive c(x) as (select 1 union all select x+1 from c where x<1000)
                        insert into t(text) select hex(randomblob(50)) from c; commit;" &
                done; wait
                sqlite3 "$db" "begin; delete from t; rollback; update t set text='x' where id%10=0; vacuum;"
                test "$(sqlite3 "$db" "pragma integrity_check")" = ok; test "$(sqlite3 "$db" "select count(*) from t")" = 3000
            "#;
            shell(script).arg(root).arg(mode).ok();
        }
    });
}

#[test]
fn sqlite_in_wal_mode_is_read_while_it_is_written() {
    need("sqlite3");
    on_mount(|root, _| {
        // Readers and the writer share memory through a mapping of the -shm file.
        let script = r#"
            db="$1/t.db"; sqlite3 "$db" "pragma journal_mode=wal; create table t(a, b);" > /dev/null
            (for n in $(seq 1 60); do echo "begin; insert into t values($n,1); insert into t values($n,2); commit;"; done) |
                sqlite3 -cmd ".timeout 60000" "$db" & writer=$!
            for n in $(seq 1 30); do
                odd=$(sqlite3 -cmd ".timeout 60000" "$db" "select count(*) % 2 from t"); test "$odd" = 0
            done
            wait "$writer"; test "$(sqlite3 "$db" "select count(*) from t; pragma integrity_check" | xargs)" = "120 ok"
        "#;
        shell(script).arg(root).ok();
    });
}

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
fn a_second_rsync_copies_nothing() {
    need("rsync");
    on_mount(|root, outside| {
        sow(&folder(outside, "source"), &mut Rng::new(11), 300);
        let rsync = || {
            let run = tool("rsync").args(["-aHAX", "--itemize-changes", "--numeric-ids"]);
            run.arg(outside.join("source/"))
                .arg(root.join("copy/"))
                .ok()
                .text()
        };
        assert!(rsync().lines().count() > 300, "the first run copies");
        let same = |when: &str| {
            Tree::of(&root.join("copy")).assert_equals(&Tree::of(&outside.join("source")), when)
        };
        same("rsync into the mount");
        assert_eq!(rsync(), "", "the second run found something to do");
        fs::write(outside.join("source/dir0/changed"), "x").unwrap();
        fs::remove_dir_all(outside.join("source/dir20")).unwrap();
        // rsync takes times within one second for equal.
        for dir in ["source/dir0", "source"] {
            set_times(&outside.join(dir), instant(1, 1), instant(1_700_000_000, 5)).unwrap();
        }
        tool("rsync")
            .args(["-aHAX", "--delete"])
            .arg(outside.join("source/"))
            .arg(root.join("copy/"))
            .ok();
        same("rsync --delete");
        let back = tool("rsync")
            .args(["-aHAX", "--checksum"])
            .arg(root.join("copy/"))
            .arg(outside.join("back/"));
        back.ok();
        Tree::of(&outside.join("back"))
            .assert_equals(&Tree::of(&outside.join("source")), "rsync out of the mount");
    });
}

#[test]
fn a_tree_goes_through_tar_and_comes_back() {
    on_mount(|root, outside| {
        sow(&folder(outside, "source"), &mut Rng::new(12), 300);
        let script = r#"
            pack() { tar --xattrs --sort=name --pax-option=exthdr.name=%d/%f,delete=atime,delete=ctime -cf "$1" -C "$2" .; }
            pack "$2/in.tar" "$2/source"
            mkdir "$1/tree" "$2/back"; tar --xattrs -xpf "$2/in.tar" -C "$1/tree"
            pack "$1/out.tar" "$1/tree"; tar --xattrs -xpf "$1/out.tar" -C "$2/back"
            cmp "$2/in.tar" "$1/out.tar"
        "#;
        shell(script).arg(root).arg(outside).ok();
        let source = Tree::of(&outside.join("source"));
        Tree::of(&root.join("tree")).assert_equals(&source, "unpacked in the mount");
        Tree::of(&outside.join("back")).assert_equals(&source, "packed from the mount");
    });
}

#[test]
fn cp_and_mv_carry_a_tree_in_and_out() {
    on_mount(|root, outside| {
        sow(&folder(outside, "source"), &mut Rng::new(13), 200);
        let source = Tree::of(&outside.join("source"));
        let script = r#"
            cp -a "$2/source" "$1/copied"; cp -a "$1/copied" "$1/again"; mv "$1/again" "$1/moved"
            cp -a "$2/source" "$2/second"; mv "$2/second" "$1/in"; mv "$1/in" "$2/out"
            cp -r --reflink=auto --sparse=always "$1/copied" "$1/plain"; diff -r "$1/copied" "$1/plain"
        "#;
        shell(script).arg(root).arg(outside).ok();
        for (tree, how) in [
            (root.join("copied"), "cp -a"),
            (root.join("moved"), "mv"),
            (outside.join("out"), "mv across"),
        ] {
            Tree::of(&tree).assert_equals(&source, how);
        }
    });
}

#[test]
fn small_tools_find_what_they_expect() {
    on_mount(|root, _| {
        let script = r#"
            cd "$1"; mkdir -p a/b c; printf 'x=1\ny=2\n' > a/conf; cp a/conf a/b/
            sed -i 's/x=1/x=3/' a/conf; grep -q x=3 a/conf; grep -q x=1 a/b/conf
            test "$(find . -type f | sort | xargs)" = "./a/b/conf ./a/conf"; test "$(find . -mindepth 1 | wc -l)" = 5
            find . -name conf -newer a/b/conf > /dev/null; touch -d '2001-02-03 04:05:06.789' c
            test "$(stat -c %y c)" = "2001-02-03 04:05:06.789000000 +0000"
            head -c 1000000 /dev/urandom > big; cp big copy; cmp big copy; sort big | md5sum > /dev/null
            size=$(du -s --apparent-size -B1000 big | cut -f1); test "$size" = 1000; used=$(du -s -k . | cut -f1); test "$used" -ge 1900
            df -k . | tail -1 | awk '{ exit !($2 > 0 && $4 > 0 && $4 <= $2) }'; df -i . > /dev/null
            mktemp -p . > /dev/null; install -m 640 big installed; test "$(stat -c %a installed)" = 640
            dd if=big of=part bs=1000 skip=10 count=5 conv=fsync status=none; cmp -n 5000 -i 10000:0 big part
            truncate -s 10M sparse; tail -c 5 sparse | cmp - <(head -c 5 /dev/zero); tee -a a/conf <<< z=9 > /dev/null; tail -1 a/conf | grep -q z=9
        "#;
        shell(script).arg(root).ok();
    });
}
