//! The aggregate `quantile_disc`: the value at a rank of a group.
//!
//! It returns the value at index `max(ceil(q * n) - 1, 0)` of the sorted values. Nulls do not
//! count. Memory grows with the number of values.

use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, new_empty_array};
use datafusion::arrow::compute::{concat, filter, is_not_null, sort};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use datafusion::scalar::ScalarValue;

use super::{list_field, value_type};
use crate::query::dialect::errors::{count, fail};

/// `quantile_disc(x, q)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Quantile {
    signature: Signature,
    aliases: Vec<String>,
}

impl Quantile {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
            aliases: vec!["quantile".to_string()],
        }
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
        let given = value_type(self.name(), &args)?;
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
            list_field(&args, "values", args.input_fields[0].data_type()),
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
    use crate::query::dialect::testing::{error, expect};

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
