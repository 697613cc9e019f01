//! Names data files by the hash of their bytes and the generation that they belong to.
//!
//! The hash is verified before Parquet parses a file: no checksum covers the outer columns, and the
//! library panics on some damage. The generation exposes a commit whose transaction identifier was
//! damaged. See [decision 3](../../docs/decisions/0003-hash-in-data-file-names.md).
//!
//! A file of another program has no hash in its name. Only the checksums of its payloads protect
//! it.

use super::error::OplogError;
use super::schema::PART;
use super::table::Table;
use blake3::Hasher;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use uuid::Uuid;

/// Hexadecimal digits of the hash in a name: 128 bits.
const DIGITS: usize = 32;
/// Bytes that are hashed at once of a file that is not read whole.
const CHUNK: u64 = 8 << 20;

/// Returns a unique path for a new data file.
pub(super) fn path_of(part: i32, generation: u64, bytes: &[u8]) -> String {
    let hash = digits(Hasher::new().update(bytes));
    let unique = Uuid::now_v7();
    format!("{PART}={part}/{unique}-g{generation}-{hash}.parquet")
}

/// Returns a unique path for a merged data file.
pub(super) fn path_of_merged(part: i32, bytes: &[u8]) -> String {
    let hash = digits(Hasher::new().update(bytes));
    format!("{PART}={part}/{}-merged-{hash}.parquet", Uuid::now_v7())
}

/// Returns the generation in a file name, if there is one.
pub(super) fn generation(path: &str) -> Option<u64> {
    let (rest, _) = path.strip_suffix(".parquet")?.rsplit_once('-')?;
    let (_, generation) = rest.rsplit_once("-g")?;
    generation.parse().ok()
}

/// Returns whether `bytes` match the hash in the file name, or the name has none.
pub(super) fn fits(path: &str, bytes: &[u8]) -> bool {
    named(path).is_none_or(|hash| digits(Hasher::new().update(bytes)) == hash)
}

/// Like [`fits`], for a file in the store, which is read in parts.
pub(super) fn fits_stored(
    table: &Table,
    path: &str,
    at: &Path,
    size: u64,
) -> Result<bool, OplogError> {
    let Some(hash) = named(path) else {
        return Ok(true);
    };
    let (mut hasher, mut from) = (Hasher::new(), 0);
    while from < size {
        let to = size.min(from + CHUNK);
        let store = table.store();
        let bytes = table.wait(|| format!("read {path}"), store.get_range(at, from..to))?;
        hasher.update(&bytes);
        from = to;
    }
    Ok(digits(&hasher) == hash)
}

fn digits(hasher: &Hasher) -> String {
    let mut digits = hasher.finalize().to_hex().to_string();
    digits.truncate(DIGITS);
    digits
}

fn named(path: &str) -> Option<&str> {
    let (_, hash) = path.strip_suffix(".parquet")?.rsplit_once('-')?;
    let hex = hash.len() == DIGITS && hash.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_matches_only_the_bytes_it_was_made_for() {
        let path = path_of(3, 7, b"bytes");
        assert!(path.starts_with("node_part=3/"), "{path}");
        assert!(fits(&path, b"bytes") && !fits(&path, b"byteS"));
        assert_ne!(path, path_of(3, 7, b"bytes"));
        assert_eq!(generation(&path), Some(7));
        // Names as other programs choose them.
        assert!(fits(
            "part-00001-1b4e28ba-2fa1-11d2-883f-0016d3cca427-c000.parquet",
            b"x"
        ));
        assert!(fits(
            "node_part=0/1b4e28ba-2fa1-11d2-883f-0016d3cca427.parquet",
            b"x"
        ));
    }
}
