//! Trees on the move: archives, and copies that are brought up to date.

use std::fs;

use mount_tests::grow::sow;
use mount_tests::place::{folder, on_mount};
use mount_tests::rng::Rng;
use mount_tests::run::{need, shell, tool};
use mount_tests::sys::{instant, set_times};
use mount_tests::tree::Tree;

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
fn zip_gzip_and_split_give_back_what_they_took() {
    need("zip");
    need("unzip");
    on_mount(|root, outside| {
        sow(&folder(root, "source"), &mut Rng::new(14), 150);
        let script = r#"
            cd "$1/source"; zip -q -r -y ../tree.zip .; zip -q -u ../tree.zip dir0 || test $? = 12; unzip -tqq ../tree.zip
            unzip -q ../tree.zip -d "$1/inside"; unzip -q ../tree.zip -d "$2/outside"; echo late > late; zip -q ../tree.zip late
            unzip -p ../tree.zip late | grep -x late > /dev/null; zip -q -d ../tree.zip late; (! unzip -p ../tree.zip late 2> /dev/null); rm late
            cd "$1"; for made in "$1/inside" "$2/outside"; do diff -r --no-dereference source "$made"; done
            tar -cf tree.tar source; cp tree.tar kept; gzip tree.tar; test ! -e tree.tar; gzip -t tree.tar.gz
            split -b 30000 tree.tar.gz part.; test "$(ls part.* | wc -l)" -gt 3; cat part.* | cmp - tree.tar.gz
            gunzip tree.tar.gz; test ! -e tree.tar.gz; cmp tree.tar kept; tar -df tree.tar
            tar -rf tree.tar --transform 's/^/second-/' source/dir0; tar -tf tree.tar | grep '^second-source/dir0/' > /dev/null
        "#;
        shell(script).arg(root).arg(outside).ok();
    });
}

#[test]
fn tar_keeps_holes_and_goes_on_from_a_snapshot() {
    on_mount(|root, outside| {
        let script = r#"
            mkdir "$1/tree"; cd "$1/tree"; truncate -s 200M sparse; echo middle | dd of=sparse bs=1 seek=100M conv=notrunc status=none
            echo 1 > one; echo 2 > two
            tar -S -g "$2/snapshot" -cf "$1/full.tar" .; test "$(stat -c %s "$1/full.tar")" -lt 100000
            sleep 0.01; echo changed > one; rm two; echo 3 > three; tar -S -g "$2/snapshot" -cf "$1/more.tar" .
            test "$(tar -tf "$1/more.tar" | sort | xargs)" = "./ ./one ./three"
            mkdir "$1/back"; for each in full more; do tar -S -g /dev/null -xf "$1/$each.tar" -C "$1/back"; done
            diff -r "$1/tree" "$1/back"; test "$(du -k "$1/back/sparse" | cut -f1)" -lt 1000
        "#;
        shell(script).arg(root).arg(outside).ok();
    });
}
