//! Performs reads, writes, seeks, and other operations on content.

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::BorrowedFd;

use rustix::fs::{self, FileType, SeekFrom};
use rustix::io::{self, Errno};

use super::{Answer, Op, Value, World, done, filled, number, slot};
use crate::side::op::{Data, From};
use crate::sys::{Mapping, truncate};

const PAGE: u64 = 4096;

/// Performs the operation; `None` if it is of another kind or its slot is empty.
pub fn perform(world: &World, op: &Op) -> Option<Answer> {
    Some(match op {
        Op::Truncate(at, size) => done(truncate(world.path(at)?, *size)),
        Op::TruncateSlot(file, size) => done(fs::ftruncate(slot(world, *file)?, *size)),
        Op::Write(file, data) => number(io::write(slot(world, *file)?, &data.bytes())),
        Op::WriteParts(file, parts) => {
            let parts = parts.map(Data::bytes);
            let parts = parts.each_ref().map(|part| IoSlice::new(part));
            number(io::writev(slot(world, *file)?, &parts))
        }
        Op::WriteAt(file, offset, data) => {
            number(io::pwrite(slot(world, *file)?, &data.bytes(), *offset))
        }
        Op::Read(file, size) => {
            let mut buffer = vec![0; *size];
            let read = io::read(slot(world, *file)?, &mut buffer[..]);
            filled(&buffer, read)
        }
        Op::ReadAt(file, offset, size) => {
            let mut buffer = vec![0; *size];
            let read = io::pread(slot(world, *file)?, &mut buffer[..], *offset);
            filled(&buffer, read)
        }
        Op::Seek(file, from, offset) => seek(slot(world, *file)?, *from, *offset),
        Op::Copy(from, from_offset, to, to_offset, len) => {
            let (mut from_offset, mut to_offset) = (*from_offset, *to_offset);
            let (from, to) = (slot(world, *from)?, slot(world, *to)?);
            number(fs::copy_file_range(
                from,
                from_offset.as_mut(),
                to,
                to_offset.as_mut(),
                *len,
            ))
        }
        Op::Allocate(file, mode, offset, len) => {
            done(fs::fallocate(slot(world, *file)?, *mode, *offset, *len))
        }
        Op::Map(file, offset, data) => map(slot(world, *file)?, *offset, *data),
        Op::Fsync(file) => done(fs::fsync(slot(world, *file)?)),
        _ => return None,
    })
}

fn seek(file: BorrowedFd<'_>, from: From, offset: i64) -> Answer {
    let stat = fs::fstat(file)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Ok(Value::Skipped);
    }
    let to = match from {
        From::Start => SeekFrom::Start(offset as u64),
        From::Here => SeekFrom::Current(offset),
        From::End => SeekFrom::End(offset),
        From::Data => SeekFrom::Data(offset as u64),
        From::Hole => SeekFrom::Hole(offset as u64),
    };
    let before = fs::tell(file)?;
    let found = fs::seek(file, to);
    let in_file = (0..stat.st_size).contains(&offset);
    if !matches!(from, From::Data | From::Hole) || !in_file {
        return found.map(Value::Number);
    }
    // The file system rounds the boundaries of data and holes, but they lie in the file.
    fs::seek(file, SeekFrom::Start(before))?;
    let (start, size) = (offset as u64, stat.st_size as u64);
    match (from, found) {
        (From::Data, Err(Errno::NXIO)) => Ok(Value::Plausible),
        (From::Data, Ok(at)) if (start..size).contains(&at) => Ok(Value::Plausible),
        (From::Hole, Ok(at)) if (start..=size).contains(&at) => Ok(Value::Plausible),
        (_, other) => other.map(Value::Number),
    }
}

fn map(file: BorrowedFd<'_>, offset: u64, data: Data) -> Answer {
    let stat = fs::fstat(file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(Value::Skipped);
    }
    let size = stat.st_size as u64;
    // A store beyond the end of the file would raise a signal.
    let len = (data.len as u64).min(size.saturating_sub(offset)) as usize;
    let whole = (offset + len as u64).next_multiple_of(PAGE) as usize;
    let owned = file.try_clone_to_owned().map_err(|_| Errno::IO)?;
    let errno = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let mut mapping = Mapping::new(&File::from(owned), whole).map_err(errno)?;
    mapping.bytes()[offset as usize..][..len].copy_from_slice(&data.bytes()[..len]);
    mapping.sync().map_err(errno)?;
    number(Ok(len))
}
