//! Performs operations on modes, owners, times and extended attributes, by path, link and open
//! file.

use std::os::fd::AsRawFd;

use rustix::fs::{self, AtFlags, Gid, Mode, Timestamps, Uid};
use rustix::io::Errno;

use super::{Answer, Op, Value, World, done, filled, slot};
use crate::side::op::{Octal, Place, Target, Text};

/// Performs the operation; `None` if it is of another kind or its slot is empty.
pub fn perform(world: &World, op: &Op) -> Option<Answer> {
    Some(match op {
        Op::Chmod(target, bits) => done(chmod(world, target, *bits)?),
        Op::Chown(target, user, group) => {
            let (user, group) = (user.map(Uid::from_raw), group.map(Gid::from_raw));
            done(match at(target) {
                Ok((place, flags)) => {
                    fs::chownat(world.base(place)?, &place.path.0, user, group, flags)
                }
                Err(from) => fs::fchown(slot(world, from)?, user, group),
            })
        }
        Op::Times(target, access, modification) => {
            let times = Timestamps {
                last_access: *access,
                last_modification: *modification,
            };
            done(match at(target) {
                Ok((place, flags)) => {
                    fs::utimensat(world.base(place)?, &place.path.0, &times, flags)
                }
                Err(from) => fs::futimens(slot(world, from)?, &times),
            })
        }
        Op::Access(place, access, flags) => {
            let base = world.base(place)?;
            done(fs::accessat(base, &place.path.0, *access, *flags))
        }
        // Free space depends on the disk; the longest name does not.
        Op::Statfs(target) => match target {
            Target::Path(place) | Target::Link(place) => fs::statfs(world.path(place)?),
            Target::Slot(from) => fs::fstatfs(slot(world, *from)?),
        }
        .map(|space| Value::Number(space.f_namelen as u64)),
        Op::SetXattr(target, name, data, flags) => {
            let (name, value) = (&name.0, data.bytes());
            done(match target {
                Target::Path(place) => fs::setxattr(world.path(place)?, name, &value, *flags),
                Target::Link(place) => fs::lsetxattr(world.path(place)?, name, &value, *flags),
                Target::Slot(from) => fs::fsetxattr(slot(world, *from)?, name, &value, *flags),
            })
        }
        Op::GetXattr(target, name, size) => {
            let (name, mut buffer) = (&name.0, vec![0; *size]);
            let len = match target {
                Target::Path(place) => fs::getxattr(world.path(place)?, name, &mut buffer[..]),
                Target::Link(place) => fs::lgetxattr(world.path(place)?, name, &mut buffer[..]),
                Target::Slot(from) => fs::fgetxattr(slot(world, *from)?, name, &mut buffer[..]),
            };
            match size {
                0 => super::number(len),
                _ => filled(&buffer, len),
            }
        }
        Op::ListXattr(target, size) => {
            let mut buffer = vec![0; *size];
            let len = match target {
                Target::Path(place) => fs::listxattr(world.path(place)?, &mut buffer[..]),
                Target::Link(place) => fs::llistxattr(world.path(place)?, &mut buffer[..]),
                Target::Slot(from) => fs::flistxattr(slot(world, *from)?, &mut buffer[..]),
            };
            match size {
                0 => super::number(len),
                _ => len.map(|len| listed(&buffer[..len])),
            }
        }
        Op::RemoveXattr(target, name) => done(match target {
            Target::Path(place) => fs::removexattr(world.path(place)?, &name.0),
            Target::Link(place) => fs::lremovexattr(world.path(place)?, &name.0),
            Target::Slot(from) => fs::fremovexattr(slot(world, *from)?, &name.0),
        }),
        _ => return None,
    })
}

/// Returns the path with its flags, or the slot.
fn at(target: &Target) -> Result<(&Place, AtFlags), usize> {
    match target {
        Target::Path(place) => Ok((place, AtFlags::empty())),
        Target::Link(place) => Ok((place, AtFlags::SYMLINK_NOFOLLOW)),
        Target::Slot(slot) => Err(*slot),
    }
}

/// Returns a list of names, sorted.
fn listed(list: &[u8]) -> Value {
    let names = list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    let mut names: Vec<_> = names.map(|name| Text(name.to_vec())).collect();
    names.sort();
    Value::Attributes(names)
}

fn chmod(world: &World, target: &Target, bits: Octal) -> Option<Result<(), Errno>> {
    let mode = Mode::from_raw_mode(bits.0);
    Some(match target {
        Target::Path(place) => {
            fs::chmodat(world.base(place)?, &place.path.0, mode, AtFlags::empty())
        }
        Target::Link(place) => {
            let base = world.base(place)?.as_raw_fd();
            link_mode(base, &place.path, bits)
        }
        Target::Slot(from) => fs::fchmod(slot(world, *from)?, mode),
    })
}

/// Calls `fchmodat2`, which neither library has yet.
fn link_mode(base: i32, path: &Text, bits: Octal) -> Result<(), Errno> {
    let path = std::ffi::CString::new(&path.0[..]).map_err(|_| Errno::INVAL)?;
    let flags = libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: an open directory, a NUL-terminated string, and two numbers.
    let answer = unsafe { libc::syscall(libc::SYS_fchmodat2, base, path.as_ptr(), bits.0, flags) };
    match answer {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}
