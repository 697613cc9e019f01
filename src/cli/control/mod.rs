//! How commands talk to the daemon that has a pond open.
//!
//! Role: a socket in the pond's folder, on which one line of JSON asks and one line answers. In:
//! requests of commands of the same user. Out: what the pond answers. Holds: whoever opens the pond,
//! the answer is the same; and no line on the socket, however odd, disturbs the daemon.

mod address;
mod answer;
mod client;
mod forget;
mod message;
mod raw;
mod resources;
mod server;
mod travel;

pub use client::{Client, Reached, reach};
pub use forget::{Forget, ForgetReport};
pub use message::{
    Checked, ClockReport, LogPage, LogRow, Request, ScrubReport, StatusReport, Synced,
};
pub use raw::Raw;
pub use resources::{AppliedReport, DocumentReport, ResourceReport, Resources};
pub use server::Server;
pub use travel::{
    DiffPage, DiffRow, HistoryPage, HistoryRow, ListPage, NodeReport, Piece, ReturnReport,
    TagReport, Travel, version_of,
};
