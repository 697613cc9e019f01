//! Names of directory entries and extended attributes: bytes, as in POSIX.

use std::borrow::Borrow;
use std::fmt;

/// The longest name of a directory entry or an extended attribute, in bytes (`NAME_MAX`).
pub const MAX_NAME: usize = 255;

/// A name of 1 to 255 bytes without `/` and NUL, neither `.` nor `..`. Ordered by bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

/// Why bytes are not a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name has no bytes.
    #[error("a name cannot be empty")]
    Empty,
    /// The name is longer than [`MAX_NAME`].
    #[error("a name has at most 255 bytes")]
    TooLong,
    /// The name holds `/` or NUL, or is `.` or `..`.
    #[error("a name cannot hold `/` or NUL, nor be `.` or `..`")]
    Reserved,
}

impl Name {
    /// Checks `bytes` and copies them.
    pub fn new(bytes: &[u8]) -> Result<Name, NameError> {
        match bytes {
            b"" => Err(NameError::Empty),
            _ if bytes.len() > MAX_NAME => Err(NameError::TooLong),
            b"." | b".." => Err(NameError::Reserved),
            _ if bytes.iter().any(|b| matches!(b, b'/' | 0)) => Err(NameError::Reserved),
            _ => Ok(Name(bytes.into())),
        }
    }

    /// Sorts before every name and is none itself: the lower bound of a directory's entries.
    pub fn lowest() -> Name {
        Name([].into())
    }

    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl fmt::Display for Name {
    /// The name with every byte outside printable ASCII escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_a_directory_cannot_hold() {
        assert_eq!(Name::new(b""), Err(NameError::Empty));
        assert_eq!(Name::new(&[b'x'; 256]), Err(NameError::TooLong));
        for reserved in [&b"."[..], b"..", b"a/b", b"a\0"] {
            assert_eq!(Name::new(reserved), Err(NameError::Reserved));
        }
        for fine in [&b"..."[..], b"\xff\x01\n", &[b'x'; 255]] {
            assert_eq!(
                Name::new(fine).map(|n| n.as_bytes().to_vec()),
                Ok(fine.to_vec())
            );
        }
    }
}
