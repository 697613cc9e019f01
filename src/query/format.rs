//! The formats that rows are read and written in, told by a file's name, or by its first bytes.

use super::blob::Blob;
use std::io;

/// How bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Packing {
    /// Not at all.
    None,
    /// gzip, `.gz`.
    Gzip,
    /// Zstandard, `.zst`.
    Zstd,
}

/// A format of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Text with a header line, columns separated by this byte.
    Csv {
        /// A comma, or a tabulator in `.tsv`.
        separator: u8,
    },
    /// One JSON object a line; of OpenTelemetry's metrics, their points.
    JsonLines,
    /// One JSON array of objects. Only written.
    JsonArray,
    /// An Arrow IPC file.
    Arrow,
}

/// What the names of formats end in.
const ENDINGS: [(&str, Format); 11] = [
    (".parquet", Format::Parquet),
    (".series", Format::Parquet),
    (".csv", Format::Csv { separator: b',' }),
    (".tsv", Format::Csv { separator: b'\t' }),
    (".jsonl", Format::JsonLines),
    (".ndjson", Format::JsonLines),
    (".oteljson", Format::JsonLines),
    (".json", Format::JsonArray),
    (".arrow", Format::Arrow),
    (".ipc", Format::Arrow),
    (".feather", Format::Arrow),
];

impl Format {
    /// The format that a name ends in, and the name without that.
    pub fn of_name(name: &str) -> Option<(Format, &str)> {
        ENDINGS.iter().find_map(|(ending, format)| {
            let stem = name.strip_suffix(ending).filter(|stem| !stem.is_empty())?;
            Some((*format, stem))
        })
    }

    /// The format of a file that is to be read, and how it is packed. A name that tells nothing leaves it to the
    /// first bytes; `None` where these tell nothing either.
    pub fn of_file(name: &str, blob: &dyn Blob) -> io::Result<Option<(Format, Packing)>> {
        let (name, packing) = match (name.strip_suffix(".gz"), name.strip_suffix(".zst")) {
            (Some(name), _) => (name, Packing::Gzip),
            (_, Some(name)) => (name, Packing::Zstd),
            _ => (name, Packing::None),
        };
        match Format::of_name(name) {
            // A file of JSON lines is often called so, too.
            Some((Format::JsonArray, _)) => Ok(Some((Format::JsonLines, packing))),
            Some((format, _)) => Ok(Some((format, packing))),
            None if packing != Packing::None => Ok(None),
            None => {
                let head = blob.read(0..blob.len().min(6))?;
                Ok(match &head[..] {
                    [b'P', b'A', b'R', b'1', ..] => Some((Format::Parquet, Packing::None)),
                    b"ARROW1" => Some((Format::Arrow, Packing::None)),
                    _ => None,
                })
            }
        }
    }

    /// What a recipe's hash says of the format.
    pub fn word(self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::Csv { separator: b'\t' } => "tsv",
            Format::Csv { .. } => "csv",
            Format::JsonLines => "jsonl",
            Format::JsonArray => "json",
            Format::Arrow => "arrow",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::blob::Memory;
    use super::*;

    #[test]
    fn names_tell_formats() {
        let of =
            |name: &str, head: &'static [u8]| Format::of_file(name, &Memory(head.into())).unwrap();
        let csv = Format::Csv { separator: b',' };
        assert_eq!(of("a.csv", b""), Some((csv, Packing::None)));
        assert_eq!(of("a.csv.gz", b""), Some((csv, Packing::Gzip)));
        assert_eq!(
            of("a.jsonl.zst", b""),
            Some((Format::JsonLines, Packing::Zstd))
        );
        assert_eq!(
            of("res=1h", b"PAR1...."),
            Some((Format::Parquet, Packing::None))
        );
        assert_eq!(of("README", b"Read me"), None);
        assert_eq!(of("x.gz", b""), None);
        assert_eq!(Format::of_name(".csv"), None);
    }
}
