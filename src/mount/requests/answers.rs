//! Replies to requests: converts results of the [`Vfs`](crate::mount::vfs::Vfs) to FUSE
//! replies.

use crate::mount::requests::adapter::NO_HANDLE;
use crate::mount::requests::dispatch::{Adapter, Write};
use crate::mount::requests::{Pending, Refuse};
use crate::mount::vfs::{Found, GENERATION};
use crate::mount::views::attr::{FOR_EVER, no_entry};
use crate::mount::views::files::{NewAttr, writes};
use crate::mount::views::inodes::View;
use crate::mount::views::names::Lookup;
use crate::tinyfs::ops::Caller;
use crate::tinyfs::{Errno, FsError, FsResult};
use fuser::{
    FileHandle, FopenFlags, OpenFlags, ReplyAttr, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite,
    ReplyXattr,
};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

impl Adapter {
    /// Replies with an error number. Logs the cause, and adds it to `.pond/errors`, if the pond is
    /// at fault.
    pub(in crate::mount) fn fail<R: Refuse>(&self, error: &FsError, reply: Pending<R>) {
        self.vfs.failed(reply.op().name(), reply.ino(), error);
        reply.refuse(error.errno());
    }

    pub(in crate::mount) fn empty(&self, done: FsResult<()>, reply: Pending<ReplyEmpty>) {
        match done {
            Ok(()) => reply.send(|reply| reply.ok()),
            Err(error) => self.fail(&error, reply),
        }
    }

    pub(in crate::mount) fn entry(&self, made: FsResult<Found>, reply: Pending<ReplyEntry>) {
        match made {
            Ok(found) => reply.send(|reply| {
                reply.entry_with_ttls(
                    &found.attr_valid,
                    &found.name_valid,
                    &found.attr,
                    found.generation,
                );
            }),
            Err(error) => self.fail(&error, reply),
        }
    }

    pub(in crate::mount) fn written(
        &self,
        done: FsResult<()>,
        len: u32,
        reply: Pending<ReplyWrite>,
    ) {
        match done {
            Ok(()) => reply.send(|reply| reply.written(len)),
            Err(error) => self.fail(&error, reply),
        }
    }

    pub(in crate::mount) fn answer_lookup(
        &self,
        found: FsResult<Lookup>,
        reply: Pending<ReplyEntry>,
    ) {
        match found {
            Ok(Lookup::Found(found)) => self.entry(Ok(found), reply),
            Ok(Lookup::Absent(valid)) => {
                reply.send(|reply| reply.entry(&valid, &no_entry(), GENERATION));
            }
            Ok(Lookup::AbsentNow) => reply.refuse(Errno::ENOENT),
            Err(error) => self.fail(&error, reply),
        }
    }

    pub(in crate::mount) fn answer_attr(&self, reply: Pending<ReplyAttr>) {
        match self.vfs.getattr(reply.ino()) {
            Ok((attr, valid)) => reply.send(|reply| reply.attr(&valid, &attr)),
            Err(error) => self.fail(&error, reply),
        }
    }

    pub(in crate::mount) fn answer_setattr(
        &self,
        caller: &Caller,
        new: &NewAttr,
        reply: Pending<ReplyAttr>,
    ) {
        match self.vfs.setattr(caller, reply.ino(), new) {
            Ok(attr) => reply.send(|reply| reply.attr(&FOR_EVER, &attr)),
            Err(error) => self.fail(&error, reply),
        }
    }

    pub(in crate::mount) fn answer_open(&self, flags: OpenFlags, reply: Pending<ReplyOpen>) {
        let ino = reply.ino();
        let opened = |handle, flags| {
            move |reply: Pending<ReplyOpen>| reply.send(|reply| reply.opened(handle, flags))
        };
        match self.vfs.open(ino, flags) {
            // No push of a file starts while it is open for writing; OPEN waits for a push under
            // way.
            Ok(None) if writes(flags) => self.vfs.push.quiesce(ino, move |_| {
                opened(NO_HANDLE, FopenFlags::FOPEN_KEEP_CACHE)(reply);
            }),
            Ok(None) => opened(NO_HANDLE, FopenFlags::FOPEN_KEEP_CACHE)(reply),
            // The content behind the inode number of a derived file never changes.
            Ok(Some(made)) if self.vfs.is_derived(ino) => {
                opened(FileHandle(made), FopenFlags::FOPEN_KEEP_CACHE)(reply);
            }
            // Their length is unknown before they are read.
            Ok(Some(own)) => opened(FileHandle(own), FopenFlags::FOPEN_DIRECT_IO)(reply),
            Err(error) => self.fail(&error, reply),
        }
    }

    pub(in crate::mount) fn answer_opendir(&self, reply: Pending<ReplyOpen>) {
        let flags = match self.vfs.view(reply.ino()) {
            // The kernel drops its cached listing when the directory changes through the mount.
            Ok(View::Node { tree, id }) if !tree.is_live() || !self.vfs.is_overlaid(id) => {
                Ok(FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE)
            }
            Ok(view @ View::Derived { .. }) => {
                let opened = self.vfs.open_derived_dir(view);
                opened.map(|()| FopenFlags::empty())
            }
            // Listings of versions and of derived directories change without a request of the
            // kernel.
            Ok(_) => Ok(FopenFlags::empty()),
            Err(error) => Err(error),
        };
        match flags {
            Ok(flags) => {
                let handle = FileHandle(self.vfs.handles.open());
                reply.send(|reply| reply.opened(handle, flags));
            }
            Err(error) => self.fail(&error, reply),
        }
    }

    /// Replies to a write once there is memory for the next one.
    pub(in crate::mount) fn answer_write(
        &self,
        caller: &Caller,
        write: &Write,
        data: &[u8],
        reply: Pending<ReplyWrite>,
    ) {
        let (own, ino) = (self.clone(), reply.ino());
        // A request is at most 1 MiB.
        let len = data.len() as u32;
        let at = (write.offset, data);
        self.vfs
            .write_then(caller, ino, at, write.flags, move |done| {
                own.written(done, len, reply);
            });
    }

    pub(in crate::mount) fn answer_xattr(
        &self,
        caller: &Caller,
        name: &OsStr,
        size: u32,
        reply: Pending<ReplyXattr>,
    ) {
        match self.vfs.xattr(caller, reply.ino(), name.as_bytes()) {
            Ok(value) => self.sized(&value, size, reply),
            Err(error) => self.fail(&error, reply),
        }
    }

    /// Replies with an extended attribute, or only with its length if `size` is 0.
    pub(in crate::mount) fn sized(&self, value: &[u8], size: u32, reply: Pending<ReplyXattr>) {
        match u32::try_from(value.len()) {
            Ok(len) if size == 0 => reply.send(|reply| reply.size(len)),
            Ok(len) if len <= size => reply.send(|reply| reply.data(value)),
            _ => reply.refuse(Errno::ERANGE),
        }
    }
}
