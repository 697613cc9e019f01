//! The control protocol between commands and the daemon that has a pond open.
//!
//! Role: a socket in the pond's folder; a request is one line of JSON, and so is its reply. In:
//! requests of commands of the same user. Out: replies. Invariants: a reply is the same whether a
//! daemon or the command has the pond open; no line on the socket can disturb the daemon.
//!
//! While the daemon works on a reply it sends an empty line every second. So a command can tell a
//! busy daemon from one that is stopped or stuck, and waits only some seconds for the latter.

mod address;
mod answer;
mod client;
mod daemon;
mod forget;
#[cfg(test)]
mod fuzz_tests;
mod message;
mod process;
mod raw;
mod read_line;
mod resources;
mod server;
mod travel;

pub use client::{Client, DEAD_MOUNT, Reached, folder, ping, reach};
pub use daemon::{
    MountState, daemon_of, explain, is_probe, is_stopped, mount_of, mount_state,
    other_namespace_with, probe, process_of, program,
};
pub use forget::{Forget, ForgetReport};
pub use message::{
    Checked, ClockReport, LogPage, LogRow, Request, ScrubReport, StatusReport, Synced,
};
pub use process::Process;
pub use raw::Raw;
pub use resources::{AppliedReport, DocumentReport, ResourceReport, Resources};
pub use server::Server;
pub use travel::{
    DiffPage, DiffRow, HistoryPage, HistoryRow, ListPage, NodeReport, Piece, ReturnReport,
    TagReport, Travel, version_of,
};
