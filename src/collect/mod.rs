//! Kinds of resources that write into the pond, or copy it.
//!
//! So far their documents are parsed, checked and listed; the collectors themselves are to come.
//! Invariant: secrets are references, and no error repeats one that was written out.

mod bucket;
mod kinds;

pub use kinds::KINDS;
#[cfg(test)]
pub(crate) use kinds::{Copy, HydroVu};
