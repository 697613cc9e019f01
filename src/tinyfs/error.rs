//! Errors of tree operations: an errno for the caller, and the cause for the log.

use std::fmt;
use std::io;

/// A POSIX error number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

macro_rules! errnos {
    ($($name:ident)*) => {
        impl Errno {
            $(#[doc = concat!("`", stringify!($name), "`.")] pub const $name: Errno = Errno(libc::$name);)*

            /// Returns the symbol, such as `ENOENT`, of a number that the tree itself uses.
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

/// Why an operation on the tree failed: by the rules of POSIX, or because the store failed.
#[derive(Debug, thiserror::Error)]
pub enum FsError {
    /// POSIX refuses the operation; the pond is sound.
    #[error("{0}")]
    Posix(Errno),
    /// The store could not be read or written. The caller gets `errno`, the log gets `cause`.
    #[error("{cause}")]
    Store {
        /// Error number for the caller.
        errno: Errno,
        /// Cause for the log.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The result of an operation on the tree.
pub type FsResult<T> = Result<T, FsError>;

impl FsError {
    /// Returns the error number for the system call.
    pub fn errno(&self) -> Errno {
        match self {
            FsError::Posix(errno) | FsError::Store { errno, .. } => *errno,
        }
    }

    /// Wraps a failure of the store. The caller gets `ENOSPC`, `EDQUOT`, `EMFILE` or `ENFILE` if
    /// that is the cause, otherwise `EIO`.
    pub fn store(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> FsError {
        let cause = cause.into();
        let errno = os_error(cause.as_ref()).unwrap_or(Errno::EIO);
        FsError::Store { errno, cause }
    }
}

impl FsError {
    /// Returns the error number that the caller gets for a failure of the store.
    pub fn errno_of(cause: &(dyn std::error::Error + 'static)) -> Errno {
        os_error(cause).unwrap_or(Errno::EIO)
    }
}

impl From<Errno> for FsError {
    fn from(errno: Errno) -> FsError {
        FsError::Posix(errno)
    }
}

/// Returns the first `ENOSPC`, `EDQUOT`, `EMFILE` or `ENFILE` in a chain of causes.
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

/// Returns an error and its causes in one line.
pub fn describe(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
