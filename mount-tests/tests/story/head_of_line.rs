//! A program that waits for the disk keeps nobody else: while writers wait for a store that stalls, or programs for a
//! commit, others look around in the mount.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use mount_tests::inject::Stall;
use mount_tests::pond::Pond;

/// How long anything may take that must not wait.
const LIMIT: Duration = Duration::from_secs(60);
/// How often somebody looks.
const LOOKS: usize = 50;
/// More than there are threads that serve the mount.
const WAITING: usize = 6;

/// Runs `act` in a thread that is left alone if it hangs.
fn within<T: Send + 'static>(what: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = channel();
    thread::spawn(move || tell.send(act()));
    told.recv_timeout(LIMIT)
        .unwrap_or_else(|_| panic!("{what} did not return within {LIMIT:?}"))
}

/// Looks that the kernel cannot answer by itself: at a name that is not there, and at the list of a directory.
fn look(root: &Path) {
    static LOOKS: AtomicUsize = AtomicUsize::new(0);
    let new = LOOKS.fetch_add(1, Ordering::Relaxed);
    let missing = root.join(format!("missing-{new}"));
    within("stat", move || {
        assert!(fs::symlink_metadata(missing).is_err())
    });
    let root: PathBuf = root.into();
    within("readdir", move || fs::read_dir(root).unwrap().count());
}

#[test]
fn writers_on_a_store_that_stalls_do_not_stall_looks() {
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 16;
    let pond = Pond::new();
    let mount = pond.mount();
    let segment = pond.store().join("segments/0000000000000001.seg");
    let stall = Stall::begin(&mount, "pwrite64", &segment);
    let written: [AtomicUsize; WAITING] = Default::default();
    let now = || {
        written
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed))
    };
    thread::scope(|scope| {
        for (n, written) in written.iter().enumerate() {
            let path = mount.join(format!("f{n}"));
            scope.spawn(move || {
                let mut file = File::create(path).unwrap();
                for _ in 0..PIECES {
                    file.write_all(&[n as u8; PIECE]).unwrap();
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let (mut quiet, start) = (0, Instant::now());
        while quiet < LOOKS && start.elapsed() < 2 * LIMIT {
            let before = now();
            look(mount.path());
            // 32 MiB may wait in memory, of which each writer has one that is not answered.
            let all_wait = before == now() && before.iter().sum::<usize>() + WAITING >= 32;
            quiet = if all_wait { quiet + 1 } else { 0 };
        }
        let waited = now();
        stall.end();
        assert!(quiet >= LOOKS, "the writers do not wait: {waited:?}");
    });
    assert_eq!(now(), [PIECES; WAITING]);
    mount.unmount();
    pond.check();
}

/// With `commit=0`, each close of a changed file waits for a version.
#[test]
fn commits_on_a_store_that_stalls_do_not_stall_looks() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=0"]);
    let stall = Stall::begin(&mount, "fsync", &pond.store().join("oplog/_delta_log"));
    let committed = AtomicUsize::new(0);
    let mut open = Vec::new();
    thread::scope(|scope| {
        for n in 0..WAITING {
            let (file, committed) = (mount.join(format!("f{n}")), &committed);
            let (sync, name) = (
                mount.join(".pond/sync"),
                mount.join(format!("@version/t{n}")),
            );
            scope.spawn(move || {
                match n {
                    0 => fs::write(sync, "now").unwrap(),
                    1 => fs::create_dir(name).unwrap(),
                    _ => fs::write(file, "to be committed").unwrap(),
                }
                committed.fetch_add(1, Ordering::Relaxed);
            });
        }
        for n in 0..LOOKS {
            look(mount.path());
            let path = mount.join(format!("beside-{n}"));
            open.push(within("a write beside", move || {
                let mut file = File::create(path).unwrap();
                file.write_all(b"more").unwrap();
                file
            }));
        }
        let done = committed.load(Ordering::Relaxed);
        stall.end();
        // What changed nothing needs no version.
        assert!(done <= 1, "the commits did not wait: {done}");
    });
    assert_eq!(committed.load(Ordering::Relaxed), WAITING);
    drop(open);
    mount.unmount();
    pond.check();
}
