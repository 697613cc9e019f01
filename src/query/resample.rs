//! A series at regular times, by linear interpolation.
//!
//! [`resampled`] reads rows in time order and yields a row for each time of a [`Grid`] at which at
//! least one column has a value. Invariant: a value lies between two values of its column that are
//! at most `max_gap` apart, or is one of them. Memory is bounded by the rows of the grid within two
//! gaps.

use super::QueryError;
use super::merge;
use super::source::{BATCH, Rows};
use super::time;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, RecordBatch, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Regular times: the multiples of a step since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The step in µs, at least 1.
    pub every: i64,
    /// Greatest distance in µs of two values that are interpolated between.
    pub max_gap: i64,
}

impl Grid {
    /// Returns the first time of the grid that is not before `time`.
    fn at_or_after(self, time: i64) -> Option<i64> {
        match time.rem_euclid(self.every) {
            0 => Some(time),
            rest => time.checked_add(self.every - rest),
        }
    }

    /// Returns the times of the grid after `from`, up to and including `to`.
    fn between(self, from: i64, to: i64) -> impl Iterator<Item = i64> {
        let first = from.checked_add(1).and_then(|time| self.at_or_after(time));
        let times = std::iter::successors(first, move |time| time.checked_add(self.every));
        times.take_while(move |time| *time <= to)
    }
}

/// Returns the numeric columns of `rows` at the times of a grid. The first column of `rows` must be
/// the time, in ascending order. Nulls and NaN are left out.
pub fn resampled(schema: &SchemaRef, rows: Rows, grid: Grid) -> (SchemaRef, Rows) {
    let fields = schema.fields().iter().enumerate().skip(1);
    let numeric = fields.filter(|(_, field)| field.data_type().is_numeric());
    let (columns, names): (Vec<usize>, Vec<&String>) =
        numeric.map(|(n, field)| (n, field.name())).unzip();
    let time = Field::new(time::NAME, time::KIND, false);
    let number = |name: &String| Field::new(name, DataType::Float64, true);
    let fields = std::iter::once(time).chain(names.into_iter().map(number));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut resampler = Resampler {
        grid,
        rows,
        batch: None,
        last: vec![None; columns.len()],
        columns,
        open: BTreeMap::new(),
        ready: Vec::new(),
        ended: false,
    };
    let to = schema.clone();
    (
        schema,
        Box::new(std::iter::from_fn(move || resampler.next(&to))),
    )
}

/// The values of a row, by column.
type Values = Vec<Option<f64>>;

struct Resampler {
    grid: Grid,
    rows: Rows,
    /// The batch that is being read, and the number of its next row.
    batch: Option<(RecordBatch, Vec<Float64Array>, usize)>,
    columns: Vec<usize>,
    /// The last value of each column, with its time.
    last: Vec<Option<(i64, f64)>>,
    /// Rows of the grid that later values can still change.
    open: BTreeMap<i64, Values>,
    /// Rows that are complete.
    ready: Vec<(i64, Values)>,
    ended: bool,
}

impl Resampler {
    fn next(&mut self, schema: &SchemaRef) -> Option<Result<RecordBatch, QueryError>> {
        while !self.ended && self.ready.len() < BATCH {
            match self.read_row() {
                Ok(true) => {}
                Ok(false) => {
                    self.ended = true;
                    self.ready.extend(std::mem::take(&mut self.open));
                }
                Err(error) => {
                    self.ended = true;
                    self.ready.clear();
                    return Some(Err(error));
                }
            }
        }
        if self.ready.is_empty() {
            return None;
        }
        let rest = self.ready.split_off(self.ready.len().min(BATCH));
        let rows = std::mem::replace(&mut self.ready, rest);
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.0));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(times)];
        for n in 0..self.columns.len() {
            let values = rows
                .iter()
                .map(|(_, values)| values.get(n).copied().flatten());
            columns.push(Arc::new(values.collect::<Float64Array>()));
        }
        Some(RecordBatch::try_new(schema.clone(), columns).map_err(QueryError::from))
    }

    /// Reads a row. Returns false at the end.
    fn read_row(&mut self) -> Result<bool, QueryError> {
        let Some((batch, values, row)) = &mut self.batch else {
            let Some(batch) = self.rows.next().transpose()? else {
                return Ok(false);
            };
            let number = |n: &usize| -> Result<Float64Array, QueryError> {
                let array = cast(batch.column(*n), &DataType::Float64)?;
                Ok(array.as_primitive::<Float64Type>().clone())
            };
            let values = self.columns.iter().map(number).collect::<Result<_, _>>()?;
            self.batch = Some((batch, values, 0));
            return Ok(true);
        };
        let Some(time) = merge::times(batch)?.get(*row).copied() else {
            self.batch = None;
            return Ok(true);
        };
        let value = |array: &Float64Array| array.is_valid(*row).then(|| array.value(*row));
        let values: Values = values.iter().map(value).collect();
        *row += 1;
        for (n, value) in values.into_iter().enumerate() {
            if let Some(value) = value.filter(|value| !value.is_nan()) {
                self.add(n, time, value);
            }
        }
        // No later value can be interpolated to a row that is more than a gap away.
        let open = time.saturating_sub(self.grid.max_gap);
        let later = self.open.split_off(&open);
        self.ready.extend(std::mem::replace(&mut self.open, later));
        Ok(true)
    }

    /// Adds a value of a column, and the values between it and the one before.
    fn add(&mut self, n: usize, time: i64, value: f64) {
        let before = self
            .last
            .get_mut(n)
            .and_then(|last| last.replace((time, value)));
        if let Some((from, first)) = before {
            let length = time.saturating_sub(from);
            if length <= self.grid.max_gap {
                for at in self.grid.between(from, time) {
                    let part = at.saturating_sub(from) as f64 / length as f64;
                    self.set(n, at, first + (value - first) * part);
                }
            }
        }
        if self.grid.at_or_after(time) == Some(time) {
            self.set(n, time, value);
        }
    }

    fn set(&mut self, n: usize, time: i64, value: f64) {
        let count = self.columns.len();
        let row = self.open.entry(time).or_insert_with(|| vec![None; count]);
        if let Some(place) = row.get_mut(n) {
            *place = Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: Vec<(i64, Option<f64>, Option<f64>)>) -> (SchemaRef, Rows) {
        let number = |name: &str| Field::new(name, DataType::Float64, true);
        let time = Field::new(time::NAME, time::KIND, false);
        let text = Field::new("note", DataType::Utf8, true);
        let fields = vec![time, number("a"), text, number("b")];
        let schema = Arc::new(Schema::new(fields));
        let times = values.iter().map(|row| row.0);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampMicrosecondArray::from_iter_values(times)),
            Arc::new(values.iter().map(|row| row.1).collect::<Float64Array>()),
            datafusion::arrow::array::new_null_array(&DataType::Utf8, values.len()),
            Arc::new(values.iter().map(|row| row.2).collect::<Float64Array>()),
        ];
        let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
        // In batches of two rows, so that state is kept between batches.
        let batches = (0..batch.num_rows()).step_by(2);
        let batches = batches.map(|n| batch.slice(n, 2.min(batch.num_rows() - n)));
        let batches: Vec<_> = batches.map(Ok).collect();
        (schema, Box::new(batches.into_iter()))
    }

    type Row = (i64, Option<f64>, Option<f64>);

    fn result(values: Vec<Row>, every: i64, max_gap: i64) -> Vec<Row> {
        let (schema, rows) = rows(values);
        let (schema, rows) = resampled(&schema, rows, Grid { every, max_gap });
        let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        assert_eq!(names, [time::NAME, "a", "b"]);
        let mut all = Vec::new();
        for batch in rows {
            let batch = batch.unwrap();
            let column = |n: usize| batch.column(n).as_primitive::<Float64Type>().clone();
            let times = merge::times(&batch).unwrap().iter().copied();
            let values = column(1).iter().zip(column(2).iter()).collect::<Vec<_>>();
            all.extend(times.zip(values).map(|(time, (a, b))| (time, a, b)));
        }
        all
    }

    #[test]
    fn values_between_rows_lie_on_a_line() {
        let found = result(vec![(1, Some(10.0), None), (11, Some(20.0), None)], 5, 10);
        assert_eq!(found, [(5, Some(14.0), None), (10, Some(19.0), None)]);
        let found = result(vec![(-7, Some(0.0), None), (0, Some(7.0), None)], 5, 10);
        assert_eq!(found, [(-5, Some(2.0), None), (0, Some(7.0), None)]);
    }

    #[test]
    fn nothing_is_interpolated_across_a_longer_gap() {
        let values = vec![
            (0, Some(1.0), None),
            (11, Some(2.0), None),
            (15, Some(3.0), None),
        ];
        let found = result(values, 5, 10);
        assert_eq!(found, [(0, Some(1.0), None), (15, Some(3.0), None)]);
    }

    #[test]
    fn columns_with_values_at_different_times_share_rows() {
        let values = vec![
            (0, Some(0.0), Some(5.0)),
            (4, None, Some(f64::NAN)),
            (10, Some(10.0), None),
            (20, None, Some(25.0)),
        ];
        let found = result(values, 10, 20);
        let expected = [
            (0, Some(0.0), Some(5.0)),
            (10, Some(10.0), Some(15.0)),
            (20, None, Some(25.0)),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn results_come_in_batches_and_at_the_ends_of_time() {
        let count = 3 * BATCH as i64 + 7;
        let values = vec![(0, Some(0.0), None), (count - 1, Some(1.0), None)];
        assert_eq!(result(values, 1, count).len() as i64, count);
        let values = vec![(i64::MIN, Some(0.0), None), (i64::MAX, Some(1.0), None)];
        assert_eq!(result(values, 1 << 40, 1).len(), 1);
    }
}
