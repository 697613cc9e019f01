//! Draws random operations, with a weight for each kind.

use rustix::fs::{Access, AtFlags, FallocateFlags, OFlags, RenameFlags, XattrFlags};

use super::parts::*;
use crate::rng::Rng;
use crate::side::op::{Base, From, Op, Place, Target, Text};

pub fn op(rng: &mut Rng) -> Op {
    match rng.below(100) {
        0..42 => names(rng),
        42..72 => content(rng),
        _ => attributes(rng),
    }
}

fn names(rng: &mut Rng) -> Op {
    match rng.below(42) {
        0..13 => Op::Open(place(rng), open_flags(rng), bits(rng), slot(rng)),
        13 if rng.below(3) == 0 => Op::Close(slot(rng)),
        13..18 => Op::Mkdir(place(rng), bits(rng)),
        18..20 => special_file(rng),
        20..22 => Op::Symlink(link_target(rng), place(rng)),
        22..25 => {
            let flags = match rng.below(3) {
                0 => AtFlags::SYMLINK_FOLLOW,
                _ => AtFlags::empty(),
            };
            Op::Link(place(rng), place(rng), flags)
        }
        25 => Op::LinkSlot(slot(rng), place(rng)),
        26..29 => Op::Unlink(place(rng), AtFlags::empty()),
        29 => Op::Unlink(place(rng), AtFlags::REMOVEDIR),
        30..36 => Op::Rename(place(rng), place(rng), rename_flags(rng)),
        36 => Op::Readlink(place(rng), *rng.pick(&[1, 10, 5000])),
        37..39 => Op::List(slot(rng)),
        39 => Op::Chdir(place(rng)),
        40 => Op::Getcwd,
        _ => Op::Umask(crate::side::op::Octal(*rng.pick(&[0, 0o022, 0o077, 0o777]))),
    }
}

/// Returns flags with which an open never blocks on a pipe.
fn open_flags(rng: &mut Rng) -> OFlags {
    let access = *rng.pick(&[OFlags::RDONLY, OFlags::WRONLY, OFlags::RDWR, OFlags::RDWR]);
    let mut flags = access | OFlags::NONBLOCK | OFlags::CLOEXEC;
    const OTHERS: [(usize, OFlags); 9] = [
        (40, OFlags::CREATE),
        (12, OFlags::EXCL),
        (12, OFlags::TRUNC),
        (12, OFlags::APPEND),
        (10, OFlags::NOFOLLOW),
        (15, OFlags::DIRECTORY),
        (4, OFlags::PATH),
        (4, OFlags::NOATIME),
        (2, OFlags::SYNC),
    ];
    for (percent, flag) in OTHERS {
        if rng.below(100) < percent {
            flags |= flag;
        }
    }
    flags
}

fn special_file(rng: &mut Rng) -> Op {
    let kind = *rng.pick(&[
        libc::S_IFIFO,
        libc::S_IFIFO,
        libc::S_IFSOCK,
        libc::S_IFCHR,
        libc::S_IFBLK,
        libc::S_IFREG,
        libc::S_IFDIR,
        libc::S_IFLNK,
        0,
    ]);
    let device = *rng.pick(&[0, 0x103, 0x0801, 0xf_ff00_ff00]);
    let bits = crate::side::op::Octal(kind | bits(rng).0);
    Op::Mknod(place(rng), bits, device)
}

fn rename_flags(rng: &mut Rng) -> RenameFlags {
    match rng.below(12) {
        0 | 1 => RenameFlags::NOREPLACE,
        2 | 3 => RenameFlags::EXCHANGE,
        4 => RenameFlags::WHITEOUT,
        5 => *rng.pick(&[
            RenameFlags::NOREPLACE | RenameFlags::WHITEOUT,
            RenameFlags::NOREPLACE | RenameFlags::EXCHANGE,
            RenameFlags::from_bits_retain(8),
        ]),
        _ => RenameFlags::empty(),
    }
}

fn content(rng: &mut Rng) -> Op {
    match rng.below(30) {
        0 => Op::Truncate(place(rng), offset(rng)),
        1..3 => Op::TruncateSlot(slot(rng), offset(rng)),
        3..7 => Op::Write(slot(rng), data(rng)),
        7 => Op::WriteParts(slot(rng), [data(rng), data(rng), data(rng)]),
        8..12 => {
            // The largest offset there is.
            let offset = match rng.below(40) {
                0 => i64::MAX as u64,
                _ => offset(rng),
            };
            Op::WriteAt(slot(rng), offset, data(rng))
        }
        12..14 => Op::Read(slot(rng), length(rng)),
        14..17 => {
            let offset = match rng.below(20) {
                0 => 1 << 62,
                _ => offset(rng),
            };
            Op::ReadAt(slot(rng), offset, length(rng))
        }
        17..20 => {
            let from = *rng.pick(&[From::Start, From::Here, From::End, From::Data, From::Hole]);
            Op::Seek(slot(rng), from, length(rng) as i64 - 5)
        }
        20..23 => {
            let (from, to) = (slot(rng), slot(rng));
            let mut at = || (rng.below(3) > 0).then(|| offset(rng));
            let (from_offset, to_offset) = (at(), at());
            Op::Copy(from, from_offset, to, to_offset, length(rng))
        }
        23..26 => {
            let (offset, len) = (offset(rng), length(rng) as u64);
            Op::Allocate(slot(rng), allocate_flags(rng), offset, len)
        }
        26..28 => Op::Map(slot(rng), length(rng) as u64, data(rng)),
        _ => Op::Fsync(slot(rng)),
    }
}

fn allocate_flags(rng: &mut Rng) -> FallocateFlags {
    const KEEP: FallocateFlags = FallocateFlags::KEEP_SIZE;
    *rng.pick(&[
        FallocateFlags::empty(),
        KEEP,
        FallocateFlags::PUNCH_HOLE.union(KEEP),
        FallocateFlags::PUNCH_HOLE,
        FallocateFlags::ZERO_RANGE,
        FallocateFlags::ZERO_RANGE.union(KEEP),
        FallocateFlags::COLLAPSE_RANGE,
        FallocateFlags::INSERT_RANGE,
    ])
}

fn attributes(rng: &mut Rng) -> Op {
    match rng.below(28) {
        0..5 => Op::Chmod(target(rng), bits(rng)),
        5..9 => Op::Chown(target(rng), owner(rng), owner(rng)),
        9..13 => Op::Times(target(rng), time(rng), time(rng)),
        13..15 => {
            let flags = *rng.pick(&[
                AtFlags::empty(),
                AtFlags::EACCESS,
                AtFlags::SYMLINK_NOFOLLOW,
            ]);
            Op::Access(
                place(rng),
                Access::from_bits_retain(rng.below(8) as u32),
                flags,
            )
        }
        15 => Op::Statfs(target_by_path(rng)),
        16..20 => {
            let name = attribute(rng);
            let value = attribute_value(rng, &name);
            let flags = *rng.pick(&[
                XattrFlags::empty(),
                XattrFlags::empty(),
                XattrFlags::empty(),
                XattrFlags::CREATE,
                XattrFlags::REPLACE,
                XattrFlags::CREATE.union(XattrFlags::REPLACE),
            ]);
            Op::SetXattr(target_by_path(rng), name, value, flags)
        }
        20..23 => Op::GetXattr(target_by_path(rng), attribute(rng), room(rng)),
        23..26 => Op::ListXattr(target_by_path(rng), room(rng)),
        _ => Op::RemoveXattr(target_by_path(rng), attribute(rng)),
    }
}

/// Returns a target for calls that take no directory beside the path.
fn target_by_path(rng: &mut Rng) -> Target {
    let near = |place: Place| match place.base {
        Base::Slot(_) => Place {
            base: Base::Root,
            path: Text(place.path.0),
        },
        _ => place,
    };
    match target(rng) {
        Target::Path(place) => Target::Path(near(place)),
        Target::Link(place) => Target::Link(near(place)),
        slot => slot,
    }
}
