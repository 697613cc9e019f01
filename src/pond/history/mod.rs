//! Queries of the past: by number, time, age or tag, of the whole pond, a directory or a file.
//!
//! Role: resolve references to versions, and find the versions that changed a path. In:
//! references as users write them, nodes and names. Out: version numbers. Invariant: an answer
//! about the past up to a version never changes; only the meaning of `latest`, an age or a tag
//! does.
//!
//! - [`reference`]: the ways to name a version. [`tags`]: names that users assign.
//! - [`path`]: the history of a path. [`compare`]: differences. [`restore`]: restoring the past.
//! - [`versions`]: resolves references, and lists the versions of a directory or a file.
//!   [`timeline`]: the dates of versions.

mod compare;
mod path;
mod reference;
mod restore;
mod tags;
mod timeline;
mod versions;

pub use compare::{Change, Comparison, Difference};
pub use path::{Event, HistoryCursor, PathHistory};
pub use reference::Reference;
pub use restore::{OnChange, Return, Watcher};
pub use tags::Tag;
pub(in crate::pond) use tags::{MAX_MESSAGE, OWN};
pub(in crate::pond) use timeline::{Dated, Timeline};
pub use versions::Edit;

#[cfg(test)]
mod path_tests;
#[cfg(test)]
pub(in crate::pond) mod tests;
