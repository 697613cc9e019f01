//! A reply that is still to be sent, with the request's entry in the table.
//!
//! The entry is removed after the reply was written to the kernel: by [`Pending::send`], or, where
//! a reply is dropped unsent, after `fuser` has sent `EIO` in its place. A reply that is stored and
//! never sent keeps its entry, and the monitor reports it.

use super::table::Entry;
use super::{Op, Requests};
use crate::tinyfs::Errno;
use fuser::{
    ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry,
    ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr,
};
use std::sync::Arc;

/// A request without a reply. Drop order matters: the reply first, then the entry.
#[derive(Debug)]
pub(in crate::mount) struct Pending<R> {
    reply: R,
    entered: Entered,
}

#[derive(Debug)]
struct Entered {
    requests: Arc<Requests>,
    unique: u64,
    entry: Entry,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let Entry { op, since, .. } = self.entry;
        self.requests.replied(self.unique, op, since.elapsed());
    }
}

impl<R> Pending<R> {
    pub(super) fn new(requests: Arc<Requests>, unique: u64, entry: Entry, reply: R) -> Pending<R> {
        Pending {
            reply,
            entered: Entered {
                requests,
                unique,
                entry,
            },
        }
    }

    pub(in crate::mount) fn op(&self) -> Op {
        self.entered.entry.op
    }

    /// Returns the inode number of the request.
    pub(in crate::mount) fn ino(&self) -> u64 {
        self.entered.entry.ino
    }

    /// Returns the reply, to be filled entry by entry.
    pub(in crate::mount) fn reply_mut(&mut self) -> &mut R {
        &mut self.reply
    }

    /// Sends the reply, then removes the request from the table.
    pub(in crate::mount) fn send(self, send: impl FnOnce(R)) {
        let Pending { reply, entered } = self;
        send(reply);
        drop(entered);
    }
}

impl<R: Refuse> Pending<R> {
    /// Replies with an error.
    pub(in crate::mount) fn refuse(self, errno: Errno) {
        self.send(|reply| reply.refuse(fuser::Errno::from_i32(errno.0)));
    }
}

/// A reply that can be an error.
pub(in crate::mount) trait Refuse {
    fn refuse(self, errno: fuser::Errno);
}

macro_rules! refuse {
    ($($reply:ty),* $(,)?) => {
        $(impl Refuse for $reply {
            fn refuse(self, errno: fuser::Errno) {
                self.error(errno);
            }
        })*
    };
}

refuse!(
    ReplyAttr,
    ReplyCreate,
    ReplyData,
    ReplyDirectory,
    ReplyDirectoryPlus,
    ReplyEmpty,
    ReplyEntry,
    ReplyLseek,
    ReplyOpen,
    ReplyStatfs,
    ReplyWrite,
    ReplyXattr,
);
