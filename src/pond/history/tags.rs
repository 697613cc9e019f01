//! Tags: names that users assign to versions.
//!
//! A tag is an attribute of the pond itself ([`NodeId::POND`]), so it is durable, and present in
//! every copy of the pond. Its value is JSON. Adding or removing a tag makes a version.

use crate::pond::{Pond, PondError};
use crate::tinyfs::ops;
use crate::tinyfs::{AttrName, Attrs, FsError, FsResult, NodeId, Time, Version};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Prefix of those attributes of the pond that are not tags.
pub(in crate::pond) const OWN: &[u8] = b"=";
/// The maximum length of a tag's name in bytes.
const LONGEST: usize = 128;

/// The maximum length of a tag's message in bytes. As JSON it may take six times as many, in an
/// attribute of at most 64 KiB.
pub(in crate::pond) const MAX_MESSAGE: usize = 10 << 10;

/// A named version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The name of the tag.
    pub name: String,
    /// The version that it names.
    pub version: Version,
    /// When the tag was added.
    pub given: Time,
    /// The user's message.
    pub message: String,
}

/// The stored value of a tag.
#[derive(Serialize, Deserialize)]
struct Kept {
    version: u64,
    /// Microseconds since 1970.
    given: i64,
    #[serde(default)]
    message: String,
}

/// Returns whether `text` is valid as a tag: a letter or `_`, then letters, digits and `._-`,
/// and not one of the other forms of a version reference.
pub fn is_tag_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first
        && text.len() <= LONGEST
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && !text.starts_with("latest")
}

impl Pond {
    /// Returns the tag with this name.
    pub fn tag(&self, name: &str) -> FsResult<Option<Tag>> {
        let Ok(key) = AttrName::new(name.as_bytes()) else {
            return Ok(None);
        };
        let kept = ops::xattr(&self.index, Version::NOW, NodeId::POND, &key)?;
        kept.map(|kept| read(name, &kept)).transpose()
    }

    /// Returns all tags, sorted by name.
    pub fn tags(&self) -> FsResult<Vec<Tag>> {
        let mut found = Vec::new();
        for (name, kept) in ops::xattrs(&self.index, Version::NOW, NodeId::POND)? {
            if name.as_bytes().starts_with(OWN) {
                continue;
            }
            found.push(read(&String::from_utf8_lossy(name.as_bytes()), &kept)?);
        }
        Ok(found)
    }

    /// Names a version, or with `None` the present state. Durable when this returns.
    pub fn give_tag(
        &self,
        name: &str,
        version: Option<Version>,
        message: &str,
    ) -> Result<Tag, PondError> {
        let key = AttrName::new(name.as_bytes());
        let (Ok(key), true) = (key, is_tag_name(name)) else {
            return Err(PondError::TagName(name.to_owned()));
        };
        if message.len() > MAX_MESSAGE {
            return Err(PondError::TagMessage(message.len()));
        }
        let version = match version {
            Some(version) => version,
            None => self.sync()?,
        };
        let tag = Tag {
            name: name.to_owned(),
            version,
            given: (self.clock)(),
            message: message.to_owned(),
        };
        let kept = Kept {
            version: version.0,
            given: tag.given.micros(),
            message: tag.message.clone(),
        };
        let kept =
            serde_json::to_vec(&kept).map_err(|error| PondError::Tree(FsError::store(error)))?;
        // No version is forgotten while the log is held.
        let log = self.log.lock();
        if self.version(version).map_err(PondError::Tree)?.is_none() {
            return Err(PondError::NoVersion(version.to_string()));
        }
        let taken = self
            .change(|tx| {
                let key = (NodeId::POND, key);
                if tx.get::<Attrs>(&key)?.is_some() {
                    return Ok(true);
                }
                tx.put::<Attrs>(key, Bytes::from(kept));
                Ok(false)
            })
            .map_err(PondError::Tree)?;
        drop(log);
        match taken {
            true => Err(PondError::TagTaken(name.to_owned())),
            false => self.sync().map(|_| tag),
        }
    }

    /// Removes a tag; the version stays. Returns whether the tag existed.
    pub fn take_tag(&self, name: &str) -> Result<bool, PondError> {
        let Ok(key) = AttrName::new(name.as_bytes()) else {
            return Ok(false);
        };
        let there = self
            .change(|tx| {
                let key = (NodeId::POND, key);
                let there = tx.get::<Attrs>(&key)?.is_some();
                if there {
                    tx.remove::<Attrs>(key);
                }
                Ok(there)
            })
            .map_err(PondError::Tree)?;
        if there {
            self.sync()?;
        }
        Ok(there)
    }
}

/// Parses a stored tag. The map may come from elsewhere: a name with a slash in it would be
/// listed.
fn read(name: &str, kept: &[u8]) -> FsResult<Tag> {
    if !is_tag_name(name) {
        return Err(FsError::store(PondError::TagName(name.to_owned())));
    }
    let kept: Kept = serde_json::from_slice(kept).map_err(FsError::store)?;
    Ok(Tag {
        name: name.to_owned(),
        version: Version(kept.version),
        given: Time::from_micros(kept.given),
        message: kept.message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_tag_can_be_called() {
        for fine in ["a", "_x", "v1.0-rc_2", "Before"] {
            assert!(is_tag_name(fine), "{fine}");
        }
        for wrong in [
            "",
            "1a",
            "latest",
            "latest-x",
            "a/b",
            "a b",
            "ä",
            ".x",
            &"x".repeat(129),
        ] {
            assert!(!is_tag_name(wrong), "{wrong}");
        }
    }
}
