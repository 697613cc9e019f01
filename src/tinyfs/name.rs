//! Names of directory entries and extended attributes: bytes, as in POSIX.

use std::borrow::Borrow;
use std::fmt;

/// The longest name of a directory entry or an extended attribute, in bytes (`NAME_MAX`).
pub const MAX_NAME: usize = 255;

/// The name of a directory entry: 1 to 255 bytes without `/` and NUL, not `.` or `..`. Ordered by
/// bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

/// The name of an extended attribute: 1 to 255 bytes without NUL. Ordered by bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttrName(Box<[u8]>);

/// Why bytes are not a [`Name`] or an [`AttrName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name has no bytes.
    #[error("a name cannot be empty")]
    Empty,
    /// The name is longer than [`MAX_NAME`].
    #[error("a name has at most 255 bytes")]
    TooLong,
    /// The name of an entry holds `/` or NUL, or is `.` or `..`; or that of an attribute holds NUL.
    #[error("a name cannot hold `/` or NUL, nor be `.` or `..`")]
    Reserved,
}

/// Copies `bytes` if there are 1 to [`MAX_NAME`] of them.
fn of_length(bytes: &[u8]) -> Result<Box<[u8]>, NameError> {
    match bytes.len() {
        0 => Err(NameError::Empty),
        1..=MAX_NAME => Ok(bytes.into()),
        _ => Err(NameError::TooLong),
    }
}

impl Name {
    /// Checks `bytes` and copies them.
    pub fn new(bytes: &[u8]) -> Result<Name, NameError> {
        let name = of_length(bytes)?;
        match bytes {
            b"." | b".." => Err(NameError::Reserved),
            _ if bytes.iter().any(|b| matches!(b, b'/' | 0)) => Err(NameError::Reserved),
            _ => Ok(Name(name)),
        }
    }

    /// Returns a value before every name, itself not valid: the lower bound of a directory's
    /// entries.
    pub fn lowest() -> Name {
        Name([].into())
    }

    /// Returns the bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl AttrName {
    /// Checks `bytes` and copies them.
    pub fn new(bytes: &[u8]) -> Result<AttrName, NameError> {
        let name = of_length(bytes)?;
        match bytes.contains(&0) {
            true => Err(NameError::Reserved),
            false => Ok(AttrName(name)),
        }
    }

    /// Returns a value before every name, itself not valid: the lower bound of a node's attributes.
    pub fn lowest() -> AttrName {
        AttrName([].into())
    }

    /// Returns the bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// Formats names with every byte outside printable ASCII escaped.
macro_rules! show {
    ($($name:ty)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.escape_ascii().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{self}\"")
            }
        }
    )*};
}

show!(Name AttrName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_attribute_names_are_refused() {
        assert_eq!(AttrName::new(b""), Err(NameError::Empty));
        assert_eq!(AttrName::new(&[b'x'; 256]), Err(NameError::TooLong));
        assert_eq!(AttrName::new(b"user.a\0"), Err(NameError::Reserved));
        for fine in [&b"user.a/b"[..], b"..", b"user.\xff"] {
            assert_eq!(AttrName::new(fine).map(|n| n.as_bytes() == fine), Ok(true));
        }
    }

    #[test]
    fn invalid_entry_names_are_refused() {
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
