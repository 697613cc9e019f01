//! Numeric functions: `divide`, `isinf`, `isfinite`.
//!
//! `divide` returns the integer quotient, truncated towards zero, or null if the divisor is zero.
//! The translation writes `a // b` as a call of it. The others return a boolean.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::error::Result;

use super::function::ScalarFunction;
use crate::query::dialect::errors::{count, fail, refuse};

pub(super) fn functions() -> Vec<ScalarFunction> {
    vec![
        ScalarFunction::new("divide", integers, |_| Ok(DataType::Int64), divide),
        ScalarFunction::new(
            "isinf",
            float,
            |_| Ok(DataType::Boolean),
            |a, _| test(a, f64::is_infinite),
        ),
        ScalarFunction::new(
            "isfinite",
            float,
            |_| Ok(DataType::Boolean),
            |a, _| test(a, f64::is_finite),
        ),
    ]
}

fn integers(types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [a, b] if [a, b].iter().all(|t| t.is_integer() || t.is_null()) => {
            Ok(vec![DataType::Int64; 2])
        }
        [_, _] => Err(refuse("a // b divides integers; write trunc(a / b)")),
        _ => Err(count("two integers", types)),
    }
}

fn divide(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (a, b) = (
        args[0].as_primitive::<Int64Type>(),
        args[1].as_primitive::<Int64Type>(),
    );
    let quotients: Result<Int64Array> = a
        .iter()
        .zip(b)
        .map(|pair| match pair {
            (Some(_), Some(0)) | (None, _) | (_, None) => Ok(None),
            (Some(a), Some(b)) => a
                .checked_div(b)
                .map(Some)
                .ok_or_else(|| fail(format!("{a} // {b} is out of the range of BIGINT"))),
        })
        .collect();
    Ok(Arc::new(quotients?))
}

fn float(types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [given] if given.is_numeric() || given.is_null() => Ok(vec![DataType::Float64]),
        [given] => Err(refuse(&format!("takes a number, not {given}"))),
        _ => Err(count("a number", types)),
    }
}

fn test(args: &[ArrayRef], holds: fn(f64) -> bool) -> Result<ArrayRef> {
    let numbers = args[0].as_primitive::<Float64Type>();
    Ok(Arc::new(BooleanArray::from_unary(numbers, holds)))
}

#[cfg(test)]
mod tests {
    use crate::query::dialect::testing::{error, expect};

    #[test]
    fn integers_divide() {
        expect(&[
            ("5 // 2", "2"),
            ("-5 // 2", "-2"),
            ("1 // 0", "NULL"),
            ("NULL // 2", "NULL"),
            ("1 + 7 // 2 * 2", "7"),
        ]);
        assert!(error("SELECT 5.5 // 2").contains("trunc(a / b)"));
    }

    #[test]
    fn infinities() {
        expect(&[
            ("isinf('-Infinity'::DOUBLE)", "true"),
            ("isinf(1)", "false"),
            ("isinf('nan'::DOUBLE)", "false"),
            ("isinf(NULL)", "NULL"),
            ("isfinite('nan'::DOUBLE)", "false"),
            ("isfinite(1.5)", "true"),
        ]);
    }
}
