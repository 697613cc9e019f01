//! Matches column names in queries regardless of case, as DuckDB does: `timestamp` finds
//! `Timestamp`.

use datafusion::sql::sqlparser::ast::{Expr, Ident, visit_expressions_mut};
use datafusion::sql::sqlparser::dialect::DuckDbDialect;
use datafusion::sql::sqlparser::parser::Parser;
use std::ops::ControlFlow;

/// Returns the query with each unquoted identifier replaced by the column that it names in another
/// case. An identifier that fits several columns stays as it is.
pub(super) fn resolve(query: &str, columns: &[String]) -> Result<String, String> {
    let mut statements = Parser::parse_sql(&DuckDbDialect {}, query)
        .map_err(|error| format!("the query cannot be read: {error}"))?;
    if statements.len() > 1 {
        return Err("a recipe has one query, and here are several".into());
    }
    let _ = visit_expressions_mut(&mut statements, |expr| {
        match expr {
            Expr::Identifier(ident) => rename(ident, columns),
            Expr::CompoundIdentifier(parts) => {
                if let Some(last) = parts.last_mut() {
                    rename(last, columns);
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    let statement = statements.first().ok_or("the query is empty")?;
    Ok(statement.to_string())
}

fn rename(ident: &mut Ident, columns: &[String]) {
    if ident.quote_style.is_some() || columns.contains(&ident.value) {
        return;
    }
    let mut alike = columns
        .iter()
        .filter(|name| name.eq_ignore_ascii_case(&ident.value));
    if let Some(name) = alike.next()
        && alike.all(|other| other == name)
    {
        *ident = Ident::with_quote('"', name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_names_match_in_any_case() {
        let columns = ["Timestamp".to_owned(), "a".to_owned(), "A".to_owned()];
        let of = |query: &str| resolve(query, &columns).unwrap();
        assert_eq!(
            of("SELECT t.TIMESTAMP AS Time, a FROM t WHERE timestamp > 1"),
            "SELECT t.\"Timestamp\" AS Time, a FROM t WHERE \"Timestamp\" > 1"
        );
        assert_eq!(
            of("SELECT \"timestamp\" FROM t"),
            "SELECT \"timestamp\" FROM t"
        );
        assert!(resolve("SELECT 1; SELECT 2", &columns).is_err());
    }
}
