//! Translates DuckDB's grammar to DataFusion's.
//!
//! The text of a statement is parsed as DuckDB's and rewritten as a tree. If DataFusion parses the
//! text to the same tree, the text is returned unchanged. Otherwise the tree is printed, and
//! returned only if DataFusion parses the print to it. So DataFusion never reads a returned text in
//! another way. Statements that are no queries, and texts that only DataFusion parses, are returned
//! unchanged. An error is one sentence that says what to write instead.
//!
//! Named arguments of a table function, `read_csv(path, header = true)`, become pairs of unnamed
//! ones, `read_csv(path, 'header', true)`, because DataFusion passes only those. A file name as a
//! table, `FROM 'x.csv'`, becomes the table function for its ending.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParser, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Query, Select, Statement, TableFactor, TableFunctionArgs,
    Value, ValueWithSpan, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;

use super::grammar::Grammar;
use super::{select, types, units};

/// Translates a query to DataFusion's grammar, or returns what to write instead.
pub fn translate(query: &str) -> Result<String, String> {
    let own = DFParser::parse_sql(query);
    let mut statements = match Parser::parse_sql(&Grammar, query) {
        Ok(statements) => statements,
        Err(_) if own.is_ok() => return Ok(query.to_string()),
        Err(error) => return Err(refusal(query, &error.to_string())),
    };
    let [statement] = statements.as_mut_slice() else {
        return Err(format!("one statement is wanted, not {}", statements.len()));
    };
    if !matches!(statement, Statement::Query(_) | Statement::Explain { .. }) {
        return match own {
            Ok(_) => Ok(query.to_string()),
            Err(error) => Err(refusal(query, &error.to_string())),
        };
    }
    if let ControlFlow::Break(sentence) = statement.visit(&mut Rewriter) {
        return Err(sentence);
    }
    if reads_as(&own, statement) {
        return Ok(query.to_string());
    }
    let printed = statement.to_string();
    match DFParser::parse_sql(&printed) {
        Err(error) => Err(refusal(query, &error.to_string())),
        own if reads_as(&own, statement) => Ok(printed),
        Ok(_) => Err(format!(
            "DataFusion reads this otherwise than DuckDB; write {printed} in standard SQL"
        )),
    }
}

/// Returns whether DataFusion's parser read exactly this statement.
fn reads_as<E>(own: &Result<VecDeque<Parsed>, E>, statement: &Statement) -> bool {
    let Ok(own) = own else {
        return false;
    };
    // DataFusion parses EXPLAIN itself, and the statement in it with the common parser.
    let (mut own, mut statement) = (own.front(), statement);
    while let Some(Parsed::Explain(explain)) = own {
        own = Some(explain.statement.as_ref());
        if let Statement::Explain {
            statement: explained,
            ..
        } = statement
        {
            statement = explained.as_ref();
        }
    }
    matches!(own, Some(Parsed::Statement(own)) if own.as_ref() == statement)
}

/// Returns why a text that does not parse is refused: by the construct in it, or by the parser's
/// error.
fn refusal(query: &str, error: &str) -> String {
    let words: Vec<String> = query
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_uppercase)
        .collect();
    let shows = |pair: [&str; 2]| words.windows(2).any(|found| found == pair);
    let first = words.first().map(String::as_str).unwrap_or_default();
    let sentence = match first {
        "SUMMARIZE" => {
            "DataFusion has no SUMMARIZE; write SELECT with min, max, avg and count of the columns"
        }
        "PIVOT" | "UNPIVOT" => PIVOT,
        "ATTACH" | "DETACH" | "USE" | "INSTALL" | "LOAD" | "PRAGMA" => {
            return format!("a pond has no {first}; write a query over its files");
        }
        _ if shows(["ASOF", "JOIN"]) || shows(["ASOF", "LEFT"]) => select::ASOF,
        _ if shows(["POSITIONAL", "JOIN"]) => select::POSITIONAL,
        _ if shows(["USING", "SAMPLE"]) => SAMPLE,
        _ if words
            .iter()
            .any(|word| word == "PIVOT" || word == "UNPIVOT") =>
        {
            PIVOT
        }
        _ if words
            .windows(3)
            .any(|found| found[0] == "FOR" && found[2] == "IN") =>
        {
            COMPREHENSION
        }
        _ => return format!("the query is neither DuckDB's SQL nor DataFusion's: {error}"),
    };
    sentence.to_string()
}

const PIVOT: &str = "DataFusion has no PIVOT; write one aggregate with FILTER (WHERE …) for each column, \
    or UNION ALL for UNPIVOT";
const SAMPLE: &str = "DataFusion has no SAMPLE; write WHERE random() < 0.1";
const LAMBDA: &str = "DataFusion reads no lambda in this dialect; write unnest() and an aggregate";
const COMPREHENSION: &str = "DataFusion has no list comprehension; write unnest() and an aggregate";
const COLUMNS: &str = "DataFusion has no COLUMNS(…); write the columns by name, or * EXCLUDE (…)";

/// Rewrites a statement in place. Breaks with a sentence if that is not possible.
struct Rewriter;

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
        flow(select::select(select))
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<String> {
        flow(relation(table))
    }

    // DataFusion would read the `_000` of `1_000` as an alias.
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
        Expr::Lambda(_) => Err(LAMBDA.into()),
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
