//! Conversions between the tree's types and those of `fuser`.

use crate::tinyfs::{Errno, FsError, Kind, Node, Time};
use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The TTL of what can change only through the mount.
pub(in crate::mount) const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);
/// The TTL of what can change otherwise.
pub(in crate::mount) const NOT_AT_ALL: Duration = Duration::ZERO;

/// The preferred I/O size, in bytes.
const BLOCK_SIZE: u32 = 128 << 10;
/// The unit of `st_blocks`, in bytes.
const STAT_BLOCK: u64 = 512;

/// Returns the attributes of a node under the number `ino`.
pub(in crate::mount) fn file_attr(ino: u64, node: &Node) -> FileAttr {
    FileAttr {
        ino: INodeNo(ino),
        size: node.size,
        blocks: node.allocated.div_ceil(STAT_BLOCK),
        atime: node.atime.into(),
        mtime: node.mtime.into(),
        ctime: node.ctime.into(),
        crtime: node.btime.into(),
        kind: file_type(node.kind),
        perm: node.mode,
        nlink: node.nlink,
        uid: node.uid,
        gid: node.gid,
        rdev: node.rdev,
        blksize: BLOCK_SIZE,
        flags: 0,
    }
}

/// Returns a negative entry, which the kernel may cache.
pub(in crate::mount) fn no_entry() -> FileAttr {
    FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK_SIZE,
        flags: 0,
    }
}

pub(in crate::mount) fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Directory => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::Fifo => FileType::NamedPipe,
        Kind::Socket => FileType::Socket,
        Kind::CharDevice => FileType::CharDevice,
        Kind::BlockDevice => FileType::BlockDevice,
    }
}

/// Returns the kind that `mknod` requests by the file type in `mode`.
pub(in crate::mount) fn kind_of_mode(mode: u32) -> Result<Kind, FsError> {
    match mode & libc::S_IFMT {
        libc::S_IFREG | 0 => Ok(Kind::File),
        libc::S_IFIFO => Ok(Kind::Fifo),
        libc::S_IFSOCK => Ok(Kind::Socket),
        libc::S_IFCHR => Ok(Kind::CharDevice),
        libc::S_IFBLK => Ok(Kind::BlockDevice),
        libc::S_IFDIR => Err(Errno::EPERM.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// Returns the permission bits of a new node.
pub(in crate::mount) fn new_mode(mode: u32, umask: u32) -> u16 {
    permissions(mode & !umask)
}

/// Returns the permission bits in `mode`.
pub(in crate::mount) fn permissions(mode: u32) -> u16 {
    (mode & 0o7777) as u16 // 12 bits fit
}

/// Converts a time of `setattr`. `fuser` 0.18 passes times before 1970 with the nanoseconds counted
/// backwards; here they count forward again.
pub(in crate::mount) fn time(time: TimeOrNow, now: Time) -> Time {
    match time {
        TimeOrNow::Now => now,
        TimeOrNow::SpecificTime(time) => match time.duration_since(UNIX_EPOCH) {
            Ok(_) => time.into(),
            Err(before) => Time {
                sec: i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |sec| -sec),
                nsec: before.duration().subsec_nanos(),
            },
        },
    }
}

/// Returns the present time.
pub(in crate::mount) fn now() -> Time {
    SystemTime::now().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Converts seconds and nanoseconds as `fuser` does.
    fn handed_down(sec: i64, nsec: u32) -> SystemTime {
        match u64::try_from(sec) {
            Ok(sec) => UNIX_EPOCH + Duration::new(sec, nsec),
            Err(_) => UNIX_EPOCH - Duration::new(sec.unsigned_abs(), nsec),
        }
    }

    #[test]
    fn times_arrive_as_they_were_sent() {
        for (sec, nsec) in [
            (0, 1),
            (1, 999_999_999),
            (-1, 0),
            (-1, 1),
            (-1, 999_999_999),
            (-86_400, 500),
        ] {
            let sent = Time { sec, nsec };
            let brought = TimeOrNow::SpecificTime(handed_down(sec, nsec));
            assert_eq!(time(brought, Time::default()), sent);
        }
        let now = Time { sec: 5, nsec: 6 };
        assert_eq!(time(TimeOrNow::Now, now), now);
    }

    #[test]
    fn the_umask_is_taken_off_and_the_file_type_too() {
        assert_eq!(new_mode(libc::S_IFREG | 0o6777, 0o022), 0o6755);
        assert!(matches!(
            kind_of_mode(libc::S_IFIFO | 0o600),
            Ok(Kind::Fifo)
        ));
        assert!(matches!(kind_of_mode(0o600), Ok(Kind::File)));
        assert!(kind_of_mode(libc::S_IFDIR).is_err());
    }
}
