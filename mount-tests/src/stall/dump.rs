//! Stacks of all threads when something hangs, and aborting the connection.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, mount};

use crate::process::mounted_at;

/// The directory of FUSE connections in fusectl.
const CONNECTIONS: &str = "/sys/fs/fuse/connections";

/// The kernel's FUSE connection of a mount.
#[derive(Clone, Debug)]
pub struct Connection(PathBuf);

impl Connection {
    /// Returns the connection of the mount at a path. To be called while the mount responds.
    #[track_caller]
    pub fn of(at: &Path) -> Connection {
        crate::run::need_root("aborts connections of the kernel to file systems");
        if mounted_at(Path::new(CONNECTIONS)).is_none() {
            mount("fusectl", CONNECTIONS, "fusectl", MountFlags::empty(), None)
                .expect("mount the list of connections");
        }
        let device = fs::metadata(at).expect("the mount").dev();
        Connection(Path::new(CONNECTIONS).join(libc::minor(device).to_string()))
    }

    /// Fails all requests under way, and ends the mount.
    pub fn abort(&self) {
        if let Err(error) = fs::write(self.0.join("abort"), "1") {
            eprintln!("cannot abort {}: {error}", self.0.display());
        }
    }

    /// Returns how many requests wait for a reply, by the kernel's count.
    pub fn waiting(&self) -> String {
        let waiting = fs::read_to_string(self.0.join("waiting"));
        waiting.map_or_else(|error| error.to_string(), |text| text.trim().to_owned())
    }

    /// Sets the most background requests of the connection.
    pub fn set_max_background(&self, most: u32) {
        fs::write(self.0.join("max_background"), most.to_string()).expect("max_background");
    }
}

/// Returns the kernel stack of each thread of a process; of threads that wait on a futex, only the
/// names.
pub fn stacks(name: &str, pid: i32) -> String {
    let mut text = format!("--- threads of {name}, process {pid}\n");
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return text + "it is gone\n";
    };
    let mut waiting = Vec::new();
    for task in tasks.flatten() {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let (comm, wchan, stack) = (read("comm"), read("wchan"), read("stack"));
        if wchan.contains("futex") {
            waiting.push(comm.trim().to_owned());
            continue;
        }
        let state = read("stat");
        let state = state
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().next())
            .unwrap_or("?");
        let frames: Vec<&str> = stack
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1))
            .map(|frame| frame.split('+').next().unwrap_or(frame))
            .take(12)
            .collect();
        let id = task.file_name();
        writeln!(
            text,
            "{} {} {state} {wchan}: {}",
            id.display(),
            comm.trim(),
            frames.join(" < ")
        )
        .expect("a string");
    }
    text + &format!("waiting for others: {}\n", waiting.join(", "))
}
