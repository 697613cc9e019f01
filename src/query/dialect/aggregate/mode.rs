//! The aggregate `mode`: the most frequent value of a group.
//!
//! Of equally frequent values it returns the least, so that the result does not depend on the order
//! of rows. Nulls do not count. Memory grows with the number of distinct values.

use std::collections::HashMap;
use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, UInt64Array, new_empty_array};
use datafusion::arrow::datatypes::{DataType, FieldRef, UInt64Type};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use datafusion::scalar::ScalarValue;

use super::{list_field, value_type};

/// `mode(x)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Mode {
    signature: Signature,
}

impl Mode {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for Mode {
    fn name(&self) -> &str {
        "mode"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let given = value_type(self.name(), &args)?;
        Ok(Box::new(Counts {
            given,
            counts: HashMap::new(),
            held: 0,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let given = args.input_fields[0].data_type();
        Ok(vec![
            list_field(&args, "values", given),
            list_field(&args, "counts", &DataType::UInt64),
        ])
    }
}

/// How often each value occurred.
#[derive(Debug)]
struct Counts {
    given: DataType,
    counts: HashMap<ScalarValue, u64>,
    held: usize,
}

impl Counts {
    fn add(&mut self, values: &ArrayRef, times: impl Fn(usize) -> u64) -> Result<()> {
        for row in 0..values.len() {
            if values.is_null(row) {
                continue;
            }
            let value = ScalarValue::try_from_array(values, row)?;
            if let Some(count) = self.counts.get_mut(&value) {
                *count += times(row);
                continue;
            }
            let mut value = value;
            value.compact();
            self.held += value.size() + size_of::<u64>();
            self.counts.insert(value, times(row));
        }
        Ok(())
    }
}

impl Accumulator for Counts {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0], |_| 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let (values, counts) = (states[0].as_list::<i32>(), states[1].as_list::<i32>());
        for (values, counts) in values.iter().zip(counts.iter()) {
            if let (Some(values), Some(counts)) = (values, counts) {
                let counts = counts.as_primitive::<UInt64Type>();
                self.add(&values, |row| counts.value(row))?;
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = match self.counts.is_empty() {
            true => new_empty_array(&self.given),
            false => ScalarValue::iter_to_array(self.counts.keys().cloned())?,
        };
        let counts: ArrayRef =
            Arc::new(UInt64Array::from_iter_values(self.counts.values().copied()));
        Ok(vec![
            SingleRowListArrayBuilder::new(values).build_list_scalar(),
            SingleRowListArrayBuilder::new(counts).build_list_scalar(),
        ])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut best: Option<(&ScalarValue, u64)> = None;
        for (value, count) in &self.counts {
            let better =
                best.is_none_or(|(held, most)| *count > most || (*count == most && value < held));
            if better {
                best = Some((value, *count));
            }
        }
        match best {
            Some((value, _)) => Ok(value.clone()),
            None => ScalarValue::try_from(&self.given),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.held
    }
}

#[cfg(test)]
mod tests {
    use crate::query::dialect::testing::{expect, rows};

    #[test]
    fn the_most_frequent_value() {
        let table =
            "FROM (VALUES (1, 'b'), (2, 'a'), (2, 'b'), (NULL, 'a'), (NULL, NULL)) AS t(x, s)";
        expect(&[
            (&format!("mode(x) {table}"), "2"),
            (&format!("mode(s) {table}"), "a"),
            (&format!("mode(x) {table} WHERE x IS NULL"), "NULL"),
        ]);
        let query =
            "SELECT v % 2, mode(v // 100) FROM range(0, 9950) AS t(v) GROUP BY 1 ORDER BY 1";
        assert_eq!(rows(query), ["0|0", "1|0"]);
    }
}
