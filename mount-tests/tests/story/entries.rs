//! Inode numbers: a directory lists the same number (`d_ino`) as `stat` returns for the name
//! (`st_ino`), `.` and `..` included.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use mount_tests::place::{file, folder};
use mount_tests::pond::Pond;
use rustix::fs::Dir;

/// Entries of `dir` with another number than `stat` says.
fn wrong(dir: &Path) -> Vec<String> {
    let open = File::open(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut wrong = Vec::new();
    for entry in Dir::read_from(&open).unwrap() {
        let entry = entry.unwrap();
        let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes());
        let path = dir.join(name);
        let seen =
            fs::symlink_metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        // Above the root of a mount is another file system.
        if seen.dev() == open.metadata().unwrap().dev() && seen.ino() != entry.ino() {
            wrong.push(format!("{} {} {}", path.display(), entry.ino(), seen.ino()));
        }
    }
    wrong
}

#[test]
fn readdir_and_stat_agree_on_inode_numbers_everywhere() {
    let pond = Pond::new();
    let mount = pond.mount();
    let data = folder(mount.path(), "data");
    file(&data, "1.csv", "timestamp,a\n0,1\n60,2\n");
    fs::hard_link(data.join("1.csv"), data.join("linked.csv")).unwrap();
    folder(&folder(&data, "below"), "deeper");
    folder(mount.path(), "sites");
    let text = "apiVersion: v1\nkind: Reduce\nname: x\ndesc: x\nmetadata:\n  path: /sites/there\nspec:\n  \
        collections:\n  - name: c\n    resolutions: [1h, 1d]\n    datasets:\n    \
        - {in_pattern: \"/data/1.csv\", out_pattern: o}\n";
    file(&folder(mount.path(), "Reduce"), "x.yaml", text);
    mount.sync();
    file(&data, "1.csv", "timestamp,a\n0,1\n60,2\n120,3\n");
    mount.sync();
    fs::create_dir(mount.join("@version/named")).unwrap();
    let stored = [
        ".",
        "data",
        "data/below",
        "data/below/deeper",
        "Reduce",
        "sites",
        ".pond",
    ];
    let past = [
        "@version",
        "@version/1",
        "@version/1/data",
        "@version/1/data/below",
        "@version/named",
        "@version/named/data",
        "@version/2/@version",
        "@version/2/data/@version/1",
        "data/@version",
        "data/@version/1",
        "data/@version/1/below",
        "data/1.csv@version",
        "@version/2/data/1.csv@version",
    ];
    let derived = [
        "Reduce/x",
        "Reduce/x/c",
        "Reduce/x/c/o",
        "@version/1/Reduce/x/c/o",
    ];
    for round in 0..3 {
        for dir in stored.iter().chain(&past).chain(&derived) {
            let wrong = wrong(&mount.join(dir));
            assert!(wrong.is_empty(), "{dir} in round {round}: {wrong:#?}");
        }
        // Nor does it matter what has been made, or that an input has changed.
        for name in ["res=1h", "res=1d.csv", "res=1h.csv"] {
            fs::read(mount.join("Reduce/x/c/o").join(name)).unwrap();
        }
        if round == 1 {
            file(&data, "1.csv", "timestamp,a\n0,7\n");
        }
    }
    // One directory at two places is where it was last found.
    for dir in [
        "sites/there",
        "sites/there/c",
        "Reduce/x",
        "Reduce/x/c",
        "sites/there",
    ] {
        assert_eq!(wrong(&mount.join(dir)), Vec::<String>::new(), "{dir}");
    }
    let of = mount.join("Reduce/x/c/o/res=1h");
    let before = fs::metadata(&of).unwrap().ino();
    file(&data, "1.csv", "timestamp,a\n0,8\n");
    assert_eq!(
        fs::metadata(&of).unwrap().ino(),
        before,
        "a file keeps its number"
    );
    mount.unmount();
    // A version as the root of a mount.
    let at = pond.mountpoint("past");
    pond.run(["mount", "--at", "1"])
        .arg(pond.store())
        .arg(&at)
        .ok();
    let past = mount_tests::mount::Mount::adopt(&pond, at, Default::default());
    for dir in [
        "data",
        "data/below",
        "Reduce/x/c/o",
        "@version",
        "@version/0",
        "data/@version/1",
    ] {
        assert_eq!(wrong(&past.join(dir)), Vec::<String>::new(), "{dir}");
    }
    past.unmount();
}
