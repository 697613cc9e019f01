//! File formats of rows, recognised by a file's name or its first bytes.

use super::blob::Blob;
use std::io;

/// Compression of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Packing {
    /// Uncompressed.
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
    /// Text with a header line and this separator between columns.
    Csv {
        /// A comma, or a tab in `.tsv`.
        separator: u8,
    },
    /// One JSON object per line, or OpenTelemetry metrics as JSON lines.
    JsonLines,
    /// One JSON array of objects. Write only.
    JsonArray,
    /// An Arrow IPC file.
    Arrow,
}

/// Endings of names, with the format that each stands for.
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
    /// Returns the format that the ending of a name stands for, and the name without the ending.
    pub fn of_name(name: &str) -> Option<(Format, &str)> {
        ENDINGS.iter().find_map(|(ending, format)| {
            let stem = name.strip_suffix(ending).filter(|stem| !stem.is_empty())?;
            Some((*format, stem))
        })
    }

    /// Returns the format and the compression of a file to read. If its name has no known ending,
    /// the first bytes decide. `None` if both leave the format unknown.
    pub fn of_file(name: &str, blob: &dyn Blob) -> io::Result<Option<(Format, Packing)>> {
        let (name, packing) = match (name.strip_suffix(".gz"), name.strip_suffix(".zst")) {
            (Some(name), _) => (name, Packing::Gzip),
            (_, Some(name)) => (name, Packing::Zstd),
            _ => (name, Packing::None),
        };
        match Format::of_name(name) {
            // Files of JSON lines are often named so.
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

    /// Returns the word for the format in the hash of a recipe.
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
    fn names_and_first_bytes_decide_formats() {
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
