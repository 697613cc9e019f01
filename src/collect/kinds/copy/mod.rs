//! The kind Copy: backups that are read from a bucket.

mod spec;

pub use spec::Copy;
