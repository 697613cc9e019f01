//! Mounts on top of a pond's mount, or below it: bind mounts, overlays, file systems in a file.
//! Each is always removed, before the pond's own mount.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::mount::clear;
use crate::run::{Run, need_root, shell, tool};

/// A mount besides the pond's.
pub struct Stacked {
    at: PathBuf,
    /// The file below a loop device.
    image: Option<PathBuf>,
}

/// Returns whether the kernel has this file system; if not, prints why the test is skipped.
pub fn kernel_has(kind: &str) -> bool {
    // Loads the module, if it is one.
    let script = r#"modprobe -q "$1" 2> /dev/null || true; grep -qw "$1" /proc/filesystems"#;
    let found = shell(script).arg(kind).outcome().succeeded();
    if !found {
        eprintln!("skipped: this kernel has no {kind}");
    }
    found
}

/// Returns whether there are loop devices; if not, prints why the test is skipped.
pub fn kernel_has_loop_devices() -> bool {
    let found = tool("losetup").arg("-f").outcome().succeeded();
    if !found {
        eprintln!("skipped: there are no loop devices here");
    }
    found
}

impl Stacked {
    /// Mounts the same directory at a second path.
    #[track_caller]
    pub fn bind(from: &Path, at: &Path) -> Self {
        // Private, so that the copy does not propagate to other bind mounts of its parent.
        Stacked::new(
            at,
            tool("mount").args(["--bind", "--make-private"]).arg(from),
        )
    }

    /// Does the same, read-only: for directories of the machine.
    #[track_caller]
    pub fn bind_read_only(from: &Path, at: &Path) -> Self {
        let stacked = Stacked::bind(from, at);
        tool("mount").args(["-o", "remount,bind,ro"]).arg(at).ok();
        stacked
    }

    /// Mounts an empty file system in memory.
    #[track_caller]
    pub fn tmpfs(at: &Path) -> Self {
        Stacked::new(at, tool("mount").args(["-t", "tmpfs", "pond-test"]))
    }

    /// Mounts an overlay of `upper` over `lower`, with more options.
    #[track_caller]
    pub fn overlay(lower: &Path, upper: &Path, work: &Path, at: &Path, more: &str) -> Self {
        let (lower, upper, work) = (lower.display(), upper.display(), work.display());
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work},{more}");
        Stacked::new(
            at,
            tool("mount").args(["-t", "overlay", "pond-test", "-o", &options]),
        )
    }

    /// Mounts the file system in a file, through a loop device that is removed with the mount.
    #[track_caller]
    pub fn image(image: &Path, at: &Path) -> Self {
        let mut stacked = Stacked::new(at, tool("mount").args(["-o", "loop"]).arg(image));
        stacked.image = Some(image.to_path_buf());
        stacked
    }

    #[track_caller]
    fn new(at: &Path, mount: Run) -> Self {
        need_root("mounts file systems of its own");
        if !at.exists() {
            fs::create_dir_all(at).expect("a directory to mount on");
        }
        mount.arg(at).ok();
        Stacked {
            at: at.to_path_buf(),
            image: None,
        }
    }

    pub fn path(&self) -> &Path {
        &self.at
    }

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.at.join(name)
    }

    /// Unmounts in order: it must not be busy, and its loop device must be removed.
    #[track_caller]
    pub fn unmount(self) {
        tool("umount").arg(&self.at).ok();
        if let Some(image) = &self.image {
            await_detached(image);
        }
    }
}

/// Waits until no loop device has this image. The kernel detaches it when the last user closes it,
/// which may be udev, or a mount namespace that was created meanwhile and has a copy of the mount.
#[track_caller]
pub fn await_detached(image: &Path) {
    let attached = || tool("losetup").arg("-j").arg(image).ok().text();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !attached().is_empty() {
        assert!(Instant::now() < deadline, "still attached: {}", attached());
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Stacked {
    fn drop(&mut self) {
        clear(&self.at);
    }
}
