//! Extended attributes, with the namespaces of Linux.
//!
//! `user.`, `trusted.` and `security.` are stored. `user.pond.` belongs to the pond and is
//! read-only. There are no access control lists, so `system.` is not supported.

use crate::mount::vfs::Vfs;
use crate::mount::views::inodes::View;
use crate::tinyfs::ops::{Caller, SetXattr};
use crate::tinyfs::{AttrName, Errno, FsResult, NameError};
use bytes::Bytes;

/// The prefix of attributes that the pond computes.
const OWN: &[u8] = b"user.pond.";
/// The id of the node, the same in all versions of a file.
const ID: &[u8] = b"user.pond.id";
/// Why the last failed operation on the file failed, if the pond was at fault.
const ERROR: &[u8] = b"user.pond.error";
/// The prefix that only root sees.
const TRUSTED: &[u8] = b"trusted.";
/// A label that `ls -l` reads of every file. After `EOPNOTSUPP` it skips other files of the device.
const SELINUX: &[u8] = b"security.selinux";

/// Both flags: must exist and must not exist, so that no attribute can be set.
const BOTH: i32 = libc::XATTR_CREATE | libc::XATTR_REPLACE;

impl Vfs {
    pub(in crate::mount) fn xattr(
        &self,
        caller: &Caller,
        ino: u64,
        name: &[u8],
    ) -> FsResult<Bytes> {
        let view = self.view(ino)?;
        if let View::Derived { .. } = view {
            return self.derived_xattr(caller, view, name);
        }
        let (at, id) = self.node_of(ino).map_err(|_| Errno::ENODATA)?;
        if name == ID {
            return Ok(id.to_string().into_bytes().into());
        }
        if name == ERROR {
            let reason = self.errors.of(at, id).ok_or(Errno::ENODATA)?;
            return Ok(reason.into_bytes().into());
        }
        let absent = match name {
            SELINUX => Errno::EOPNOTSUPP,
            _ => Errno::ENODATA,
        };
        Ok(self.pond.xattr(at, id, &checked(name)?)?.ok_or(absent)?)
    }

    /// Returns the names, each followed by a NUL.
    pub(in crate::mount) fn list_xattrs(&self, caller: &Caller, ino: u64) -> FsResult<Vec<u8>> {
        let mut list = Vec::new();
        let view = self.view(ino)?;
        if let View::Derived { .. } = view {
            return Ok(self.list_derived_xattrs(view));
        }
        let Ok((at, id)) = self.node_of(ino) else {
            return Ok(list);
        };
        for name in self.pond.list_xattrs(at, id)? {
            if caller.uid == 0 || !name.as_bytes().starts_with(TRUSTED) {
                list.extend_from_slice(name.as_bytes());
                list.push(0);
            }
        }
        Ok(list)
    }

    pub(in crate::mount) fn set_xattr(
        &self,
        caller: &Caller,
        ino: u64,
        name: &[u8],
        value: &[u8],
        flags: i32,
    ) -> FsResult<()> {
        let id = self.live(ino)?;
        let mode = match flags {
            0 => SetXattr::Any,
            libc::XATTR_CREATE => SetXattr::Create,
            libc::XATTR_REPLACE => SetXattr::Replace,
            BOTH => SetXattr::Neither,
            _ => return Err(Errno::EINVAL.into()),
        };
        let name = settable(name)?;
        self.pond.set_xattr(caller, id, &name, value, mode)
    }

    pub(in crate::mount) fn remove_xattr(
        &self,
        caller: &Caller,
        ino: u64,
        name: &[u8],
    ) -> FsResult<()> {
        let id = self.live(ino)?;
        self.pond.remove_xattr(caller, id, &settable(name)?)
    }
}

fn settable(name: &[u8]) -> FsResult<AttrName> {
    match name.starts_with(OWN) {
        true => Err(Errno::EPERM.into()),
        false => checked(name),
    }
}

/// Parses a name that can be stored.
fn checked(name: &[u8]) -> FsResult<AttrName> {
    let known = [&b"user."[..], TRUSTED, b"security."];
    if !known.iter().any(|prefix| name.starts_with(prefix)) {
        return Err(Errno::EOPNOTSUPP.into());
    }
    if known.contains(&name) {
        return Err(Errno::EINVAL.into());
    }
    AttrName::new(name).map_err(|error| {
        let errno = match error {
            NameError::TooLong => Errno::ERANGE,
            NameError::Empty | NameError::Reserved => Errno::EINVAL,
        };
        errno.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_refused_as_linux_does() {
        let errno = |name: &[u8]| settable(name).map_err(|error| error.errno()).err();
        assert_eq!(errno(b"user.a"), None);
        assert_eq!(errno(b"user.a/b"), None);
        assert_eq!(errno(b"security.capability"), None);
        assert_eq!(errno(b"user."), Some(Errno::EINVAL));
        assert_eq!(errno(b"user.pond.id"), Some(Errno::EPERM));
        assert_eq!(errno(b"system.posix_acl_access"), Some(Errno::EOPNOTSUPP));
        assert_eq!(errno(b"nothing"), Some(Errno::EOPNOTSUPP));
        let long = [&b"user."[..], &[b'n'; 251]].concat();
        assert_eq!(errno(&long), Some(Errno::ERANGE));
    }
}
