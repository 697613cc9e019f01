//! `arg_max` and `arg_min`: the value of the row with the greatest or least key.
//!
//! Of rows with equal keys the first one wins. Rows whose value or key is null do not count;
//! without rows the result is null.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, make_comparator};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use datafusion::scalar::ScalarValue;

/// `arg_max` or `arg_min`.
#[derive(Debug)]
pub(super) struct Extreme {
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
    /// How a better key compares with the best one so far.
    better: Ordering,
}

pub(super) fn functions() -> [Extreme; 2] {
    let new = |name, alias: [&str; 2], better| Extreme {
        name,
        aliases: alias.map(String::from).to_vec(),
        signature: Signature::any(2, Volatility::Immutable),
        better,
    };
    [
        new("arg_max", ["argmax", "max_by"], Ordering::Greater),
        new("arg_min", ["argmin", "min_by"], Ordering::Less),
    ]
}

impl PartialEq for Extreme {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Extreme {}

impl Hash for Extreme {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Best {
            value: ScalarValue::try_from(args.expr_fields[0].data_type())?,
            key: ScalarValue::try_from(args.expr_fields[1].data_type())?,
            better: self.better,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |name, given: &DataType| {
            Arc::new(Field::new(
                format_state_name(args.name, name),
                given.clone(),
                true,
            ))
        };
        Ok(vec![
            field("value", args.input_fields[0].data_type()),
            field("key", args.input_fields[1].data_type()),
        ])
    }
}

/// The best row so far. Its key is null as long as there is none.
#[derive(Debug)]
struct Best {
    value: ScalarValue,
    key: ScalarValue,
    better: Ordering,
}

impl Best {
    fn take(&mut self, values: &ArrayRef, keys: &ArrayRef) -> Result<()> {
        let compare = make_comparator(keys, keys, SortOptions::default())?;
        let mut rows = (0..keys.len()).filter(|row| values.is_valid(*row) && keys.is_valid(*row));
        let Some(mut best) = rows.next() else {
            return Ok(());
        };
        for row in rows {
            if compare(row, best) == self.better {
                best = row;
            }
        }
        if !self.key.is_null() {
            let held = self.key.to_array()?;
            let candidate = keys.slice(best, 1);
            if make_comparator(&candidate, &held, SortOptions::default())?(0, 0) != self.better {
                return Ok(());
            }
        }
        // Compacted, because a slice of a string would keep its whole batch in memory.
        self.value = ScalarValue::try_from_array(values, best)?;
        self.value.compact();
        self.key = ScalarValue::try_from_array(keys, best)?;
        self.key.compact();
        Ok(())
    }
}

impl Accumulator for Best {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.take(&values[0], &values[1])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.take(&states[0], &states[1])
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), self.key.clone()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) - size_of_val(&self.value) - size_of_val(&self.key)
            + self.value.size()
            + self.key.size()
    }
}

#[cfg(test)]
mod tests {
    use crate::query::dialect::testing::{error, expect, rows};

    const TABLE: &str = "FROM (VALUES ('a', 3.0, 1), ('b', 5.0, 1), ('c', NULL, 2), (NULL, 9.0, 1), ('d', 1.0, 2)) AS t(x, k, g)";

    #[test]
    fn value_comes_from_the_best_row() {
        expect(&[
            (&format!("arg_max(x, k) {TABLE}"), "b"),
            (&format!("arg_min(x, k) {TABLE}"), "d"),
            (&format!("max_by(x, k) {TABLE}"), "b"),
            (&format!("min_by(k, x) {TABLE}"), "3.0"),
            (&format!("argmax(g, x) {TABLE}"), "2"),
            (&format!("arg_max(x, k) {TABLE} WHERE k IS NULL"), "NULL"),
            (&format!("arg_max(x, k) FILTER (WHERE k < 4) {TABLE}"), "a"),
        ]);
        let grouped =
            format!("SELECT g, arg_max(x, k), arg_max(k, k) {TABLE} GROUP BY g ORDER BY g");
        assert_eq!(rows(&grouped), ["1|b|9.0", "2|d|1.0"]);
    }

    #[test]
    fn partial_states_merge() {
        let query = "SELECT arg_max(v, v % 1000), arg_min(v, v % 1000) FROM range(1, 1000) AS t(v)";
        assert_eq!(rows(query), ["999|1"]);
        assert!(error("SELECT arg_max(1)").contains("arg_max"));
    }
}
