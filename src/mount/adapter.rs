//! Requests of the kernel in, replies out: each is one call of the [`Mirror`].

use super::attr::{FOR_EVER, errno, file_type, no_entry};
use super::files::{NewAttr, writes};
use super::listing::Item;
use super::mirror::{Found, GENERATION, Mirror, caller};
use super::names::Lookup;
use super::requests::Op;
use crate::observe::Timer;
use crate::tinyfs::ops::Caller;
use crate::tinyfs::{FsError, FsResult, NodeId};
use fuser::*;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// The largest request to write, and the most that the kernel takes in one piece.
const MAX_WRITE: u32 = 1 << 20;
/// How many requests of read-ahead and the like the kernel may have under way.
const MAX_BACKGROUND: u16 = 64;
/// Open files need no state: all that is asked of them names the node.
const NO_HANDLE: FileHandle = FileHandle(0);
const MAX_NAME: u32 = crate::tinyfs::MAX_NAME as u32;

/// What is asked of the kernel, as far as it offers it. Of the rest:
/// - no write-back cache and no remote locks: what is acknowledged is in the pond, and locks are
///   the kernel's own;
/// - no `ASYNC_DIO`: the kernel does not drop cached pages after an asynchronous direct write, so
///   that buffered reads would return old bytes for ever;
/// - `EXPLICIT_INVAL_DATA` and not `AUTO_INVAL_DATA`: nobody else writes, so pages stay valid;
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

/// The file system that `fuser` serves.
#[derive(Clone)]
pub(super) struct Adapter {
    mirror: Arc<Mirror>,
}

impl Adapter {
    pub(super) fn new(mirror: Arc<Mirror>) -> Adapter {
        Adapter { mirror }
    }

    fn entry(&self, op: &'static str, ino: INodeNo, made: FsResult<Found>, reply: ReplyEntry) {
        match made {
            Ok(found) => reply.entry_with_ttls(
                &found.attr_valid,
                &found.name_valid,
                &found.attr,
                found.generation,
            ),
            Err(error) => reply.error(self.failed(op, ino, &error)),
        }
    }

    fn empty(&self, op: &'static str, ino: INodeNo, done: FsResult<()>, reply: ReplyEmpty) {
        match done {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(self.failed(op, ino, &error)),
        }
    }

    /// The number that the kernel gets; the log and `.pond/errors` get what lies behind it, where the
    /// pond is at fault.
    fn failed(&self, op: &'static str, ino: INodeNo, error: &FsError) -> fuser::Errno {
        self.mirror.failed(op, ino.0, error);
        errno(error.errno())
    }

    /// Serves what may take long in a thread of its own, so that nobody else waits for it. Where there is none to be
    /// had, the request fails.
    fn apart(&self, timer: Option<Timer>, serve: impl FnOnce(&Adapter) + Send + 'static) {
        let adapter = self.clone();
        let thread = std::thread::Builder::new().name("derive".into());
        let serve = move || {
            serve(&adapter);
            drop(timer);
        };
        if let Err(error) = thread.spawn(serve) {
            tracing::error!("no thread to render a file in: {error}");
        }
    }

    fn answer_lookup(&self, parent: INodeNo, found: FsResult<Lookup>, reply: ReplyEntry) {
        match found {
            Ok(Lookup::Found(found)) => self.entry("lookup", parent, Ok(found), reply),
            Ok(Lookup::Absent(valid)) => reply.entry(&valid, &no_entry(), GENERATION),
            Ok(Lookup::AbsentNow) => reply.error(fuser::Errno::ENOENT),
            Err(error) => reply.error(self.failed("lookup", parent, &error)),
        }
    }

    fn answer_attr(&self, ino: INodeNo, reply: ReplyAttr) {
        match self.mirror.getattr(ino.0) {
            Ok((attr, valid)) => reply.attr(&valid, &attr),
            Err(error) => reply.error(self.failed("getattr", ino, &error)),
        }
    }

    fn answer_open(&self, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        match self.mirror.open(ino.0, flags) {
            // Nobody begins to give what is open to be written.
            Ok(None) if writes(flags) && self.mirror.ahead.try_still(ino.0).is_none() => {
                self.apart(None, move |own| {
                    drop(own.mirror.ahead.still(ino.0));
                    reply.opened(NO_HANDLE, FopenFlags::FOPEN_KEEP_CACHE);
                });
            }
            Ok(None) => reply.opened(NO_HANDLE, FopenFlags::FOPEN_KEEP_CACHE),
            // What is behind the number of a derived file never changes.
            Ok(Some(made)) if self.mirror.is_derived(ino.0) => {
                reply.opened(FileHandle(made), FopenFlags::FOPEN_KEEP_CACHE);
            }
            // Their length is not known before they are read.
            Ok(Some(own)) => reply.opened(FileHandle(own), FopenFlags::FOPEN_DIRECT_IO),
            Err(error) => reply.error(self.failed("open", ino, &error)),
        }
    }

    fn answer_setattr(&self, caller: &Caller, ino: INodeNo, new: &NewAttr, reply: ReplyAttr) {
        let set = self.mirror.setattr(caller, ino.0, new);
        match set {
            Ok(attr) => reply.attr(&FOR_EVER, &attr),
            Err(error) => reply.error(self.failed("setattr", ino, &error)),
        }
    }

    fn answer_opendir(&self, ino: INodeNo, reply: ReplyOpen) {
        let flags = match self.mirror.view(ino.0) {
            // The kernel drops its copy when the directory changes through the mount.
            Ok(super::inodes::View::Node { tree, id })
                if !tree.is_live() || !self.mirror.is_overlaid(id) =>
            {
                FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE
            }
            Ok(view @ super::inodes::View::Derived { .. }) => {
                match self.mirror.open_derived_dir(view) {
                    Ok(()) => FopenFlags::empty(),
                    Err(error) => return reply.error(self.failed("opendir", ino, &error)),
                }
            }
            // New versions come by themselves, and what is derived does.
            Ok(_) => FopenFlags::empty(),
            Err(error) => return reply.error(self.failed("opendir", ino, &error)),
        };
        reply.opened(FileHandle(self.mirror.handles.open()), flags);
    }

    fn answer_xattr(
        &self,
        caller: &Caller,
        ino: INodeNo,
        name: &OsStr,
        size: u32,
        reply: ReplyXattr,
    ) {
        match self.mirror.xattr(caller, ino.0, name.as_bytes()) {
            Ok(value) => sized(&value, size, reply),
            Err(error) => reply.error(self.failed("getxattr", ino, &error)),
        }
    }

    fn timer(&self, op: Op) -> Option<Timer> {
        self.mirror.requests.start(op)
    }

    fn changer(&self, req: &Request, ino: INodeNo) -> Caller {
        let ids = (req.uid(), req.gid());
        self.mirror.changer(ids, req.pid(), ino.0)
    }

    /// The answer may come later, from another thread: this one has others to serve.
    fn flush_then(&self, timer: Option<Timer>, op: &'static str, ino: INodeNo, reply: ReplyEmpty) {
        if let Some(own) = self.mirror.own(ino.0) {
            return self.empty(op, ino, self.mirror.write_own(own), reply);
        }
        let mirror = self.mirror.clone();
        let done = move |flushed: FsResult<()>| {
            match flushed {
                Ok(()) => {
                    mirror.synced(ino.0);
                    reply.ok();
                }
                Err(error) => {
                    mirror.failed(op, ino.0, &error);
                    reply.error(errno(error.errno()));
                }
            }
            drop(timer);
        };
        self.mirror.pond.fsync_then(done);
    }
}

impl Filesystem for Adapter {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        for flag in WANTED {
            if config.add_capabilities(flag).is_err() {
                tracing::debug!(?flag, "not offered by this kernel");
            }
        }
        // Each answers the nearest that is possible, where this is not.
        if let Err(nearest) = config.set_max_write(MAX_WRITE) {
            config.set_max_write(nearest).ok();
        }
        if let Err(nearest) = config.set_max_background(MAX_BACKGROUND) {
            config.set_max_background(nearest).ok();
        }
        Ok(())
    }

    fn lookup(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let timer = self.timer(Op::Lookup);
        if self.mirror.is_derived(parent.0) {
            if let Some(found) = self.mirror.lookup_at_hand(parent.0, name.as_bytes()) {
                return self.answer_lookup(parent, Ok(found), reply);
            }
            let name = name.to_owned();
            return self.apart(timer, move |own| {
                let found = own.mirror.lookup(parent.0, name.as_bytes());
                own.answer_lookup(parent, found, reply);
            });
        }
        let caller = (req.uid(), req.pid());
        let found = self.mirror.lookup_to(parent.0, name.as_bytes(), caller);
        self.answer_lookup(parent, found, reply);
    }

    fn forget(&self, _: &Request, ino: INodeNo, count: u64) {
        self.mirror.forget(ino.0, count);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let timer = self.timer(Op::Getattr);
        match self.mirror.is_derived(ino.0) && !self.mirror.is_at_hand(ino.0) {
            true => self.apart(timer, move |own| own.answer_attr(ino, reply)),
            false => self.answer_attr(ino, reply),
        }
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
        let timer = self.timer(Op::Setattr);
        let new = NewAttr {
            mode,
            uid,
            gid,
            size,
            atime,
            mtime,
        };
        let caller = self.changer(req, ino);
        let mut still = None;
        if size.is_some() {
            still = self.mirror.ahead.try_still(ino.0);
            if still.is_none() {
                return self.apart(timer, move |own| {
                    let _still = own.mirror.ahead.still(ino.0);
                    own.answer_setattr(&caller, ino, &new, reply);
                });
            }
        }
        self.answer_setattr(&caller, ino, &new, reply);
        drop(still);
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        let _timer = self.timer(Op::Readlink);
        match self.mirror.readlink(ino.0) {
            Ok(target) => reply.data(&target),
            Err(error) => reply.error(self.failed("readlink", ino, &error)),
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
        let _timer = self.timer(Op::Mknod);
        let caller = caller(req.uid(), req.gid());
        let modes = (mode, umask);
        let made = self
            .mirror
            .mknod(&caller, parent.0, name.as_bytes(), modes, rdev);
        self.entry("mknod", parent, made, reply);
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
        let _timer = self.timer(Op::Mkdir);
        let caller = caller(req.uid(), req.gid());
        let made = self
            .mirror
            .mkdir(&caller, parent.0, name.as_bytes(), (mode, umask));
        self.entry("mkdir", parent, made, reply);
    }

    fn unlink(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let _timer = self.timer(Op::Unlink);
        let caller = caller(req.uid(), req.gid());
        let done = self.mirror.unlink(&caller, parent.0, name.as_bytes());
        self.empty("unlink", parent, done, reply);
    }

    fn rmdir(&self, req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let _timer = self.timer(Op::Rmdir);
        let caller = caller(req.uid(), req.gid());
        let done = self.mirror.rmdir(&caller, parent.0, name.as_bytes());
        self.empty("rmdir", parent, done, reply);
    }

    fn symlink(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let _timer = self.timer(Op::Symlink);
        let caller = caller(req.uid(), req.gid());
        let target = target.as_os_str().as_bytes();
        let made = self
            .mirror
            .symlink(&caller, parent.0, name.as_bytes(), target);
        self.entry("symlink", parent, made, reply);
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
        let _timer = self.timer(Op::Rename);
        let caller = caller(req.uid(), req.gid());
        let (from, to) = (
            (parent.0, name.as_bytes()),
            (new_parent.0, new_name.as_bytes()),
        );
        let done = self.mirror.rename(&caller, from, to, flags);
        self.empty("rename", parent, done, reply);
    }

    fn link(&self, req: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let _timer = self.timer(Op::Link);
        let caller = caller(req.uid(), req.gid());
        let made = self.mirror.link(&caller, ino.0, parent.0, name.as_bytes());
        self.entry("link", ino, made, reply);
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let timer = self.timer(Op::Open);
        match self.mirror.is_derived(ino.0) && !self.mirror.is_at_hand(ino.0) {
            true => self.apart(timer, move |own| own.answer_open(ino, flags, reply)),
            false => self.answer_open(ino, flags, reply),
        }
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
        let _timer = self.timer(Op::Create);
        let caller = caller(req.uid(), req.gid());
        let modes = (mode, umask);
        let made = self
            .mirror
            .mknod(&caller, parent.0, name.as_bytes(), modes, 0);
        if let Ok(found) = &made
            && writes(OpenFlags(flags))
        {
            self.mirror.pond.opened(NodeId(found.attr.ino.0), true);
            self.mirror.ahead.has(found.attr.ino.0);
        }
        match made {
            Ok(found) => {
                let flags = FopenFlags::FOPEN_KEEP_CACHE;
                let generation = found.generation;
                reply.created(&FOR_EVER, &found.attr, generation, NO_HANDLE, flags);
            }
            Err(error) => reply.error(self.failed("create", parent, &error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let _timer = self.timer(Op::Read);
        let read = match handle {
            NO_HANDLE => self.mirror.read(ino.0, offset, size),
            FileHandle(opened) => self.mirror.read_opened(opened, offset, size),
        };
        match read {
            Ok(data) => reply.data(&data),
            Err(error) => reply.error(self.failed("read", ino, &error)),
        }
    }

    fn write(
        &self,
        req: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let _timer = self.timer(Op::Write);
        let caller = self.changer(req, ino);
        let at = (offset, data);
        let written = self.mirror.write(&caller, ino.0, at, write_flags);
        // A request is no longer than a megabyte.
        let len = data.len() as u32;
        match written {
            Ok(()) => reply.written(len),
            Err(error) => reply.error(self.failed("write", ino, &error)),
        }
    }

    fn release(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        flags: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        let _timer = self.timer(Op::Release);
        if handle != NO_HANDLE {
            self.mirror.opened.close(handle.0);
        } else {
            self.mirror.release(ino.0, flags);
        }
        reply.ok();
    }

    /// Nothing waits for a close, and the kernel does not ask again; but where each one makes a version.
    fn flush(&self, _: &Request, ino: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        let _timer = self.timer(Op::Flush);
        match self.mirror.close(ino.0) {
            Some(done) => self.empty("flush", ino, done, reply),
            None if self.mirror.pond.is_eager() => reply.ok(),
            None => reply.error(fuser::Errno::ENOSYS),
        }
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.flush_then(self.timer(Op::Fsync), "fsync", ino, reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.flush_then(self.timer(Op::Fsyncdir), "fsyncdir", ino, reply);
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let timer = self.timer(Op::Opendir);
        match self.mirror.is_derived(ino.0) && !self.mirror.is_at_hand(ino.0) {
            true => self.apart(timer, move |own| own.answer_opendir(ino, reply)),
            false => self.answer_opendir(ino, reply),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let _timer = self.timer(Op::Readdir);
        let mut add = |item: &Item, _| {
            let number = INodeNo(self.mirror.entry_number(ino.0, item));
            let (kind, name) = (file_type(item.kind), OsStr::from_bytes(&item.name));
            Ok(reply.add(number, item.position, kind, name))
        };
        match self
            .mirror
            .read_directory(ino.0, handle.0, offset, &mut add)
        {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(self.failed("readdir", ino, &error)),
        }
    }

    fn readdirplus(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let _timer = self.timer(Op::Readdirplus);
        let mut added = false;
        let mut add = |item: &Item, fresh| {
            let full = match self.mirror.add_plus(ino.0, item, fresh, &mut reply) {
                // The kernel holds what was added; the failure is told when it reads on from here.
                Err(_) if added => true,
                other => other?,
            };
            added = true;
            Ok(full)
        };
        match self
            .mirror
            .read_directory(ino.0, handle.0, offset, &mut add)
        {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(self.failed("readdirplus", ino, &error)),
        }
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        let _timer = self.timer(Op::Releasedir);
        self.mirror.handles.close(handle.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, ino: INodeNo, reply: ReplyStatfs) {
        let _timer = self.timer(Op::Statfs);
        match self.mirror.pond.statfs() {
            Ok(space) => {
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
            }
            Err(error) => reply.error(self.failed("statfs", ino, &error)),
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
        let _timer = self.timer(Op::Setxattr);
        let caller = caller(req.uid(), req.gid());
        let done = self
            .mirror
            .set_xattr(&caller, ino.0, name.as_bytes(), value, flags);
        self.empty("setxattr", ino, done, reply);
    }

    fn getxattr(&self, req: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let timer = self.timer(Op::Getxattr);
        let caller = caller(req.uid(), req.gid());
        if self.mirror.is_derived(ino.0) {
            let name = name.to_owned();
            return self.apart(timer, move |own| {
                own.answer_xattr(&caller, ino, &name, size, reply);
            });
        }
        self.answer_xattr(&caller, ino, name, size, reply);
    }

    fn listxattr(&self, req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let _timer = self.timer(Op::Listxattr);
        let caller = caller(req.uid(), req.gid());
        match self.mirror.list_xattrs(&caller, ino.0) {
            Ok(list) => sized(&list, size, reply),
            Err(error) => reply.error(self.failed("listxattr", ino, &error)),
        }
    }

    fn removexattr(&self, req: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let _timer = self.timer(Op::Removexattr);
        let caller = caller(req.uid(), req.gid());
        let done = self.mirror.remove_xattr(&caller, ino.0, name.as_bytes());
        self.empty("removexattr", ino, done, reply);
    }

    /// Not asked: the kernel checks permissions itself.
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
        let _timer = self.timer(Op::Fallocate);
        let caller = self.changer(req, ino);
        let done = self
            .mirror
            .fallocate(&caller, ino.0, (offset, length), mode);
        self.empty("fallocate", ino, done, reply);
    }

    fn lseek(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let _timer = self.timer(Op::Lseek);
        match self.mirror.seek(ino.0, offset, whence) {
            Ok(found) => reply.offset(found),
            Err(error) => reply.error(self.failed("lseek", ino, &error)),
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
        let _timer = self.timer(Op::CopyFileRange);
        if !flags.is_empty() {
            return reply.error(fuser::Errno::EINVAL);
        }
        let caller = self.changer(req, to);
        let (from, to) = ((from.0, from_offset), (to.0, to_offset));
        let copied = self.mirror.copy(&caller, from, to, len);
        match copied {
            Ok(copied) => reply.written(copied),
            Err(error) => reply.error(self.failed("copy_file_range", INodeNo(to.0), &error)),
        }
    }
}

/// Answers an attribute as the kernel asks for it: with size 0, only how long it is.
fn sized(value: &[u8], size: u32, reply: ReplyXattr) {
    match u32::try_from(value.len()) {
        Ok(len) if size == 0 => reply.size(len),
        Ok(len) if len <= size => reply.data(value),
        _ => reply.error(fuser::Errno::ERANGE),
    }
}
