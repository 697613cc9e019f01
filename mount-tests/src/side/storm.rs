//! Many workers at once in one tree.
//!
//! In: a directory, and the operations of each worker. Out: the results of each. Workers share the
//! directories. They share the names in them too, or each has its own names: then no worker affects
//! another, and every result and the final tree are the same for every interleaving.

use std::path::Path;
use std::thread;

use rustix::fs::{Access, AtFlags, FallocateFlags, OFlags, RenameFlags, XattrFlags};
use rustix::io::Errno;

use super::choose::parts::{bits, data, length, slot};
use super::op::{Base, Octal, Op, Place, Target, Text};
use super::perform::{Answer, perform};
use super::world::within;
use crate::rng::Rng;

/// The number of directories that all workers share and none removes.
const SHARED: usize = 4;
/// The number of names in each, for one worker or for all.
const NAMES: usize = 12;

/// Whether workers share names.
#[derive(Clone, Copy, Debug)]
pub enum Names {
    Own(usize),
    Everybodys,
}

/// Returns whether a concurrent operation can cause this error. Any other is a fault of the file
/// system.
pub fn beaten(op: &Op, error: Errno) -> bool {
    const BY_NAME: [Errno; 9] = [
        Errno::NOENT,
        Errno::EXIST,
        Errno::NOTEMPTY,
        Errno::NOTDIR,
        Errno::ISDIR,
        Errno::INVAL,
        Errno::LOOP,
        Errno::NODATA,
        Errno::PERM,
    ];
    // An open file may be of any kind, but stays, whatever happens to its names.
    const OPEN: [Errno; 5] = [
        Errno::ISDIR,
        Errno::INVAL,
        Errno::BADF,
        Errno::SPIPE,
        Errno::AGAIN,
    ];
    match op {
        // A directory that was removed lists nothing.
        Op::List(_) => [Errno::NOTDIR, Errno::NOENT].contains(&error),
        Op::Write(..)
        | Op::WriteAt(..)
        | Op::TruncateSlot(..)
        | Op::Allocate(..)
        | Op::Copy(..)
        | Op::ReadAt(..)
        | Op::Fsync(_) => OPEN.contains(&error),
        _ => BY_NAME.contains(&error),
    }
}

/// Returns `len` operations for one worker.
pub fn work(rng: &mut Rng, names: Names, len: usize) -> Vec<Op> {
    (0..len).map(|_| op(rng, names)).collect()
}

/// Runs all workers at the same time; returns the results of each, in order.
pub fn run(root: &Path, workers: &[Vec<Op>]) -> Vec<Vec<Answer>> {
    for number in 0..SHARED {
        crate::place::folder(root, &format!("d{number}"));
    }
    let each = |ops: &Vec<Op>| {
        within(root, |world| {
            ops.iter().map(|op| perform(world, op)).collect::<Vec<_>>()
        })
    };
    thread::scope(|scope| {
        let start = |ops| scope.spawn(move || each(ops));
        let running: Vec<_> = workers.iter().map(start).collect();
        let answers = running.into_iter();
        answers
            .map(|worker| worker.join().expect("a worker"))
            .collect()
    })
}

/// Returns mostly operations on names; some on content and attributes, to check that they stay with
/// their file.
fn op(rng: &mut Rng, names: Names) -> Op {
    let mut at = || place(rng, names);
    let (from, to) = (at(), at());
    match rng.below(80) {
        0..14 => {
            let more = *rng.pick(&[OFlags::empty(), OFlags::EXCL, OFlags::TRUNC, OFlags::APPEND]);
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK | OFlags::CLOEXEC;
            Op::Open(from, flags | more, Octal(0o644), slot(rng))
        }
        14..16 => {
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            Op::Open(from, flags, Octal(0), slot(rng))
        }
        16..24 => Op::Mkdir(from, Octal(0o755)),
        24..26 => Op::Mknod(from, Octal(libc::S_IFIFO | 0o600), 0),
        26..28 => Op::Symlink(Text([b"../", &to.path.0[..]].concat()), from),
        28..34 => Op::Link(from, to, AtFlags::empty()),
        34..42 => Op::Unlink(from, AtFlags::empty()),
        42..46 => Op::Unlink(from, AtFlags::REMOVEDIR),
        46..58 => {
            let flags = *rng.pick(&[
                RenameFlags::empty(),
                RenameFlags::empty(),
                RenameFlags::NOREPLACE,
                RenameFlags::EXCHANGE,
            ]);
            Op::Rename(from, to, flags)
        }
        58 => Op::List(slot(rng)),
        59 => Op::Readlink(from, 5000),
        60 => Op::Access(from, Access::EXISTS, AtFlags::empty()),
        61 => Op::Chmod(Target::Path(from), bits(rng)),
        62 => Op::SetXattr(
            Target::Path(from),
            Text(b"user.one".to_vec()),
            crate::side::op::Data {
                len: 40,
                seed: rng.number() as u8,
            },
            XattrFlags::empty(),
        ),
        63 => Op::RemoveXattr(Target::Path(from), Text(b"user.one".to_vec())),
        64..68 => Op::Write(slot(rng), data(rng)),
        68..71 => Op::WriteAt(slot(rng), length(rng) as u64, data(rng)),
        71..73 => Op::TruncateSlot(slot(rng), length(rng) as u64),
        73 => {
            let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            Op::Allocate(slot(rng), mode, length(rng) as u64, 1 + length(rng) as u64)
        }
        74..76 => Op::Copy(
            slot(rng),
            Some(0),
            slot(rng),
            Some(length(rng) as u64),
            9000,
        ),
        76..79 => Op::ReadAt(slot(rng), length(rng) as u64, length(rng)),
        _ => Op::Fsync(slot(rng)),
    }
}

/// Returns a name in a shared directory, or one below that.
fn place(rng: &mut Rng, names: Names) -> Place {
    let (directory, number) = (rng.below(SHARED), rng.below(NAMES));
    let name = match names {
        Names::Own(worker) => format!("d{directory}/w{worker}-{number}"),
        Names::Everybodys => format!("d{directory}/n{number}"),
    };
    let path = match rng.below(4) {
        0 => format!("{name}/{}", rng.pick(&["x", "y"])),
        _ => name,
    };
    Place {
        base: Base::Root,
        path: Text(path.into_bytes()),
    }
}
