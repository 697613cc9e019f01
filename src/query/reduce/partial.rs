//! Partial results: statistics of each column in buckets of time.

use super::aggregate::Stat;
use crate::query::series::Facts;
use crate::query::width::Width;
use crate::query::{QueryError, merge};
use bytes::Bytes;
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use std::ops::Range;

/// Statistics of some columns in buckets.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Partial {
    pub(super) facts: Facts,
    /// Start of each bucket that has rows, in order.
    pub(super) starts: Vec<i64>,
    pub(super) columns: Vec<Column>,
}

/// One column: the statistics of each bucket.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) stats: Vec<Stat>,
    /// All values of each bucket, if an aggregate needs them.
    pub(super) values: Option<Vec<Vec<f64>>>,
}

impl Partial {
    /// Returns the partial result of no rows.
    pub(super) fn empty(columns: usize, values: bool) -> Partial {
        let column = Column {
            stats: Vec::new(),
            values: values.then(Vec::new),
        };
        Partial {
            facts: Facts::NONE,
            starts: Vec::new(),
            columns: vec![column; columns],
        }
    }

    /// Adds rows: the time, then a number for each column.
    pub(super) fn add(&mut self, batch: &RecordBatch, width: &Width) -> Result<(), QueryError> {
        let times = merge::times(batch)?;
        self.facts.add(times);
        let mut numbers = Vec::new();
        for array in batch.columns().iter().skip(1) {
            numbers.push(cast(array, &DataType::Float64)?);
        }
        let (mut from, mut run) = (0, Vec::new());
        while let Some(time) = times.get(from) {
            let start = width.start_of(*time);
            let end = width.next(start);
            let rest = times.get(from..).unwrap_or_default();
            let count = rest
                .iter()
                .take_while(|time| (start..end).contains(*time))
                .count();
            let bucket = self.bucket(start);
            for (column, array) in self.columns.iter_mut().zip(&numbers) {
                let array = array.as_primitive::<Float64Type>();
                let values = array.values().get(from..from + count).unwrap_or_default();
                run.clear();
                for (n, (time, value)) in rest.iter().zip(values).enumerate() {
                    if array.is_valid(from + n) && !value.is_nan() {
                        run.push((*time, *value));
                    }
                }
                if let Some(stat) = column.stats.get_mut(bucket) {
                    stat.add(&Stat::of(&run));
                }
                let all = column.values.as_mut().and_then(|all| all.get_mut(bucket));
                if let Some(all) = all {
                    all.extend(run.iter().map(|(_, value)| value));
                }
            }
            from += count.max(1);
        }
        Ok(())
    }

    /// Returns the partial result of no rows, with the same columns.
    pub(super) fn like(&self) -> Partial {
        let values = self.columns.iter().any(|column| column.values.is_some());
        Partial::empty(self.columns.len(), values)
    }

    /// Adds some buckets of another partial result. Those must be as wide as these, or divide them.
    pub(super) fn absorb(&mut self, other: &Partial, buckets: Range<usize>, width: &Width) {
        for n in buckets {
            let Some(start) = other.starts.get(n) else {
                return;
            };
            let bucket = self.bucket(width.start_of(*start));
            for (column, more) in self.columns.iter_mut().zip(&other.columns) {
                if let (Some(stat), Some(more)) = (column.stats.get_mut(bucket), more.stats.get(n))
                {
                    stat.add(more);
                }
                let all = column.values.as_mut().and_then(|all| all.get_mut(bucket));
                let more = more.values.as_ref().and_then(|all| all.get(n));
                if let (Some(all), Some(more)) = (all, more) {
                    all.extend_from_slice(more);
                }
            }
        }
    }

    /// Returns the same in wider buckets.
    pub(super) fn rolled(&self, width: &Width) -> Partial {
        let mut rolled = self.like();
        rolled.absorb(self, 0..self.starts.len(), width);
        Partial {
            facts: self.facts,
            ..rolled
        }
    }

    /// Returns the index of the bucket that begins at `start`. Inserts it if it is new.
    fn bucket(&mut self, start: i64) -> usize {
        let place = match self.starts.last() {
            Some(last) if *last == start => return self.starts.len() - 1,
            Some(last) if *last > start => match self.starts.binary_search(&start) {
                Ok(place) => return place,
                Err(place) => place,
            },
            _ => self.starts.len(),
        };
        self.starts.insert(place, start);
        for column in &mut self.columns {
            column.stats.insert(place, Stat::NONE);
            if let Some(values) = &mut column.values {
                values.insert(place, Vec::new());
            }
        }
        place
    }

    /// Encodes the partial result for [`Partial::decode`].
    pub(super) fn encode(&self) -> Bytes {
        let mut out = Encoder(Vec::new());
        let (first, last) = self.facts.span.unwrap_or((1, 0));
        for number in [self.facts.rows, u64::from(self.facts.strict)] {
            out.u64(number);
        }
        out.i64(first);
        out.i64(last);
        out.u64(self.starts.len() as u64);
        out.u64(self.columns.len() as u64);
        self.starts.iter().for_each(|start| out.i64(*start));
        for column in &self.columns {
            for stat in &column.stats {
                out.u64(stat.count);
                [
                    stat.sum,
                    stat.min,
                    stat.max,
                    stat.spread,
                    stat.first.1,
                    stat.last.1,
                ]
                .into_iter()
                .for_each(|number| out.u64(number.to_bits()));
                out.i64(stat.first.0);
                out.i64(stat.last.0);
            }
            out.u64(u64::from(column.values.is_some()));
            for values in column.values.iter().flatten() {
                out.u64(values.len() as u64);
                values.iter().for_each(|value| out.u64(value.to_bits()));
            }
        }
        out.0.into()
    }

    /// Decodes what [`Partial::encode`] wrote; `None` if the bytes are invalid.
    pub(super) fn decode(bytes: &[u8]) -> Option<Partial> {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut from = Decoder(words.iter());
        let (rows, strict) = (from.u64()?, from.u64()? == 1);
        let (first, last) = (from.i64()?, from.i64()?);
        let facts = Facts {
            rows,
            span: (first <= last).then_some((first, last)),
            strict,
        };
        let (buckets, columns) = (from.len()?, from.len()?);
        let starts = (0..buckets)
            .map(|_| from.i64())
            .collect::<Option<Vec<_>>>()?;
        let mut all = Vec::new();
        for _ in 0..columns {
            let stats = (0..buckets)
                .map(|_| from.stat())
                .collect::<Option<Vec<_>>>()?;
            let values = match from.u64()? {
                0 => None,
                _ => Some(
                    (0..buckets)
                        .map(|_| from.values())
                        .collect::<Option<Vec<_>>>()?,
                ),
            };
            all.push(Column { stats, values });
        }
        let ended = from.0.next().is_none() && rest.is_empty();
        ended.then_some(Partial {
            facts,
            starts,
            columns: all,
        })
    }
}

struct Encoder(Vec<u8>);

impl Encoder {
    fn u64(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn i64(&mut self, number: i64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }
}

struct Decoder<'b>(std::slice::Iter<'b, [u8; 8]>);

impl Decoder<'_> {
    fn u64(&mut self) -> Option<u64> {
        self.0.next().map(|word| u64::from_le_bytes(*word))
    }

    fn i64(&mut self) -> Option<i64> {
        self.0.next().map(|word| i64::from_le_bytes(*word))
    }

    fn f64(&mut self) -> Option<f64> {
        self.u64().map(f64::from_bits)
    }

    /// Reads the number of items that follow.
    fn len(&mut self) -> Option<usize> {
        let len = usize::try_from(self.u64()?).ok()?;
        // An item has at least one word, which bounds the allocation.
        (len <= self.0.len()).then_some(len)
    }

    fn stat(&mut self) -> Option<Stat> {
        let count = self.u64()?;
        let (sum, min, max, spread) = (self.f64()?, self.f64()?, self.f64()?, self.f64()?);
        let (first, last) = (self.f64()?, self.f64()?);
        Some(Stat {
            count,
            sum,
            min,
            max,
            spread,
            first: (self.i64()?, first),
            last: (self.i64()?, last),
        })
    }

    fn values(&mut self) -> Option<Vec<f64>> {
        let len = usize::try_from(self.u64()?).ok()?;
        if len > self.0.len() {
            return None;
        }
        (0..len).map(|_| self.f64()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::time;
    use datafusion::arrow::array::{ArrayRef, Float64Array, TimestampMicrosecondArray};
    use datafusion::arrow::datatypes::{Field, Schema};
    use std::sync::Arc;

    fn batch(rows: &[(i64, Option<f64>)]) -> RecordBatch {
        let schema = Schema::new(vec![
            Field::new("t", time::KIND, false),
            Field::new("a", DataType::Float64, true),
        ]);
        let times: TimestampMicrosecondArray = rows.iter().map(|row| Some(row.0)).collect();
        let values: Float64Array = rows.iter().map(|row| row.1).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(times), Arc::new(values)];
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    fn of(rows: &[(i64, Option<f64>)], values: bool) -> Partial {
        let mut partial = Partial::empty(1, values);
        partial.add(&batch(rows), &Width::Fixed(10)).unwrap();
        partial
    }

    #[test]
    fn rows_in_any_order_reach_their_buckets() {
        let rows = [
            (1, Some(1.0)),
            (25, Some(4.0)),
            (12, None),
            (3, Some(3.0)),
            (-1, Some(f64::NAN)),
        ];
        let partial = of(&rows, true);
        assert_eq!(partial.starts, [-10, 0, 10, 20]);
        let counts: Vec<u64> = partial.columns[0]
            .stats
            .iter()
            .map(|stat| stat.count)
            .collect();
        assert_eq!(counts, [0, 2, 0, 1]);
        assert_eq!(partial.columns[0].values.as_ref().unwrap()[1], [1.0, 3.0]);
        assert_eq!(partial.facts.span, Some((-1, 25)));
        assert!(!partial.facts.strict);
    }

    #[test]
    fn partial_result_round_trips() {
        for values in [true, false] {
            let partial = of(&[(1, Some(1.0)), (25, None), (27, Some(-0.5))], values);
            let bytes = partial.encode();
            assert_eq!(Partial::decode(&bytes), Some(partial));
            for len in 0..bytes.len() {
                assert_eq!(Partial::decode(&bytes[..len]), None);
            }
        }
        let none = Partial::empty(2, true);
        assert_eq!(Partial::decode(&none.encode()), Some(none));
    }
}
