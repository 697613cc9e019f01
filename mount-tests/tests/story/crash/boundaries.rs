//! A fault at each system call of the daemon that changes the disk, while a script of 40 steps runs: the daemon is
//! killed there, or the call fails. Whatever was fsynced is there afterwards, the tree is the state after a prefix of
//! what was acknowledged, and what was committed before is as it was.

use std::fs;

use mount_tests::inject::{Boundary, Fault, Faulty};
use mount_tests::load::Proof;
use mount_tests::load::script::write_steps;
use mount_tests::place::folder;
use mount_tests::pond::Pond;
use mount_tests::rng::Rng;
use mount_tests::setting;
use mount_tests::tree::Tree;

const STEPS: usize = 40;

/// The calls that change a disk, by kind. (`writev` is how the kernel is answered: to lose an answer is no trouble of
/// the disk's.)
const CALLS: [&str; 8] = [
    "fsync,fdatasync,sync_file_range,msync",
    "write",
    "pwrite64,pwritev,pwritev2",
    "rename,renameat,renameat2",
    "link,linkat",
    "unlink,unlinkat",
    "ftruncate,fallocate",
    "mkdir,mkdirat",
];

#[test]
fn a_kill_at_any_system_call_leaves_a_prefix() {
    faults("killed", Fault::Kill);
}

#[test]
fn a_failed_system_call_is_told_and_leaves_a_prefix() {
    faults("EIO", Fault::Error("EIO"));
}

#[test]
fn a_full_disk_at_any_system_call_leaves_a_prefix() {
    faults("ENOSPC", Fault::Error("ENOSPC"));
}

/// Goes through the boundaries: all of them, or some of each kind of call, evenly spread.
#[track_caller]
fn faults(name: &str, fault: Fault) {
    let limit = setting("POND_TEST_BOUNDARIES", 12);
    let mut total = Proof::default();
    let mut met = Vec::new();
    for call in CALLS {
        let (mut count, mut of_this) = (1, 0);
        while round(Boundary { call, count }, fault, &mut total) {
            of_this += 1;
            // The first few are dense; they open the pond. Later ones repeat.
            count += if limit == 0 { 1 } else { 1 + count / 4 };
            if limit > 0 && of_this == limit {
                break;
            }
        }
        met.push(format!(
            "{of_this} {}",
            call.split(',').next().unwrap_or(call)
        ));
    }
    assert!(
        total.durable > 0,
        "{name}: nothing was ever durable: this proved nothing"
    );
    println!(
        "{name}: met at {}; {} acknowledged, {} durable, {} found",
        met.join(", "),
        total.acknowledged,
        total.durable,
        total.found
    );
}

/// One pond, one fault; tells whether it was met.
#[track_caller]
fn round(boundary: Boundary, fault: Fault, total: &mut Proof) -> bool {
    let pond = Pond::new();
    let mount = pond.mount();
    let kept = folder(mount.path(), "kept");
    mount_tests::grow::sow(&kept, &mut Rng::new(5), 20);
    folder(mount.path(), "script");
    let version = mount.sync();
    let before = Tree::of(&kept);
    mount.unmount();

    let faulty = Faulty::mount(&pond, boundary, fault);
    let script = faulty.path().join("script");
    let first = write_steps(&script, Rng::new(9), STEPS / 2);
    // In between a version is made.
    pond.run(["sync"]).arg(pond.store()).outcome();
    let more = faulty.path().join("more");
    let second = fs::create_dir(&more).map(|()| write_steps(&more, Rng::new(10), STEPS / 2));
    let met = faulty.end();

    let mount = pond.mount();
    let judge = |journal: &mount_tests::load::script::Journal, dir| {
        let found = journal.verify(&mount.join(dir));
        found.unwrap_or_else(|wrong| panic!("{fault:?} at {boundary:?}: {dir}: {wrong}"))
    };
    *total += judge(&first, "script");
    if let Ok(second) = second
        && mount.join("more").exists()
    {
        *total += judge(&second, "more");
    }
    let when = format!("{fault:?} at {boundary:?}");
    Tree::of(&mount.join("kept")).assert_equals(&before, &when);
    Tree::of(&mount.version(version).join("kept")).assert_equals(&before, &when);
    mount.unmount();
    pond.check();
    met
}
