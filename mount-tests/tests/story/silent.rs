//! A daemon that does not answer: every command says so in time and names its process, and
//! `umount --force` frees the mount and all processes that wait for it.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mount_tests::mount::{LEAVING, Mount};
use mount_tests::place::file;
use mount_tests::pond::Pond;
use mount_tests::process::{Process, mounted_at};
use mount_tests::run::{KEEP_ONLY, NOBODY, Started, need, need_root, python, shell, tool};
use rustix::process::Signal;

use crate::users::give;

/// More than any silent daemon is waited for, on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn commands_name_a_stopped_daemon_and_end() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(mount.path(), "f", "x");
    mount.daemon().signal(Signal::STOP);
    let pid = format!("process {}", mount.daemon().pid());
    let started: Vec<_> = [
        ("status", mount.path()),
        ("status", &pond.store()),
        // What is inside the mount is not touched either.
        ("status", &mount.join("f")),
        ("log", mount.path()),
        ("sync", mount.path()),
        ("umount", mount.path()),
    ]
    .map(|(command, path)| pond.run([command]).arg(path).start())
    .into();
    for command in started {
        let outcome = command.finish(LIMIT).exits(1);
        outcome.says(&["does not answer", &pid, "stopped", "kill -CONT"]);
    }
    // It is listed, and no second one takes its place.
    let list = pond.run(["--json", "mount"]).ok().json_lines();
    let ours = list
        .iter()
        .find(|row| row["mountpoint"] == mount.path().to_str().unwrap());
    assert_eq!(ours.expect("a row of the list")["state"], "served");
    pond.try_mount(&[]).fails().says(&["mounted there already"]);
    mount.daemon().signal(Signal::CONT);
    assert_eq!(fs::read_to_string(mount.join("f")).unwrap(), "x");
    mount.unmount();
    pond.check();
}

#[test]
fn a_mount_whose_daemon_was_killed_is_listed_as_dead() {
    let pond = Pond::new();
    let mount = pond.mount();
    let row = || {
        let list = pond.run(["--json", "mount"]).ok().json_lines();
        let ours = |row: &&serde_json::Value| row["mountpoint"] == mount.path().to_str().unwrap();
        list.iter().find(ours).cloned().expect("a row of the list")
    };
    assert_eq!(row()["state"], "served");
    assert_eq!(row()["pid"], mount.daemon().pid());
    mount.kill9_leaving_the_mount_dead();
    // A command that looks through `/proc` at this moment keeps the lock for as long as it looks.
    wait_until("a dead mount", || {
        let row = row();
        row["state"] == "dead" && row["pid"].is_null()
    });
    let text = pond.run(["mount"]).ok().text();
    let line = format!("on {} (dead", mount.path().display());
    assert!(text.contains(&line), "{text}");
    pond.run(["umount"]).arg(mount.path()).ok();
    assert_eq!(mounted_at(mount.path()), None);
}

#[test]
fn umount_force_frees_a_stopped_daemon_and_loses_nothing() {
    let pond = Pond::new();
    let mut mount = pond.mount_with(&["-o", "commit=3600"]);
    file(mount.path(), "f", "x");
    mount.daemon().signal(Signal::STOP);
    // Who asks it now waits.
    let waiting = tool("stat").arg(mount.join("not-looked-up-yet")).start();
    pond.run(["umount", "--force"])
        .arg(mount.path())
        .limit(LIMIT)
        .ok();
    mount.expect_gone(LEAVING);
    waiting.finish(LEAVING).fails();
    drop(mount);
    let mount = pond.mount();
    assert_eq!(fs::read_to_string(mount.join("f")).unwrap(), "x");
    mount.unmount();
    pond.check();
}

#[test]
fn umount_force_removes_a_dead_mount_and_one_that_is_in_use() {
    let pond = Pond::new();
    let mount = pond.mount();
    mount.kill9_leaving_the_mount_dead();
    pond.run(["umount", "--force"]).arg(mount.path()).ok();
    assert_eq!(mounted_at(mount.path()), None);
    let mut mount = pond.mount();
    let open = fs::File::create(mount.join("f")).unwrap();
    pond.run(["umount", "--force"]).arg(mount.path()).ok();
    mount.expect_gone(LEAVING);
    assert!(open.sync_all().is_err());
    pond.check();
}

#[test]
fn a_user_frees_their_own_mount_and_nobody_elses() {
    need("fusermount3");
    let pond = Pond::for_nobody();
    let at = pond.mountpoint("mnt");
    give(&at, NOBODY, 0o755);
    pond.run(["mount", "--create"])
        .arg(pond.store())
        .arg(&at)
        .as_nobody()
        .ok();
    let mut mount = Mount::adopt(&pond, at.clone(), Duration::ZERO);
    mount.daemon().signal(Signal::STOP);
    pond.run(["umount", "--force"])
        .arg(&at)
        .as_nobody()
        .limit(LIMIT)
        .ok();
    mount.expect_gone(LEAVING);
    drop(mount);
    // Root's mount is root's.
    let mount = pond.mount();
    for flag in [&[][..], &["--lazy"], &["--force"]] {
        let outcome = pond.run(["umount"]).args(flag).arg(&at).as_nobody();
        outcome
            .outcome()
            .exits(1)
            .says(&["mount of the user root (0)", "sudo pondmount umount"]);
    }
    assert_eq!(fs::read_dir(mount.path()).unwrap().count(), 0);
    mount.unmount();
}

/// A file system that does not answer `mkdir`, and invalidates an entry of the same directory: the
/// kernel then waits for the directory's lock in a thread of the server, which no signal ends. The
/// server holds the lock of a pond, as a daemon does, and is a process of the user that it is given.
const STUCK: &str = r#"
import ctypes, fcntl, json, os, struct, sys, threading
pond, at, user = sys.argv[1], sys.argv[2], int(sys.argv[3])
libc = ctypes.CDLL(None, use_errno=True)
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id={user},group_id={user},allow_other"
if libc.mount(pond.encode(), at.encode(), b"fuse.pondmount", 0, options.encode()):
    raise OSError(ctypes.get_errno(), "mount")
lines = [line.split() for line in open("/proc/self/mountinfo")]
number = [line[2] for line in lines if line[4] == at][-1]
lock = open(pond + "/lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
holder = {"pid": os.getpid(), "host": "here", "mountpoint": at, "device": number}
lock.write(json.dumps(holder)); lock.flush()
if user:
    os.setgroups([]); os.setgid(user); os.setuid(user)
    PR_SET_DUMPABLE = 4 # So that /proc shows its open files to the user.
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
def answer(unique, error, body=b""):
    os.write(device, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
def invalidate():
    # It waits for the directory's lock, which the caller of mkdir holds.
    body = struct.pack("<QII", 1, 1, 0) + b"x\0"
    try: answer(0, 3, body)
    except OSError: pass
attributes = struct.pack("<QIIQQQQQQIIIIIIIIII", 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
while True:
    try: request = os.read(device, 1 << 20)
    except OSError: break
    _, operation, unique, node = struct.unpack_from("<IIQQ", request)
    if operation == 26: answer(unique, 0, struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, 0, 12, 9, 4096, 1, 0, 0, 0))
    elif operation == 3: answer(unique, 0, attributes)
    elif operation == 1: answer(unique, -2)
    elif operation == 9: threading.Thread(target=invalidate).start()
    elif operation in (2, 36, 42): pass
    else: answer(unique, -38)
"#;

#[test]
fn umount_force_frees_a_daemon_that_the_kernel_waits_in() {
    need_root("mounts a file system of its own");
    let pond = Pond::missing();
    let stuck = Stuck::new(&pond, 0);
    // Neither it nor the caller can be killed now.
    stuck.daemon.signal(Signal::KILL);
    stuck.caller.signal(Signal::KILL);
    let ended = stuck.daemon.ended(Duration::from_secs(1));
    assert!(!ended && waits_for_ever(stuck.daemon.pid()));
    pond.run(["umount", "--force"])
        .arg(&stuck.at)
        .limit(LIMIT)
        .ok();
    stuck.expect_freed();
}

#[test]
fn umount_force_leaves_to_root_a_mount_that_its_user_may_not_abort() {
    let pond = Pond::for_nobody();
    let stuck = Stuck::new(&pond, NOBODY);
    // The user could abort it where fusectl is mounted: it is hidden from this command alone.
    let script = format!(
        r#"{KEEP_ONLY}
        keep_only "$3"
        mount -t tmpfs none /sys/fs/fuse/connections
        exec setpriv --reuid "$1" --regid "$1" --clear-groups "$2" umount --force "$3""#
    );
    let refused = tool("unshare")
        .args(["--mount", "--propagation", "private", "bash", "-c", &script])
        .args(["bash", &NOBODY.to_string()])
        .arg(pond.binary())
        .arg(&stuck.at)
        .limit(LIMIT)
        .outcome();
    refused.exits(1).says(&[
        &format!("process {} was killed and does not end", stuck.daemon.pid()),
        "sudo pondmount umount --force",
    ]);
    // It is there still, so that root can find it.
    assert!(mounted_at(&stuck.at).is_some() && waits_for_ever(stuck.daemon.pid()));
    pond.run(["umount", "--force"])
        .arg(&stuck.at)
        .limit(LIMIT)
        .ok();
    stuck.expect_freed();
}

/// A mount whose server and its caller wait for each other in the kernel. The guard takes the connection
/// away if the test does not get to it: nothing else would end the processes.
struct Stuck {
    at: PathBuf,
    daemon: Process,
    caller: Process,
    started: Vec<Started>,
}

impl Stuck {
    #[track_caller]
    fn new(pond: &Pond, user: u32) -> Stuck {
        fs::create_dir(pond.store()).unwrap();
        let at = pond.mountpoint("mnt");
        let server = python()
            .args(["-c", STUCK])
            .arg(pond.store())
            .arg(&at)
            .arg(user.to_string())
            .start();
        wait_until("the mount", || mounted_at(&at).is_some());
        let caller = tool("mkdir").arg(at.join("x")).start();
        let stuck = Stuck {
            at,
            daemon: Process::open(server.pid()).unwrap(),
            caller: Process::open(caller.pid()).unwrap(),
            started: vec![server, caller],
        };
        wait_until("a thread that nothing wakes", || {
            waits_for_ever(stuck.daemon.pid())
        });
        stuck
    }

    #[track_caller]
    fn expect_freed(&self) {
        assert_eq!(mounted_at(&self.at), None);
        assert!(self.daemon.ended(LEAVING) && self.caller.ended(LEAVING));
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        let script = r#"
            number=$(awk -v at="$1" '$5 == at { split($3, n, ":"); print n[2] }' /proc/self/mountinfo)
            [ -z "$number" ] || unshare --mount --propagation private bash -c '
                mount -t fusectl none /sys/fs/fuse/connections; echo 1 > "/sys/fs/fuse/connections/$0/abort"' "$number"
        "#;
        shell(script).arg(&self.at).outcome();
        self.started.clear();
    }
}

/// Whether a thread of the process waits for what no signal ends.
fn waits_for_ever(pid: i32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    threads.flatten().any(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('D'))
    })
}

#[track_caller]
fn wait_until(what: &str, ready: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ready() {
        assert!(Instant::now() < deadline, "{what} is not there after 60 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_mount_that_comes_right_after_umount8_waits_and_says_so_only_after_a_second() {
    need_root("unmounts by umount(8)");
    let pond = Pond::new();
    for round in 0..5 {
        let mount = pond.mount_with(&["-o", "commit=3600"]);
        file(mount.path(), &format!("f{round}"), vec![round; 2_000_000]);
        tool("umount").arg(mount.path()).ok();
        // The guard would end the daemon at its work, and take the next mount away.
        std::mem::forget(mount);
        let start = Instant::now();
        let again = pond.try_mount(&[]).ok();
        if start.elapsed() < Duration::from_secs(1) {
            assert_eq!(again.err(), "", "a note on standard error within a second");
        }
        let again = Mount::adopt(&pond, pond.outside("mnt"), Duration::ZERO);
        let bytes = fs::read(again.join(format!("f{round}"))).unwrap();
        assert_eq!(bytes.len(), 2_000_000);
        again.unmount();
    }
    // One that takes its time is waited for, with a note.
    let mount = pond.mount();
    file(mount.path(), "f", "x");
    let daemon = mount.daemon().try_clone().unwrap();
    daemon.signal(Signal::STOP);
    let at = mount.path().to_path_buf();
    tool("umount").args(["-l"]).arg(&at).ok();
    std::mem::forget(mount);
    let started = pond.run(["mount"]).arg(pond.store()).arg(&at).start();
    let note = format!("note: waiting for process {}", daemon.pid());
    wait_until("the note", || started.said().contains(&note));
    daemon.signal(Signal::CONT);
    started.finish(LIMIT).ok();
    assert!(daemon.ended(LEAVING));
    let again = Mount::adopt(&pond, at, Duration::ZERO);
    assert_eq!(fs::read_to_string(again.join("f")).unwrap(), "x");
    again.unmount();
}
