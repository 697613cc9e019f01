//! JSON lines: one object per line. The columns are the keys of all lines.

use super::{BATCH, File, Layout, Part, Rows, Shape, lines, otel};
use crate::query::QueryError;
use crate::query::format::Packing;
use crate::query::keep::{Keep, key};
use crate::query::schema;
use arrow_json::ReaderBuilder;
use arrow_json::reader::infer_json_schema;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use std::io::{BufRead, BufReader, Cursor, Read};
use std::sync::Arc;

/// Number of bytes at the start of a file that decide the kind of its lines.
const HEAD: u64 = 4 << 10;
/// A key that occurs only in exports of OpenTelemetry metrics.
const METRICS: &[u8] = b"\"resourceMetrics\"";

/// Returns the columns of a file from all of its lines. Those of each piece are cached in `keep`.
pub(super) fn shape(file: &File<'_>, keep: &dyn Keep) -> Result<Shape, QueryError> {
    let mut head = Vec::new();
    let read = file.unpacked()?.take(HEAD).read_to_end(&mut head);
    read.map_err(QueryError::io(file.name))?;
    if head.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        let why = "it is one JSON array; rows are read from JSON lines, one object a line";
        return Err(file.wrong(why));
    }
    let metrics = head.windows(METRICS.len()).any(|part| part == METRICS);
    let infer = |reader: &mut dyn BufRead| match metrics {
        true => otel::infer(file, reader),
        false => match infer_json_schema(reader, None) {
            Ok((schema, _)) => Ok(schema),
            Err(error) => Err(file.wrong(error)),
        },
    };
    let mut all: Option<Schema> = None;
    let mut add = |found: Schema| -> Result<(), QueryError> {
        all = Some(match all.take() {
            Some(before) => schema::union(file.name, &before, &found)?,
            None => found,
        });
        Ok(())
    };
    match file.packing {
        Packing::None => {
            let pieces = lines::pieces(file.blob.as_ref(), 0, true, keep);
            for piece in pieces.map_err(QueryError::io(file.name))? {
                let Part::Bytes(range) = &piece.part else {
                    continue;
                };
                let key = key("schema of json", &[&piece.id]);
                let found = match keep.get(&key).and_then(|kept| schema::decode(&kept)) {
                    Some(found) => found,
                    None => {
                        let found = infer(&mut Cursor::new(file.bytes(range)?))?;
                        keep.put(&key, schema::encode(&found)?);
                        found
                    }
                };
                add(found)?;
            }
        }
        _ => add(infer(&mut BufReader::new(file.unpacked()?))?)?,
    }
    let all = all.unwrap_or_else(Schema::empty);
    let nullable = |field: &Arc<Field>| (**field).clone().with_nullable(true);
    let fields = all.fields().iter().map(nullable);
    Ok(Shape {
        schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        layout: match metrics {
            true => Layout::Otel,
            false => Layout::Json,
        },
    })
}

/// Returns a reader of the lines of a part.
pub(super) fn lines_of(
    file: &File<'_>,
    part: &Part,
) -> Result<Box<dyn BufRead + Send>, QueryError> {
    Ok(match part {
        Part::Bytes(range) => Box::new(Cursor::new(file.bytes(range)?)),
        _ => Box::new(BufReader::new(file.unpacked()?)),
    })
}

/// Returns the rows of a part.
pub(super) fn scan(
    file: &File<'_>,
    part: &Part,
    schema: SchemaRef,
    columns: &[usize],
) -> Result<Rows, QueryError> {
    let schema = Arc::new(schema.project(columns)?);
    let name = file.name.to_owned();
    let rows = ReaderBuilder::new(schema)
        .with_batch_size(BATCH)
        // A number in a column of strings becomes a string.
        .with_coerce_primitive(true)
        .build(lines_of(file, part)?)
        .map_err(|error| file.wrong(error))?;
    Ok(Box::new(rows.map(move |batch| {
        batch.map_err(|error| QueryError::input(&name, error))
    })))
}
