//! Rewrites DuckDB's SELECT to standard SQL: `FROM` first, `GROUP BY ALL`, `ORDER BY ALL`, joins.
//!
//! An error is one sentence that says what to write instead. The columns of a `*` are not known
//! here, so `ALL` beside a `*` is refused.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::logical_expr::AggregateUDF;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, GroupByExpr, Join, JoinOperator, OrderByExpr, OrderByKind, Query, Select,
    SelectFlavor, SelectItem, SetExpr, TableFactor, Value, WildcardAdditionalOptions,
    visit_expressions,
};

use super::refusal::{ASOF, POSITIONAL};

/// The aggregates of a session by name.
pub(super) type Aggregates = HashMap<String, Arc<AggregateUDF>>;

/// Replaces `ORDER BY ALL` by the columns of the query.
pub(super) fn query(query: &mut Query) -> Result<(), String> {
    let Some(order) = &mut query.order_by else {
        return Ok(());
    };
    let OrderByKind::All(options) = order.kind else {
        return Ok(());
    };
    let Some(columns) = columns(&query.body) else {
        return Err(
            "ORDER BY ALL beside * needs columns by name; write ORDER BY with their names".into(),
        );
    };
    let by = |column: usize| OrderByExpr {
        expr: position(column),
        options,
        with_fill: None,
    };
    order.kind = OrderByKind::Expressions((0..columns).map(by).collect());
    Ok(())
}

/// Returns the number of columns of a query, or `None` if it depends on a `*`.
fn columns(body: &SetExpr) -> Option<usize> {
    match body {
        SetExpr::Select(select) if select.projection.iter().any(wild) => None,
        SetExpr::Select(select) => Some(select.projection.len()),
        SetExpr::SetOperation { left, .. } => columns(left),
        SetExpr::Query(query) => columns(&query.body),
        SetExpr::Values(values) => values.rows.first().map(|row| row.content.len()),
        _ => None,
    }
}

/// Rewrites a SELECT to standard SQL.
pub(super) fn select(select: &mut Select, aggregates: &Aggregates) -> Result<(), String> {
    if select.flavor == SelectFlavor::FromFirstNoSelect {
        select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
    }
    select.flavor = SelectFlavor::Standard;
    for item in &select.projection {
        if let SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) = item
            && options.opt_rename.is_some()
        {
            return Err("DataFusion has no * RENAME; write * EXCLUDE (old), old AS new".into());
        }
    }
    for table in &mut select.from {
        joins(&table.relation, &mut table.joins)?;
    }
    if let GroupByExpr::All(modifiers) = &select.group_by {
        if select.projection.iter().any(wild) {
            return Err(
                "GROUP BY ALL beside * needs columns by name; write GROUP BY with their names"
                    .into(),
            );
        }
        let plain = |(column, item): (usize, &SelectItem)| {
            (!is_aggregate(item, aggregates)).then(|| position(column))
        };
        let columns = select
            .projection
            .iter()
            .enumerate()
            .filter_map(plain)
            .collect();
        select.group_by = GroupByExpr::Expressions(columns, modifiers.clone());
    }
    Ok(())
}

/// Rewrites the joins of one table to standard SQL.
pub(super) fn joins(table: &TableFactor, joins: &mut [Join]) -> Result<(), String> {
    let mut left = table;
    for join in joins {
        // The parser takes these words for an alias, without an error.
        match bare_alias(left).as_deref() {
            Some("ASOF") => return Err(ASOF.into()),
            Some("POSITIONAL") => return Err(POSITIONAL.into()),
            _ => {}
        }
        match &join.join_operator {
            JoinOperator::Semi(on) => join.join_operator = JoinOperator::LeftSemi(on.clone()),
            JoinOperator::Anti(on) => join.join_operator = JoinOperator::LeftAnti(on.clone()),
            JoinOperator::AsOf { .. } => return Err(ASOF.into()),
            _ => {}
        }
        left = &join.relation;
    }
    Ok(())
}

fn bare_alias(table: &TableFactor) -> Option<String> {
    match table {
        TableFactor::Table {
            alias: Some(alias), ..
        }
        | TableFactor::Derived {
            alias: Some(alias), ..
        } if !alias.explicit && alias.name.quote_style.is_none() => {
            Some(alias.name.value.to_uppercase())
        }
        _ => None,
    }
}

fn wild(item: &SelectItem) -> bool {
    matches!(
        item,
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
    )
}

fn is_aggregate(item: &SelectItem, aggregates: &Aggregates) -> bool {
    let found = visit_expressions(item, |expr| match expr {
        Expr::Function(Function {
            name, over: None, ..
        }) if aggregates.contains_key(&name.to_string().to_lowercase()) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

fn position(column: usize) -> Expr {
    Expr::Value(Value::Number((column + 1).to_string(), false).into())
}

#[cfg(test)]
mod tests {
    use crate::query::dialect::testing::{error, rows};

    const TABLE: &str = "(VALUES ('b', 1, 10), ('a', 2, 20), ('b', 3, 30)) AS t(k, n, v)";

    #[test]
    fn from_may_come_first() {
        assert_eq!(rows("FROM (VALUES (1, 2)) AS t(a, b)"), ["1|2"]);
        assert_eq!(rows("FROM (VALUES (1, 2)) AS t(a, b) SELECT b"), ["2"]);
    }

    #[test]
    fn group_by_all_and_order_by_all_are_expanded() {
        let query =
            format!("SELECT k, sum(v) AS s, k || 'x', FROM {TABLE} GROUP BY ALL ORDER BY ALL");
        assert_eq!(rows(&query), ["a|20|ax", "b|40|bx"]);
        let query = format!("SELECT k, sum(v) FROM {TABLE} GROUP BY ALL ORDER BY ALL DESC");
        assert_eq!(rows(&query), ["b|40", "a|20"]);
        assert_eq!(
            rows(&format!("SELECT sum(v) FROM {TABLE} GROUP BY ALL")),
            ["60"]
        );
        assert!(error(&format!("SELECT * FROM {TABLE} ORDER BY ALL")).contains("ORDER BY ALL"));
        assert_eq!(
            rows("SELECT 2 AS a UNION ALL SELECT 1 ORDER BY ALL"),
            ["1", "2"]
        );
        assert!(
            error(&format!("SELECT *, sum(v) FROM {TABLE} GROUP BY ALL")).contains("GROUP BY ALL")
        );
        let query = format!("SELECT * FROM {TABLE} UNION ALL SELECT * FROM {TABLE} ORDER BY ALL");
        assert!(error(&query).contains("ORDER BY ALL"));
    }

    #[test]
    fn stars_exclude_and_replace() {
        assert_eq!(
            rows(&format!(
                "SELECT * EXCLUDE (k, n) FROM {TABLE} ORDER BY v LIMIT 1"
            )),
            ["10"]
        );
        assert_eq!(
            rows(&format!(
                "SELECT * REPLACE (v + n AS v) FROM {TABLE} ORDER BY n LIMIT 1"
            )),
            ["b|1|11"]
        );
        assert!(error(&format!("SELECT * RENAME (k AS kk) FROM {TABLE}")).contains("EXCLUDE"));
    }

    #[test]
    fn joins_are_translated_or_refused() {
        let semi = format!("SELECT n FROM {TABLE} SEMI JOIN (VALUES (2)) AS u(m) ON t.n = u.m");
        assert_eq!(rows(&semi), ["2"]);
        let anti =
            format!("SELECT n FROM {TABLE} ANTI JOIN (VALUES (2)) AS u(m) ON t.n = u.m ORDER BY 1");
        assert_eq!(rows(&anti), ["1", "3"]);
        assert!(error("SELECT * FROM a ASOF JOIN b ON a.t >= b.t").contains("ASOF"));
        assert!(error("SELECT * FROM a POSITIONAL JOIN b").contains("POSITIONAL"));
    }
}
