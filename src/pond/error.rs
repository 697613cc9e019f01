//! Why a pond could not be made, opened, committed or closed: one sentence each, what to do about it,
//! and the exit code that tells a script which it was.

use super::clock::Behind;
use crate::content::ContentError;
use crate::disk::display_path;
use crate::index::{Damage, IndexError};
use crate::limits::LimitError;
use crate::oplog::OplogError;
use crate::tinyfs::{Errno, FsError, Version};
use std::io;
use std::path::{Path, PathBuf};

/// A failure of a whole pond. Failures of single operations are
/// [`FsError`](crate::tinyfs::FsError)s.
#[derive(Debug, thiserror::Error)]
pub enum PondError {
    /// There is nothing at the path.
    #[error("there is no pond at {}", .0.display())]
    Missing(PathBuf),
    /// There is something at the path, and it is not a pond.
    #[error("{} is not a pond: it holds no pond.toml", .0.display())]
    NotAPond(PathBuf),
    /// A pond was to be made where something is already.
    #[error("cannot make a pond at {}: it exists and is not empty", .0.display())]
    Exists(PathBuf),
    /// A pond was to be made in the folder of another.
    #[error("cannot make a pond at {}: it lies in the folder of the pond {}", path.display(), pond.display())]
    Nested {
        /// Where it was to be made.
        path: PathBuf,
        /// The pond around it.
        pond: PathBuf,
    },
    /// `pond.toml` sets a limit that cannot be used.
    #[error("{}: {source}", path.display())]
    Limits {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: LimitError,
    },
    /// `pond.toml` is not what this program writes.
    #[error("{}: {why}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// What stands in the pond's folder is not of the kind that belongs there.
    #[error("{} {what}, and a pond's files are its own", path.display())]
    Leads {
        /// What stands there.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The pond was written by a newer program.
    #[error(
        "the pond at {} has format {found}, which is newer than this program knows ({known})",
        path.display()
    )]
    Newer {
        /// The pond.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The disk is too small or too full for a new pond.
    #[error(
        "the disk of {} has {size} bytes, of which {free} are free: too little for a pond",
        path.display()
    )]
    SmallDisk {
        /// The folder of the pond.
        path: PathBuf,
        /// Bytes of the disk.
        size: u64,
        /// Of them, free.
        free: u64,
    },
    /// Somebody else writes to the pond.
    #[error("the pond at {} is in use by {holder}", path.display())]
    Locked {
        /// The pond.
        path: PathBuf,
        /// Who holds the lock.
        holder: Box<super::lock::Holder>,
    },
    /// What may have been promised cannot be read.
    #[error("{0}")]
    JournalDamaged(Damage),
    /// The pond takes no changes any more, for a reason that stands.
    #[error("the pond is read-only: {0}")]
    ReadOnly(String),
    /// A file or folder of the pond could not be read or written.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No version can have that name.
    #[error("{0:?} cannot be the name of a version")]
    TagName(String),
    /// The message of a tag is too long to be stored as an attribute.
    #[error("the message of the version has {0} bytes, and at most {max} fit", max = super::history::MAX_MESSAGE)]
    TagMessage(usize),
    /// Another version has that name.
    #[error("there is a snapshot {0} already")]
    TagTaken(String),
    /// There is no such version.
    #[error("there is no version {0}")]
    NoVersion(String),
    /// There is nothing at a path.
    #[error("there is nothing at {0}")]
    NoPath(String),
    /// The clock is behind, so that rules of time would go by wrong days.
    #[error("{0}, so that rules of time could forget the wrong days")]
    ClockBehind(Behind),
    /// There is only one version.
    #[error("there is nothing to undo: no version changed anything")]
    NothingToUndo,
    /// What a version changed is not known any more.
    #[error("what version {0} changed cannot be told from what forgotten versions changed")]
    Folded(Version),
    /// What a version changed cannot be taken back alone.
    #[error("version {0} changed what holds a path whose history was forgotten")]
    Entangled(Version),
    /// A removed file that is to be forgotten is open.
    #[error("a removed file that was at {0} is still open")]
    StillOpen(String),
    /// An operation on the tree failed.
    #[error("{0}")]
    Tree(#[source] FsError),
    /// The operation log failed.
    #[error("the operation log of the pond failed")]
    Oplog(#[from] OplogError),
    /// The index failed.
    #[error("the index of the pond failed")]
    Index(#[from] IndexError),
    /// The segments failed.
    #[error("the segments of the pond failed")]
    Content(#[from] ContentError),
}

impl PondError {
    /// Wraps what the system said to an attempt to `what` (a verb) the file or folder `path`.
    pub fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PondError {
        let path = path.to_owned();
        move |source| PondError::Io {
            what,
            path: display_path(&path),
            source,
        }
    }

    /// What the kernel is told of it.
    pub(super) fn errno(&self) -> Errno {
        match self {
            PondError::Tree(error) => error.errno(),
            PondError::ReadOnly(_) => Errno::EROFS,
            error => FsError::errno_of(error),
        }
    }

    /// The exit code of a command that fails with this.
    pub fn exit_code(&self) -> u8 {
        match self {
            PondError::Missing(_) | PondError::NotAPond(_) => 10,
            PondError::Locked { .. } => 11,
            PondError::NoVersion(_)
            | PondError::NoPath(_)
            | PondError::NothingToUndo
            | PondError::Folded(_)
            | PondError::Entangled(_) => 13,
            PondError::Identity { .. } | PondError::Leads { .. } | PondError::JournalDamaged(_) => {
                4
            }
            PondError::Oplog(error) if error.is_damage() => 4,
            PondError::Index(error) if error.is_damage() => 4,
            _ => 1,
        }
    }

    /// A short name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            PondError::Missing(_) => "no_pond",
            PondError::NotAPond(_) => "not_a_pond",
            PondError::Exists(_) => "exists",
            PondError::Nested { .. } => "inside_a_pond",
            PondError::Identity { .. } => "bad_identity",
            PondError::Limits { .. } => "bad_limit",
            PondError::Leads { .. } => "leads_out",
            PondError::Newer { .. } => "newer_format",
            PondError::SmallDisk { .. } => "small_disk",
            PondError::Locked { .. } => "locked",
            PondError::JournalDamaged(_) => "journal_damaged",
            PondError::ReadOnly(_) => "read_only",
            PondError::Io { .. } => "io",
            PondError::TagName(_) => "bad_name",
            PondError::TagMessage(_) => "too_long",
            PondError::TagTaken(_) => "exists",
            PondError::NoVersion(_) => "no_version",
            PondError::NoPath(_) => "no_path",
            PondError::ClockBehind(_) => "clock_behind",
            PondError::NothingToUndo => "no_version",
            PondError::Folded(_) | PondError::Entangled(_) => "forgotten",
            PondError::StillOpen(_) => "still_open",
            PondError::Tree(_) => "tree",
            PondError::Oplog(_) => "oplog",
            PondError::Index(_) => "index",
            PondError::Content(_) => "content",
        }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            PondError::Missing(path) => format!(
                "`pondmount init {0}` makes one, and so does `pondmount mount --create {0} MOUNTPOINT`",
                path.display()
            ),
            PondError::NotAPond(_) => "a pond is a folder with a pond.toml; check the path".into(),
            PondError::Nested { .. } => {
                "a pond's folder is its own: give a path outside of it".into()
            }
            PondError::Exists(_) => "give a path where nothing is yet, or an empty folder".into(),
            PondError::Leads { .. } => {
                "put the file or folder itself in its place; a pond may lie below a link as a whole"
                    .into()
            }
            PondError::SmallDisk { .. } => format!(
                "a pond needs a disk of at least {} MiB, of which an eighth (at most 32 MiB) is kept free",
                super::room::SMALLEST_DISK >> 20
            ),
            PondError::Newer { .. } => "install a newer pondmount; nothing was changed".into(),
            PondError::Locked { holder, .. } => match &holder.mountpoint {
                Some(at) => format!(
                    "it is mounted at {0}: `pondmount umount {0}` lets it go",
                    at.display()
                ),
                None => "wait until that process ends".into(),
            },
            PondError::JournalDamaged(_) => {
                "`pondmount check --repair` keeps what stands before that, and sets the rest aside"
                    .into()
            }
            PondError::Limits { .. } => "correct the table [limits] in that file".into(),
            PondError::Identity { .. } => {
                "put pond.toml back as it was; nothing was changed".into()
            }
            PondError::NoVersion(_) => {
                "`pondmount log` lists the versions, and `pondmount snapshot list` those with names".into()
            }
            PondError::ClockBehind(_) => {
                "set the clock; if it is right, and was ahead when that version was made, run this again with \
                 --trust-clock; --keep-last and --keep-tag need no clock".into()
            }
            PondError::Folded(_) | PondError::Entangled(_) => {
                "`pondmount restore PATH --at VERSION` brings back what a version that is kept shows".into()
            }
            PondError::StillOpen(_) => {
                "end the programs that have it open (`lsof +L1` lists them), and forget it then".into()
            }
            PondError::TagName(_) => {
                "a name begins with a letter or `_` and has letters, digits, `.`, `_` and `-`; `latest` means something already".into()
            }
            PondError::TagTaken(name) => format!("`pondmount snapshot delete {name}` takes the name back"),
            PondError::Oplog(error) => return error.hint().map(Into::into),
            PondError::Index(error) if error.is_damage() => {
                "`pondmount check --repair` makes the index anew from the operation log".into()
            }
            _ => return None,
        })
    }
}

impl From<PondError> for FsError {
    /// What the kernel is told of a failure of the whole pond.
    fn from(error: PondError) -> FsError {
        match error {
            PondError::Tree(error) => error,
            PondError::TagName(_) | PondError::TagMessage(_) => Errno::EINVAL.into(),
            PondError::TagTaken(_) => Errno::EEXIST.into(),
            PondError::ReadOnly(_) => Errno::EROFS.into(),
            error => FsError::store(error),
        }
    }
}
