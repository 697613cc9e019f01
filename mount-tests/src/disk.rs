//! A small disk for a pond: in memory, or a file system in an image whose power can be cut.
//!
//! The disk is removed with its guard. A power cut is `FS_IOC_SHUTDOWN` without a flush of the log:
//! data that the file system has not yet written to its device, by itself or by a sync, is lost.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};

use crate::mount::clear;
use crate::pond::Pond;
use crate::process::mounted_at;
use crate::run::{need_root, tool};
use crate::stacked::await_detached;

/// The type of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// tmpfs.
    Memory,
    Ext4,
    Xfs,
}

/// A disk that is mounted at the path of a pond.
pub struct Disk {
    at: PathBuf,
    /// The image that survives a power cut; `None` for a disk in memory.
    image: Option<PathBuf>,
}

impl Disk {
    /// Creates a disk of `megabytes` MB with an empty pond on it.
    #[track_caller]
    pub fn under(pond: &Pond, kind: Kind, megabytes: u64) -> Disk {
        need_root("mounts a small disk of its own");
        let at = pond.store();
        fs::create_dir(&at).expect("a mountpoint for the disk");
        let disk = match kind {
            Kind::Memory => {
                let size = format!("size={megabytes}m,mode=0755");
                tool("mount")
                    .args(["-t", "tmpfs", "-o", &size, "pond-test"])
                    .arg(&at)
                    .ok();
                Disk { at, image: None }
            }
            Kind::Ext4 | Kind::Xfs => {
                let image = pond.outside("disk.image");
                let made = File::create_new(&image).and_then(|file| file.set_len(megabytes << 20));
                made.expect("an image of a disk");
                let (program, quietly) = match kind {
                    Kind::Ext4 => ("mkfs.ext4", "-qF"),
                    _ => ("mkfs.xfs", "-qf"),
                };
                tool(program).arg(quietly).arg(&image).ok();
                let disk = Disk {
                    at,
                    image: Some(image),
                };
                disk.power_up();
                // A pond can only be created in an empty folder.
                let found = disk.at.join("lost+found");
                assert!(!found.exists() || fs::remove_dir(&found).is_ok());
                disk
            }
        };
        pond.run(["init"]).arg(&disk.at).ok();
        disk
    }

    /// Changes options of the mounted disk.
    #[track_caller]
    pub fn change(&self, options: &str) {
        tool("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(&self.at)
            .ok();
    }

    /// Stops all writes to the disk at once. Its users get errors until it is powered up again.
    #[track_caller]
    pub fn cut_power(&self) {
        const FS_IOC_SHUTDOWN: libc::Ioctl = 0x8004_587d; // _IOR('X', 125, __u32)
        const NO_LOG_FLUSH: u32 = 2;
        let root = File::open(&self.at).expect("the root of the disk");
        // SAFETY: a valid descriptor, and the address of the number that this call reads.
        let cut = unsafe { libc::ioctl(root.as_raw_fd(), FS_IOC_SHUTDOWN, &NO_LOG_FLUSH) };
        assert!(cut == 0, "FS_IOC_SHUTDOWN: {}", io::Error::last_os_error());
    }

    /// Mounts the image after a power cut; the file system replays its log. The disk must not be in
    /// use.
    #[track_caller]
    pub fn power_up(&self) {
        let image = self.image.as_ref().expect("a disk that outlives its power");
        let deadline = Instant::now() + Duration::from_secs(10);
        while mounted_at(&self.at).is_some() {
            if let Err(error) = unmount(&self.at, UnmountFlags::empty()) {
                assert!(Instant::now() < deadline, "unmount the disk: {error}");
                thread::sleep(Duration::from_millis(5));
            }
        }
        // Otherwise the old file system, which was shut down, would be mounted again.
        await_detached(image);
        tool("mount")
            .args(["-o", "loop"])
            .arg(image)
            .arg(&self.at)
            .ok();
    }

    pub fn path(&self) -> &Path {
        &self.at
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        clear(&self.at);
    }
}
