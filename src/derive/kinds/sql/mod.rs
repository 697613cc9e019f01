//! The kind Sql: a query on several named inputs.

mod plan;
mod spec;

pub use spec::Sql;
