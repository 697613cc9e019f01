//! Writes rows as a file of any format.

use super::QueryError;
use super::format::Format;
use super::source::Rows;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::ipc::writer::FileWriter;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use std::io::Write;

/// Writer name in Parquet files. It contains no version, so that equal rows produce equal bytes in
/// every release.
const WRITER: &str = "pondmount";

/// Returns the properties of Parquet files that every writer here uses.
pub(super) fn properties() -> WriterPropertiesBuilder {
    // Readers in browsers support Snappy without another library.
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(WRITER.into())
}

/// Writes all rows in a format. Returns their number.
pub fn write(
    schema: &SchemaRef,
    rows: Rows,
    format: Format,
    to: impl Write + Send,
) -> Result<u64, QueryError> {
    let mut count = 0;
    let rows = rows.inspect(|batch| {
        count += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
    });
    match format {
        Format::Parquet => {
            let properties = properties().build();
            let mut writer = ArrowWriter::try_new(to, schema.clone(), Some(properties))?;
            for batch in rows {
                writer.write(&batch?)?;
            }
            writer.close()?;
        }
        Format::Csv { separator } => {
            let mut writer = arrow_csv::WriterBuilder::new()
                .with_header(true)
                .with_delimiter(separator)
                .build(to);
            // The header is written even if there are no rows.
            writer.write(&datafusion::arrow::array::RecordBatch::new_empty(
                schema.clone(),
            ))?;
            for batch in rows {
                writer.write(&batch?)?;
            }
        }
        Format::JsonLines => {
            let builder = arrow_json::WriterBuilder::new().with_explicit_nulls(true);
            let mut writer = builder.build::<_, arrow_json::writer::LineDelimited>(to);
            for batch in rows {
                writer.write(&batch?)?;
            }
            writer.finish()?;
        }
        Format::JsonArray => {
            let builder = arrow_json::WriterBuilder::new().with_explicit_nulls(true);
            let mut writer = builder.build::<_, arrow_json::writer::JsonArray>(to);
            for batch in rows {
                writer.write(&batch?)?;
            }
            writer.finish()?;
        }
        Format::Arrow => {
            let mut writer = FileWriter::try_new(to, schema)?;
            for batch in rows {
                writer.write(&batch?)?;
            }
            writer.finish()?;
        }
    }
    Ok(count)
}
