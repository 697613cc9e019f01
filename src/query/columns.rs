//! Rows with other columns: renamed, computed, or extracted as numbers.

use super::keep::Nothing;
use super::source::{BATCH, Rows, Source};
use super::{QueryError, merge, schema, time};
use datafusion::arrow::array::{
    ArrayRef, AsArray, Float64Array, RecordBatch, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef};
use std::sync::Arc;

/// The new name and type of a column.
pub struct Renamed {
    /// The new name.
    pub name: String,
    /// Whether its values are converted to times.
    pub as_time: bool,
}

/// Returns the rows of a file in their order, with columns renamed by `rename`.
pub fn renamed(
    source: Arc<Source>,
    rename: &dyn Fn(&str) -> Renamed,
) -> Result<(SchemaRef, Rows), QueryError> {
    let own = source.schema();
    let (mut fields, mut times) = (Vec::new(), Vec::new());
    for field in own.fields() {
        let Renamed { name, as_time } = rename(field.name());
        let kind = match as_time {
            true => time::KIND,
            false => field.data_type().clone(),
        };
        fields.push(Field::new(name, kind, true));
        times.push(as_time);
    }
    let schema = schema::known(&Schema::new(fields));
    schema::distinct(source.name(), &schema)?;
    let schema = Arc::new(schema);
    let (to, all): (SchemaRef, Vec<usize>) = (schema.clone(), (0..own.fields().len()).collect());
    let mut pieces = source.pieces(&Nothing)?.into_iter();
    let mut rows: Rows = Box::new(std::iter::empty());
    let next = move || loop {
        if let Some(batch) = rows.next() {
            return Some(batch);
        }
        match source.scan(&pieces.next()?, &all) {
            Ok(more) => rows = more,
            Err(error) => return Some(Err(error)),
        }
    };
    let batches = std::iter::from_fn(next).map(move |batch: Result<RecordBatch, QueryError>| {
        let batch = batch?;
        let column = |(array, as_time): (&ArrayRef, &bool)| -> Result<ArrayRef, QueryError> {
            match as_time {
                true => Ok(Arc::new(time::normal(array)?)),
                false => Ok(array.clone()),
            }
        };
        let columns = batch.columns().iter().zip(&times).map(column);
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        schema::cast_to(&columns, batch.num_rows(), &to)
    });
    Ok((schema, Box::new(batches)))
}

/// Returns one row for each of `times`, in µs since 1970. `compute` gets the index of a column and
/// a time, and returns the value.
pub fn computed(
    names: &[String],
    mut times: impl Iterator<Item = i64> + Send + 'static,
    compute: impl Fn(usize, i64) -> f64 + Send + 'static,
) -> (SchemaRef, Rows) {
    let time = Field::new(time::NAME, time::KIND, false);
    let number = |name: &String| Field::new(name, DataType::Float64, true);
    let fields = std::iter::once(time).chain(names.iter().map(number));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let (to, count) = (schema.clone(), names.len());
    let next = move || {
        let some: Vec<i64> = times.by_ref().take(BATCH).collect();
        if some.is_empty() {
            return None;
        }
        let column = |n| -> ArrayRef {
            let values = some.iter().map(|time| compute(n, *time));
            Arc::new(Float64Array::from_iter_values(values))
        };
        let mut columns: Vec<ArrayRef> = (0..count).map(column).collect();
        columns.insert(0, Arc::new(TimestampMicrosecondArray::from(some)));
        Some(RecordBatch::try_new(to.clone(), columns).map_err(QueryError::from))
    };
    (schema, Box::new(std::iter::from_fn(next)))
}

/// A column of numbers with their times.
pub struct Numbers {
    /// Name of the column.
    pub name: String,
    /// Times in µs since 1970 with values, in time order. Nulls are left out.
    pub values: Vec<(i64, f64)>,
}

/// Maximum number of values kept of a column. Above it neighbours are thinned.
const MOST: usize = 1 << 18;
/// Thinning keeps only the minimum and the maximum of this many neighbours.
const NEIGHBOURS: usize = 8;

/// Returns the numeric columns that `wants` accepts, with times from `from` to before `to`. The
/// first column of `rows` must be the time. Columns with very many values are thinned to what a
/// chart can show.
pub fn numbers(
    schema: &SchemaRef,
    rows: Rows,
    wants: &dyn Fn(&str) -> bool,
    (from, to): (i64, i64),
) -> Result<Vec<Numbers>, QueryError> {
    let fields = schema.fields().iter().enumerate().skip(1);
    let wanted = fields.filter(|(_, field)| field.data_type().is_numeric() && wants(field.name()));
    let mut columns: Vec<(usize, Numbers)> = wanted
        .map(|(n, field)| {
            let (name, values) = (field.name().clone(), Vec::new());
            (n, Numbers { name, values })
        })
        .collect();
    for batch in rows {
        let batch = batch?;
        let times = merge::times(&batch)?;
        for (n, column) in &mut columns {
            let array = cast(batch.column(*n), &DataType::Float64)?;
            let array = array.as_primitive::<Float64Type>();
            for (time, value) in times.iter().zip(array.iter()) {
                if let (true, Some(value)) = ((from..to).contains(time), value) {
                    column.values.push((*time, value));
                }
            }
            if column.values.len() > MOST {
                column.values = thinned(&column.values);
            }
        }
    }
    Ok(columns.into_iter().map(|(_, column)| column).collect())
}

fn thinned(values: &[(i64, f64)]) -> Vec<(i64, f64)> {
    let ends = |some: &[(i64, f64)]| {
        let least = some.iter().min_by(|a, b| a.1.total_cmp(&b.1)).copied();
        let greatest = some.iter().max_by(|a, b| a.1.total_cmp(&b.1)).copied();
        match (least, greatest) {
            (Some(a), Some(b)) if a.0 < b.0 => [Some(a), Some(b)],
            (Some(a), Some(b)) if a.0 > b.0 => [Some(b), Some(a)],
            (one, _) => [one, None],
        }
    };
    values.chunks(NEIGHBOURS).flat_map(ends).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computed_rows_round_trip_as_numbers() {
        let names = ["a".to_owned(), "b".to_owned()];
        let compute = |column, time| if column == 0 { time as f64 } else { 1.0 };
        let (schema, rows) = computed(&names, 0..40_000, compute);
        let found = numbers(&schema, rows, &|name| name == "a", (10, 20_000)).unwrap();
        assert_eq!((found.len(), &found[0].name[..]), (1, "a"));
        assert_eq!(found[0].values.len(), 19_990);
        assert_eq!(found[0].values[0], (10, 10.0));
    }

    #[test]
    fn thinning_keeps_extremes() {
        let mut values: Vec<(i64, f64)> = (0..1_000).map(|n| (n, 0.0)).collect();
        (values[500].1, values[777].1) = (9.0, -9.0);
        let thin = thinned(&values);
        assert!(thin.len() <= 250 && thin.contains(&(500, 9.0)) && thin.contains(&(777, -9.0)));
        assert!(thin.is_sorted_by(|a, b| a.0 < b.0));
    }
}
