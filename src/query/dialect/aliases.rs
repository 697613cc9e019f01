//! Registers DuckDB's names for functions that DataFusion has under other names.

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::prelude::SessionContext;

const SCALARS: [(&str, &[&str]); 2] = [
    ("regexp_like", &["regexp_matches"]),
    ("make_array", &["list_value"]),
];

const AGGREGATES: [(&str, &[&str]); 5] = [
    ("array_agg", &["list"]),
    ("first_value", &["first", "arbitrary"]),
    ("last_value", &["last"]),
    ("approx_percentile_cont", &["approx_quantile"]),
    ("string_agg", &["group_concat", "listagg"]),
];

pub(super) fn register(session: &SessionContext) -> Result<(), DataFusionError> {
    // The original is registered again: the planner recognises it by its type, which the aliased
    // one lacks.
    for (name, aliases) in SCALARS {
        let own = session.state_ref().read().udf(name)?;
        session.register_udf(own.as_ref().clone().with_aliases(aliases.iter().copied()));
        session.register_udf(own.as_ref().clone());
    }
    for (name, aliases) in AGGREGATES {
        let own = session.state_ref().read().udaf(name)?;
        session.register_udaf(own.as_ref().clone().with_aliases(aliases.iter().copied()));
        session.register_udaf(own.as_ref().clone());
    }
    Ok(())
}

/// Returns all names that [`register`] adds.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let aliases = SCALARS.into_iter().chain(AGGREGATES);
    aliases.flat_map(|(_, aliases)| aliases.iter().copied())
}

#[cfg(test)]
mod tests {
    use crate::query::dialect::testing::{expect, rows};

    #[test]
    fn aliases_call_the_same_function() {
        let table = "FROM (VALUES (1, NULL), (2, 'a'), (3, 'b')) AS t(n, s)";
        expect(&[
            (&format!("list(n ORDER BY n DESC) {table}"), "[3, 2, 1]"),
            (&format!("array_agg(n ORDER BY n) {table}"), "[1, 2, 3]"),
            (&format!("first(s ORDER BY n) {table}"), "NULL"),
            (&format!("last(s ORDER BY n) {table}"), "b"),
            (&format!("group_concat(s, '+' ORDER BY n) {table}"), "a+b"),
            (&format!("approx_quantile(n, 0.5) {table}"), "2.0"),
            ("list_value(1, 2)", "[1, 2]"),
        ]);
        let grouped = format!(
            "SELECT n > 1, first(n ORDER BY n), last(n ORDER BY n) {table} GROUP BY 1 ORDER BY 1"
        );
        assert_eq!(rows(&grouped), ["false|1|1", "true|2|3"]);
    }
}
