//! Performing an operation in a world, and what it answered.
//!
//! In: the world and an operation. Out: the errno, or all that the call told. Holds always: what is left to the
//! file system (a short buffer's contents, positions in directories) is not part of the answer.

mod attributes;
mod content;
mod names;

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;

use super::op::{Op, Text};
use super::world::World;

/// What a call that succeeded told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Done,
    Number(u64),
    Bytes(Text),
    Names(Vec<(Text, FileType)>),
    Attributes(Vec<Text>),
    /// An answer that need not be the same, and was possible.
    Plausible,
    /// There was nothing to do it with.
    Skipped,
}

pub type Answer = Result<Value, Errno>;

pub fn perform(world: &mut World, op: &Op) -> Answer {
    names::perform(world, op)
        .or_else(|| attributes::perform(world, op))
        .or_else(|| content::perform(world, op))
        .unwrap_or(Ok(Value::Skipped))
}

/// The open file of a slot.
fn slot(world: &World, slot: usize) -> Option<BorrowedFd<'_>> {
    world.slots[slot].as_ref().map(AsFd::as_fd)
}

fn done(result: Result<(), Errno>) -> Answer {
    result.map(|()| Value::Done)
}

fn number(result: Result<usize, Errno>) -> Answer {
    result.map(|number| Value::Number(number as u64))
}

/// The first bytes of a buffer that was filled.
fn filled(buffer: &[u8], result: Result<usize, Errno>) -> Answer {
    result.map(|len| Value::Bytes(Text(buffer[..len].to_vec())))
}

/// All that a directory lists, sorted. It is left at its beginning, which is the same place everywhere.
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
