//! The kind Inbox: files of the host that are copied in.

mod spec;

pub use spec::Inbox;
