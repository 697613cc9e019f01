//! A reply that is still to be sent, with the request's entry in the table.
//!
//! The entry goes when the reply was written to the kernel: by [`Pending::send`], or, where a reply
//! is dropped unsent, after `fuser` has sent `EIO` in its place. A reply that is kept somewhere and
//! forgotten keeps its entry, and the monitor names it.

use super::table::Entry;
use super::{Op, Requests};
use crate::tinyfs::Errno;
use fuser::{
    ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry,
    ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr,
};
use std::sync::Arc;

/// A request without a reply. Fields are dropped in their order: the entry after the reply.
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

    /// The inode that the request is about.
    pub(in crate::mount) fn ino(&self) -> u64 {
        self.entered.entry.ino
    }

    /// The reply, to be filled piece by piece.
    pub(in crate::mount) fn reply_mut(&mut self) -> &mut R {
        &mut self.reply
    }

    /// Sends the reply, and takes the request out of the table after that.
    pub(in crate::mount) fn send(self, send: impl FnOnce(R)) {
        let Pending { reply, entered } = self;
        send(reply);
        drop(entered);
    }
}

impl<R: Refuse> Pending<R> {
    /// Sends an error.
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
