//! Parses DuckDB's grammar, and rewrites it to what DataFusion plans.
//!
//! [`translate`] parses the text with [`parser::Grammar`], rewrites the tree in place, and returns
//! the tree: DataFusion plans it and parses nothing again. `select` rewrites clauses, `types` and
//! `units` types and intervals, `names` the case of columns; `refusal` has the errors.
//!
//! Named arguments of a table function, `read_csv(path, header = true)`, become pairs of unnamed
//! ones, `read_csv(path, 'header', true)`, because DataFusion passes only those. A file name as a
//! table, `FROM 'x.csv'`, becomes the table function for its ending.

mod names;
mod parser;
mod refusal;
mod select;
mod types;
mod units;

use std::ops::ControlFlow;

use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as Planned;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Query, Select, Statement, TableFactor, TableFunctionArgs,
    Value, ValueWithSpan, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use parser::Grammar;
use refusal::{COLUMNS, PIVOT, SAMPLE, refusal};

/// Parses a query and rewrites it for the tables and functions of `session`. `columns` are the
/// names of the columns of its tables. An error is one sentence that says what to write instead.
pub(in crate::query) fn translate(
    session: &SessionContext,
    query: &str,
    columns: &[String],
) -> Result<Planned, String> {
    // What only DataFusion's own dialect parses is common SQL as well.
    let parsed = Parser::parse_sql(&Grammar, query)
        .or_else(|error| Parser::parse_sql(&GenericDialect {}, query).map_err(|_| error));
    let mut statements = parsed.map_err(|error| refusal(query, Some(&error.to_string())))?;
    if statements.len() != 1 {
        return Err(format!("one query is wanted, not {}", statements.len()));
    }
    let Some(mut statement) = statements.pop() else {
        return Err("the query is empty".into());
    };
    if !matches!(statement, Statement::Query(_) | Statement::Explain { .. }) {
        return Err(refusal(query, None));
    }
    let mut rewriter = Rewriter {
        aggregates: session.state_ref().read().aggregate_functions().clone(),
    };
    if let ControlFlow::Break(sentence) = statement.visit(&mut rewriter) {
        return Err(sentence);
    }
    names::resolve(&mut statement, columns);
    Ok(Planned::Statement(Box::new(statement)))
}

/// Rewrites a statement in place. Breaks with a sentence if that is not possible.
struct Rewriter {
    aggregates: select::Aggregates,
}

fn flow(result: Result<(), String>) -> ControlFlow<String> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(sentence) => ControlFlow::Break(sentence),
    }
}

impl VisitorMut for Rewriter {
    type Break = String;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<String> {
        flow(select::query(query))
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<String> {
        flow(select::select(select, &self.aggregates))
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<String> {
        flow(relation(table))
    }

    // DataFusion reads no `_` in a number.
    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<String> {
        if let Value::Number(digits, _) = &mut value.value {
            digits.retain(|digit| digit != '_');
        }
        ControlFlow::Continue(())
    }

    // After its parts, so that no part is rewritten twice.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<String> {
        flow(expression(expr))
    }
}

fn relation(table: &mut TableFactor) -> Result<(), String> {
    match table {
        TableFactor::Table {
            sample: Some(_), ..
        }
        | TableFactor::Derived {
            sample: Some(_), ..
        } => Err(SAMPLE.into()),
        TableFactor::Pivot { .. } | TableFactor::Unpivot { .. } => Err(PIVOT.into()),
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => select::joins(&table_with_joins.relation, &mut table_with_joins.joins),
        TableFactor::Table { name, args, .. } => {
            if let Some(args) = args {
                // DataFusion looks up table functions by exact case.
                *name = Ident::new(name.to_string().to_lowercase()).into();
                args.args = pairs(std::mem::take(&mut args.args));
            } else if let Some((function, path)) = file(name) {
                *name = Ident::new(function).into();
                *args = Some(TableFunctionArgs {
                    args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(text(path)))],
                    settings: None,
                });
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Returns the table function and the path for a table's name in single quotes.
fn file(name: &ObjectName) -> Option<(&'static str, String)> {
    let [part] = name.0.as_slice() else {
        return None;
    };
    let part = part
        .as_ident()
        .filter(|part| part.quote_style == Some('\''))?;
    let path = part.value.to_lowercase();
    let plain = path.trim_end_matches(".gz").trim_end_matches(".zst");
    let function = match plain.rsplit('.').next()? {
        "csv" | "tsv" => "read_csv",
        "json" | "jsonl" | "ndjson" => "read_json",
        "parquet" => "read_parquet",
        _ => return None,
    };
    Some((function, part.value.clone()))
}

/// Converts named arguments to pairs of a name and a value.
fn pairs(args: Vec<FunctionArg>) -> Vec<FunctionArg> {
    let unnamed = |name: &Ident, arg| {
        let name = FunctionArgExpr::Expr(text(name.value.to_lowercase()));
        vec![FunctionArg::Unnamed(name), FunctionArg::Unnamed(arg)]
    };
    args.into_iter()
        .flat_map(|arg| match arg {
            FunctionArg::Named { name, arg, .. } => unnamed(&name, arg),
            FunctionArg::ExprNamed {
                name: Expr::Identifier(name),
                arg,
                ..
            } => unnamed(&name, arg),
            other => match equation(&other) {
                Some((name, value)) => unnamed(name, FunctionArgExpr::Expr(value.clone())),
                None => vec![other],
            },
        })
        .collect()
}

/// Returns both sides of `name = value`, which the parser reads as a condition.
fn equation(arg: &FunctionArg) -> Option<(&Ident, &Expr)> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp {
            left,
            op: BinaryOperator::Eq,
            right,
        })) => match left.as_ref() {
            Expr::Identifier(name) => Some((name, right)),
            _ => None,
        },
        _ => None,
    }
}

fn expression(expr: &mut Expr) -> Result<(), String> {
    match expr {
        Expr::Cast { data_type, .. } => types::translate(data_type),
        Expr::TypedString(typed) => types::translate(&mut typed.data_type),
        Expr::Extract { field, .. } => {
            *field = units::part(field)?;
            Ok(())
        }
        Expr::Interval(interval) => {
            if let Some(function) = units::length(interval)? {
                *expr = call(function, vec![(*interval.value).clone()]);
            }
            Ok(())
        }
        Expr::BinaryOp {
            left,
            op: BinaryOperator::DuckIntegerDivide,
            right,
        } => {
            *expr = call("divide", vec![(**left).clone(), (**right).clone()]);
            Ok(())
        }
        Expr::Function(function) => match function.name.to_string().to_lowercase().as_str() {
            "columns" => Err(COLUMNS.into()),
            "struct_pack" => {
                function.name = Ident::new("named_struct").into();
                if let FunctionArguments::List(list) = &mut function.args {
                    list.args = pairs(std::mem::take(&mut list.args));
                }
                Ok(())
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args
        .into_iter()
        .map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)))
        .collect();
    Expr::Function(Function {
        name: Ident::new(name).into(),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn text(value: String) -> Expr {
    Expr::Value(Value::SingleQuotedString(value).into())
}

#[cfg(test)]
mod tests;
