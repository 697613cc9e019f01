//! The actors: each repeats a small set of operations until the end.
//!
//! An operation may fail because of a concurrent one; failures are counted by error. Only the time
//! that it takes matters here.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FallocateFlags, RenameFlags, XattrFlags, copy_file_range, fallocate};

use super::watch::Clock;
use crate::mount::Mount;
use crate::pond::Pond;
use crate::rng::Rng;
use crate::sys::{self, Mapping, truncate};

/// The number of directories whose entries are created, moved and removed.
const DIRS: usize = 3;
/// The number of names in each.
const NAMES: usize = 5;
/// The size in bytes of the file that is read directly, mapped and punched.
const MIXED: usize = 128 << 10;
/// The size of a large write in bytes.
const LARGE: usize = 1 << 20;

/// A resource that reduces the files in `data`.
const REDUCE: &str = "apiVersion: v1\nkind: Reduce\nname: r\ndesc: x\nspec:\n  collections:\n  - name: all\n    \
    resolutions: [1d]\n    datasets:\n    - {in_pattern: \"/data/*.csv\", out_pattern: \"of-$0\", aggregates: [sum]}\n";

/// The user of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    Root,
    Nobody,
}

/// One actor: its name, its user, and the function of one round.
#[derive(Clone, Copy)]
pub struct Actor {
    pub name: &'static str,
    pub user: User,
    pub round: fn(&mut Stage<'_>),
}

/// The context of a round.
pub struct Stage<'s> {
    pub root: &'s Path,
    pub pond: &'s Pond,
    pub clock: Clock<'s>,
    pub rng: Rng,
}

/// All actors.
pub const ALL: &[Actor] = &[
    root("changes in derived directories", change_derived),
    root("looks at derived directories", list_derived),
    root("reads derived files", read_derived),
    root("writes inputs", write_inputs),
    root("writes resources", write_resources),
    root("writes in the root", write_in_root),
    root("renames", rename),
    root("makes and removes directories", make_and_remove),
    root("reads the past", read_past),
    root("names versions", name_versions),
    root("syncs", sync),
    root("writes much", write_much),
    root("cuts and copies", cut_and_copy),
    root("direct reads", read_directly),
    root("mapped writes and holes", map_and_punch),
    root("drops caches", drop_caches),
    root("travels by commands", travel),
    root("forgets by commands", forget),
    root("looks at the status", look_at_status),
    Actor {
        name: "another user",
        user: User::Nobody,
        round: be_another_user,
    },
];

/// The actors that work in derived directories.
pub const DERIVED: &[Actor] = &[
    root("changes in derived directories", change_derived),
    root("looks at derived directories", list_derived),
    root("reads derived files", read_derived),
    root("writes inputs", write_inputs),
];

const fn root(name: &'static str, round: fn(&mut Stage<'_>)) -> Actor {
    Actor {
        name,
        user: User::Root,
        round,
    }
}

/// Creates the files that the actors work on.
pub fn prepare(mount: &Mount<'_>) {
    let mode = PermissionsExt::from_mode(0o777);
    fs::set_permissions(mount.path(), mode).expect("chmod");
    furnish(mount.path()).expect("what the actors work on");
    mount.sync();
}

/// Creates missing files: commands may have restored an earlier state.
fn furnish(root: &Path) -> io::Result<()> {
    let folder = |name: &str| match fs::create_dir(root.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(root.join(name)),
    };
    for n in 0..DIRS {
        folder(&format!("d{n}"))?;
    }
    let data = folder("data")?;
    for name in ["a.csv", "b.csv"] {
        if !data.join(name).exists() {
            fs::write(data.join(name), "timestamp,x\n2,2\n")?;
        }
    }
    let recipe = folder("Reduce")?.join("r.yaml");
    if !recipe.exists() {
        fs::write(recipe, REDUCE)?;
    }
    let shown = root.join("Reduce/r");
    if !shown.join("all").exists() {
        // A stored directory would hide the resource; a derived one cannot be removed.
        fs::remove_dir_all(shown).ok();
    }
    fs::set_permissions(folder("shared")?, PermissionsExt::from_mode(0o777))?;
    let mixed = root.join("mixed");
    if !mixed.exists() {
        // It is never shorter than the mappings of other actors.
        let new = root.join("mixed.new");
        File::create(&new)?.set_len(2 * MIXED as u64)?;
        fs::rename(new, mixed)?;
    }
    Ok(())
}

impl Stage<'_> {
    fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// Returns one of the names.
    fn any(&mut self) -> PathBuf {
        let (dir, name) = (self.rng.below(DIRS), self.rng.below(NAMES));
        let below = match self.rng.below(3) {
            0 => "/x",
            _ => "",
        };
        self.at(format!("d{dir}/n{name}{below}"))
    }

    /// Runs an operation on a path. Two kinds may wait for a version, which may wait for a prune:
    /// naming a version, during which the kernel holds the lock of `@version`; and reading a
    /// derived file whose inputs change while it is rendered, but not listing its directory.
    fn on<T>(
        &self,
        kind: &'static str,
        path: &Path,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let waits = path.starts_with(self.root.join("@version"))
            || path.starts_with(self.root.join("Reduce/r")) && !kind.starts_with("readdir");
        match waits {
            true => self.clock.command(kind, call),
            false => self.clock.op(kind, call),
        }
    }

    fn list(&self, kind: &'static str, dir: &Path) -> Vec<PathBuf> {
        let list = || -> io::Result<Vec<PathBuf>> {
            let entries = fs::read_dir(dir)?;
            entries.map(|entry| Ok(entry?.path())).collect()
        };
        self.on(kind, dir, list).unwrap_or_default()
    }

    fn stat(&self, kind: &'static str, path: &Path) {
        let _ = self.on(kind, path, || fs::symlink_metadata(path));
    }

    fn read(&self, kind: &'static str, path: &Path) {
        let _ = self.on(kind, path, || fs::read(path));
    }

    /// Pauses if the path was missing, and creates what may be missing.
    fn come_back(&self, there: bool) {
        if !there {
            let _ = self
                .clock
                .command("several, to go on", || furnish(self.root));
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Runs a `pondmount` command, and returns its output.
    fn run(&self, kind: &'static str, args: &[&OsStr]) -> String {
        let run = || -> io::Result<String> {
            let run = self
                .pond
                .run([])
                .args(args)
                .env("POND_STORE", self.pond.store());
            let outcome = run.limit(Duration::from_secs(600)).outcome();
            match outcome.code() {
                Some(0) => Ok(outcome.text()),
                Some(101) | None => panic!("{outcome}"),
                Some(_) => Err(io::Error::other(outcome.err())),
            }
        };
        self.clock.command(kind, run).unwrap_or_default()
    }
}

/// As root, which passes all permission checks, each call takes the directory's lock in the kernel.
fn change_derived(stage: &mut Stage<'_>) {
    let dirs = ["Reduce/r", "Reduce/r/all", "Reduce/r/all/of-a"];
    let dir = *stage.rng.pick(&dirs);
    let dir = stage.at(dir);
    let name = dir.join(format!("n{}", stage.rng.below(NAMES)));
    let clock = &stage.clock;
    let _ = match stage.rng.below(7) {
        0 => clock.op("mkdir, derived", || fs::create_dir(&name)),
        1 => clock.op("create, derived", || File::create(&name).map(drop)),
        2 => clock.op("unlink, derived", || {
            fs::remove_file(dir.join("res=1d.csv"))
        }),
        3 => clock.op("rmdir, derived", || fs::remove_dir(dir.join("of-a"))),
        4 => clock.op("rename, derived", || {
            fs::rename(dir.join("res=1d.csv"), &name)
        }),
        5 => clock.op("symlink, derived", || symlink("x", &name)),
        _ => clock.op("chmod, derived", || {
            fs::set_permissions(&dir, PermissionsExt::from_mode(0o700))
        }),
    };
}

fn list_derived(stage: &mut Stage<'_>) {
    let mut found = 0;
    for dir in ["Reduce", "Reduce/r", "Reduce/r/all", "Reduce/r/all/of-a"] {
        let listed = stage.list("readdir, derived", &stage.at(dir));
        for path in &listed {
            stage.stat("stat, derived", path);
        }
        found = listed.len();
    }
    stage.come_back(found > 0);
}

fn read_derived(stage: &mut Stage<'_>) {
    let mut read = false;
    for name in ["of-a/res=1d.csv", "of-b/res=1d.csv", "of-a/res=1d"] {
        let path = stage.at("Reduce/r/all").join(name);
        read |= stage.on("read, derived", &path, || fs::read(&path)).is_ok();
        let _ = stage.on("getxattr, derived", &path, || {
            Ok(sys::get_xattr(&path, "user.pond.inputs")?)
        });
    }
    stage.come_back(read);
}

fn write_inputs(stage: &mut Stage<'_>) {
    let name = *stage.rng.pick(&["a.csv", "b.csv", "c.csv"]);
    let input = stage.at("data").join(name);
    let text = format!("timestamp,x\n1,{}\n", stage.rng.below(1000));
    let new = stage.at("data/new");
    let clock = &stage.clock;
    let _ = match stage.rng.below(5) {
        0 => clock.op("unlink, input", || fs::remove_file(&input)),
        1 => clock.op("write, input", || fs::write(&input, text)),
        _ => clock
            .op("create, input", || fs::write(&new, text))
            .and_then(|()| clock.op("rename, input", || fs::rename(&new, &input))),
    };
    thread::sleep(Duration::from_millis(2));
}

fn write_resources(stage: &mut Stage<'_>) {
    let recipe = stage.at("Reduce/r.yaml");
    let away = stage.at("Reduce/away");
    let clock = &stage.clock;
    let _ = clock.op("rename, resource", || fs::rename(&recipe, &away));
    let _ = clock.op("mkdir, resource", || {
        fs::create_dir(stage.root.join("Reduce/r"))
    });
    let _ = clock.op("rmdir, resource", || {
        fs::remove_dir(stage.root.join("Reduce/r"))
    });
    let _ = clock.op("rename, resource", || fs::rename(&away, &recipe));
    if stage.rng.below(4) == 0 || !recipe.exists() {
        let _ = clock.op("write, resource", || fs::write(&recipe, REDUCE));
    }
    thread::sleep(Duration::from_millis(20));
}

fn write_in_root(stage: &mut Stage<'_>) {
    let n = stage.rng.below(NAMES);
    let path = stage.at(format!("f{n}"));
    let bytes = vec![b'x'; stage.rng.below(20_000)];
    let _ = stage.clock.op("write, root", || fs::write(&path, bytes));
    stage.stat("stat, root", &path);
    let _ = stage.clock.op("unlink, root", || fs::remove_file(&path));
    let listed = stage.list("readdir, root", stage.root);
    if let Some(path) = listed.get(stage.rng.below(listed.len())) {
        stage.stat("stat, root", path);
    }
}

fn rename(stage: &mut Stage<'_>) {
    let (from, to) = (stage.any(), stage.any());
    let flags = [
        RenameFlags::empty(),
        RenameFlags::EXCHANGE,
        RenameFlags::NOREPLACE,
    ];
    let flags = *stage.rng.pick(&flags);
    let clock = &stage.clock;
    let _ = clock.op("rename", || sys::rename_with(&from, &to, flags));
    let _ = match stage.rng.below(4) {
        0 => clock.op("link", || fs::hard_link(&from, &to)),
        1 => clock.op("symlink", || symlink("n0", &to)),
        2 => clock.op("setxattr", || {
            sys::set_xattr(&from, "user.a", b"1", XattrFlags::empty())
        }),
        _ => clock.op("chmod", || {
            fs::set_permissions(&from, PermissionsExt::from_mode(0o755))
        }),
    };
}

fn make_and_remove(stage: &mut Stage<'_>) {
    let path = stage.any();
    let clock = &stage.clock;
    let _ = match stage.rng.below(5) {
        0 | 1 => clock.op("mkdir", || fs::create_dir(&path)),
        2 => clock.op("rmdir", || fs::remove_dir(&path)),
        3 => clock.op("unlink", || fs::remove_file(&path)),
        _ => clock.op("write", || fs::write(&path, "some text")),
    };
}

fn read_past(stage: &mut Stage<'_>) {
    let versions = stage.list("readdir, @version", &stage.at("@version"));
    for _ in 0..3 {
        let Some(version) = versions.get(stage.rng.below(versions.len())) else {
            continue;
        };
        stage.read("read, past", &version.join("data/a.csv"));
        stage.stat("stat, past", &version.join("Reduce/r/all/of-a"));
        stage.read(
            "read, past, derived",
            &version.join("Reduce/r/all/of-a/res=1d.csv"),
        );
        stage.list("readdir, past", &version.join("d0"));
    }
    stage.list("readdir, @version", &stage.at("data/@version"));
    stage.list("readdir, @version", &stage.at("data/a.csv@version"));
    stage.read("read, past", &stage.at("@version/latest/data/a.csv"));
}

fn name_versions(stage: &mut Stage<'_>) {
    let n = stage.rng.below(NAMES);
    let name = stage.at(format!("@version/t{n}"));
    let _ = stage.on("mkdir, @version", &name, || fs::create_dir(&name));
    stage.stat("stat, @version", &name);
    let _ = stage.on("rmdir, @version", &name, || fs::remove_dir(&name));
    thread::sleep(Duration::from_millis(50));
}

fn sync(stage: &mut Stage<'_>) {
    let n = stage.rng.below(NAMES);
    let path = stage.at(format!("s{n}"));
    let synced = || -> io::Result<()> {
        let mut file = File::create(&path)?;
        file.write_all(b"to be kept")?;
        file.sync_all()
    };
    let _ = stage.clock.op("write, fsync", synced);
    if stage.rng.below(5) == 0 {
        let _ = stage.clock.command("write, .pond/sync", || {
            fs::write(stage.at(".pond/sync"), "now")
        });
    }
    let _ = stage
        .clock
        .op("fsync, directory", || File::open(stage.root)?.sync_all());
    thread::sleep(Duration::from_millis(20));
}

/// Writes more than may wait in memory; always the same bytes, so that they are stored once.
fn write_much(stage: &mut Stage<'_>) {
    let path = stage.at("large");
    let piece = vec![stage.rng.below(4) as u8; LARGE];
    let clock = &stage.clock;
    let Ok(mut file) = clock.op("create, large", || File::create(&path)) else {
        return;
    };
    for _ in 0..48 {
        if clock.ended() || clock.op("write, large", || file.write_all(&piece)).is_err() {
            break;
        }
    }
    if stage.rng.below(2) == 0 {
        let _ = clock.op("truncate, large", || file.set_len(LARGE as u64));
    }
    drop(file);
    let _ = clock.op("unlink, large", || fs::remove_file(&path));
    thread::sleep(Duration::from_millis(100));
}

fn cut_and_copy(stage: &mut Stage<'_>) {
    let (from, to) = (stage.at("cut"), stage.at("copy"));
    let len = stage.rng.below(300_000);
    let clock = &stage.clock;
    let _ = clock.op("write, cut", || fs::write(&from, vec![b'c'; len]));
    stage.read("read, cut", &from);
    let shorter = stage.rng.below(len.max(1)) as u64;
    let clock = &stage.clock;
    let _ = clock.op("truncate", || truncate(&from, shorter));
    let copied = || -> io::Result<usize> {
        let (from, to) = (File::open(&from)?, File::create(&to)?);
        Ok(copy_file_range(
            &from,
            Some(&mut 0),
            &to,
            Some(&mut 0),
            len,
        )?)
    };
    let _ = clock.op("copy_file_range", copied);
    stage.read("read, cut", &to);
}

fn direct(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::DIRECT.bits() as i32;
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(path)
}

fn read_directly(stage: &mut Stage<'_>) {
    let path = stage.at("mixed");
    let Ok(file) = stage.clock.op("open, direct", || direct(&path)) else {
        return;
    };
    let mut buffer = vec![0; 8192];
    let start = buffer.as_ptr().align_offset(4096);
    for offset in (0..MIXED).step_by(4096) {
        if stage.clock.ended() {
            return;
        }
        let into = &mut buffer[start..start + 4096];
        let _ = stage
            .clock
            .op("read, direct", || file.read_at(into, offset as u64));
    }
}

fn map_and_punch(stage: &mut Stage<'_>) {
    let path = stage.at("mixed");
    let mapped = || -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let mut mapping = Mapping::new(&file, MIXED)?;
        // By a system call: a page that cannot be read is an error then, and no signal.
        File::open("/dev/zero")?.read_exact(mapping.bytes())
    };
    let _ = stage.clock.op("write, mapped", mapped);
    let punched = || -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(&file, mode, 0, MIXED as u64)?)
    };
    let _ = stage.clock.op("fallocate, hole", punched);
}

/// Drops the kernel's caches, which slows other tests down, but breaks nothing.
fn drop_caches(stage: &mut Stage<'_>) {
    let what = *stage.rng.pick(&["1", "2", "3"]);
    // It affects all file systems, and may take long.
    let _ = stage.clock.command("drop_caches", || {
        fs::write("/proc/sys/vm/drop_caches", what)
    });
    thread::sleep(Duration::from_millis(100));
}

fn travel(stage: &mut Stage<'_>) {
    let versions = stage.list("readdir, @version", &stage.at("@version"));
    let version = versions.get(stage.rng.below(versions.len()));
    let version = version
        .and_then(|path| path.file_name())
        .unwrap_or(OsStr::new("latest"));
    match stage.rng.below(6) {
        0 => stage.run("command undo", &[OsStr::new("undo")]),
        1 => stage.run("command sync", &[OsStr::new("sync")]),
        2 => {
            let yaml = stage.pond.outside("r.yaml");
            fs::write(&yaml, REDUCE).expect("a document outside of the pond");
            stage.run(
                "command apply",
                &["apply".as_ref(), "-f".as_ref(), yaml.as_os_str()],
            )
        }
        3 => stage.run("command delete", &["delete".as_ref(), "Reduce/r".as_ref()]),
        n => {
            let path = stage.at(["d0", "data"][n % 2]);
            let args = [
                "restore".as_ref(),
                path.as_os_str(),
                "--at".as_ref(),
                version,
            ];
            stage.run("command restore", &args)
        }
    };
    let _ = stage
        .clock
        .command("several, to go on", || furnish(stage.root));
}

fn forget(stage: &mut Stage<'_>) {
    match stage.rng.below(3) {
        0 => {
            let path = stage.at("d1");
            stage.run("command forget", &["forget".as_ref(), path.as_os_str()])
        }
        _ => stage.run(
            "command prune",
            &["prune".as_ref(), "--keep-last".as_ref(), "8".as_ref()],
        ),
    };
    thread::sleep(Duration::from_millis(200));
}

fn look_at_status(stage: &mut Stage<'_>) {
    stage.read("read, .pond/status", &stage.at(".pond/status"));
    stage.read("read, .pond/metrics", &stage.at(".pond/metrics"));
    stage.run("command status", &[OsStr::new("status")]);
    thread::sleep(Duration::from_millis(20));
}

fn be_another_user(stage: &mut Stage<'_>) {
    for dir in ["", "data", "shared", "Reduce/r/all", "@version/latest/data"] {
        for path in stage.list("readdir, nobody", &stage.at(dir)) {
            stage.stat("stat, nobody", &path);
        }
    }
    stage.read("read, nobody", &stage.at("data/a.csv"));
    stage.read("read, nobody", &stage.at("Reduce/r/all/of-a/res=1d.csv"));
    let n = stage.rng.below(NAMES);
    let own = stage.at(format!("shared/n{n}"));
    let clock = &stage.clock;
    let _ = clock.op("write, nobody", || fs::write(&own, "mine"));
    let _ = clock.op("unlink, nobody", || fs::remove_file(&own));
    // The directory belongs to another user.
    let _ = clock.op("mkdir, nobody", || {
        fs::create_dir(stage.root.join("Reduce/r/all/no"))
    });
    let _ = clock.op("unlink, nobody", || {
        fs::remove_file(stage.root.join("data/a.csv"))
    });
    let read =
        || -> io::Result<usize> { File::open(stage.root.join("mixed"))?.read(&mut [0; 4096]) };
    let _ = clock.op("read, nobody", read);
}
