//! The `stat` results of everything in a world: every name below its root, and every open file.
//!
//! Values that are up to the file system are left out: device and inode numbers, blocks, sizes of
//! directories.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat};

use super::op::{Octal, Text};
use super::perform::entries;
use super::world::World;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Path(Text),
    Slot(usize),
}

/// Seconds and nanoseconds since 1970.
pub type Time = (i64, i64);

/// One file, by a path or an open file.
#[derive(Clone, Debug)]
pub struct Seen {
    pub kind: FileType,
    pub mode: Octal,
    pub owner: (u32, u32),
    pub links: u64,
    pub size: Option<u64>,
    pub device: u64,
    /// The position of an open file.
    pub position: Option<u64>,
    /// Access, modification, change.
    pub times: [Time; 3],
    /// Identifies a file within one side, never between them.
    pub inode: u64,
}

pub type View = BTreeMap<Key, Seen>;

/// Looks at everything, as root.
pub fn look(world: &World) -> View {
    let mut view = View::new();
    walk(world.root.as_fd(), b"", &mut view);
    for (slot, fd) in world.slots.iter().enumerate() {
        if let Some(fd) = fd {
            let stat = fstat(fd).expect("fstat");
            let mut seen = Seen::of(&stat);
            if seen.kind == FileType::RegularFile {
                seen.position = rustix::fs::tell(fd).ok();
            }
            view.insert(Key::Slot(slot), seen);
        }
    }
    view
}

fn walk(dir: BorrowedFd<'_>, path: &[u8], view: &mut View) {
    let stat = fstat(dir).expect("fstat");
    view.insert(Key::Path(Text(path.to_vec())), Seen::of(&stat));
    let names = entries(dir).expect("list a directory");
    for (name, _) in names {
        if name.0 == b"." || name.0 == b".." {
            continue;
        }
        let stat = statat(dir, &name.0, AtFlags::SYMLINK_NOFOLLOW).expect("stat what is listed");
        let full = match path.is_empty() {
            true => name.0.clone(),
            false => [path, b"/", &name.0].concat(),
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let child = openat(dir, &name.0, flags, Mode::empty()).expect("open a directory");
            walk(child.as_fd(), &full, view);
        } else {
            view.insert(Key::Path(Text(full)), Seen::of(&stat));
        }
    }
}

impl Seen {
    fn of(stat: &Stat) -> Seen {
        let kind = FileType::from_raw_mode(stat.st_mode);
        Seen {
            kind,
            mode: Octal(stat.st_mode & 0o7777),
            owner: (stat.st_uid, stat.st_gid),
            #[allow(clippy::unnecessary_cast)] // It is shorter on some machines.
            links: stat.st_nlink as u64,
            size: (kind != FileType::Directory).then_some(stat.st_size as u64),
            device: stat.st_rdev,
            position: None,
            times: [
                (stat.st_atime, stat.st_atime_nsec as i64),
                (stat.st_mtime, stat.st_mtime_nsec as i64),
                (stat.st_ctime, stat.st_ctime_nsec as i64),
            ],
            inode: stat.st_ino,
        }
    }

    /// Returns all fields but times and inode, by name.
    pub fn fields(&self) -> [(&'static str, String); 7] {
        [
            ("kind", format!("{:?}", self.kind)),
            ("mode", format!("{:?}", self.mode)),
            ("owner", format!("{:?}", self.owner)),
            ("links", self.links.to_string()),
            ("size", format!("{:?}", self.size)),
            ("device", self.device.to_string()),
            ("position", format!("{:?}", self.position)),
        ]
    }
}
