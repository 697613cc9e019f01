//! Errors of the tree: an errno for the caller, and what lies behind it.

use std::fmt;
use std::io;

/// A POSIX error number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

macro_rules! errnos {
    ($($name:ident)*) => {
        impl Errno {
            $(#[doc = concat!("`", stringify!($name), "`.")] pub const $name: Errno = Errno(libc::$name);)*

            /// The symbol, where this is one that the tree itself gives.
            pub fn symbol(self) -> Option<&'static str> {
                $(if self == Errno::$name { return Some(stringify!($name)); })*
                None
            }
        }
    };
}

errnos! {
    EACCES EBUSY EEXIST EFBIG EINVAL EIO EISDIR ELOOP EMLINK ENAMETOOLONG ENODATA ENOENT ENOSPC
    ENOTDIR ENOTEMPTY ENXIO EOPNOTSUPP EPERM ERANGE EROFS ESTALE EXDEV E2BIG EOVERFLOW
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.symbol() {
            Some(symbol) => f.write_str(symbol),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.0).fmt(f)
    }
}

/// Why an operation on the tree failed: by the rules of POSIX, or because the store could not be
/// read or written.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
    /// The operation is not possible; nothing is wrong with the pond.
    #[error("{0}")]
    Posix(Errno),
    /// The store failed; `errno` is what the caller gets, `cause` what the log gets.
    #[error("{cause}")]
    Store {
        /// What the caller is told.
        errno: Errno,
        /// What went wrong.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The result of an operation on the tree.
pub type FsResult<T> = Result<T, FsError>;

impl FsError {
    /// What a system call returns for this error.
    pub fn errno(&self) -> Errno {
        match self {
            FsError::Posix(errno) | FsError::Store { errno, .. } => *errno,
        }
    }

    /// A failure of the store: the caller gets the operating system's own error number where there
    /// is one that it can act on (a full disk), else `EIO`.
    pub fn store(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> FsError {
        let cause = cause.into();
        let errno = os_error(cause.as_ref()).unwrap_or(Errno::EIO);
        FsError::Store { errno, cause }
    }
}

impl From<Errno> for FsError {
    fn from(errno: Errno) -> FsError {
        FsError::Posix(errno)
    }
}

/// The first "no space", "quota" or "too many files" in a chain of causes.
fn os_error(mut cause: &(dyn std::error::Error + 'static)) -> Option<Errno> {
    loop {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            let number = io.raw_os_error();
            if let Some(n @ (libc::ENOSPC | libc::EDQUOT | libc::EMFILE | libc::ENFILE)) = number {
                return Some(Errno(n));
            }
        }
        cause = cause.source()?;
    }
}

/// An error with all that caused it, in one line.
pub fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
