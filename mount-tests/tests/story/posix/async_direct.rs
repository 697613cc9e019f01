//! Asynchronous direct writes, as databases and virtual machines make them: through libaio's calls and io_uring.

use std::fs;
use std::path::PathBuf;

use mount_tests::place::on_both;
use mount_tests::pond::scratch;
use mount_tests::run::{Run, tool};
use tempfile::TempDir;

/// Builds the program that writes and reads, in a directory that lives as long as the test.
fn program() -> (TempDir, PathBuf) {
    let dir = scratch();
    let path = dir.path().join("async_direct");
    tool("cc")
        .args(["-O2", "-Wall", "-Werror", "-x", "c", "-", "-o"])
        .arg(&path)
        .input(include_str!("async_direct.c"))
        .ok();
    (dir, path)
}

fn writes_are_read_back(how: &str) {
    let (_dir, program) = program();
    let rounds: u32 = mount_tests::setting("POND_TEST_DIRECT", 400);
    on_both(|root| {
        let run = Run::new(&program).arg(root.join("f")).arg(how);
        run.arg(rounds.to_string()).ok();
    });
}

#[test]
fn buffered_reads_see_what_libaio_wrote_directly() {
    writes_are_read_back("aio");
}

#[test]
fn buffered_reads_see_what_io_uring_wrote_directly() {
    writes_are_read_back("uring");
}

#[test]
fn buffered_reads_see_what_pwrite_wrote_directly() {
    writes_are_read_back("sync");
}

/// fio checks each block by the checksum in it, at a queue depth that a database would use.
#[test]
fn fio_verifies_what_it_wrote_at_a_queue_depth_of_16() {
    on_both(|root| {
        for engine in ["libaio", "io_uring"] {
            let file = root.join(engine);
            tool("fio")
                .args([
                    "--name=verify",
                    "--direct=1",
                    "--rw=randrw",
                    "--bsrange=4k-64k",
                ])
                .args([
                    "--size=16m",
                    "--iodepth=16",
                    "--verify=crc32c",
                    "--randseed=1",
                ])
                .args([
                    "--verify_fatal=1",
                    "--verify_state_save=0",
                    "--fallocate=none",
                ])
                .arg(format!("--ioengine={engine}"))
                .arg(format!("--filename={}", file.display()))
                .ok();
            // What it writes has times in it, so the trees would differ.
            fs::remove_file(file).unwrap();
        }
    });
}
