//! Decides which thread serves a request.
//!
//! Four threads read requests. None of them waits for a disk flush, a commit, memory, a rendering
//! or a long change, since four such requests would block every other one. Slow work goes to a
//! [`Pool`], or its reply is deferred ([`Pond::write_then`], [`Pond::fsync_then`]):
//!
//! | pool | threads | for |
//! |---|---|---|
//! | `changes` | 1 | changes while a long one is under way, and long ones themselves |
//! | `commits` | 1 | `.pond/sync`, names of versions, and closes that make a version |
//! | `derive` | the limit `derive-threads` | requests that load resources or render a file |
//!
//! Two waits are left, each of one thread at most: the first of several `fsync`s makes the flush,
//! and one thread pushes pages. A READ waits for the disk.
//!
//! [`Pond::write_then`]: crate::pond::Pond::write_then
//! [`Pond::fsync_then`]: crate::pond::Pond::fsync_then

use crate::mount::requests::{Op, Pending, Pool};
use crate::mount::vfs::Vfs;
use crate::tinyfs::ops::Caller;
use fuser::{INodeNo, ReplyEmpty, ReplyWrite, Request, WriteFlags};
use rustc_hash::FxHasher;
use std::ffi::OsStr;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The file system that `fuser` serves.
#[derive(Clone)]
pub(in crate::mount) struct Adapter {
    pub(in crate::mount) vfs: Arc<Vfs>,
    pools: Arc<Pools>,
}

struct Pools {
    changes: Pool,
    commits: Pool,
    derive: Pool,
    /// Bytes of queued writes behind a long change.
    queued: AtomicU64,
}

/// How long a change may block others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mount) enum Length {
    Short,
    Long,
}

impl Adapter {
    pub(in crate::mount) fn new(vfs: Arc<Vfs>) -> Adapter {
        let pools = Pools {
            changes: Pool::new("changes", 1),
            commits: Pool::new("commits", 1),
            derive: Pool::new("derive", vfs.pond.limits().derive_threads),
            queued: AtomicU64::new(0),
        };
        Adapter {
            vfs,
            pools: Arc::new(pools),
        }
    }

    pub(in crate::mount) fn receive<R>(
        &self,
        op: Op,
        request: &Request,
        ino: INodeNo,
        reply: R,
    ) -> Pending<R> {
        self.vfs.requests.receive(op, request, ino, reply)
    }

    /// Serves a change: in this thread if it is short and no long one is under way, else in the
    /// `changes` pool, first in, first out.
    pub(in crate::mount) fn change(
        &self,
        length: Length,
        serve: impl FnOnce(&Adapter) + Send + 'static,
    ) {
        if length == Length::Short
            && let Some(_short) = self.vfs.pond.try_enter_change()
        {
            return serve(self);
        }
        let own = self.clone();
        self.pools.changes.run(None, move || {
            let pond = own.vfs.pond.clone();
            let (_short, _long) = match length {
                Length::Short => (Some(pond.enter_change()), None),
                Length::Long => (None, Some(pond.enter_long_change())),
            };
            serve(&own);
        });
    }

    /// Serves a change of names in a directory, as [`Adapter::change`] does. Names of versions are
    /// made and removed in the `commits` pool.
    pub(in crate::mount) fn change_names(
        &self,
        parent: INodeNo,
        serve: impl FnOnce(&Adapter) + Send + 'static,
    ) {
        match self.vfs.holds_versions(parent.0) {
            true => self.commit(serve),
            false => self.change(Length::Short, serve),
        }
    }

    /// Serves a request that makes a version, in the `commits` pool.
    pub(in crate::mount) fn commit(&self, serve: impl FnOnce(&Adapter) + Send + 'static) {
        let own = self.clone();
        self.pools.commits.run(None, move || serve(&own));
    }

    /// Serves a request that may load resources or render: in this thread if everything is
    /// `at_hand`, else in the `derive` pool. Requests with the same key run one after another.
    pub(in crate::mount) fn derive(
        &self,
        at_hand: bool,
        key: u64,
        serve: impl FnOnce(&Adapter) + Send + 'static,
    ) {
        if at_hand {
            return serve(self);
        }
        let own = self.clone();
        self.pools.derive.run(Some(key), move || serve(&own));
    }

    pub(in crate::mount) fn changer(&self, req: &Request, ino: INodeNo) -> Caller {
        let ids = (req.uid(), req.gid());
        self.vfs.changer(ids, req.pid(), ino.0)
    }

    /// Serves a write. Copies its data only if it has to wait for a long change.
    pub(in crate::mount) fn serve_write(
        &self,
        caller: Caller,
        write: Write,
        data: &[u8],
        reply: Pending<ReplyWrite>,
    ) {
        if let Some(_short) = self.vfs.pond.try_enter_change() {
            return self.answer_write(&caller, &write, data, reply);
        }
        let bytes = data.len() as u64;
        if self.pools.queued.fetch_add(bytes, Ordering::Relaxed) + bytes
            > self.vfs.pond.limits().queued_writes
        {
            self.pools.queued.fetch_sub(bytes, Ordering::Relaxed);
            let _short = self.vfs.pond.enter_change();
            return self.answer_write(&caller, &write, data, reply);
        }
        let data = data.to_vec();
        self.change(Length::Short, move |own| {
            own.pools
                .queued
                .fetch_sub(data.len() as u64, Ordering::Relaxed);
            own.answer_write(&caller, &write, &data, reply);
        });
    }

    /// Replies when the flush ends, in the thread that makes it.
    pub(in crate::mount) fn flush_then(&self, reply: Pending<ReplyEmpty>) {
        if let Some(own) = self.vfs.own(reply.ino()) {
            return self.commit(move |adapter| {
                let written = adapter.vfs.write_own(own);
                adapter.empty(written, reply);
            });
        }
        let own = self.clone();
        self.vfs.pond.fsync_then(move |flushed| {
            if flushed.is_ok() {
                own.vfs.synced(reply.ino());
            }
            own.empty(flushed, reply);
        });
    }
}

/// The arguments of a write without its data.
#[derive(Clone, Copy)]
pub(in crate::mount) struct Write {
    pub(in crate::mount) offset: u64,
    pub(in crate::mount) flags: WriteFlags,
}

/// Returns the pool key of a LOOKUP: look-ups of one name run one after another.
pub(in crate::mount) fn key_of(parent: INodeNo, name: &OsStr) -> u64 {
    let mut hasher = FxHasher::default();
    (parent.0, name).hash(&mut hasher);
    hasher.finish()
}
