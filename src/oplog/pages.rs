//! Checks the footer and the page headers of a Parquet file before the library decodes it.
//!
//! A file of a few bytes can claim terabytes, and one megabyte can decompress to gigabytes. The
//! Parquet library allocates by what the file claims.
//!
//! Invariant: for a file that passes, each page decompresses to a size in proportion to its stored
//! size, or below a limit, and all offsets are within the file.

use super::error::OplogError;
use super::schema::PAYLOAD;
use super::thrift::Thrift;
use bytes::Bytes;
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use std::collections::BTreeMap;
use std::ops::Range;

/// Greatest length in bytes of a footer, or of an offset index.
const MAX_FOOTER: u64 = 32 << 20;
/// Greatest length of a page header in bytes. It may hold the page's minimum and maximum.
const MAX_HEADER: u64 = 1 << 20;
/// Bytes that are read at once to find page headers.
const WINDOW: u64 = 64 << 10;
/// Greatest size of a page of payloads before compression. Pages of pondmount have up to 64 MiB.
const MAX_PAYLOADS: u64 = 80 << 20;
/// Greatest size of any other page. It holds for dictionaries too, whose values repeat in many
/// rows.
const MAX_PAGE: u64 = 8 << 20;
/// Greatest ratio of decompressed to stored size above these limits, for files of other programs.
const MAX_RATIO: u64 = 100;
/// Parquet's number of the page type of dictionaries.
const DICTIONARY: i64 = 2;
/// Encodings that are accepted, by Parquet's numbers. `DELTA_BYTE_ARRAY` is not: it can expand one
/// long value to a million.
const ENCODINGS: [i64; 6] = [0, 2, 3, 5, 6, 8];

/// Reads a range of bytes of a file.
pub(super) type Fetch<'a> = &'a mut dyn FnMut(Range<u64>) -> Result<Bytes, OplogError>;
/// The outer error is of the store. The inner one says what is wrong with the file.
type Odd<T> = Result<Result<T, String>, OplogError>;

/// Unwraps a value, or returns the inner error.
macro_rules! sound {
    ($found:expr) => {
        match $found {
            Ok(sound) => sound,
            Err(odd) => return Ok(Err(odd)),
        }
    };
}

/// Checks the footer of a file of `size` bytes.
pub(super) fn check_footer(size: u64, fetch: Fetch<'_>) -> Odd<()> {
    let Some(end) = size.checked_sub(8) else {
        return Ok(Err("it is too short for a Parquet file".into()));
    };
    let tail = fetch(end..size)?;
    let length = match tail.split_first_chunk::<4>() {
        Some((length, b"PAR1")) => u64::from(u32::from_le_bytes(*length)),
        _ => return Ok(Err("it does not end as Parquet".into())),
    };
    let start = end.checked_sub(length).filter(|_| length <= MAX_FOOTER);
    let Some(start) = start else {
        return Ok(Err("its footer is too long".into()));
    };
    let footer = fetch(start..end)?;
    Ok(match Thrift::new(&footer).structure() {
        Some(()) => Ok(()),
        None => Err("its footer cannot be decoded".into()),
    })
}

/// Checks all pages of a file of `size` bytes.
pub(super) fn check_pages(metadata: &ParquetMetaData, size: u64, fetch: Fetch<'_>) -> Odd<()> {
    let mut rows: u64 = 0;
    for group in metadata.row_groups() {
        // Every row has a checksum of 32 bytes, so it takes at least one byte.
        let here = u64::try_from(group.num_rows()).unwrap_or(u64::MAX);
        rows = rows.saturating_add(here);
        if rows > size {
            return Ok(Err("it has more rows than bytes".into()));
        }
        for column in group.columns() {
            let pages = sound!(pages_of(column, size, fetch)?);
            sound!(check_index(column, &pages, size, fetch)?);
        }
    }
    Ok(Ok(()))
}

/// Returns the pages of a column chunk: offset, and length with the header.
fn pages_of(column: &ColumnChunkMetaData, size: u64, fetch: Fetch<'_>) -> Odd<BTreeMap<u64, u64>> {
    match column.compression() {
        // Other codecs have no bound on the decompressed size.
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) => {}
        _ => {
            return Ok(Err(
                "its compression is not one that pondmount writes".into()
            ));
        }
    }
    let begin = column.dictionary_page_offset();
    let begin = u64::try_from(begin.unwrap_or_else(|| column.data_page_offset()));
    let length = u64::try_from(column.compressed_size());
    let (Ok(begin), Ok(length)) = (begin, length) else {
        return Ok(Err("a column of it has no valid offset".into()));
    };
    let Some(end) = begin.checked_add(length).filter(|end| *end <= size) else {
        return Ok(Err("a column of it reaches beyond its end".into()));
    };
    let payloads = column.column_path().parts() == [PAYLOAD];
    let mut window = Window::default();
    let mut pages = BTreeMap::new();
    let mut at = begin;
    while at < end {
        let page = match window.page(at, end, fetch)? {
            Some(page) => page,
            None => return Ok(Err("a page of it cannot be read".into())),
        };
        let whole = page.header + page.stored;
        if whole > end - at {
            return Ok(Err("a page of it reaches beyond its column".into()));
        }
        let most = match page.kind {
            DICTIONARY => MAX_PAGE,
            _ if payloads => MAX_PAYLOADS,
            _ => MAX_PAGE,
        };
        if page.unfolded > most && page.unfolded / MAX_RATIO > page.stored {
            return Ok(Err(format!(
                "a page of {} bytes decompresses to {}",
                page.stored, page.unfolded
            )));
        }
        if !page.encodings.iter().all(|e| ENCODINGS.contains(e)) {
            return Ok(Err(
                "the encoding of a page is not one that pondmount writes".into(),
            ));
        }
        pages.insert(at, whole);
        at += whole;
    }
    Ok(Ok(pages))
}

/// Checks that the offset index of a column matches its pages.
fn check_index(
    column: &ColumnChunkMetaData,
    pages: &BTreeMap<u64, u64>,
    size: u64,
    fetch: Fetch<'_>,
) -> Odd<()> {
    let odd = || Ok(Err("its page index does not match its pages".into()));
    let place = (
        column.offset_index_offset().map(u64::try_from),
        column.offset_index_length().map(u64::try_from),
    );
    let (begin, length) = match place {
        (None, None) => return Ok(Ok(())),
        (Some(Ok(begin)), Some(Ok(length))) => (begin, length),
        _ => return odd(),
    };
    let end = begin.checked_add(length);
    let Some(end) = end.filter(|end| *end <= size && length <= MAX_FOOTER) else {
        return odd();
    };
    let bytes = fetch(begin..end)?;
    if Thrift::new(&bytes).structure().is_none() {
        return odd();
    }
    match locations(&bytes) {
        Some(found) if found.iter().all(|(at, n)| pages.get(at) == Some(n)) => Ok(Ok(())),
        _ => odd(),
    }
}

/// Decodes an offset index: offset and length of each page.
fn locations(bytes: &[u8]) -> Option<Vec<(u64, u64)>> {
    let mut thrift = Thrift::new(bytes);
    let mut found = Vec::new();
    let first = thrift.field(0)??;
    if first.id != 1 {
        return None;
    }
    for _ in 0..thrift.structures(first)? {
        let (mut at, mut length, mut last) = (None, None, 0);
        while let Some(field) = thrift.field(last)? {
            match field.id {
                1 => at = thrift.number_of(field)?,
                2 => length = thrift.number_of(field)?,
                _ => thrift.pass(field)?,
            }
            last = field.id;
        }
        found.push((u64::try_from(at?).ok()?, u64::try_from(length?).ok()?));
    }
    Some(found)
}

/// A decoded page header.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    kind: i64,
    /// Bytes after decompression.
    unfolded: u64,
    /// Bytes after the header, as stored.
    stored: u64,
    /// Bytes of the header.
    header: u64,
    /// Encodings of its values.
    encodings: Vec<i64>,
}

impl Page {
    fn read(bytes: &[u8]) -> Option<Page> {
        let mut thrift = Thrift::new(bytes);
        let mut page = Page::default();
        let (mut unfolded, mut stored, mut last) = (None, None, 0);
        while let Some(field) = thrift.field(last)? {
            match field.id {
                1 => page.kind = thrift.number_of(field)??,
                2 => unfolded = thrift.number_of(field)?,
                3 => stored = thrift.number_of(field)?,
                // Headers of data pages, dictionary pages and data pages of version 2. The encoding
                // is their field 2, in the last their field 4.
                5 | 7 | 8 => {
                    Thrift::is_structure(field).then_some(())?;
                    let encoding = if field.id == 8 { 4 } else { 2 };
                    let mut last = 0;
                    while let Some(inner) = thrift.field(last)? {
                        match inner.id == encoding {
                            true => page.encodings.push(thrift.number_of(inner)??),
                            false => thrift.pass(inner)?,
                        }
                        last = inner.id;
                    }
                }
                _ => thrift.pass(field)?,
            }
            last = field.id;
        }
        page.unfolded = u64::try_from(unfolded?).ok()?;
        page.stored = u64::try_from(stored?).ok()?;
        page.header = thrift.at() as u64;
        Some(page)
    }
}

/// A part of a file that is buffered to decode page headers.
#[derive(Default)]
struct Window {
    begin: u64,
    bytes: Bytes,
}

impl Window {
    /// Decodes the header at `at`, in a column chunk that ends at `end`.
    fn page(&mut self, at: u64, end: u64, fetch: Fetch<'_>) -> Result<Option<Page>, OplogError> {
        let within = at.checked_sub(self.begin).map(|skip| skip as usize);
        let here = within.and_then(|skip| self.bytes.get(skip..));
        if let Some(page) = here.and_then(Page::read) {
            return Ok(Some(page));
        }
        for length in [WINDOW, MAX_HEADER] {
            self.begin = at;
            self.bytes = fetch(at..end.min(at + length))?;
            if let Some(page) = Page::read(&self.bytes) {
                return Ok(Some(page));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_page_header_is_decoded_with_its_encodings() {
        // A data page of 300 bytes stored in 20: plain values (0), run-length levels (3).
        let header = [
            0x15, 0x00, 0x15, 0xd8, 0x04, 0x15, 0x28, 0x2c, 0x15, 0x20, 0x15, 0x00, 0x15, 0x06,
            0x15, 0x06, 0x00, 0x00,
        ];
        let page = Page::read(&header).unwrap();
        assert_eq!((page.unfolded, page.stored), (300, 20));
        assert_eq!((page.header, page.encodings), (18, vec![0]));
        for end in 0..header.len() {
            assert_eq!(Page::read(&header[..end]), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_as_a_page_header_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(page) = Page::read(&bytes) {
                prop_assert!(page.header as usize <= bytes.len());
            }
            let _ = locations(&bytes);
        }
    }
}
