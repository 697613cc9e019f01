//! Matches column names regardless of case, as DuckDB does: `timestamp` finds `Timestamp`.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, LambdaFunction, Query, Select, SelectItem, Statement, TableFactor, Visit, Visitor,
    visit_expressions_mut,
};

/// Replaces each unquoted identifier by the column that it names in another case. Columns of tables
/// come before names that the query defines. An identifier that fits several names stays as it is.
pub(super) fn resolve(statement: &mut Statement, columns: &[String]) {
    let mut defined = Defined::default();
    let _ = statement.visit(&mut defined);
    let _ = visit_expressions_mut(statement, |expr| {
        let ident = match expr {
            Expr::Identifier(ident) => Some(ident),
            Expr::CompoundIdentifier(parts) => parts.last_mut(),
            _ => None,
        };
        if let Some(ident) = ident
            && ident.quote_style.is_none()
            && !columns.contains(&ident.value)
            && !defined.columns.contains(&ident.value)
            && !defined.parameters.contains(&ident.value)
            && let Some(name) = only(columns.iter(), &ident.value)
                .or_else(|| only(defined.columns.iter(), &ident.value))
        {
            *ident = Ident::with_quote('"', name);
        }
        ControlFlow::<()>::Continue(())
    });
}

/// Returns the one name that differs from `wanted` at most in case.
fn only<'a>(names: impl Iterator<Item = &'a String>, wanted: &str) -> Option<&'a String> {
    let mut alike = names.filter(|name| name.eq_ignore_ascii_case(wanted));
    let name = alike.next()?;
    alike.all(|other| other == name).then_some(name)
}

/// The names that a query defines.
#[derive(Default)]
struct Defined {
    /// Columns: `AS name`, and the columns of `AS t(a, b)`.
    columns: HashSet<String>,
    /// Parameters of lambdas.
    parameters: HashSet<String>,
}

impl Visitor for Defined {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            let names = table.alias.columns.iter();
            self.columns
                .extend(names.map(|column| column.name.value.clone()));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item {
                self.columns.insert(alias.value.clone());
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::UNNEST { alias, .. } = table
        {
            let names = alias.iter().flat_map(|alias| &alias.columns);
            self.columns
                .extend(names.map(|column| column.name.value.clone()));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Lambda(LambdaFunction { params, .. }) = expr {
            for parameter in params {
                self.parameters.insert(parameter.name.value.clone());
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::translate;
    use datafusion::prelude::SessionContext;

    #[test]
    fn column_names_match_in_any_case() {
        let columns = ["Timestamp".to_owned(), "a".to_owned(), "A".to_owned()];
        let of = |query: &str| {
            let statement = translate(&SessionContext::new(), query, &columns).unwrap();
            statement.to_string()
        };
        assert_eq!(
            of("SELECT t.TIMESTAMP AS Time, a FROM t WHERE timestamp > 1"),
            "SELECT t.\"Timestamp\" AS Time, a FROM t WHERE \"Timestamp\" > 1"
        );
        assert_eq!(
            of("SELECT \"timestamp\" FROM t"),
            "SELECT \"timestamp\" FROM t"
        );
        // Names of the query come after those of tables, and parameters of lambdas are not renamed.
        assert_eq!(
            of("SELECT Time FROM (SELECT timestamp AS time, 1 AS TIMESTAMP FROM t) ORDER BY TIME"),
            "SELECT \"time\" FROM (SELECT \"Timestamp\" AS time, 1 AS TIMESTAMP FROM t) ORDER BY \"time\""
        );
        assert_eq!(
            of("SELECT list_transform([1], TimeStamp -> TimeStamp + 1) FROM t"),
            "SELECT list_transform([1], TimeStamp -> TimeStamp + 1) FROM t"
        );
    }
}
