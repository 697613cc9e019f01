//! The list of collecting kinds. A kind is a folder, declared here, and an entry of the list.

mod backup;
mod copy;
mod hydrovu;
mod inbox;
mod scribble;

#[cfg(test)]
pub(crate) use self::{copy::Copy, hydrovu::HydroVu};

use crate::resource::KindEntry;

/// The collecting kinds.
pub const KINDS: &[KindEntry] = &[
    KindEntry::collecting::<backup::Backup>(),
    KindEntry::collecting::<copy::Copy>(),
    KindEntry::collecting::<scribble::Scribble>(),
    KindEntry::collecting::<hydrovu::HydroVu>(),
    KindEntry::collecting::<inbox::Inbox>(),
];
