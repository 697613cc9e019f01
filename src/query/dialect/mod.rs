//! DuckDB's SQL on DataFusion: settings, functions, table functions, grammar.
//!
//! A session is prepared with [`config`], [`register`] and [`register_readers`]. Then [`translate`]
//! turns the text of a query into a statement that the session plans. These four functions are the
//! whole interface: the module names nothing else of `query`, and nothing else of it is public.
//!
//! - `scalar`, `aggregate`, `aliases`: functions. What DataFusion has under the same name stays
//!   DataFusion's, also `/` of integers, `^` and `~`. A function returns null if an argument is.
//! - `readers`: `read_csv('$1')` and its like.
//! - `grammar`: parses DuckDB's grammar and rewrites the tree to what DataFusion plans.
//!
//! `docs/sql.md` lists every function and every form with an example. A test runs each example, and
//! another one runs it in DuckDB. What cannot be translated is refused with what to write instead.

mod aggregate;
mod aliases;
mod errors;
mod grammar;
mod readers;
mod scalar;

pub(super) use grammar::translate;
pub(super) use readers::register_readers;

use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};

/// Returns the settings of a session with DuckDB's behaviour: names keep their case, nulls sort
/// last, and a TIMESTAMPTZ is in UTC.
pub(super) fn config() -> SessionConfig {
    let mut config = SessionConfig::new();
    let options = config.options_mut();
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.default_null_ordering = "nulls_last".into();
    options.execution.time_zone = Some("+00:00".into());
    config
}

/// Registers all functions in a session.
///
/// A second registration replaces the first. Fails only if the session lacks a function of
/// DataFusion's that gets a second name here.
pub(super) fn register(session: &SessionContext) -> Result<(), DataFusionError> {
    for function in scalar::functions() {
        session.register_udf(function);
    }
    for function in aggregate::functions() {
        session.register_udaf(function);
    }
    aliases::register(session)
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
