//! What an operation is to change, who writes beside it, and how it is seen afterwards whether it took place.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use mount_tests::grow::{edit, sow};
use mount_tests::load::{Signals, deposit, publish, script};
use mount_tests::mount::Mount;
use mount_tests::place::{file, folder};
use mount_tests::pond::{Pond, names};
use mount_tests::rng::Rng;
use mount_tests::tree::Tree;

use super::{Check, Operation};

/// How many of the newest versions a prune keeps, of how many that a scene makes.
const KEEP: usize = 3;
const VERSIONS: usize = 8;
/// Files of a secret that is forgotten, and their sizes: two are large enough for a segment.
const SECRETS: usize = 12;
const SIZES: [usize; 3] = [900, 20_000, 80_000];
/// How long it may take until its bytes are erased, after a crash.
const ERASED: Duration = Duration::from_secs(120);
/// Files of a directory that is brought back, and edits that are taken back by it.
const FILES: usize = 120;
const EDITS: usize = 80;
/// Datasets of a resource.
const DATASETS: usize = 60;

/// Writes until the end; the answer holds the tree against the journal.
type Writer = Box<dyn FnOnce(Rng, &Signals) -> Check + Send>;
type Judge = Box<dyn Fn(&Pond, &Mount) -> Came>;

/// What came of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    NotAtAll,
    Whole,
    /// The same, and what it replaced is in this version.
    InVersion {
        replaced: u64,
    },
}

pub(super) struct Scene {
    /// Its directory in the root.
    pub(super) name: String,
    /// The arguments of the command.
    pub(super) command: Vec<String>,
    pub(super) writers: Vec<Writer>,
    judge: Judge,
}

impl Scene {
    #[track_caller]
    pub(super) fn set(
        operation: Operation,
        pond: &Pond,
        mount: &Mount,
        number: usize,
        rng: &mut Rng,
    ) -> Scene {
        let name = format!("round{number}");
        let home = folder(mount.path(), &name);
        let (command, judge) = match operation {
            Operation::Prune => prune(pond, mount, &home, rng),
            Operation::Forget => forget(pond, mount, &home, rng),
            Operation::Restore | Operation::Undo => go_back(operation, mount, &home, rng),
            Operation::Apply => apply(pond, mount, &home, number),
        };
        let writers = match operation {
            Operation::Prune | Operation::Forget => {
                folder(&home, "drafts");
                let live = folder(&home, "live");
                vec![small_operations(&home), deposits(&home, &live, 0)]
            }
            Operation::Apply => vec![small_operations(&home), whole_files(&home)],
            Operation::Restore | Operation::Undo => {
                let live = home.join("data/live");
                let mut writers = vec![deposits(&home, &live, 0), deposits(&home, &live, 1)];
                if operation == Operation::Restore {
                    writers.push(small_operations(&home));
                }
                writers
            }
        };
        Scene {
            name,
            command,
            writers,
            judge,
        }
    }

    /// Whether the operation took place, as a whole. Panics where it did so by half.
    #[track_caller]
    pub(super) fn judge(&self, pond: &Pond, mount: &Mount) -> Came {
        (self.judge)(pond, mount)
    }
}

fn small_operations(home: &Path) -> Writer {
    let dir = folder(home, "small");
    Box::new(move |rng, signals| {
        let journal = script::write_until_end(&dir, rng, signals);
        Box::new(move |_| journal.verify(&dir))
    })
}

fn whole_files(home: &Path) -> Writer {
    let dir = folder(home, "whole");
    Box::new(move |_, signals| {
        let journal = publish::write_until_end(&dir, 1, signals);
        Box::new(move |_| journal.verify(&dir))
    })
}

/// Writes into a directory, which an undo or a restore replaces; the drafts are beside it.
fn deposits(home: &Path, live: &Path, number: u64) -> Writer {
    let (drafts, present) = (home.join("drafts"), live.to_owned());
    let below = live.strip_prefix(home).expect("in the scene").to_owned();
    Box::new(move |_, signals| {
        let journal = deposit::write_until_end(&drafts, &present, number, signals);
        Box::new(move |replaced| {
            let replaced = replaced.map(|home| home.join(&below));
            journal.verify(&present, replaced.as_deref())
        })
    })
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The path of something in the mount, as it is at a version.
fn at(mount: &Mount, version: u64, path: &Path) -> PathBuf {
    let path = path.strip_prefix(mount.path()).expect("in the mount");
    mount.version(version).join(path)
}

/// Versions that have names.
fn named(mount: &Mount) -> BTreeSet<u64> {
    let versions = mount.join("@version");
    let names = names(&versions);
    let rounds = names.iter().filter(|name| name.starts_with("round"));
    let number = |name: &String| {
        let target = fs::read_link(versions.join(name)).expect("the name of a version");
        target.to_string_lossy().parse().expect("a version")
    };
    rounds.map(number).collect()
}

/// Versions of a directory, one of which has a name; most of the others go.
#[track_caller]
fn prune(pond: &Pond, mount: &Mount, home: &Path, rng: &mut Rng) -> (Vec<String>, Judge) {
    let d = folder(home, "d");
    sow(&d, rng, 12);
    let versions: Vec<(u64, Tree)> = (0..VERSIONS)
        .map(|_| {
            edit(&d, rng, 6);
            (mount.sync(), Tree::of(&d))
        })
        .collect();
    let tagged = versions[2].0;
    let name = home.file_name().expect("a name").to_string_lossy();
    let snapshot = pond.run(["snapshot", &name, "--at", &tagged.to_string()]);
    snapshot.within(mount.path()).ok();
    let before: BTreeSet<u64> = pond.log().into_iter().collect();
    let judge = move |pond: &Pond, mount: &Mount| {
        let there: BTreeSet<u64> = pond.log().into_iter().collect();
        let named = named(mount);
        assert!(
            named.contains(&tagged) && named.is_subset(&there),
            "a version with a name is gone: {named:?} have one, {there:?} are there"
        );
        let unnamed = |versions: &BTreeSet<u64>| -> Vec<u64> {
            let versions = versions.iter().filter(|version| !named.contains(version));
            versions.copied().collect()
        };
        let all = unnamed(&before);
        let left = unnamed(&before.intersection(&there).copied().collect());
        let came = match left == all {
            true => Came::NotAtAll,
            false => {
                let more = there.difference(&before).count();
                assert!(
                    all.ends_with(&left) && left.len() <= KEEP && left.len() + more >= KEEP,
                    "half a prune: of {all:?} it left {left:?}, and {more} were made since"
                );
                Came::Whole
            }
        };
        for (version, tree) in &versions {
            if there.contains(version) {
                let found = Tree::of(&at(mount, *version, &d));
                found.assert_equals(tree, &format!("version {version}"));
            }
        }
        came
    };
    let keep = KEEP.to_string();
    (words(&["prune", "--keep-last", &keep]), Box::new(judge))
}

/// A directory that was there in some versions, and something beside it that stays.
#[track_caller]
fn forget(pond: &Pond, mount: &Mount, home: &Path, rng: &mut Rng) -> (Vec<String>, Judge) {
    let (d, secret) = (folder(home, "d"), folder(home, "secret"));
    sow(&d, rng, 12);
    let mut pieces = Vec::new();
    let versions: Vec<(u64, Tree, Tree)> = (0..3)
        .map(|_| {
            edit(&d, rng, 6);
            for n in 0..SECRETS {
                let bytes = rng.bytes(SIZES[n % SIZES.len()]);
                file(&secret, &format!("f{n}"), &bytes);
                // One of each size.
                if n < SIZES.len() {
                    let middle = bytes.len() / 2;
                    pieces.push(bytes[middle..middle + 64].to_vec());
                }
            }
            (mount.sync(), Tree::of(&d), Tree::of(&secret))
        })
        .collect();
    fs::remove_dir_all(&secret).expect("remove what is to be forgotten");
    mount.sync();
    let of = stored(&pond.store(), &pieces);
    assert!(of >= SIZES.len(), "the bytes cannot be looked for");
    let path = format!("{}/secret", home.file_name().expect("a name").display());
    let judge = move |pond: &Pond, mount: &Mount| {
        let mut shown = Vec::new();
        for (version, beside, then) in &versions {
            let found = Tree::of(&at(mount, *version, &d));
            found.assert_equals(beside, &format!("what stays, in version {version}"));
            let secret = at(mount, *version, &secret);
            match fs::symlink_metadata(&secret) {
                Ok(_) => {
                    let what = format!("what was not forgotten, in version {version}");
                    Tree::of(&secret).assert_equals(then, &what);
                    shown.push(version);
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}"),
            }
        }
        if shown.len() == versions.len() {
            return Came::NotAtAll;
        }
        assert!(shown.is_empty(), "half a forget: it is in {shown:?}");
        // After a crash the daemon erases what is left of the bytes once the pond is mounted.
        let until = Instant::now() + ERASED;
        loop {
            let left = stored(&pond.store(), &pieces);
            if left == 0 {
                return Came::Whole;
            }
            assert!(
                Instant::now() < until,
                "{left} of {of} pieces of it are still stored; the log of the daemon: {}",
                pond.daemon_log()
            );
            thread::sleep(Duration::from_millis(20));
        }
    };
    (words(&["forget", "--yes", &path]), Box::new(judge))
}

/// Counts the pieces that some file of a folder holds.
fn stored(folder: &Path, pieces: &[Vec<u8>]) -> usize {
    let mut found = vec![false; pieces.len()];
    look_for(folder, pieces, &mut found);
    found.iter().filter(|found| **found).count()
}

fn look_for(folder: &Path, pieces: &[Vec<u8>], found: &mut [bool]) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("list a folder").path();
        if path.is_dir() {
            look_for(&path, pieces, found);
            continue;
        }
        // The daemon may remove a file meanwhile.
        let bytes = fs::read(&path).unwrap_or_default();
        for (piece, found) in pieces.iter().zip(&mut *found) {
            *found |= holds(&bytes, piece);
        }
    }
}

fn holds(bytes: &[u8], piece: &[u8]) -> bool {
    // SAFETY: two valid slices. The C library looks fast for bytes, also in a test that is not optimised.
    let at = unsafe {
        libc::memmem(
            bytes.as_ptr().cast(),
            bytes.len(),
            piece.as_ptr().cast(),
            piece.len(),
        )
    };
    !at.is_null()
}

/// A directory that was edited since a version, and in which others write: `restore` brings that version back, and
/// `undo` takes back what is in no version yet.
#[track_caller]
fn go_back(
    operation: Operation,
    mount: &Mount,
    home: &Path,
    rng: &mut Rng,
) -> (Vec<String>, Judge) {
    folder(home, "drafts");
    let data = folder(home, "data");
    folder(&data, "live");
    let edited = folder(&data, "edited");
    sow(&edited, rng, FILES);
    let then = Tree::of(&edited);
    let version = mount.sync();
    edit(&edited, rng, EDITS);
    let replaced = Tree::of(&edited);
    let name = home.file_name().expect("a name").display();
    let command = match operation {
        Operation::Undo => words(&["undo"]),
        _ => words(&[
            "restore",
            &format!("{name}/data"),
            "--at",
            &version.to_string(),
        ]),
    };
    let judge = move |pond: &Pond, mount: &Mount| {
        let found = Tree::of(&edited);
        if found.differences(&replaced).is_empty() {
            return Came::NotAtAll;
        }
        found.assert_equals(&then, "neither as it was nor as it was to be");
        let since = pond.log();
        let mut since = since.into_iter().filter(|number| *number > version);
        let holds = |number: &u64| {
            let shown = Tree::of(&at(mount, *number, &edited));
            shown.differences(&replaced).is_empty()
        };
        let replaced = since.find(holds);
        let replaced = replaced.expect("a version that holds what was replaced");
        Came::InVersion { replaced }
    };
    (command, Box::new(judge))
}

/// A document that is applied: a new one in every other round, or one in place of another.
#[track_caller]
fn apply(pond: &Pond, mount: &Mount, home: &Path, number: usize) -> (Vec<String>, Judge) {
    let name = home.file_name().expect("a name").display().to_string();
    let (kind, text) = (mount.join("Reduce"), document(&name, "new"));
    let (shown, source) = (
        kind.join(format!("{name}.yaml")),
        pond.outside("document.yaml"),
    );
    let command = words(&["apply", "-f", &source.to_string_lossy()]);
    let mut before = None;
    if number % 2 == 1 {
        fs::write(&source, document(&name, "old")).expect("a document");
        let old = pond.run([]).args(&command);
        old.env("POND_STORE", pond.store()).ok();
        before = Some(fs::read_to_string(&shown).expect("what was applied"));
    }
    fs::write(&source, &text).expect("a document");
    mount.sync();
    let judge = move |_: &Pond, mount: &Mount| {
        if let Ok(entries) = fs::read_dir(mount.join("Reduce")) {
            let drafts: Vec<_> = entries
                .map(|entry| entry.expect("list resources").file_name())
                .filter(|name| name.to_string_lossy().starts_with('.'))
                .collect();
            assert!(drafts.is_empty(), "half an apply: {drafts:?}");
        }
        let found = match fs::read_to_string(&shown) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            found => Some(found.expect("read a resource")),
        };
        if found == before {
            return Came::NotAtAll;
        }
        let found = found.expect("the resource that was there before");
        let identity = |text: &str| -> Option<String> {
            let mut lines = text.lines();
            lines
                .find(|line| line.starts_with("  uuid: "))
                .map(str::to_owned)
        };
        let own = identity(&found).expect("an identity");
        let rest = found.replacen(&format!("{own}\n"), "", 1);
        assert_eq!(rest, text, "neither as it was nor as it was to be");
        if let Some(before) = &before {
            assert_eq!(identity(before), Some(own), "another identity");
        }
        Came::Whole
    };
    (command, Box::new(judge))
}

fn document(name: &str, state: &str) -> String {
    let datasets: String = (0..DATASETS)
        .map(|n| {
            format!(
                "    - {{in_pattern: \"/{name}/in{n}/*.csv\", out_pattern: \"{state}-{n}-$0\", aggregates: [sum]}}\n"
            )
        })
        .collect();
    format!(
        "apiVersion: v1\nkind: Reduce\nname: {name}\ndesc: x\nmetadata:\n  state: {state}\nspec:\n  collections:\n  \
         - name: all\n    resolutions: [1d]\n    datasets:\n{datasets}"
    )
}
