//! Memory: whatever is done to a mount, its daemon needs no more than a small machine has.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;

use mount_tests::mount::Mount;
use mount_tests::place::folder;
use mount_tests::pond::Pond;
use mount_tests::rng::Rng;
use mount_tests::{setting, sys};

/// The most memory that the daemon may ever take.
const LIMIT: u64 = 256;

#[test]
fn many_files_are_made_in_256_mib() {
    let count: usize = setting("POND_TEST_MANY", 5_000);
    let (pond, mut rng) = (Pond::new(), Rng::new(3));
    let mount = pond.mount();
    // As `tar` does it: directories as they come, each file made, written, and given its mode and times.
    let mut dir = folder(mount.path(), "many");
    for serial in 0..count {
        if serial % 50 == 0 {
            dir = folder(&mount.join("many"), &format!("d{serial}"));
        }
        let path = dir.join(format!("file{serial}"));
        let len = *rng.pick(&[100, 1_000, 3_000, 8_000, 20_000]);
        fs::write(&path, rng.bytes(len)).expect("write");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("chmod");
        let then = sys::instant(1_700_000_000 + serial as i64, 0);
        sys::set_times(&path, then, then).expect("utimensat");
    }
    within_limit(&mount, &format!("{count} files"));
    mount.sync();
    within_limit(&mount, &format!("{count} files and a version"));
    // Everything is looked at once.
    let found = mount_tests::run::tool("find")
        .arg(mount.path())
        .args(["-type", "f", "-size", "+0"]);
    assert_eq!(found.ok().text().lines().count(), count);
    within_limit(&mount, &format!("{count} files found"));
    let mount = mount.remount();
    within_limit(&mount, &format!("{count} files, mounted again"));
    pond.check();
    within_limit(&mount, &format!("{count} files, checked"));
    mount.unmount();
}

#[test]
fn a_large_file_is_written_and_read_in_256_mib() {
    let megabytes: usize = setting("POND_TEST_LARGE_MB", 256);
    let pond = Pond::new();
    let mount = pond.mount();
    let path = mount.join("large");
    let block = |n: usize| Rng::new(n as u64).bytes(1 << 20);
    let mut file = File::create(&path).expect("create");
    for n in 0..megabytes {
        file.write_all(&block(n)).expect("write");
    }
    within_limit(&mount, &format!("{megabytes} MB written"));
    file.sync_all().expect("fsync");
    mount.sync();
    within_limit(&mount, &format!("{megabytes} MB in a version"));
    drop(file);
    let mount = mount.remount();
    let (mut file, mut bytes) = (File::open(&path).expect("open"), vec![0; 1 << 20]);
    for n in 0..megabytes {
        file.read_exact(&mut bytes).expect("read");
        assert!(bytes == block(n), "megabyte {n} is not what was written");
    }
    within_limit(&mount, &format!("{megabytes} MB read"));
    drop(file);
    mount.unmount();
}

#[track_caller]
fn within_limit(mount: &Mount, what: &str) {
    let field = |name| mount.daemon().count(name).map(|kilobytes| kilobytes >> 10);
    let peak = field("VmHWM").expect("the peak of the daemon's memory");
    println!(
        "memory: {what}: {peak} MiB at most, {} MiB now",
        field("VmRSS").unwrap_or(0)
    );
    assert!(peak < LIMIT, "{what}: {peak} MiB");
}
