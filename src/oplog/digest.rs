//! Data files carry the hash of their bytes in their names, and the generation that they were written for.
//!
//! Role: tell a damaged file before Parquet looks into it, whose library does not survive every
//! damage, and whose outer columns no checksum covers; and a commit whose transaction was damaged, which
//! no checksum covers either. In: a data file. Out: its name, or whether its bytes are those that it
//! was named for. Holds always: a file that another program wrote has
//! no hash in its name, and is believed as far as its payloads' checksums go.

use super::error::OplogError;
use super::schema::PART;
use super::table::Table;
use blake3::Hasher;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use uuid::Uuid;

/// Hexadecimal digits of the hash that stand in the name: 128 bits.
const DIGITS: usize = 32;
/// What is read at once of a file that is too large to be read whole.
const CHUNK: u64 = 8 << 20;

/// The path of a new data file: unlike any other, and naming the hash of its bytes.
pub(super) fn path_of(part: i32, generation: u64, bytes: &[u8]) -> String {
    let hash = digits(Hasher::new().update(bytes));
    let unique = Uuid::now_v7();
    format!("{PART}={part}/{unique}-g{generation}-{hash}.parquet")
}

/// The path of a file that others were joined into.
pub(super) fn path_of_merged(part: i32, bytes: &[u8]) -> String {
    let hash = digits(Hasher::new().update(bytes));
    format!("{PART}={part}/{}-merged-{hash}.parquet", Uuid::now_v7())
}

/// The generation that a file was written for, if its name tells one.
pub(super) fn generation(path: &str) -> Option<u64> {
    let (rest, _) = path.strip_suffix(".parquet")?.rsplit_once('-')?;
    let (_, generation) = rest.rsplit_once("-g")?;
    generation.parse().ok()
}

/// Whether a file of that name has the bytes that it was named for, by the bytes themselves.
pub(super) fn fits(path: &str, bytes: &[u8]) -> bool {
    named(path).is_none_or(|hash| digits(Hasher::new().update(bytes)) == hash)
}

/// The same for a file in the store, which is read through.
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
    fn a_name_fits_only_the_bytes_it_was_made_for() {
        let path = path_of(3, 7, b"bytes");
        assert!(path.starts_with("node_part=3/"), "{path}");
        assert!(fits(&path, b"bytes") && !fits(&path, b"byteS"));
        assert_ne!(path, path_of(3, 7, b"bytes"));
        assert_eq!(generation(&path), Some(7));
        // As other programs name their files.
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
