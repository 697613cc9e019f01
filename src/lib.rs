//! pondmount: a versioned filesystem over a Delta Lake operation log.

pub mod index;
pub mod oplog;
pub mod tinyfs;
