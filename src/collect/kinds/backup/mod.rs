//! The kind Backup: backups of the pond in a bucket.

mod spec;

pub use spec::Backup;
