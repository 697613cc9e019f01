//! Performs an operation in a world, and returns its result.
//!
//! In: the world and an operation. Out: the errno, or all results of the call. Invariant: results
//! that are up to the file system (a short buffer's contents, positions in directories) are left
//! out.

mod attributes;
mod content;
mod names;

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;

use super::op::{Op, Text};
use super::world::World;

/// The result of a call that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Done,
    Number(u64),
    Bytes(Text),
    Names(Vec<(Text, FileType)>),
    Attributes(Vec<Text>),
    /// A valid result that may differ.
    Plausible,
    /// The slot was empty.
    Skipped,
}

pub type Answer = Result<Value, Errno>;

pub fn perform(world: &mut World, op: &Op) -> Answer {
    names::perform(world, op)
        .or_else(|| attributes::perform(world, op))
        .or_else(|| content::perform(world, op))
        .unwrap_or(Ok(Value::Skipped))
}

/// Returns the open file of a slot.
fn slot(world: &World, slot: usize) -> Option<BorrowedFd<'_>> {
    world.slots[slot].as_ref().map(AsFd::as_fd)
}

fn done(result: Result<(), Errno>) -> Answer {
    result.map(|()| Value::Done)
}

fn number(result: Result<usize, Errno>) -> Answer {
    result.map(|number| Value::Number(number as u64))
}

/// Returns the filled part of a buffer.
fn filled(buffer: &[u8], result: Result<usize, Errno>) -> Answer {
    result.map(|len| Value::Bytes(Text(buffer[..len].to_vec())))
}

/// Returns all entries of a directory, sorted, and rewinds it, so that its position is the same on
/// both sides.
pub fn entries(dir: BorrowedFd<'_>) -> Result<Vec<(Text, FileType)>, Errno> {
    let listed = list(dir)?;
    rustix::fs::seek(dir, rustix::fs::SeekFrom::Start(0))?;
    Ok(listed)
}

fn list(dir: BorrowedFd<'_>) -> Result<Vec<(Text, FileType)>, Errno> {
    let mut buffer = [MaybeUninit::uninit(); 8192];
    let mut list = RawDir::new(dir, &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = list.next() {
        let entry = entry?;
        let name = Text(entry.file_name().to_bytes().to_vec());
        names.push((name, entry.file_type()));
    }
    names.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(names)
}
