//! Room and borders: what `du` and `df` say, and where `find` stops.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use mount_tests::place::{file, folder, on_mount, plain_only};
use mount_tests::rng::Rng;
use mount_tests::run::{need, shell, tool};
use mount_tests::stacked::Stacked;
use mount_tests::sys::lstat;

/// The first number that `du` says.
#[track_caller]
fn du(args: &[&str], root: &Path) -> u64 {
    let said = tool("du").arg("-B1").args(args).within(root).ok().text();
    let number = said
        .split_whitespace()
        .next()
        .and_then(|it| it.parse().ok());
    number.unwrap_or_else(|| panic!("du says {said}"))
}

#[test]
fn du_counts_what_is_written_once() {
    on_mount(|root, _| {
        let dir = folder(root, "d");
        // Room is counted in blocks: a file may take a little more than its bytes.
        let near = |found: u64, bytes: u64| {
            assert!(
                (bytes..bytes + 70_000).contains(&found),
                "{found} for {bytes}"
            )
        };
        file(&dir, "million", Rng::new(1).bytes(1_000_000));
        near(du(&["d/million"], root), 1_000_000);
        assert_eq!(du(&["--apparent-size", "d/million"], root), 1_000_000);
        std::fs::hard_link(dir.join("million"), dir.join("same")).unwrap();
        near(du(&["-s", "d"], root), 1_000_000);
        near(du(&["-s", "-l", "d"], root), 2_000_000);
        near(du(&["-s", "d/same"], root), 1_000_000);
        let script = r#"
            cd "$1/d"; truncate -s 1G sparse; printf end | dd of=sparse bs=1 seek=500M conv=notrunc status=none
            cp --sparse=always sparse copy; cp sparse plain; cp --reflink=auto million reflinked; cmp million reflinked
        "#;
        shell(script).arg(root).ok();
        for sparse in ["d/sparse", "d/copy", "d/plain"] {
            assert_eq!(du(&["--apparent-size", sparse], root), 1 << 30, "{sparse}");
            assert!(
                du(&[sparse], root) < 1 << 20,
                "{sparse} takes {}",
                du(&[sparse], root)
            );
        }
        near(du(&["-s", "d"], root), 2_000_000);
        // A hole that is made gives room back, and so does a cut.
        tool("fallocate")
            .args(["-p", "-o", "0", "-l", "500000"])
            .arg(dir.join("million"))
            .ok();
        near(du(&["d/same"], root), 500_000);
        tool("truncate")
            .args(["-s", "600000"])
            .arg(dir.join("same"))
            .ok();
        near(du(&["d/million"], root), 100_000);
        assert_eq!(lstat(dir.join("million")).size(), 600_000);
    });
}

#[test]
fn df_tells_the_room_of_the_disk_below() {
    on_mount(|root, outside| {
        let df = |fields: &str, at: &Path| -> Vec<u64> {
            let said = tool("df")
                .args(["-B1", &format!("--output={fields}")])
                .arg(at)
                .ok()
                .text();
            let numbers = said.lines().nth(1).unwrap_or_default().split_whitespace();
            numbers
                .map(|it| it.trim_end_matches('%').parse().unwrap())
                .collect()
        };
        let (found, below) = (
            df("size,used,avail,pcent", root),
            df("size,used,avail,pcent", outside),
        );
        assert_eq!(found[0], below[0], "the size is that of the disk below");
        // Others write to that disk meanwhile.
        let near = |what: usize| found[what].abs_diff(below[what]) <= below[0] / 50;
        assert!(
            found[1] > 0 && near(1) && near(2),
            "{found:?}, and below {below:?}"
        );
        assert!(
            found[3].abs_diff(below[3]) <= 2,
            "{found:?}, and below {below:?}"
        );
        assert!(found[1] + found[2] <= found[0], "{found:?}");
        let inodes = df("itotal,iused,iavail", root);
        assert!(
            inodes[2] > 1000 && inodes[1] + inodes[2] == inodes[0],
            "{inodes:?}"
        );
        if !plain_only() {
            let said = tool("df")
                .args(["--output=fstype,target"])
                .arg(root)
                .ok()
                .text();
            assert!(
                said.contains("fuse.pondmount") && said.contains(root.to_str().unwrap()),
                "{said}"
            );
        }
    });
}

#[test]
fn find_stays_in_the_mount_and_never_meets_the_past() {
    need("mount");
    on_mount(|root, outside| {
        let script = r#"cd "$1"; mkdir -p a/b below; echo 1 > a/f; echo 2 > a/b/g; ln a/f a/h; ln -s ../below a/s; echo 3 > below/hidden"#;
        shell(script).arg(root).ok();
        let other = Stacked::tmpfs(&root.join("below"));
        file(other.path(), "elsewhere", "x");
        let find = |args: &[&str], at: &Path| {
            let run = tool("find").arg(".").args(args).args(["-printf", "%P\n"]);
            let mut names: Vec<String> = run
                .within(at)
                .ok()
                .text()
                .lines()
                .map(String::from)
                .collect();
            names.sort();
            names
        };
        let inside = ["", "a", "a/b", "a/b/g", "a/f", "a/h", "a/s", "below"];
        assert_eq!(find(&["-xdev"], root), inside);
        assert_eq!(
            find(&[], root),
            [&inside[..], &["below/elsewhere"]].concat()
        );
        assert_eq!(find(&["-mount", "-depth"], root), inside);
        assert_eq!(find(&["-samefile", "a/f"], root), ["a/f", "a/h"]);
        assert_eq!(
            find(&["-xdev", "-links", "2", "-type", "f"], root),
            ["a/f", "a/h"]
        );
        assert_eq!(find(&["-name", "@*"], root), Vec::<String>::new());
        // `-links` and leaf counting: some finds deduce from a directory's link count that nothing is left below it.
        assert_eq!(find(&["-type", "d"], root), ["", "a", "a/b", "below"]);
        if !plain_only() {
            let above = find(&["-xdev"], root.parent().unwrap());
            assert!(
                above.contains(&"mnt".into()) && !above.contains(&"mnt/a".into()),
                "{above:?}"
            );
        }
        // What stays on one file system sees the same: a count, a copy, a tar.
        let script = r#"
            (! du -xa "$1" | grep elsewhere > /dev/null); cp -ax "$1" "$2/copy"; test -e "$2/copy/a/b/g"; test ! -e "$2/copy/below/elsewhere"
            tar -C "$1" --one-file-system -cf "$2/tar" . 2> /dev/null; (! tar -tf "$2/tar" | grep elsewhere > /dev/null)
        "#;
        shell(script).arg(root).arg(outside).ok();
        other.unmount();
        assert_eq!(find(&["-path", "*below*"], root), ["below", "below/hidden"]);
    });
}
