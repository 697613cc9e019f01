//! Random sequences of steps. Nodes, directories and entries are numbered among those that exist at
//! the moment, so that a shrunk sequence still does something.

use crate::tinyfs::Kind;
use crate::tinyfs::ops::{CHUNK, RenameMode, SetXattr};
use proptest::prelude::*;

/// An operation on the tree. `dir`, `node` and `entry` count through existing ones; `name` is one
/// of a few.
#[derive(Clone, Debug)]
pub enum Op {
    Make {
        dir: u8,
        name: u8,
        kind: Kind,
        mode: u16,
    },
    Link {
        node: u8,
        dir: u8,
        name: u8,
    },
    Unlink {
        entry: u8,
    },
    Rmdir {
        entry: u8,
    },
    /// Removes a name that often does not exist.
    Remove {
        dir: u8,
        name: u8,
        rmdir: bool,
    },
    Rename {
        entry: u8,
        dir: u8,
        name: u8,
        mode: RenameMode,
        whiteout: bool,
    },
    /// Renames onto an existing entry.
    Replace {
        entry: u8,
        onto: u8,
        mode: RenameMode,
        whiteout: bool,
    },
    Chmod {
        node: u8,
        mode: u16,
    },
    Chown {
        node: u8,
        uid: Option<u32>,
        gid: Option<u32>,
    },
    Utimes {
        node: u8,
        atime: Option<i64>,
        mtime: Option<i64>,
    },
    Truncate {
        node: u8,
        size: u64,
    },
    Write {
        node: u8,
        offset: u64,
        len: u64,
    },
    /// Writes at the end of the file.
    Append {
        node: u8,
        len: u64,
    },
    Zero {
        node: u8,
        start: u64,
        len: u64,
        keep_size: bool,
    },
    Copy {
        from: u8,
        at: u64,
        to: u8,
        offset: u64,
        len: u64,
    },
    SetXattr {
        node: u8,
        name: u8,
        len: u8,
        mode: SetXattr,
    },
    RemoveXattr {
        node: u8,
        name: u8,
    },
}

/// A step of a sequence.
#[derive(Clone, Debug)]
pub enum Step {
    /// An operation, by root (`true`) or by another user.
    Op(Op, bool),
    /// Freezes the open layer in memory.
    Freeze,
    /// Makes all changes durable.
    Flush,
    /// Ends a generation, which is committed later.
    Seal,
    /// Commits what was sealed, or everything, up to the crash.
    Commit(Crash),
    /// Kills the process and opens the store again.
    Reopen,
    /// Discards everything but the commits, and rebuilds from them.
    Rebuild,
}

/// Where in a commit the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    Nowhere,
    BeforeLog,
    AfterLog,
    AfterIndex,
}

/// Returns sequences of steps.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..70)
}

fn step() -> impl Strategy<Value = Step> {
    let crash = prop_oneof![
        6 => Just(Crash::Nowhere),
        1 => Just(Crash::BeforeLog),
        1 => Just(Crash::AfterLog),
        1 => Just(Crash::AfterIndex),
    ];
    prop_oneof![
        80 => (op(), prop::bool::weighted(0.7)).prop_map(|(op, root)| Step::Op(op, root)),
        4 => Just(Step::Freeze),
        4 => Just(Step::Flush),
        3 => Just(Step::Seal),
        7 => crash.prop_map(Step::Commit),
        1 => Just(Step::Reopen),
        1 => Just(Step::Rebuild),
    ]
}

/// Mostly within a page, sometimes across the edges of chunks.
fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![12 => 0..40_u64, 1 => CHUNK - 3..CHUNK + 3, 1 => 2 * CHUNK - 2..2 * CHUNK + 2]
}

fn len() -> impl Strategy<Value = u64> {
    prop_oneof![12 => 0..20_u64, 1 => Just(CHUNK), 1 => Just(CHUNK + 5)]
}

fn mode() -> impl Strategy<Value = u16> {
    prop_oneof![
        Just(0o644),
        Just(0o755),
        Just(0o2755),
        Just(0o6755),
        Just(0o6745),
        Just(0o1777)
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let n = || 0..12_u8;
    let name = || 0..4_u8;
    let kind = prop_oneof![
        6 => Just(Kind::File),
        5 => Just(Kind::Directory),
        1 => Just(Kind::Symlink),
        1 => Just(Kind::Fifo),
        1 => Just(Kind::CharDevice),
    ];
    let renaming = || {
        prop_oneof![
            3 => Just(RenameMode::Replace),
            1 => Just(RenameMode::NoReplace),
            2 => Just(RenameMode::Exchange),
        ]
    };
    let whiteout = || prop::bool::weighted(0.2);
    let setting = prop_oneof![
        3 => Just(SetXattr::Any),
        1 => Just(SetXattr::Create),
        1 => Just(SetXattr::Replace),
        1 => Just(SetXattr::Neither),
    ];
    let id = || prop::option::of(0..3_u32);
    let time = || prop::option::of(-5..5_i64);
    prop_oneof![
        8 => (n(), name(), kind, mode())
            .prop_map(|(dir, name, kind, mode)| Op::Make { dir, name, kind, mode }),
        2 => (n(), n(), name()).prop_map(|(node, dir, name)| Op::Link { node, dir, name }),
        3 => n().prop_map(|entry| Op::Unlink { entry }),
        2 => n().prop_map(|entry| Op::Rmdir { entry }),
        1 => (n(), name(), any::<bool>())
            .prop_map(|(dir, name, rmdir)| Op::Remove { dir, name, rmdir }),
        3 => (n(), n(), name(), renaming(), whiteout())
            .prop_map(|(entry, dir, name, mode, whiteout)| {
                Op::Rename { entry, dir, name, mode, whiteout }
            }),
        3 => (n(), n(), renaming(), whiteout())
            .prop_map(|(entry, onto, mode, whiteout)| Op::Replace { entry, onto, mode, whiteout }),
        1 => (n(), mode()).prop_map(|(node, mode)| Op::Chmod { node, mode }),
        1 => (n(), id(), id()).prop_map(|(node, uid, gid)| Op::Chown { node, uid, gid }),
        1 => (n(), time(), time())
            .prop_map(|(node, atime, mtime)| Op::Utimes { node, atime, mtime }),
        3 => (n(), offset()).prop_map(|(node, size)| Op::Truncate { node, size }),
        8 => (n(), offset(), len())
            .prop_map(|(node, offset, len)| Op::Write { node, offset, len }),
        3 => (n(), len()).prop_map(|(node, len)| Op::Append { node, len }),
        3 => (n(), offset(), len(), any::<bool>())
            .prop_map(|(node, start, len, keep_size)| Op::Zero { node, start, len, keep_size }),
        3 => (n(), offset(), n(), offset(), len())
            .prop_map(|(from, at, to, offset, len)| Op::Copy { from, at, to, offset, len }),
        2 => (n(), name(), 0..9_u8, setting)
            .prop_map(|(node, name, len, mode)| Op::SetXattr { node, name, len, mode }),
        1 => (n(), name()).prop_map(|(node, name)| Op::RemoveXattr { node, name }),
    ]
}
