//! The kinds of a pond's files. Every file has a kind, so that new kinds of files are damaged
//! without a change here.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::rng::Rng;

/// Returns the kind of a file, by its path in the pond.
pub fn of(path: &Path) -> String {
    let text = path.to_string_lossy();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let end = |suffix: &str| name.ends_with(suffix);
    let kind = match text.split('/').next().unwrap_or_default() {
        "oplog" if name == "_last_checkpoint" => "_last_checkpoint",
        "oplog" if end(".checkpoint.parquet") => "checkpoint",
        "oplog" if end(".parquet") => "data file",
        "oplog" if end(".json") => "commit",
        "segments" if end(".seg") => "segment",
        "index" if end(".jnl") => "index journal",
        "index" if text.contains("/tables/") => "index table",
        "index" => "index, other",
        first => first,
    };
    kind.to_string()
}

/// Returns all files of a pond, as paths in it.
pub fn files(pond: &Path) -> Vec<PathBuf> {
    let (mut found, mut todo) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(pond.join(&dir)).expect("list a folder of the pond") {
            let entry = entry.expect("list a folder of the pond");
            let (path, meta) = (dir.join(entry.file_name()), entry.metadata());
            match meta.expect("stat a file of the pond") {
                meta if meta.is_dir() => todo.push(path),
                meta if meta.is_file() => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// Returns the non-empty files of a pond, by kind. Commits after the last checkpoint are a kind of
/// their own: only they are read when the pond is opened.
pub fn by_kind(pond: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut kinds: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let full = |path: &PathBuf| fs::metadata(pond.join(path)).is_ok_and(|meta| meta.len() > 0);
    let files = files(pond);
    let checkpoint = files.iter().filter(|path| of(path) == "checkpoint").max();
    let checkpoint = checkpoint.cloned().unwrap_or_default();
    for path in files.iter().filter(|path| full(path)) {
        let mut kind = of(path);
        if kind == "commit" && *path > checkpoint {
            kind = "commit, newest".to_string();
        }
        kinds.entry(kind).or_default().push(path.clone());
    }
    kinds
}

/// One bit of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    pub file: PathBuf,
    pub offset: u64,
    pub bit: u8,
}

impl Flip {
    /// Returns a bit of one of these files. Long runs of zeros, which are preallocated space, are
    /// mostly skipped.
    pub fn choose(pond: &Path, files: &[PathBuf], rng: &mut Rng) -> Flip {
        let file = rng.pick(files).clone();
        let bytes = fs::read(pond.join(&file)).expect("read a file of the pond");
        let mut offset = 0;
        for _ in 0..20 {
            offset = rng.below(bytes.len());
            let around = &bytes[offset.saturating_sub(32)..(offset + 32).min(bytes.len())];
            if around.iter().any(|byte| *byte != 0) {
                break;
            }
        }
        Flip {
            file,
            offset: offset as u64,
            bit: rng.below(8) as u8,
        }
    }

    /// Flips the bit.
    pub fn apply(&self, pond: &Path) -> io::Result<()> {
        let file = fs::File::options()
            .read(true)
            .write(true)
            .open(pond.join(&self.file))?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, self.offset)?;
        file.write_all_at(&[byte[0] ^ 1 << self.bit], self.offset)
    }
}

/// Flips one bit of one file.
pub fn flip(file: &Path, offset: u64, bit: u8) {
    let flip = Flip {
        file: file.into(),
        offset,
        bit,
    };
    flip.apply(Path::new("")).expect("flip a bit");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_kind() {
        let cases = [
            ("oplog/_delta_log/00000000000000000001.json", "commit"),
            (
                "oplog/_delta_log/00000000000000000100.checkpoint.parquet",
                "checkpoint",
            ),
            ("oplog/node_part=0/x-y.parquet", "data file"),
            ("index/0.jnl", "index journal"),
            ("index/keyspaces/3/tables/0", "index table"),
            ("index/keyspaces/3/current", "index, other"),
            ("segments/0000000000000001.seg", "segment"),
            ("lock", "lock"),
            ("later/new", "later"),
        ];
        for (path, kind) in cases {
            assert_eq!(of(Path::new(path)), kind, "{path}");
        }
    }

    #[test]
    fn a_flip_changes_one_bit_and_is_undone_by_another() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), [7, 0]).unwrap();
        let files = files(dir.path());
        let flip = Flip::choose(dir.path(), &files, &mut Rng::new(1));
        let read = || fs::read(dir.path().join("f")).unwrap();
        flip.apply(dir.path()).unwrap();
        let changed: u32 = read()
            .iter()
            .zip([7, 0])
            .map(|(a, b)| (a ^ b).count_ones())
            .sum();
        assert_eq!(changed, 1);
        flip.apply(dir.path()).unwrap();
        assert_eq!(read(), [7, 0]);
    }
}
