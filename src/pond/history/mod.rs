//! The past, as it is asked for: by number, time, age or tag, of the whole pond, a directory or a file.
//!
//! Role: say which version is meant, and which versions changed something. In: references as users write
//! them, nodes and names. Out: version numbers. Holds always: what is answered about the past up to a
//! version never changes; only what `latest`, an age or a tag mean does.
//!
//! - [`reference`]: the ways to name a version. [`tags`]: names that users give.
//! - [`path`]: what became of a path. [`compare`]: what is different. [`restore`]: the past brought back.
//! - [`versions`]: which version that is, and the versions of a directory or a file. [`timeline`]: what
//!   date a version has.

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
