//! Making a pond, and opening one: after a clean close, after a crash, and without an index.

use super::clock::Leaps;
use super::commit::{Committer, Log, replay};
use super::flush::Flusher;
use super::free_space::{FreeSpace, must_hold_a_pond};
use super::fsync::GroupCommit;
use super::gate::ChangeGate;
use super::history::Timeline;
use super::housekeeping::Keeper;
use super::identity::Identity;
use super::lock::Lock;
use super::saves::Saves;
use super::scrub::Scrubber;
use super::spill::Spiller;
use super::tails::Tails;
use super::{Health, Pins, Pond, PondError};
use crate::content::Content;
use crate::disk::{AnchoredDir, AnchoredDisk, Disk, LocalDisk, make_dirs};
use crate::index::{Damage, Index, IndexError, Journal};
use crate::limits::Limits;
use crate::oplog::{Opened, Oplog};
use crate::tinyfs::{Changes, FsError, Kind, Node, NodeId, Nodes, Store, Time, Version, describe};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant, SystemTime};
use uuid::Uuid;

pub(super) const OPLOG: &str = "oplog";
const SEGMENTS: &str = "segments";
pub(super) const INDEX: &str = "index";
const JOURNAL: &str = "journal";
/// A file in the index that marks it as damaged.
pub(super) const REBUILD: &str = "REBUILD";
const CACHE: &str = "cache";

/// How to open a pond.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The pond takes no changes.
    pub read_only: bool,
    /// The delay from the first change to the next version, at most, in a busy pond.
    pub commit_interval: Duration,
    /// Whether `fsync` makes a version.
    pub commit_on_sync: bool,
    /// The reaction to a damaged journal.
    pub damaged_journal: Damaged,
}

/// The progress of the index in applying the oplog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The last version that was applied.
    pub version: u64,
    /// The last version that will be applied.
    pub of: u64,
    /// Records applied since the start.
    pub records: u64,
}

/// The reaction to damage in records that may have been acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Damaged {
    /// The pond is not opened.
    #[default]
    Refuse,
    /// The pond is opened with the records before the damage. For readers only.
    Tell,
    /// Like [`Damaged::Tell`], and the damaged files are renamed.
    SetAside,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            read_only: false,
            commit_interval: Duration::from_secs(5),
            commit_on_sync: false,
            damaged_journal: Damaged::Refuse,
        }
    }
}

impl Pond {
    /// Makes a pond in the folder `path`, which is missing or empty. The pond is complete when this
    /// returns; a failure leaves nothing behind.
    pub fn init(path: &Path) -> Result<(), PondError> {
        if let Some(pond) = pond_around(path) {
            let path = path.to_owned();
            return Err(PondError::Nested { path, pond });
        }
        let made = match path.read_dir().map(|mut entries| entries.next().is_none()) {
            Ok(true) => false,
            Ok(false) => return Err(PondError::Exists(path.to_owned())),
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
                return Err(PondError::Exists(path.to_owned()));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => true,
            Err(e) => return Err(PondError::io("make a pond in", path)(e)),
        };
        if made {
            // Read access to the pond's files is read access to the whole tree, whatever its modes,
            // so only the owner has it.
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(PondError::io("make the folder", path))?;
        }
        let filled = fill(path);
        if filled.is_err() {
            for name in [OPLOG, SEGMENTS, JOURNAL, INDEX, CACHE] {
                fs::remove_dir_all(path.join(name)).ok();
            }
            if made {
                fs::remove_dir(path).ok();
            }
        }
        filled
    }

    /// Opens the pond at `path` as its only writer.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Arc<Pond>, PondError> {
        Pond::open_telling(path, options, &mut |_| ())
    }

    /// Like [`Pond::open`]; `tell` receives the progress while the index is behind the oplog.
    pub fn open_telling(
        path: &Path,
        options: &OpenOptions,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<Arc<Pond>, PondError> {
        let path = match path.canonicalize() {
            Ok(path) => path,
            Err(_) => {
                return Err(Identity::read(path)
                    .err()
                    .unwrap_or(PondError::Missing(path.to_owned())));
            }
        };
        let folder = match AnchoredDir::open(&path) {
            Ok(folder) => Arc::new(folder),
            Err(e) => {
                let said = Identity::read(&path).err();
                return Err(said.unwrap_or_else(|| PondError::io("open", &path)(e)));
            }
        };
        let identity = Identity::read(&folder.access_path(&path))?;
        let limits = identity.limits(&path)?;
        let lock = Lock::take(&folder)?;
        let ground = Ground {
            disk: Arc::new(AnchoredDisk(folder.clone())),
            clock: || Time::from(SystemTime::now()),
            index: folder.access_path(&path.join(INDEX)),
            limits,
            path,
            folder: Some(folder),
        };
        let pond = Arc::new(Pond::on(ground, identity.id, Some(lock), options, tell)?);
        pond.note_clock();
        pond.start_threads()?;
        if !options.read_only && pond.index.dirty().entries > 0 {
            pond.committer.changed();
        }
        Ok(pond)
    }

    /// Opens the pond on `ground`. Its threads are not started.
    pub(super) fn on(
        ground: Ground,
        id: Uuid,
        lock: Option<Lock>,
        options: &OpenOptions,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<Pond, PondError> {
        let Ground {
            disk,
            clock,
            index,
            limits,
            path,
            folder,
        } = ground;
        let journal = || Journal::open(disk.clone(), &path.join(JOURNAL), id);
        let index = open_index(&index, id, &limits, journal)?;
        let opened = Oplog::open(&disk, &path.join(OPLOG), id, index.known()?)?;
        catch_up(&index, &opened, tell)?;
        let damage = index.recover(opened.generation)?;
        let latest = index.latest()?.ok_or_else(|| PondError::Identity {
            path: path.join(OPLOG),
            why: "it holds no version".into(),
        })?;
        let set_aside = see_to(damage.as_ref(), &index, latest.version, options)?;
        let segments = path.join(SEGMENTS);
        make_dirs(disk.as_ref(), &segments).map_err(PondError::io("make the folder", &segments))?;
        let content = Content::open(disk.clone(), &segments, &limits)?;
        index.set_inline_max(content.inline_max());
        let health = Health::default();
        if options.read_only {
            health.read_only("it was opened read-only");
        }
        Ok(Pond {
            id,
            limits,
            index,
            content,
            log: Mutex::new(Log::new(opened.oplog)),
            latest: Mutex::new(latest),
            changing: Mutex::default(),
            preparing: Mutex::default(),
            pins: Pins::default(),
            free_space: FreeSpace::new(disk, &path),
            clock,
            leaps: Leaps::since(latest.clock, Instant::now()),
            told_behind: AtomicBool::new(false),
            timeline: Mutex::new(Timeline::default()),
            health,
            saves: Saves::default(),
            flusher: Flusher::default(),
            spiller: Spiller::default(),
            tails: Tails::default(),
            group_commit: GroupCommit::default(),
            scrubber: Scrubber::default(),
            keeper: Keeper::default(),
            rewrites: AtomicU64::new(0),
            forgotten: Mutex::default(),
            committer: Arc::new(Committer::new(options.commit_interval)),
            commit_on_sync: options.commit_on_sync,
            damage: damage.filter(|_| set_aside.is_empty()),
            set_aside,
            gate: ChangeGate::default(),
            watcher: Mutex::default(),
            late: RwLock::default(),
            on_change: RwLock::default(),
            threads: Mutex::default(),
            lock: Mutex::new(lock),
            closed: AtomicBool::new(false),
            path,
            folder,
        })
    }

    fn start_threads(self: &Arc<Self>) -> Result<(), PondError> {
        let spawn = |name: &str, run: fn(&Pond)| {
            let pond = self.clone();
            std::thread::Builder::new()
                .name(name.into())
                .spawn(move || run(&pond))
                .map_err(PondError::io("start a thread for", &self.path))
        };
        let threads = [
            spawn("pond-commit", Pond::commit_until_stopped)?,
            spawn("pond-spill", Pond::spill_until_stopped)?,
            spawn("pond-flush", Pond::flush_until_stopped)?,
            spawn("pond-keep", Pond::keep_until_stopped)?,
        ];
        self.threads.lock().extend(threads);
        Ok(())
    }
}

/// The environment of a pond.
pub(super) struct Ground {
    /// The file system of everything but the index.
    pub(super) disk: Arc<dyn Disk>,
    /// Returns the current time.
    pub(super) clock: fn() -> Time,
    /// The folder of the index, on the file system of this machine.
    pub(super) index: PathBuf,
    pub(super) limits: Limits,
    /// The path of the pond's folder when it was opened.
    pub(super) path: PathBuf,
    /// The folder, held open; `None` on a simulated disk.
    pub(super) folder: Option<Arc<AnchoredDir>>,
}

/// Returns the pond whose folder contains `path`, which need not exist.
fn pond_around(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let parents = || path.ancestors().skip(1);
    let there = parents().find_map(|parent| parent.canonicalize().ok())?;
    let is_pond = |folder: &&Path| {
        folder.join("pond.toml").is_file() && folder.join(OPLOG).symlink_metadata().is_ok()
    };
    there.ancestors().find(is_pond).map(Path::to_owned)
}

/// Writes the files of a new pond into its folder, the identity last.
fn fill(path: &Path) -> Result<(), PondError> {
    let cache = path.join(CACHE);
    fs::create_dir(&cache).map_err(PondError::io("make the folder", &cache))?;
    must_hold_a_pond(&LocalDisk, path)?;
    let identity = Identity::new();
    let now = Time::from(SystemTime::now());
    make(
        &(Arc::new(LocalDisk) as Arc<dyn Disk>),
        path,
        identity.id,
        now,
    )?;
    identity.write(path)?;
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    fs::File::open(parent)
        .and_then(|parent| parent.sync_all())
        .map_err(PondError::io("sync", parent))
}

/// Creates the stores that hold the tree of a new pond.
pub(super) fn make(
    disk: &Arc<dyn Disk>,
    path: &Path,
    id: Uuid,
    now: Time,
) -> Result<(), PondError> {
    for name in [SEGMENTS, JOURNAL] {
        let dir = path.join(name);
        make_dirs(disk.as_ref(), &dir).map_err(PondError::io("make the folder", &dir))?;
    }
    Ok(Oplog::create(
        disk,
        &path.join(OPLOG),
        id,
        now,
        &birth(now),
    )?)
}

/// Returns the tree of version 0: an empty root directory owned by the calling user.
fn birth(now: Time) -> Changes {
    let root = Node {
        kind: Kind::Directory,
        mode: 0o755,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        nlink: 2,
        size: 0,
        allocated: 0,
        atime: now,
        mtime: now,
        ctime: now,
        btime: now,
        rdev: 0,
        content: None,
        target: [].into(),
        parent: Some(NodeId::ROOT),
    };
    let mut changes = Changes::default();
    changes.set::<Nodes>(NodeId::ROOT, Some(root));
    changes
}

/// Opens the index, or starts a new one where it is damaged, or of another pond or format: no
/// data is lost by that. Any other read error is returned, for the user to resolve.
fn open_index(
    dir: &Path,
    id: Uuid,
    limits: &Limits,
    journal: impl Fn() -> Result<Journal, IndexError>,
) -> Result<Index, PondError> {
    let opened = match dir.join(REBUILD).exists() {
        true => Err(IndexError::Damaged(
            "it was found to be when it was last used",
        )),
        // The first queries are tried here: an index that fails them must not be mounted.
        false => Index::open(dir, id, journal()?, limits).and_then(|index| {
            index.latest()?;
            match index.get::<Nodes>(Version::NOW, &NodeId::ROOT) {
                Err(FsError::Store { cause, .. }) => Err(*cause
                    .downcast::<IndexError>()
                    .unwrap_or(Box::new(IndexError::Damaged("its root cannot be read")))),
                _ => Ok(index),
            }
        }),
    };
    match opened {
        Err(error) if error.is_damage() => {
            tracing::warn!("the index is rebuilt from the oplog: {}", describe(&error));
            fs::remove_dir_all(dir).map_err(PondError::io("remove", dir))?;
            Ok(Index::open(dir, id, journal()?, limits)?)
        }
        opened => Ok(opened?),
    }
}

/// Applies the versions that the oplog has and the index does not.
fn catch_up(
    index: &Index,
    opened: &Opened,
    tell: &mut dyn FnMut(Progress),
) -> Result<(), PondError> {
    for version in &opened.set_aside {
        tracing::warn!("version {version} was never finished, and is set aside");
    }
    let applied = index.applied()?;
    if applied == Some(opened.latest) {
        return Ok(());
    }
    let mut progress = Progress {
        version: applied.map_or(0, |version| version.0),
        of: opened.latest.0,
        records: 0,
    };
    let mut catching = index.catch_up();
    replay(&opened.oplog, applied, &mut |info, changes| {
        catching.take(info, changes)?;
        progress.version = info.version.0;
        progress.records += info.changes;
        tell(progress);
        Ok::<_, IndexError>(())
    })?;
    Ok(catching.finish()?)
}

/// Reacts to a damaged journal as `options` say. Returns the new names of its files.
fn see_to(
    damage: Option<&Damage>,
    index: &Index,
    latest: Version,
    options: &OpenOptions,
) -> Result<Vec<PathBuf>, PondError> {
    match (damage, options.damaged_journal) {
        (None, _) => Ok(Vec::new()),
        (Some(damage), Damaged::Refuse) => Err(PondError::JournalDamaged(damage.clone())),
        (Some(_), Damaged::Tell) => Ok(Vec::new()),
        (Some(damage), Damaged::SetAside) => Ok(index.set_aside(damage, latest)?),
    }
}
