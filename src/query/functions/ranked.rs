//! Aggregates over all values of a group: `mode` and `quantile_disc`.
//!
//! `mode` returns the most frequent value, of equally frequent ones the least, so that the result
//! does not depend on the order of rows. `quantile_disc` returns the value at index
//! `max(ceil(q * n) - 1, 0)` of the sorted values. Nulls do not count. Memory grows with the
//! values.

use std::collections::HashMap;
use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, UInt64Array, new_empty_array};
use datafusion::arrow::compute::{concat, filter, is_not_null, sort};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, UInt64Type};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use datafusion::scalar::ScalarValue;

use super::plain::{count, fail, refuse};

/// `mode(x)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Mode {
    signature: Signature,
}

/// `quantile_disc(x, q)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Quantile {
    signature: Signature,
    aliases: Vec<String>,
}

impl Mode {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl Quantile {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
            aliases: vec!["quantile".to_string()],
        }
    }
}

/// Returns the type of the values. Refuses DISTINCT, which would change the result.
fn of(name: &str, args: &AccumulatorArgs) -> Result<DataType> {
    match args.is_distinct {
        true => Err(refuse(&format!(
            "{name} takes no DISTINCT; write it over SELECT DISTINCT"
        ))),
        false => Ok(args.expr_fields[0].data_type().clone()),
    }
}

fn list(args: &StateFieldsArgs, name: &str, item: &DataType) -> FieldRef {
    let list = DataType::List(Arc::new(Field::new_list_field(item.clone(), true)));
    Arc::new(Field::new(format_state_name(args.name, name), list, true))
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
        let given = of(self.name(), &args)?;
        Ok(Box::new(Counts {
            given,
            counts: HashMap::new(),
            held: 0,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let given = args.input_fields[0].data_type();
        Ok(vec![
            list(&args, "values", given),
            list(&args, "counts", &DataType::UInt64),
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

impl AggregateUDFImpl for Quantile {
    fn name(&self) -> &str {
        "quantile_disc"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [given, part] if part.is_numeric() => Ok(vec![given.clone(), DataType::Float64]),
            _ => Err(count("a value and a number from 0 to 1", types)),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let given = of(self.name(), &args)?;
        Ok(Box::new(Values {
            given,
            arrays: Vec::new(),
            part: None,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let part = Field::new(
            format_state_name(args.name, "part"),
            DataType::Float64,
            true,
        );
        Ok(vec![
            list(&args, "values", args.input_fields[0].data_type()),
            Arc::new(part),
        ])
    }
}

/// All values, and the requested quantile once a row contained it.
#[derive(Debug)]
struct Values {
    given: DataType,
    arrays: Vec<ArrayRef>,
    part: Option<f64>,
}

impl Values {
    fn add(&mut self, values: &ArrayRef) -> Result<()> {
        // The filter copies: a slice would keep the whole batch in memory.
        let values = filter(values, &is_not_null(values)?)?;
        if !values.is_empty() {
            self.arrays.push(values);
        }
        Ok(())
    }

    fn take(&mut self, parts: &ArrayRef) -> Result<()> {
        if self.part.is_none() {
            self.part = parts.as_primitive::<Float64Type>().iter().flatten().next();
        }
        match self.part {
            Some(part) if !(0.0..=1.0).contains(&part) => Err(fail(format!(
                "a quantile lies between 0 and 1, {part} does not"
            ))),
            _ => Ok(()),
        }
    }

    fn all(&self) -> Result<ArrayRef> {
        match self.arrays.as_slice() {
            [] => Ok(new_empty_array(&self.given)),
            arrays => Ok(concat(
                &arrays
                    .iter()
                    .map(|array| array.as_ref())
                    .collect::<Vec<_>>(),
            )?),
        }
    }
}

impl Accumulator for Values {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.take(&values[1])?;
        self.add(&values[0])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.take(&states[1])?;
        for values in states[0].as_list::<i32>().iter().flatten() {
            self.add(&values)?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = SingleRowListArrayBuilder::new(self.all()?).build_list_scalar();
        Ok(vec![values, ScalarValue::Float64(self.part)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let values = sort(&self.all()?, None)?;
        match self.part {
            Some(part) if !values.is_empty() => {
                let at = (part * values.len() as f64).ceil() as usize;
                ScalarValue::try_from_array(&values, at.saturating_sub(1))
            }
            _ => ScalarValue::try_from(&self.given),
        }
    }

    fn size(&self) -> usize {
        let held: usize = self
            .arrays
            .iter()
            .map(|array| array.get_array_memory_size())
            .sum();
        size_of_val(self) + held
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{error, expect, rows};

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

    #[test]
    fn values_at_a_rank() {
        let table = "FROM (VALUES (40), (10), (30), (20), (NULL)) AS t(x)";
        expect(&[
            (&format!("quantile_disc(x, 0.5) {table}"), "20"),
            (&format!("quantile(x, 0.51) {table}"), "30"),
            (&format!("quantile(x, 0) {table}"), "10"),
            (&format!("quantile(x, 1) {table}"), "40"),
            (&format!("quantile(x, 0.5) {table} WHERE x > 90"), "NULL"),
            (
                "quantile(x, 0.5) FROM (VALUES ('b'), ('a'), ('c')) AS t(x)",
                "b",
            ),
            ("quantile(v, 0.25) FROM range(0, 20000) AS t(v)", "4999"),
        ]);
        assert!(error(&format!("SELECT quantile(x, 1.5) {table}")).contains("between 0 and 1"));
        assert!(error(&format!("SELECT quantile(DISTINCT x, 0.5) {table}")).contains("DISTINCT"));
        assert!(error(&format!("SELECT quantile(x, [0.5, 0.7]) {table}")).contains("quantile"));
    }
}
