//! The `fuser` file system: maps each request to one call of [`Vfs`] and one reply
//! ([`answers`]).
//!
//! [`dispatch`] decides which thread makes the call.
//!
//! [`Vfs`]: crate::mount::vfs::Vfs
//! [`answers`]: crate::mount::requests::answers
//! [`dispatch`]: crate::mount::requests::dispatch

use crate::mount::requests::Op;
use crate::mount::requests::dispatch::{Adapter, Length, Write, key_of};
use crate::mount::vfs::caller;
use crate::mount::views::attr::{FOR_EVER, file_type};
use crate::mount::views::files::{NewAttr, writes};
use crate::mount::views::listing::Item;
use crate::tinyfs::{Errno, NodeId};
use fuser::{
    AccessFlags, BsdFileFlags, CopyFileRangeFlags, FileHandle, Filesystem, FopenFlags, INodeNo,
    InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenFlags, PollEvents, PollFlags, PollNotifier,
    RenameFlags, ReplyAttr, ReplyBmap, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite,
    ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::SystemTime;

/// The largest WRITE request, in bytes.
const MAX_WRITE: u32 = 1 << 20;
/// The file handle of files without state: requests name the inode.
pub(in crate::mount) const NO_HANDLE: FileHandle = FileHandle(0);
const MAX_NAME: u32 = crate::tinyfs::MAX_NAME as u32;

/// The capabilities requested from the kernel, as far as it offers them. Left out or notable:
/// - no write-back cache and no remote locks: what is acknowledged is in the pond, and locks are
///   the kernel's own;
/// - no `ASYNC_DIO`: the kernel does not drop cached pages after an asynchronous direct write, so
///   that buffered reads would return old bytes for ever;
/// - `EXPLICIT_INVAL_DATA` and not `AUTO_INVAL_DATA`: nothing else writes, so pages stay valid;
/// - `EXPORT_SUPPORT`: a file handle of a forgotten inode is looked up as `.`;
/// - `HANDLE_KILLPRIV_V2`: without it each write asks for `security.capability` first;
/// - `fuser` 0.18 cannot serve `SETXATTR_EXT`, `ALLOW_IDMAP`, `CREATE_SUPP_GROUP`, `SECURITY_CTX`.
const WANTED: [InitFlags; 10] = [
    InitFlags::FUSE_ASYNC_READ,
    InitFlags::FUSE_BIG_WRITES,
    InitFlags::FUSE_MAX_PAGES,
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_DO_READDIRPLUS,
    InitFlags::FUSE_READDIRPLUS_AUTO,
    InitFlags::FUSE_CACHE_SYMLINKS,
    InitFlags::FUSE_EXPLICIT_INVAL_DATA,
    InitFlags::FUSE_EXPORT_SUPPORT,
    InitFlags::FUSE_HANDLE_KILLPRIV_V2,
];

impl Filesystem for Adapter {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        for flag in WANTED {
            if config.add_capabilities(flag).is_err() {
                tracing::debug!(?flag, "not offered by this kernel");
            }
        }
        let background = self.vfs.pond.limits().background_requests;
        let background = u16::try_from(background).unwrap_or(u16::MAX);
        // On failure, each setter returns the nearest possible value.
        if let Err(nearest) = config.set_max_write(MAX_WRITE) {
            config.set_max_write(nearest).ok();
        }
        if let Err(nearest) = config.set_max_background(background) {
            config.set_max_background(nearest).ok();
        }
        Ok(())
    }

    fn lookup(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let reply = self.receive(Op::Lookup, req, parent, reply);
        let caller = (req.uid(), req.pid());
        let found = match self.vfs.is_derived(parent.0) {
            true => Ok(self.vfs.lookup_at_hand(parent.0, name.as_bytes())),
            false => self.vfs.lookup_to(parent.0, name.as_bytes(), caller),
        };
        match found.transpose() {
            Some(found) => self.answer_lookup(found, reply),
            None => {
                let name = name.to_owned();
                self.derive(false, key_of(parent, &name), move |own| {
                    let found = own.vfs.lookup(parent.0, name.as_bytes());
                    own.answer_lookup(found, reply);
                });
            }
        }
    }

    fn forget(&self, _: &Request, ino: INodeNo, count: u64) {
        self.vfs.forget(ino.0, count);
    }

    fn getattr(&self, req: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let reply = self.receive(Op::Getattr, req, ino, reply);
        let at_hand = self.vfs.is_at_hand(ino.0);
        self.derive(at_hand, ino.0, move |own| own.answer_attr(reply));
    }

    fn setattr(
        &self,
        req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let reply = self.receive(Op::Setattr, req, ino, reply);
        let new = NewAttr {
            mode,
            uid,
            gid,
            size,
            atime,
            mtime,
        };
        let caller = self.changer(req, ino);
        let length = match size {
            // A truncation to 0 is one record.
            Some(size) if size > 0 && self.vfs.has_much(ino.0, size..u64::MAX) => Length::Long,
            _ => Length::Short,
        };
        if size.is_none() {
            return self.change(length, move |own| own.answer_setattr(&caller, &new, reply));
        }
        // No page that is being truncated may be pushed.
        let own = self.clone();
        self.vfs.push.quiesce(ino.0, move |quiet| {
            own.change(length, move |own| {
                own.answer_setattr(&caller, &new, reply);
                drop(quiet);
            });
        });
    }

    fn readlink(&self, req: &Request, ino: INodeNo, reply: ReplyData) {
        let reply = self.receive(Op::Readlink, req, ino, reply);
        match self.vfs.readlink(ino.0) {
            Ok(target) => reply.send(|reply| reply.data(&target)),
            Err(error) => self.fail(&error, reply),
        }
    }

    fn mknod(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        rdev: u32,
        reply: ReplyEntry,
    ) {
        let reply = self.receive(Op::Mknod, req, parent, reply);
        let caller = caller(req.uid(), req.gid());
        let (name, modes) = (name.to_owned(), (mode, umask));
        self.change_names(parent, move |own| {
            let made = own
                .vfs
                .mknod(&caller, parent.0, name.as_bytes(), modes, rdev);
            own.entry(made, reply);
        });
    }

    fn mkdir(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let reply = self.receive(Op::Mkdir, req, parent, reply);
        let caller = caller(req.uid(), req.gid());
        let (name, modes) = (name.to_owned(), (mode, umask));
        self.change_names(parent, move |own| {
            let made = own.vfs.mkdir(&caller, parent.0, name.as_bytes(), modes);
            own.entry(made, reply);
        });
    }

    fn unlink(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let reply = self.receive(Op::Unlink, req, parent, reply);
        let caller = caller(req.uid(), req.gid());
        let name = name.to_owned();
        self.change_names(parent, move |own| {
            let done = own.vfs.unlink(&caller, parent.0, name.as_bytes());
            own.empty(done, reply);
        });
    }

    fn rmdir(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let reply = self.receive(Op::Rmdir, req, parent, reply);
        let caller = caller(req.uid(), req.gid());
        let name = name.to_owned();
        self.change_names(parent, move |own| {
            let done = own.vfs.rmdir(&caller, parent.0, name.as_bytes());
            own.empty(done, reply);
        });
    }

    fn symlink(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let reply = self.receive(Op::Symlink, req, parent, reply);
        let caller = caller(req.uid(), req.gid());
        let (name, target) = (name.to_owned(), target.as_os_str().to_owned());
        self.change_names(parent, move |own| {
            let (name, target) = (name.as_bytes(), target.as_bytes());
            let made = own.vfs.symlink(&caller, parent.0, name, target);
            own.entry(made, reply);
        });
    }

    fn rename(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let reply = self.receive(Op::Rename, req, parent, reply);
        let caller = caller(req.uid(), req.gid());
        let (name, new_name) = (name.to_owned(), new_name.to_owned());
        self.change(Length::Short, move |own| {
            let from = (parent.0, name.as_bytes());
            let to = (new_parent.0, new_name.as_bytes());
            let done = own.vfs.rename(&caller, from, to, flags);
            own.empty(done, reply);
        });
    }

    fn link(&self, req: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let reply = self.receive(Op::Link, req, ino, reply);
        let caller = caller(req.uid(), req.gid());
        let name = name.to_owned();
        self.change(Length::Short, move |own| {
            let made = own.vfs.link(&caller, ino.0, parent.0, name.as_bytes());
            own.entry(made, reply);
        });
    }

    fn open(&self, req: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let reply = self.receive(Op::Open, req, ino, reply);
        let at_hand = self.vfs.is_at_hand(ino.0);
        self.derive(at_hand, ino.0, move |own| own.answer_open(flags, reply));
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let reply = self.receive(Op::Create, req, parent, reply);
        let caller = caller(req.uid(), req.gid());
        let (name, modes) = (name.to_owned(), (mode, umask));
        self.change_names(parent, move |own| {
            let made = own.vfs.mknod(&caller, parent.0, name.as_bytes(), modes, 0);
            if let Ok(found) = &made
                && writes(OpenFlags(flags))
            {
                own.vfs.pond.opened(NodeId(found.attr.ino.0), true);
                own.vfs.push.has(found.attr.ino.0);
            }
            match made {
                Ok(found) => reply.send(|reply| {
                    let flags = FopenFlags::FOPEN_KEEP_CACHE;
                    let generation = found.generation;
                    reply.created(&FOR_EVER, &found.attr, generation, NO_HANDLE, flags);
                }),
                Err(error) => own.fail(&error, reply),
            }
        });
    }

    fn read(
        &self,
        req: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let reply = self.receive(Op::Read, req, ino, reply);
        let read = match handle {
            NO_HANDLE => self.vfs.read(ino.0, offset, size),
            FileHandle(opened) => self.vfs.read_opened(opened, offset, size),
        };
        match read {
            Ok(data) => reply.send(|reply| reply.data(&data)),
            Err(error) => self.fail(&error, reply),
        }
    }

    fn write(
        &self,
        req: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        flags: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let reply = self.receive(Op::Write, req, ino, reply);
        if let Some(own) = self.vfs.own(ino.0) {
            // A request is at most 1 MiB.
            let len = data.len() as u32;
            return self.commit(move |adapter| {
                let written = adapter.vfs.write_own(own);
                adapter.written(written, len, reply);
            });
        }
        let caller = self.changer(req, ino);
        self.serve_write(caller, Write { offset, flags }, data, reply);
    }

    fn release(
        &self,
        req: &Request,
        ino: INodeNo,
        handle: FileHandle,
        flags: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        let reply = self.receive(Op::Release, req, ino, reply);
        if handle != NO_HANDLE {
            self.vfs.opened.close(handle.0);
        } else {
            self.vfs.release(ino.0, flags);
        }
        self.empty(Ok(()), reply);
    }

    /// Replies `ENOSYS`, so that the kernel sends no more FLUSH: `close` waits for nothing.
    /// With a commit interval of 0, commits if this close makes a version.
    fn flush(&self, req: &Request, ino: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        let reply = self.receive(Op::Flush, req, ino, reply);
        if self.vfs.commits_on_close(ino.0) {
            return self.commit(move |own| {
                let done = own.vfs.commit();
                own.empty(done, reply);
            });
        }
        match self.vfs.pond.is_eager() {
            true => self.empty(Ok(()), reply),
            false => reply.refuse(Errno(libc::ENOSYS)),
        }
    }

    fn fsync(&self, req: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.flush_then(self.receive(Op::Fsync, req, ino, reply));
    }

    fn fsyncdir(&self, req: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.flush_then(self.receive(Op::Fsyncdir, req, ino, reply));
    }

    fn opendir(&self, req: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let reply = self.receive(Op::Opendir, req, ino, reply);
        let at_hand = self.vfs.is_at_hand(ino.0);
        self.derive(at_hand, ino.0, move |own| own.answer_opendir(reply));
    }

    fn readdir(
        &self,
        req: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        let mut reply = self.receive(Op::Readdir, req, ino, reply);
        let at_hand = offset > 0 || self.vfs.lists_at_hand(ino.0);
        self.derive(at_hand, ino.0, move |own| {
            let to = reply.reply_mut();
            let mut add = |item: &Item, _| {
                let number = INodeNo(own.vfs.entry_number(ino.0, item));
                let (kind, name) = (file_type(item.kind), OsStr::from_bytes(&item.name));
                Ok(to.add(number, item.position, kind, name))
            };
            match own.vfs.read_directory(ino.0, handle.0, offset, &mut add) {
                Ok(()) => reply.send(|reply| reply.ok()),
                Err(error) => own.fail(&error, reply),
            }
        });
    }

    fn readdirplus(
        &self,
        req: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        let mut reply = self.receive(Op::Readdirplus, req, ino, reply);
        let at_hand = offset > 0 || self.vfs.lists_at_hand(ino.0);
        self.derive(at_hand, ino.0, move |own| {
            let to = reply.reply_mut();
            let mut added = false;
            let mut add = |item: &Item, fresh| {
                let full = match own.vfs.add_plus(ino.0, item, fresh, to) {
                    // The kernel holds the inodes of the added entries; the next READDIR reports
                    // the failure.
                    Err(_) if added => true,
                    other => other?,
                };
                added = true;
                Ok(full)
            };
            match own.vfs.read_directory(ino.0, handle.0, offset, &mut add) {
                Ok(()) => reply.send(|reply| reply.ok()),
                Err(error) => own.fail(&error, reply),
            }
        });
    }

    fn releasedir(
        &self,
        req: &Request,
        ino: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        let reply = self.receive(Op::Releasedir, req, ino, reply);
        self.vfs.handles.close(handle.0);
        self.empty(Ok(()), reply);
    }

    fn statfs(&self, req: &Request, ino: INodeNo, reply: ReplyStatfs) {
        let reply = self.receive(Op::Statfs, req, ino, reply);
        match self.vfs.pond.statfs() {
            Ok(space) => reply.send(|reply| {
                let block = u32::try_from(space.block).unwrap_or(u32::MAX);
                reply.statfs(
                    space.blocks,
                    space.free,
                    space.available,
                    space.files,
                    space.files_free,
                    block,
                    MAX_NAME,
                    block,
                );
            }),
            Err(error) => self.fail(&error, reply),
        }
    }

    fn setxattr(
        &self,
        req: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let reply = self.receive(Op::Setxattr, req, ino, reply);
        let caller = caller(req.uid(), req.gid());
        let (name, value) = (name.to_owned(), value.to_vec());
        self.change(Length::Short, move |own| {
            let done = own
                .vfs
                .set_xattr(&caller, ino.0, name.as_bytes(), &value, flags);
            own.empty(done, reply);
        });
    }

    fn getxattr(&self, req: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let reply = self.receive(Op::Getxattr, req, ino, reply);
        let caller = caller(req.uid(), req.gid());
        let name = name.to_owned();
        let at_hand = !self.vfs.is_derived(ino.0);
        self.derive(at_hand, ino.0, move |own| {
            own.answer_xattr(&caller, &name, size, reply);
        });
    }

    fn listxattr(&self, req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let reply = self.receive(Op::Listxattr, req, ino, reply);
        let caller = caller(req.uid(), req.gid());
        match self.vfs.list_xattrs(&caller, ino.0) {
            Ok(list) => self.sized(&list, size, reply),
            Err(error) => self.fail(&error, reply),
        }
    }

    fn removexattr(&self, req: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let reply = self.receive(Op::Removexattr, req, ino, reply);
        let caller = caller(req.uid(), req.gid());
        let name = name.to_owned();
        self.change(Length::Short, move |own| {
            let done = own.vfs.remove_xattr(&caller, ino.0, name.as_bytes());
            own.empty(done, reply);
        });
    }

    /// Not requested by the kernel, which checks permissions itself (`default_permissions`).
    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        reply.error(fuser::Errno::ENOSYS);
    }

    fn ioctl(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        _: u32,
        _: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(fuser::Errno::ENOTTY);
    }

    fn poll(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: PollNotifier,
        _: PollEvents,
        _: PollFlags,
        reply: ReplyPoll,
    ) {
        reply.error(fuser::Errno::ENOSYS);
    }

    fn bmap(&self, _: &Request, _: INodeNo, _: u32, _: u64, reply: ReplyBmap) {
        reply.error(fuser::Errno::ENOSYS);
    }

    fn fallocate(
        &self,
        req: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let reply = self.receive(Op::Fallocate, req, ino, reply);
        let caller = self.changer(req, ino);
        let range = offset..offset.saturating_add(length);
        let cuts = mode & (libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_ZERO_RANGE) != 0;
        let long = match cuts && self.vfs.has_much(ino.0, range) {
            true => Length::Long,
            false => Length::Short,
        };
        self.change(long, move |own| {
            let done = own.vfs.fallocate(&caller, ino.0, (offset, length), mode);
            own.empty(done, reply);
        });
    }

    fn lseek(
        &self,
        req: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let reply = self.receive(Op::Lseek, req, ino, reply);
        match self.vfs.seek(ino.0, offset, whence) {
            Ok(found) => reply.send(|reply| reply.offset(found)),
            Err(error) => self.fail(&error, reply),
        }
    }

    fn copy_file_range(
        &self,
        req: &Request,
        from: INodeNo,
        _: FileHandle,
        from_offset: u64,
        to: INodeNo,
        _: FileHandle,
        to_offset: u64,
        len: u64,
        flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let reply = self.receive(Op::CopyFileRange, req, to, reply);
        if !flags.is_empty() {
            return reply.refuse(Errno::EINVAL);
        }
        let caller = self.changer(req, to);
        let range = from_offset..from_offset.saturating_add(len);
        let length = match self.vfs.has_much(from.0, range) {
            true => Length::Long,
            false => Length::Short,
        };
        self.change(length, move |own| {
            let (from, to) = ((from.0, from_offset), (to.0, to_offset));
            match own.vfs.copy(&caller, from, to, len) {
                Ok(copied) => reply.send(|reply| reply.written(copied)),
                Err(error) => own.fail(&error, reply),
            }
        });
    }
}
