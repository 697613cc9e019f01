//! The errors of making, opening, committing and closing a pond: one sentence each, a hint at
//! the remedy, and the exit code by which a script distinguishes them.

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
    /// The path does not exist.
    #[error("there is no pond at {}", .0.display())]
    Missing(PathBuf),
    /// The path exists and is not a pond.
    #[error("{} is not a pond: it holds no pond.toml", .0.display())]
    NotAPond(PathBuf),
    /// The path of a new pond exists already.
    #[error("cannot make a pond at {}: it exists and is not empty", .0.display())]
    Exists(PathBuf),
    /// The path of a new pond lies in the folder of another pond.
    #[error("cannot make a pond at {}: it lies in the folder of the pond {}", path.display(), pond.display())]
    Nested {
        /// The path of the new pond.
        path: PathBuf,
        /// The pond that contains it.
        pond: PathBuf,
    },
    /// `pond.toml` sets an unusable limit.
    #[error("{}: {source}", path.display())]
    Limits {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: LimitError,
    },
    /// `pond.toml` is not in the form that this program writes.
    #[error("{}: {why}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A file in the pond's folder is not of the kind that belongs there.
    #[error("{} {what}, and a pond's files are its own", path.display())]
    Leads {
        /// The file.
        path: PathBuf,
        /// Its kind.
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
        /// Size of the disk in bytes.
        size: u64,
        /// Free bytes of the disk.
        free: u64,
    },
    /// Another process writes to the pond.
    #[error("the pond at {} is in use by {holder}", path.display())]
    Locked {
        /// The pond.
        path: PathBuf,
        /// The holder of the lock.
        holder: Box<super::lock::Holder>,
    },
    /// Journal records that may have been acknowledged cannot be read.
    #[error("{0}")]
    JournalDamaged(Damage),
    /// The pond takes no more changes, for a permanent reason.
    #[error("the pond is read-only: {0}")]
    ReadOnly(String),
    /// A file or folder of the pond could not be read or written.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// The operation, as a verb.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The text is not valid as the name of a version.
    #[error("{0:?} cannot be the name of a version")]
    TagName(String),
    /// The message of a tag is too long to be stored as an attribute.
    #[error("the message of the version has {0} bytes, and at most {max} fit", max = super::history::MAX_MESSAGE)]
    TagMessage(usize),
    /// Another version has that name already.
    #[error("there is a snapshot {0} already")]
    TagTaken(String),
    /// There is no such version.
    #[error("there is no version {0}")]
    NoVersion(String),
    /// The path does not exist in the tree.
    #[error("there is nothing at {0}")]
    NoPath(String),
    /// The clock is behind, so that rules of time would apply to wrong days.
    #[error("{0}, so that rules of time could forget the wrong days")]
    ClockBehind(Behind),
    /// There is only one version.
    #[error("there is nothing to undo: no version changed anything")]
    NothingToUndo,
    /// The changes of a version are no longer known.
    #[error("what version {0} changed cannot be told from what forgotten versions changed")]
    Folded(Version),
    /// The changes of a version cannot be undone alone.
    #[error("version {0} changed what holds a path whose history was forgotten")]
    Entangled(Version),
    /// A removed file that is to be forgotten is still open.
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
    /// Wraps the system's error of an attempt to `what` (a verb) the file or folder `path`.
    pub fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PondError {
        let path = path.to_owned();
        move |source| PondError::Io {
            what,
            path: display_path(&path),
            source,
        }
    }

    /// Returns the error number for the kernel.
    pub(super) fn errno(&self) -> Errno {
        match self {
            PondError::Tree(error) => error.errno(),
            PondError::ReadOnly(_) => Errno::EROFS,
            error => FsError::errno_of(error),
        }
    }

    /// Returns the exit code of a command that fails with this error.
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

    /// Returns a short name for programs.
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

    /// Returns what the user can do.
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
                super::free_space::SMALLEST_DISK >> 20
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
    /// Converts a failure of the whole pond to the error of an operation.
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
