//! Making a pond, and opening one: after a clean end, after a crash, and without an index.

use super::commit::{Committer, Log};
use super::flush::Flusher;
use super::fsync::Group;
use super::identity::Identity;
use super::lock::Lock;
use super::room::Room;
use super::{Health, Pins, Pond, PondError};
use crate::content::Content;
use crate::index::{Index, IndexError, VersionInfo};
use crate::oplog::{Opened, Oplog};
use crate::tinyfs::{Changes, Kind, Node, NodeId, Nodes, Time, Version};
use parking_lot::Mutex;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

const OPLOG: &str = "oplog";
const SEGMENTS: &str = "segments";
const INDEX: &str = "index";
const CACHE: &str = "cache";

/// How to open a pond.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Take no changes.
    pub read_only: bool,
    /// How long after the first change a version is made, at the latest in a busy pond.
    pub commit_interval: Duration,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            read_only: false,
            commit_interval: Duration::from_secs(5),
        }
    }
}

impl Pond {
    /// Makes a pond in the folder `path`, which is missing or empty. It is one when this returns,
    /// and nothing is left when it fails.
    pub fn init(path: &Path) -> Result<(), PondError> {
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
            // Who may read the pond's files may read all that is in it, whatever the modes of the
            // files in the tree; so nobody but the owner may.
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(PondError::io("make the folder", path))?;
        }
        let filled = fill(path);
        if filled.is_err() {
            for name in [OPLOG, SEGMENTS, INDEX, CACHE] {
                fs::remove_dir_all(path.join(name)).ok();
            }
            if made {
                fs::remove_dir(path).ok();
            }
        }
        filled
    }

    /// Opens the pond at `path`, as its one writer.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Arc<Pond>, PondError> {
        let path = match path.canonicalize() {
            Ok(path) => path,
            Err(_) => {
                return Err(Identity::read(path)
                    .err()
                    .unwrap_or(PondError::Missing(path.to_owned())));
            }
        };
        let identity = Identity::read(&path)?;
        let lock = Lock::take(&path)?;
        let index = open_index(&path.join(INDEX), identity.id)?;
        let applied = index.applied()?;
        let opened = Oplog::open(
            &path.join(OPLOG),
            identity.id,
            applied.unwrap_or(Version(0)),
        )?;
        catch_up(&index, applied, &opened)?;
        index.recover(opened.generation)?;
        let latest = index.latest()?.ok_or_else(|| PondError::Identity {
            path: path.join(OPLOG),
            why: "it holds no version".into(),
        })?;
        let segments = path.join(SEGMENTS);
        fs::create_dir_all(&segments).map_err(PondError::io("make the folder", &segments))?;
        let content = Content::open(&segments)?;
        let health = Health::default();
        if options.read_only {
            health.read_only("it was opened read-only");
        }
        let pond = Arc::new(Pond {
            id: identity.id,
            index,
            content,
            log: Mutex::new(Log::new(opened.oplog)),
            latest: Mutex::new(latest),
            changing: Mutex::default(),
            pins: Pins::default(),
            room: Room::new(&path),
            health,
            flusher: Flusher::default(),
            group: Group::default(),
            committer: Arc::new(Committer::new(options.commit_interval)),
            threads: Mutex::default(),
            lock: Mutex::new(Some(lock)),
            path,
        });
        pond.start_threads()?;
        if !options.read_only && pond.index.dirty().entries > 0 {
            pond.committer.changed();
        }
        Ok(pond)
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
        ];
        self.threads.lock().extend(threads);
        Ok(())
    }
}

/// Puts everything in the folder of a new pond; its identity last.
fn fill(path: &Path) -> Result<(), PondError> {
    for name in [SEGMENTS, CACHE] {
        let dir = path.join(name);
        fs::create_dir(&dir).map_err(PondError::io("make the folder", &dir))?;
    }
    let now = Time::from(SystemTime::now());
    let identity = Identity::new();
    Oplog::create(&path.join(OPLOG), identity.id, now, &birth(now))?;
    identity.write(path)?;
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    fs::File::open(parent)
        .and_then(|parent| parent.sync_all())
        .map_err(PondError::io("sync", parent))
}

/// The tree of version 0: an empty root directory that belongs to who made the pond.
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

/// Opens the index, or starts a new one where it is of another pond or format. What a lost index
/// held beyond the oplog is lost with it; where it only cannot be read, that is for the user to decide.
fn open_index(dir: &Path, id: Uuid) -> Result<Index, PondError> {
    match Index::open(dir, id) {
        Err(IndexError::Foreign) => {
            tracing::warn!("the index is of another pond or format; it is rebuilt from the oplog");
            fs::remove_dir_all(dir).map_err(PondError::io("remove", dir))?;
            Ok(Index::open(dir, id)?)
        }
        opened => Ok(opened?),
    }
}

/// Applies what the oplog holds and the index does not.
fn catch_up(index: &Index, applied: Option<Version>, opened: &Opened) -> Result<(), PondError> {
    for version in &opened.set_aside {
        tracing::warn!("version {version} was never finished, and is set aside");
    }
    if applied == Some(opened.latest) {
        return Ok(());
    }
    opened.oplog.replay(applied, &mut |commit, changes| {
        let info = VersionInfo {
            version: commit.version,
            committed: commit.committed,
            changes: changes.len() as u64,
        };
        Ok::<(), PondError>(index.replay(&info, &changes)?)
    })
}
