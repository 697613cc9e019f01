//! CSV: a header line, and rows. A sample decides the types until a value contradicts it.

use super::{BATCH, File, Layout, Part, Rows, Shape, lines};
use crate::query::QueryError;
use crate::query::blob::BlobReader;
use crate::query::format::Packing;
use crate::query::keep::{Keep, key};
use crate::query::schema;
use arrow_csv::ReaderBuilder;
use arrow_csv::reader::Format;
use datafusion::arrow::array::{Array, RecordBatch, new_null_array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use std::io::{Cursor, Read};
use std::sync::Arc;

/// Size in bytes of the sample that decides the types.
const SAMPLE: u64 = 256 << 10;
/// Byte order mark, with which some programs start a file.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Returns the columns of a file from its header and its first rows. The result is cached in
/// `keep`.
pub(super) fn shape(file: &File<'_>, separator: u8, keep: &dyn Keep) -> Result<Shape, QueryError> {
    let mut sample = Vec::new();
    let read = file.unpacked()?.take(SAMPLE).read_to_end(&mut sample);
    read.map_err(QueryError::io(file.name))?;
    let whole = (sample.len() as u64) < SAMPLE;
    let bom = if sample.starts_with(BOM) {
        BOM.len()
    } else {
        0
    };
    let text = sample.get(bom..).unwrap_or_default();
    let end = match text.iter().rposition(|byte| *byte == b'\n') {
        // The last line of a sample may be incomplete.
        Some(newline) if !whole => newline + 1,
        None if !whole => {
            return Err(file.wrong("its first line is longer than any header should be"));
        }
        _ => text.len(),
    };
    let text = text.get(..end).unwrap_or_default();
    let head = header_len(text);
    let key = key("columns of csv", &[&[separator], text]);
    let inferred = match keep.get(&key).and_then(|kept| schema::decode(&kept)) {
        Some(kept) => kept,
        None => {
            let inferred = infer(file, separator, text, true)?;
            keep.put(&key, schema::encode(&inferred)?);
            inferred
        }
    };
    let fields = inferred.fields().iter().enumerate().map(|(n, field)| {
        let name = match field.name().trim() {
            "" => format!("column{n}"),
            name => name.to_owned(),
        };
        Field::new(name, field.data_type().clone(), true)
    });
    Ok(Shape {
        schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        layout: Layout::Csv {
            body: (bom + head) as u64,
            splits: true,
            certain: false,
        },
    })
}

/// Returns the length of the first line in bytes. A line end within quotes does not end it.
fn header_len(text: &[u8]) -> usize {
    let mut quoted = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn infer(file: &File<'_>, separator: u8, text: &[u8], header: bool) -> Result<Schema, QueryError> {
    let format = Format::default()
        .with_header(header)
        .with_delimiter(separator);
    let (schema, _) = format
        .infer_schema(Cursor::new(text), None)
        .map_err(|error| file.wrong(plain(&error)))?;
    Ok(schema)
}

/// Returns the rows of a part.
pub(super) fn scan(
    file: &File<'_>,
    (separator, body, splits): (u8, u64, bool),
    part: &Part,
    schema: SchemaRef,
    columns: &[usize],
) -> Result<Rows, QueryError> {
    let unknown = unknown(&schema, columns);
    let builder = ReaderBuilder::new(readable(&schema))
        .with_delimiter(separator)
        .with_batch_size(BATCH)
        .with_projection(columns.to_vec());
    let (reader, from): (Box<dyn Read + Send>, u64) = match part {
        Part::Bytes(range) if splits => {
            let bytes = file.bytes(range)?;
            if bytes.iter().filter(|byte| **byte == b'"').count() % 2 != 0 {
                return Err(QueryError::Mistyped {
                    name: file.name.into(),
                    why: "a quoted value goes over several lines".into(),
                });
            }
            (Box::new(Cursor::new(bytes)), range.start)
        }
        Part::Bytes(range) => {
            let reader = BlobReader::new(file.blob.clone(), range.clone());
            (Box::new(reader), range.start)
        }
        _ => {
            let mut reader = file.unpacked()?;
            let head = std::io::copy(&mut (&mut reader).take(body), &mut std::io::sink());
            head.map_err(QueryError::io(file.name))?;
            (reader, body)
        }
    };
    let rows = builder.build(reader).map_err(|error| file.wrong(error))?;
    let name = file.name.to_owned();
    Ok(Box::new(rows.map(move |batch| {
        let batch = batch.map_err(|error| failed(&name, from, error))?;
        without_values(&name, batch, &unknown)
    })))
}

/// Returns the schema for the parser. It reads a column without values as text, so that a value in
/// it is noticed.
fn readable(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Null => Field::new(field.name(), DataType::Utf8, true),
        _ => (**field).clone(),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Returns the positions among `columns` of the columns without values.
fn unknown(schema: &SchemaRef, columns: &[usize]) -> Vec<usize> {
    let is = |column: &usize| schema.field(*column).data_type() == &DataType::Null;
    let places = columns.iter().enumerate().filter(|(_, column)| is(column));
    places.map(|(place, _)| place).collect()
}

/// Sets the type of these columns to `Null`. Fails if one of them has a value.
fn without_values(
    name: &str,
    batch: RecordBatch,
    unknown: &[usize],
) -> Result<RecordBatch, QueryError> {
    if unknown.is_empty() {
        return Ok(batch);
    }
    let mut fields: Vec<Field> = batch
        .schema()
        .fields()
        .iter()
        .map(|f| (**f).clone())
        .collect();
    let mut columns = batch.columns().to_vec();
    for place in unknown {
        let (Some(column), Some(field)) = (columns.get_mut(*place), fields.get_mut(*place)) else {
            continue;
        };
        if column.null_count() != column.len() {
            return Err(QueryError::Mistyped {
                name: name.into(),
                why: format!(
                    "column {:?} has values, but not among its first rows",
                    field.name()
                ),
            });
        }
        *column = new_null_array(&DataType::Null, batch.num_rows());
        *field = Field::new(field.name(), DataType::Null, true);
    }
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}

/// Converts an error of the parser. Most often a value does not have the type that the sample has.
fn failed(name: &str, from: u64, error: ArrowError) -> QueryError {
    let why = match from {
        0 => plain(&error),
        _ => format!("counted from byte {from} on: {}", plain(&error)),
    };
    let name = name.to_owned();
    match &error {
        ArrowError::ParseError(text) if text.contains("as type") || text.contains("parsing") => {
            QueryError::Mistyped { name, why }
        }
        _ => QueryError::Input { name, why },
    }
}

/// Returns the library's message without the name of its error.
fn plain(error: &ArrowError) -> String {
    match error {
        ArrowError::ParseError(text)
        | ArrowError::CsvError(text)
        | ArrowError::SchemaError(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns the shape of a file from all of its values; `None` if it is from these already.
pub(super) fn learn(
    file: &File<'_>,
    separator: u8,
    known: &SchemaRef,
    (body, splits, certain): (u64, bool, bool),
    keep: &dyn Keep,
) -> Result<Option<Shape>, QueryError> {
    if certain {
        return Ok(None);
    }
    let even = splits && file.packing == Packing::None;
    let pieces = match even {
        true => lines::pieces(file.blob.as_ref(), body, true, keep)
            .map_err(QueryError::io(file.name))?,
        false => Vec::new(),
    };
    let (mut types, mut split) = (vec![DataType::Null; known.fields().len()], even);
    for piece in &pieces {
        let Part::Bytes(range) = &piece.part else {
            continue;
        };
        let key = key("types of csv", &[&[separator], &piece.id]);
        let found = match keep.get(&key).and_then(|kept| schema::decode(&kept)) {
            Some(found) => schema::types_of(&found),
            None => {
                let bytes = file.bytes(range)?;
                if bytes.iter().filter(|byte| **byte == b'"').count() % 2 != 0 {
                    split = false;
                    break;
                }
                let found = infer(file, separator, &bytes, false)?;
                keep.put(&key, schema::encode(&found)?);
                schema::types_of(&found)
            }
        };
        schema::widen_all(&mut types, &found);
    }
    if !split {
        let format = Format::default()
            .with_header(true)
            .with_delimiter(separator);
        let (all, _) = format
            .infer_schema(file.unpacked()?, None)
            .map_err(|error| file.wrong(plain(&error)))?;
        types = schema::types_of(&all);
    }
    let fields = known.fields().iter().zip(types);
    let fields = fields.map(|(field, kind)| Field::new(field.name(), kind, true));
    Ok(Some(Shape {
        schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        layout: Layout::Csv {
            body,
            splits: split,
            certain: true,
        },
    }))
}
