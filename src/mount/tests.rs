//! Tests on real mounts, as root with `/dev/fuse`. Elsewhere these tests pass without any check.

use super::{MountOptions, Mounted, mount, mounts, recover_stale, unmount};
use crate::pond::{OpenOptions, Pond};
use crate::tinyfs::ops::Restored;
use crate::tinyfs::{Name, Version};
use rustix::io::Errno;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

/// A mounted pond, unmounted on drop.
struct Stage {
    pond: Arc<Pond>,
    at: PathBuf,
    mounted: Option<Mounted>,
    _dir: TempDir,
}

impl Stage {
    fn new() -> Option<Stage> {
        Stage::with(&MountOptions::default())
    }

    fn with(options: &MountOptions) -> Option<Stage> {
        let able = rustix::process::geteuid().is_root() && Path::new("/dev/fuse").exists();
        able.then(|| {
            let dir = tempfile::tempdir().expect("a temporary directory");
            let (store, at) = (dir.path().join("pond"), dir.path().join("a mount"));
            fs::create_dir(&at).expect("a mountpoint");
            Pond::init(&store).expect("a pond");
            let pond = Pond::open(&store, &OpenOptions::default()).expect("it opens");
            let mounted = mount(pond.clone(), &at, options);
            Stage {
                pond,
                at,
                mounted: Some(mounted.expect("it mounts")),
                _dir: dir,
            }
        })
    }

    /// Runs a script in the mount, and returns its output.
    fn run(&self, script: &str) -> String {
        let output = Command::new("bash")
            .args(["-euc", script])
            .current_dir(&self.at)
            .output()
            .expect("bash");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn end(mut self) {
        let mounted = self.mounted.take().expect("it is mounted");
        mounted.unmounter().unmount(false).expect("it unmounts");
        mounted.wait().expect("it ends in order");
        self.pond.close().expect("it closes");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.mounted.is_some() {
            unmount(&self.at, true).ok();
            self.pond.close().ok();
        }
    }
}

#[test]
fn files_of_all_kinds_are_made_moved_and_removed() {
    let Some(stage) = Stage::new() else { return };
    let seen = stage.run(
        r#"
        mkdir -p a/b; echo one > a/b/f; ln a/b/f g; ln -s a/b/f s; mkfifo p; mknod c c 1 3
        test "$(cat s)" = one; test "$(stat -c %h g)" = 2
        mv a/b x; ! test -e a/b; cat x/f; echo two >> g; cat x/f
        rm -r x; cat g; rm s p c; ls -a
        exec 3<> open; rm open; echo still >&3; cat /proc/self/fd/3 > /dev/null
        test "$(stat -Lc %h /proc/self/fd/3)" = 0
    "#,
    );
    assert_eq!(seen, "one\none\ntwo\none\ntwo\n.\n..\na\ng\n");
    stage.end();
}

#[test]
fn large_files_holes_and_copies() {
    let Some(stage) = Stage::new() else { return };
    stage.run(
        r#"
        head -c 5000000 /dev/urandom > f; cp f g; cmp f g; cp --reflink=never f h; cmp f h
        truncate -s 1T sparse; printf end | dd of=sparse bs=1 seek=1099511627773 conv=notrunc status=none
        test "$(stat -c %b sparse)" -lt 1000; test "$(tail -c 3 sparse)" = end
        fallocate -p -o 4096 -l 8192 f; test "$(dd if=f bs=4096 skip=1 count=2 status=none | tr -d '\0' | wc -c)" = 0
        fallocate -l 6000000 f; test "$(stat -c %s f)" = 6000000
        dd if=h of=h2 bs=1M iflag=direct oflag=direct status=none 2> /dev/null || cp h h2; cmp h h2
    "#,
    );
    stage.end();
}

#[test]
fn what_is_written_to_loses_set_id_bits_and_capabilities() {
    let options = MountOptions {
        allow_other: true,
        ..MountOptions::default()
    };
    let Some(stage) = Stage::with(&options) else {
        return;
    };
    let seen = stage.run(
        r#"
        nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
        chmod 777 .; echo x > f; mode() { stat -c %a f; }
        chmod 6777 f; nobody bash -c 'echo x >> f'; mode
        chmod 6777 f; nobody truncate -s 1 f; mode
        chmod 6777 f; nobody fallocate -l 10 f; mode
        chmod 6777 f; echo x >> f; mode
        chmod 6777 f; chown 1 f; mode
        if command -v setcap > /dev/null; then
            setcap cap_net_raw+ep f; echo x >> f; getcap f; setcap cap_net_raw+ep f; : > f; getcap f
            setcap cap_net_raw+ep f; chown 2 f; getcap f
        fi
    "#,
    );
    assert_eq!(seen, "777\n777\n777\n6777\n777\n");
    stage.end();
}

#[test]
fn attributes_are_kept_by_the_rules_of_their_names() {
    let Some(stage) = Stage::new() else { return };
    let path = stage.at.join("f");
    fs::write(&path, "x").expect("a file");
    let any = rustix::fs::XattrFlags::empty();
    let set = |name: &str, value: &[u8]| rustix::fs::lsetxattr(&path, name, value, any);
    let get = |name: &str| {
        let mut value = [0; 100];
        rustix::fs::lgetxattr(&path, name, &mut value[..]).map(|len| value[..len].to_vec())
    };
    assert_eq!(set("user.a", b"1"), Ok(()));
    assert_eq!(set("security.x", b""), Ok(()));
    assert_eq!(get("user.a"), Ok(b"1".to_vec()));
    assert_eq!(get("security.x"), Ok(Vec::new()));
    assert_eq!(set("user.pond.id", b"1"), Err(Errno::PERM));
    assert!(get("user.pond.id").is_ok());
    let acl = get("system.posix_acl_access");
    assert_eq!(acl, Err(Errno::OPNOTSUPP));
    let mut list = [0; 100];
    let len = rustix::fs::llistxattr(&path, &mut list[..]).expect("a list");
    assert_eq!(&list[..len], b"security.x\0user.a\0");
    stage.end();
}

#[test]
fn times_before_1970_keep_their_fractions() {
    let Some(stage) = Stage::new() else { return };
    let seen = stage.run("touch -d '1969-12-31 23:59:58.25 UTC' f; stat -c %.3Y f");
    assert_eq!(seen, "-1.750\n");
    let seen = stage.run("touch -d '1901-01-01 00:00:00.000000001 UTC' f; TZ=UTC stat -c %y f");
    assert_eq!(seen, "1901-01-01 00:00:00.000000001 +0000\n");
    stage.end();
}

#[test]
fn the_past_is_there_and_stays() {
    let Some(stage) = Stage::new() else { return };
    stage.run("mkdir d; echo one > d/f; ln d/f d/g; chmod 750 d");
    stage.pond.sync().expect("a version");
    let first = stage.pond.latest().version;
    stage.run("echo two > d/f; rm d/g; echo new > n");
    assert_eq!(stage.run("readlink @version/latest"), format!("{first}\n"));
    stage.pond.sync().expect("a version");
    let second = stage.pond.latest().version;
    assert_eq!(stage.run("readlink @version/latest"), format!("{second}\n"));
    stage.run(&format!(
        r#"
        test "$(cat @version/{first}/d/f)" = one; test "$(cat d/@version/{second}/f)" = two
        test "$(cat @version/latest/n)" = new; ! test -e @version/{first}/n
        test "$(ls d/@version | tr '\n' ' ')" = "{first} {second} latest "
        test "$(stat -c %i @version/{first}/d/f)" = "$(stat -c %i @version/{first}/d/g)"
        test "$(stat -c %i @version/{first}/d/f)" != "$(stat -c %i d/@version/{first}/f)"
        test "$(stat -c %a @version/{first}/d)" = 750
        mv d e; test "$(ls e/@version | head -1)" = {first}; test "$(cat e/@version/{first}/f)" = one
        ! test -e @version/nonsense; ! test -e @version/0{first}; ! test -e @version/999
        ! touch @version/{first}/d/new 2> /dev/null; ! rm -r @version/{first}/d 2> /dev/null
        ! mkdir a@version 2> /dev/null; ! touch e/@version/x 2> /dev/null
        test "$(ls -A)" = "$(printf 'e\nn')"; test "$(ls @version/{second}/@version | tail -2 | head -1)" = {second}
        test "$(cat @version/{first}/d/@version/latest/f)" = one
        mkdir fresh; test -z "$(ls fresh/@version)"; ! test -e fresh/@version/latest
    "#
    ));
    stage.end();
}

#[test]
fn a_large_directory_is_listed_whole_while_it_is_emptied() {
    let Some(stage) = Stage::new() else { return };
    stage.run(
        r#"
        mkdir big; (cd big; seq 5000 | xargs touch)
        test "$(ls -U big | wc -l)" = 5000; test "$(ls -U big | wc -l)" = 5000
        touch big/one-more; test "$(ls -U big | sort -u | wc -l)" = 5001
        find big -type f -delete; test -z "$(ls -A big)"; rmdir big
        mkdir big; (cd big; seq 5000 | xargs touch); ls -l big > /dev/null; rm -r big
    "#,
    );
    stage.end();
}

#[test]
fn a_mount_is_listed_and_not_mounted_over() {
    let Some(stage) = Stage::new() else { return };
    let listed = mounts().expect("mounts");
    let place = stage.at.canonicalize().expect("its path");
    assert!(
        listed
            .iter()
            .any(|mount| mount.mountpoint == place && mount.source == stage.pond.path())
    );
    let again = mount(stage.pond.clone(), &stage.at, &MountOptions::default());
    assert_eq!(
        again.map_err(|error| error.code()).err(),
        Some("already_mounted")
    );
    let inside = mount(
        stage.pond.clone(),
        stage.pond.path(),
        &MountOptions::default(),
    );
    assert_eq!(
        inside.map_err(|error| error.code()).err(),
        Some("mountpoint_overlaps")
    );
    assert!(!recover_stale(&stage.at).expect("it is alive"));
    let open = fs::File::create(stage.at.join("open")).expect("a file");
    assert_eq!(
        unmount(&stage.at, false).map_err(|error| error.code()),
        Err("busy")
    );
    drop(open);
    let at = stage.at.clone();
    stage.end();
    assert_eq!(
        unmount(&at, false).map_err(|error| error.code()),
        Err("not_mounted")
    );
}

/// More than the serving threads.
const WAITING: usize = 8;

#[test]
fn changes_that_wait_for_a_long_one_keep_no_thread_that_serves() {
    let Some(stage) = Stage::new() else { return };
    stage.run(
        "mkdir d e; for n in 1 2 3 4 5 6 7 8; do echo one > d/f$n; done; truncate -s 100M d/large; \
         echo one > e/f",
    );
    let long = stage.pond.enter_long_change();
    let script = "case $1 in 1|2) echo two >> d/f$1;; 3) rm d/f3;; 4) mkdir d/new;; 5) mv d/f5 d/moved;; \
        6) truncate -s 1 d/f6;; 7) truncate -s 1M d/large;; *) setfattr -n user.a -v 1 d/f8;; esac";
    let start = |n: usize| {
        let mut changing = Command::new("bash");
        changing.args(["-euc", script, "bash", &n.to_string()]);
        changing.current_dir(&stage.at).spawn().expect("bash")
    };
    let changing: Vec<_> = (1..=WAITING).map(start).collect();
    let monitor = || stage.pond.status().late;
    let begun = std::time::Instant::now();
    while monitor().is_empty() {
        assert!(begun.elapsed().as_secs() < 60, "nobody waits");
        // A directory that the kernel has not cached, while all the requests wait.
        stage.run(
            "timeout 60 ls -a . > /dev/null; timeout 60 stat missing 2> /dev/null || test $? = 1",
        );
    }
    let seen =
        stage.run("timeout 60 cat e/f; timeout 60 stat -c %s e/f; timeout 60 ls .pond/status");
    assert_eq!(seen, "one\n4\n.pond/status\n");
    drop(long);
    for mut change in changing {
        assert!(change.wait().expect("bash").success());
    }
    assert_eq!(
        stage.run("stat -c %s d/large; ls d | wc -l"),
        "1048576\n9\n"
    );
    assert!(monitor().is_empty(), "{:?}", monitor());
    stage.end();
}

#[test]
fn requests_are_counted_and_the_one_that_waits_is_named() {
    let Some(stage) = Stage::new() else { return };
    stage.run("mkdir d");
    let status = || -> serde_json::Value {
        let text = stage.run("cat .pond/status");
        serde_json::from_str(&text).expect("it is JSON")
    };
    let before = status();
    let count = |status: &serde_json::Value, name: &str| status["requests"][name].as_u64();
    assert_eq!(before["requests"]["oldest"], serde_json::Value::Null);
    let long = stage.pond.enter_long_change();
    let mut waiting = Command::new("mkdir")
        .arg(stage.at.join("d/new"))
        .spawn()
        .expect("mkdir");
    let begun = std::time::Instant::now();
    let seen = loop {
        let seen = status();
        if !seen["requests"]["oldest"].is_null() {
            break seen;
        }
        assert!(begun.elapsed().as_secs() < 60, "{seen}");
    };
    let oldest = &seen["requests"]["oldest"];
    assert_eq!(
        (&oldest["op"], &oldest["pid"]),
        (&"mkdir".into(), &waiting.id().into())
    );
    assert!(oldest["milliseconds"].as_u64() >= Some(1000));
    assert!(count(&seen, "received") > count(&seen, "replied"));
    let late = stage.pond.status().late;
    assert!(
        late.len() == 1 && late[0].starts_with("mkdir of inode "),
        "{late:?}"
    );
    drop(long);
    assert!(waiting.wait().expect("mkdir").success());
    let after = status();
    assert_eq!(after["requests"]["oldest"], serde_json::Value::Null);
    assert!(count(&after, "replied") > count(&before, "replied"));
    stage.end();
}

/// The kernel holds a directory's lock for an unanswered request, and needs it to drop a name.
#[test]
fn a_notification_that_the_kernel_does_not_return_from_is_named() {
    let Some(stage) = Stage::new() else { return };
    stage.run("mkdir d; touch d/f");
    let (dir, _) = stage.pond.walk(Version::NOW, b"d").expect("a directory");
    let long = stage.pond.enter_long_change();
    let mut waiting = Command::new("mkdir")
        .arg(stage.at.join("d/new"))
        .spawn()
        .expect("mkdir");
    await_late(&stage, 1);
    let (pond, name) = (stage.pond.clone(), Name::new(b"f").expect("a name"));
    let announcing = std::thread::spawn(move || {
        pond.announce(&Restored {
            names: vec![(dir, name)],
            ..Restored::default()
        });
    });
    let late = await_late(&stage, 2);
    let expected = format!("the kernel has not returned from dropping a name of inode {dir} ");
    assert!(late[1].starts_with(&expected), "{late:?}");
    // No other request waits.
    stage.run("timeout 60 cat .pond/status > /dev/null; timeout 60 ls -a > /dev/null");
    drop(long);
    assert!(waiting.wait().expect("mkdir").success());
    announcing.join().expect("it returns");
    assert_eq!(stage.pond.status().late, Vec::<String>::new());
    stage.end();
}

/// Waits until `count` requests and notifications are overdue.
fn await_late(stage: &Stage, count: usize) -> Vec<String> {
    let begun = std::time::Instant::now();
    loop {
        let late = stage.pond.status().late;
        if late.len() == count {
            return late;
        }
        assert!(begun.elapsed().as_secs() < 60, "{late:?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
