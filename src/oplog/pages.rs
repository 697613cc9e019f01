//! A Parquet file's pages, before the library takes them apart.
//!
//! Role: a file of a few bytes can say that it holds terabytes, and one of a megabyte can unfold to
//! gigabytes. In: a file's footer and the headers of its pages. Out: what is odd about them, if anything.
//! Holds always: what the library then decodes is in proportion to what is stored, page by page, and
//! lies within the file.

use super::error::OplogError;
use super::schema::PAYLOAD;
use super::thrift::Thrift;
use bytes::Bytes;
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use std::collections::BTreeMap;
use std::ops::Range;

/// What a file may describe itself by; a page header is never as long.
const MAX_FOOTER: u64 = 32 << 20;
/// The longest header of a page: it may hold the page's least and greatest value.
const MAX_HEADER: u64 = 1 << 20;
/// What is read at once to find page headers.
const WINDOW: u64 = 64 << 10;
/// A page of payloads that we write has some 64 MiB at most before compression.
const MAX_PAYLOADS: u64 = 80 << 20;
/// Any other has some kilobytes, and a dictionary has to be small too: its values come in many rows.
const MAX_PAGE: u64 = 8 << 20;
/// A larger one, by another program, may be this many times as large as it is stored.
const MAX_RATIO: u64 = 100;
/// The kind of a page that is a dictionary.
const DICTIONARY: i64 = 2;
/// How values may stand in a page: all but as differences from the one before, which can make a
/// million long ones of one. By the numbers that Parquet gives them.
const ENCODINGS: [i64; 6] = [0, 2, 3, 5, 6, 8];

/// Reads bytes of a file.
pub(super) type Fetch<'a> = &'a mut dyn FnMut(Range<u64>) -> Result<Bytes, OplogError>;
/// What was looked for, or what is odd.
type Odd<T> = Result<Result<T, String>, OplogError>;

/// Unwraps what is not odd.
macro_rules! sound {
    ($found:expr) => {
        match $found {
            Ok(sound) => sound,
            Err(odd) => return Ok(Err(odd)),
        }
    };
}

/// Whether what a file of that size describes itself by can be given to the library.
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
        return Ok(Err("it describes itself at too great a length".into()));
    };
    let footer = fetch(start..end)?;
    Ok(match Thrift::new(&footer).structure() {
        Some(()) => Ok(()),
        None => Err("its description of itself makes no sense".into()),
    })
}

/// Whether the pages of a file can be given to the library.
pub(super) fn check_pages(metadata: &ParquetMetaData, size: u64, fetch: Fetch<'_>) -> Odd<()> {
    let mut rows: u64 = 0;
    for group in metadata.row_groups() {
        // A row cannot take less than a byte: its payload's checksum alone has 32.
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

/// The pages of a column: where each begins, and its length.
fn pages_of(column: &ColumnChunkMetaData, size: u64, fetch: Fetch<'_>) -> Odd<BTreeMap<u64, u64>> {
    match column.compression() {
        // The others unfold to whatever they like.
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) => {}
        _ => return Ok(Err("it is compressed in a way that no pond is".into())),
    }
    let begin = column.dictionary_page_offset();
    let begin = u64::try_from(begin.unwrap_or_else(|| column.data_page_offset()));
    let length = u64::try_from(column.compressed_size());
    let (Ok(begin), Ok(length)) = (begin, length) else {
        return Ok(Err("a column of it has no place".into()));
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
                "a page of {} bytes unfolds to {}",
                page.stored, page.unfolded
            )));
        }
        if !page.encodings.iter().all(|e| ENCODINGS.contains(e)) {
            return Ok(Err("a page is encoded in a way that no pond's is".into()));
        }
        pages.insert(at, whole);
        at += whole;
    }
    Ok(Ok(pages))
}

/// Whether what a column says of where its pages stand is so.
fn check_index(
    column: &ColumnChunkMetaData,
    pages: &BTreeMap<u64, u64>,
    size: u64,
    fetch: Fetch<'_>,
) -> Odd<()> {
    let odd = || Ok(Err("its list of pages is not that of its pages".into()));
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

/// Where the pages stand and how long each is, by an offset index.
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

/// What a page's header tells.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    kind: i64,
    /// Bytes after decompression.
    unfolded: u64,
    /// Bytes after the header.
    stored: u64,
    /// Of the header.
    header: u64,
    /// How its values stand in it.
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
                // The headers of data, of a dictionary, and of data of the second version: the
                // encoding is their field 2, and in the last its field 4.
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

/// A piece of a file in which page headers are looked for.
#[derive(Default)]
struct Window {
    begin: u64,
    bytes: Bytes,
}

impl Window {
    /// The header at `at`, in a column that ends at `end`.
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
    fn a_header_is_read_with_what_it_says_of_its_values() {
        // A data page of 300 bytes in 20, plain (0) with levels in runs (3).
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
        fn any_bytes_are_a_header_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(page) = Page::read(&bytes) {
                prop_assert!(page.header as usize <= bytes.len());
            }
            let _ = locations(&bytes);
        }
    }
}
