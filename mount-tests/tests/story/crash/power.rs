//! Power cuts at random moments: what the disk was not told to keep is lost.

use std::fs::File;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use mount_tests::disk::{Disk, Kind};
use mount_tests::load::Signals;
use mount_tests::mount::Mount;
use mount_tests::place::file;
use mount_tests::pond::{Pond, names};
use mount_tests::run::need;

use super::{Crash, Writer, crash_loop, small_operations, whole_files};

#[test]
fn on_ext4_an_exact_prefix_is_found() {
    cuts("ext4, small operations", Kind::Ext4, small_operations);
}

#[test]
fn on_xfs_an_exact_prefix_is_found() {
    cuts("xfs, small operations", Kind::Xfs, small_operations);
}

#[test]
fn on_ext4_published_files_are_whole_and_none_is_lost() {
    cuts("ext4, publishers", Kind::Ext4, whole_files);
}

#[test]
fn on_xfs_published_files_are_whole_and_none_is_lost() {
    cuts("xfs, publishers", Kind::Xfs, whole_files);
}

#[test]
fn on_ext4_a_commit_may_be_under_way() {
    cuts_during_commits("ext4, committing", Kind::Ext4);
}

#[test]
fn on_xfs_a_commit_may_be_under_way() {
    cuts_during_commits("xfs, committing", Kind::Xfs);
}

/// The harness itself: a daemon whose syncs do nothing must be found out.
#[test]
fn a_daemon_that_does_not_sync_is_found_out() {
    for kind in [Kind::Ext4, Kind::Xfs] {
        let pond = Pond::missing();
        let disk = Disk::under(&pond, kind, 1024);
        let mount = pond.mount();
        let mut strace = Command::new(need("strace"))
            .args(["-qq", "-f", "-o", "/dev/null"])
            .args(["-e", "trace=fsync,fdatasync"])
            .args(["-e", "inject=fsync,fdatasync:retval=0", "-p"])
            .arg(mount.daemon().pid().to_string())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while mount
            .daemon()
            .field("TracerPid")
            .is_none_or(|pid| pid == "0")
        {
            assert!(Instant::now() < deadline, "strace does not attach");
            thread::sleep(Duration::from_millis(10));
        }
        for n in 0..20 {
            let path = file(mount.path(), &format!("f{n}"), "promised");
            File::open(path).unwrap().sync_all().unwrap();
        }
        disk.cut_power();
        mount.kill9();
        strace.wait().unwrap();
        disk.power_up();
        // What was promised is not there, if there is still a pond at all.
        let again = pond.try_mount(&[]).succeeded();
        let found = match again {
            true => {
                let mount = Mount::adopt(&pond, pond.outside("mnt"), Duration::ZERO);
                names(mount.path()).len()
            }
            false => 0,
        };
        assert!(found < 20, "{kind:?}: the cut lost nothing: it is none");
    }
}

fn cuts(name: &str, disk: Kind, writer: Writer) {
    crash_loop(name, Crash::PowerCut(disk), &[writer; 2], |_, _| {});
}

/// Syncs all the time, so that most cuts meet a commit, and now and then a checkpoint.
fn cuts_during_commits(name: &str, disk: Kind) {
    let commits = |pond: &Pond, signals: &Signals| {
        while !signals.ended() {
            pond.run(["sync"]).arg(pond.store()).outcome();
        }
    };
    let writers = [small_operations as Writer, whole_files];
    crash_loop(name, Crash::PowerCut(disk), &writers, commits);
}
