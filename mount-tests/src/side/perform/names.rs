//! Performs opens, and operations that create, move, remove and list names.

use rustix::fs::{self, FileType, Mode};
use rustix::process::{chdir, fchdir, getcwd, umask};

use super::{Answer, Op, Value, World, done, entries, filled, slot};
use crate::side::op::{Base, Octal, Place, Text};

/// Performs the operation; `None` if it is of another kind or its slot is empty.
pub fn perform(world: &mut World, op: &Op) -> Option<Answer> {
    if let Op::Close(slot) = op {
        return world.slots[*slot].take().map(|_| Ok(Value::Done));
    }
    if let Op::Open(at, flags, bits, slot) = op {
        let opened = fs::openat(world.base(at)?, &at.path.0, *flags, mode(*bits));
        // The file that was open in the slot is closed after that.
        return Some(opened.map(|fd| {
            world.slots[*slot] = Some(fd);
            Value::Done
        }));
    }
    Some(match op {
        Op::Mkdir(at, bits) => done(fs::mkdirat(world.base(at)?, &at.path.0, mode(*bits))),
        Op::Mknod(at, bits, device) => {
            let kind = FileType::from_raw_mode(bits.0);
            done(fs::mknodat(
                world.base(at)?,
                &at.path.0,
                kind,
                mode(*bits),
                *device,
            ))
        }
        Op::Symlink(target, at) => done(fs::symlinkat(&target.0, world.base(at)?, &at.path.0)),
        Op::Link(from, to, flags) => {
            let (from_base, to_base) = (world.base(from)?, world.base(to)?);
            done(fs::linkat(
                from_base,
                &from.path.0,
                to_base,
                &to.path.0,
                *flags,
            ))
        }
        Op::LinkSlot(from, to) => link_slot(world, *from, to)?,
        Op::Unlink(at, flags) => done(fs::unlinkat(world.base(at)?, &at.path.0, *flags)),
        Op::Rename(from, to, flags) => {
            let (from_base, to_base) = (world.base(from)?, world.base(to)?);
            done(fs::renameat_with(
                from_base,
                &from.path.0,
                to_base,
                &to.path.0,
                *flags,
            ))
        }
        Op::Readlink(at, size) => {
            let mut buffer = vec![0; *size];
            let base = world.base(at)?;
            let read = fs::readlinkat_raw(base, &at.path.0, &mut buffer[..]);
            filled(&buffer, read)
        }
        Op::List(from) => entries(slot(world, *from)?).map(Value::Names),
        Op::Chdir(at) => change_directory(world, at)?,
        Op::Getcwd => getcwd(Vec::new()).map(|path| Value::Bytes(Text(path.to_bytes().to_vec()))),
        Op::Umask(bits) => Ok(Value::Number(umask(mode(*bits)).bits().into())),
        _ => return None,
    })
}

/// Returns the permission bits; the file type is a separate argument.
fn mode(bits: Octal) -> Mode {
    Mode::from_raw_mode(bits.0 & 0o7777)
}

fn link_slot(world: &World, from: usize, to: &Place) -> Option<Answer> {
    use std::os::fd::AsRawFd;
    let path = format!("self/fd/{}", slot(world, from)?.as_raw_fd());
    let follow = fs::AtFlags::SYMLINK_FOLLOW;
    let base = world.base(to)?;
    Some(done(fs::linkat(
        &world.proc,
        path,
        base,
        &to.path.0,
        follow,
    )))
}

fn change_directory(world: &World, at: &Place) -> Option<Answer> {
    Some(done(match at.base {
        Base::Slot(from) => fchdir(slot(world, from)?),
        Base::Root | Base::Cwd => chdir(world.path(at)?),
    }))
}
