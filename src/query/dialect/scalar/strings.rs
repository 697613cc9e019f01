//! String functions: `len`, `string_split`, `string_split_regex`, `regexp_extract`,
//! `regexp_extract_all`.
//!
//! A pattern may match anywhere in the string. Without a match the result is the empty string, as
//! in DuckDB; it is null only for a null argument. `len` also takes a list.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListBuilder, StringArray, StringBuilder,
};
use datafusion::arrow::compute::{cast, kernels::length::length};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::error::Result;
use regex::Regex;

use super::function::ScalarFunction;
use super::timestamps::is_text;
use crate::query::dialect::errors::{count, fail, refuse};

pub(super) fn functions() -> Vec<ScalarFunction> {
    vec![
        ScalarFunction::new("len", text_or_list, |_| Ok(DataType::Int64), len),
        ScalarFunction::new(
            "string_split",
            two_texts,
            |_| Ok(texts()),
            |a, _| split(a, by_text),
        )
        .with_aliases(&["str_split", "split"]),
        ScalarFunction::new(
            "string_split_regex",
            two_texts,
            |_| Ok(texts()),
            |a, _| split(a, by_pattern),
        )
        .with_aliases(&["str_split_regex", "regexp_split_to_array"]),
        ScalarFunction::new("regexp_extract", pattern, |_| Ok(DataType::Utf8), extract),
        ScalarFunction::new("regexp_extract_all", pattern, |_| Ok(texts()), extract_all),
    ]
}

fn texts() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

fn text_or_list(types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)] => {
            Ok(types.to_vec())
        }
        [given] if is_text(given) || given.is_null() => Ok(vec![DataType::Utf8]),
        [given] => Err(refuse(&format!("takes a text or a list, not {given}"))),
        _ => Err(count("a text or a list", types)),
    }
}

fn len(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    match args[0].as_string_opt::<i32>() {
        Some(texts) => {
            let lengths: Int64Array = texts
                .iter()
                .map(|text| text.map(|text| text.chars().count() as i64))
                .collect();
            Ok(Arc::new(lengths))
        }
        None => Ok(cast(&length(&args[0])?, &DataType::Int64)?),
    }
}

fn two_texts(types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [_, _] => Ok(vec![DataType::Utf8; 2]),
        _ => Err(count("a text and a separator", types)),
    }
}

fn by_text(text: &str, separator: &str) -> Result<Vec<String>> {
    Ok(match separator {
        "" => text.chars().map(String::from).collect(),
        separator => text.split(separator).map(String::from).collect(),
    })
}

fn by_pattern(text: &str, separator: &str) -> Result<Vec<String>> {
    Ok(compiled(separator)?.split(text).map(String::from).collect())
}

fn split(args: &[ArrayRef], parts: fn(&str, &str) -> Result<Vec<String>>) -> Result<ArrayRef> {
    let (texts, separators): (&StringArray, &StringArray) =
        (args[0].as_string(), args[1].as_string());
    let mut lists = ListBuilder::new(StringBuilder::new());
    for pair in texts.iter().zip(separators) {
        match pair {
            (Some(text), Some(separator)) => {
                for part in parts(text, separator)? {
                    lists.values().append_value(part);
                }
                lists.append(true);
            }
            _ => lists.append(false),
        }
    }
    Ok(Arc::new(lists.finish()))
}

fn pattern(types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [_, _] => Ok(vec![DataType::Utf8; 2]),
        [_, _, group] | [_, _, group, _] if group.is_nested() => Err(refuse(
            "takes the number of one group, not a list of names; write one call for each group",
        )),
        [_, _, _] => Ok(vec![DataType::Utf8, DataType::Utf8, DataType::Int64]),
        [_, _, _, _] => Ok(vec![
            DataType::Utf8,
            DataType::Utf8,
            DataType::Int64,
            DataType::Utf8,
        ]),
        _ => Err(count(
            "a text, a pattern, perhaps a group and options",
            types,
        )),
    }
}

/// Calls `found` with the text, pattern and group of each row, or with `None` if one of them is
/// null.
fn each(
    args: &[ArrayRef],
    mut found: impl FnMut(Option<(&str, &Regex, usize)>) -> Result<()>,
) -> Result<()> {
    let (texts, patterns): (&StringArray, &StringArray) =
        (args[0].as_string(), args[1].as_string());
    let groups = args.get(2).map(|groups| groups.as_primitive::<Int64Type>());
    let options: Option<&StringArray> = args.get(3).map(|options| options.as_string());
    let mut last: Option<(String, Regex)> = None;
    for row in 0..texts.len() {
        if args.iter().any(|arg| arg.is_null(row)) {
            found(None)?;
            continue;
        }
        let mut source = patterns.value(row).to_string();
        if let Some(options) = options {
            source = optioned(&source, options.value(row))?;
        }
        let pattern = match last.take() {
            Some((known, pattern)) if known == source => pattern,
            _ => compiled(&source)?,
        };
        let group = groups.map_or(0, |groups| groups.value(row));
        let group = usize::try_from(group)
            .ok()
            .filter(|group| *group < pattern.captures_len())
            .ok_or_else(|| fail(format!("{source} has no group {group}")))?;
        found(Some((texts.value(row), &pattern, group)))?;
        last = Some((source, pattern));
    }
    Ok(())
}

fn compiled(source: &str) -> Result<Regex> {
    Regex::new(source).map_err(|error| fail(format!("{source} is no pattern: {error}")))
}

fn optioned(source: &str, options: &str) -> Result<String> {
    let mut flags = String::new();
    for option in options.chars() {
        match option {
            'i' => flags.push('i'),
            's' => flags.push('s'),
            'm' | 'n' | 'p' => flags.push('m'),
            'c' => {}
            'l' => return Ok(regex::escape(source)),
            other => return Err(fail(format!("{other} is no option of a pattern"))),
        }
    }
    Ok(match flags.as_str() {
        "" => source.to_string(),
        flags => format!("(?{flags}){source}"),
    })
}

fn extract(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let mut texts = StringBuilder::new();
    each(args, |row| {
        match row {
            None => texts.append_null(),
            Some((text, pattern, group)) => {
                let found = pattern.captures(text).and_then(|found| found.get(group));
                texts.append_value(found.map_or("", |found| found.as_str()));
            }
        }
        Ok(())
    })?;
    Ok(Arc::new(texts.finish()))
}

fn extract_all(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let mut lists = ListBuilder::new(StringBuilder::new());
    each(args, |row| {
        if let Some((text, pattern, group)) = row {
            for found in pattern.captures_iter(text) {
                let found = found.get(group).map_or("", |found| found.as_str());
                lists.values().append_value(found);
            }
        }
        lists.append(row.is_some());
        Ok(())
    })?;
    Ok(Arc::new(lists.finish()))
}

#[cfg(test)]
mod tests {
    use crate::query::dialect::testing::{error, expect};

    #[test]
    fn lengths() {
        expect(&[
            ("len('Grüße')", "5"),
            ("len([1, NULL, 3])", "3"),
            ("len(NULL)", "NULL"),
        ]);
        assert!(error("SELECT len(1)").contains("takes a text or a list"));
    }

    #[test]
    fn texts_are_split() {
        expect(&[
            ("string_split('hello world', ' ')", "[hello, world]"),
            ("string_split('abc', '')", "[a, b, c]"),
            ("string_split('abc', 'x')", "[abc]"),
            ("string_split(NULL, 'x')", "NULL"),
            ("string_split('abc', NULL)", "NULL"),
            ("str_split('a.b', '.')[2]", "b"),
            (
                "string_split_regex('hello world; 42', ';? ')",
                "[hello, world, 42]",
            ),
        ]);
    }

    #[test]
    fn patterns_are_found() {
        expect(&[
            ("regexp_extract('abc', '.b.')", "abc"),
            (
                "regexp_extract('2023-04-15', '(\\d+)-(\\d+)-(\\d+)', 2)",
                "04",
            ),
            ("regexp_extract('abc', 'x')", ""),
            ("regexp_extract('abc', '(b)|(x)', 2)", ""),
            ("regexp_extract('ABC', 'b', 0, 'i')", "B"),
            ("regexp_extract('a.c', '.c', 0, 'l')", ".c"),
            ("regexp_extract(NULL, 'x')", "NULL"),
            ("regexp_extract('abc', NULL)", "NULL"),
            (
                "regexp_extract_all('Peter: 33, Paul: 14', '(\\w+): (\\d+)', 2)",
                "[33, 14]",
            ),
            ("regexp_matches('anabanana', '(an)*')", "true"),
            ("regexp_matches('abc', '^b')", "false"),
            ("regexp_matches(NULL, '^b')", "NULL"),
        ]);
        assert!(error("SELECT regexp_extract('abc', 'b', 1)").contains("no group 1"));
        assert!(error("SELECT regexp_extract('abc', '(')").contains("no pattern"));
        assert!(error("SELECT regexp_extract('abc', 'b', ['x'])").contains("one call for each"));
    }
}
