//! Python as data people use it: tables through pandas and pyarrow, shared memory maps, locks, and copies.

use std::path::Path;

use mount_tests::place::{folder, on_mount, on_mount_again};
use mount_tests::run::{arrow, python};

/// Runs a script on a directory; what it asserts is what is tested.
fn runs(script: &str, root: &Path) {
    python().args(["-c", script]).arg(root).within(root).ok();
}

#[test]
fn pandas_and_pyarrow_write_and_read_tables() {
    let stage = |stage: &str, root: &Path| {
        let script = include_str!("scripts/tables.py");
        arrow(script).arg(stage).arg(root).ok();
    };
    on_mount_again(
        |root, _| ["write", "read"].iter().for_each(|it| stage(it, root)),
        |root, _| stage("read", root),
    );
}

#[test]
fn a_delta_table_lives_on_the_mount() {
    let script = include_str!("scripts/delta_table.py");
    on_mount(|root, _| drop(arrow(script).arg(root).within(root).ok()));
}

#[test]
fn processes_share_memory_through_a_mapped_file() {
    on_mount(|root, _| runs(include_str!("scripts/shared_memory.py"), root));
}

#[test]
fn processes_wait_for_locks_and_get_them_when_the_holder_ends() {
    on_mount(|root, _| runs(include_str!("scripts/locks.py"), root));
}

#[test]
fn shutil_copies_trees_and_sendfile_copies_bytes() {
    on_mount(|root, outside| {
        folder(outside, "there");
        let script = include_str!("scripts/copies.py");
        let run = python().args(["-c", script]).arg(root);
        run.arg(outside.join("there")).ok();
    });
}
