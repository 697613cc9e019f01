//! `pond.toml`: the identity of a pond, read before anything else in it.

use super::{Policy, Pond, PondError, shape};
use crate::disk::display_path;
use crate::limits::Limits;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use uuid::Uuid;

/// The newest format of a pond that this program reads and writes.
pub const FORMAT: u32 = 1;
/// The most bytes of the file that are read.
const MAX_LENGTH: u64 = 64 << 10;

impl Pond {
    /// Returns the unique id of the pond at `pond`, without opening it.
    pub fn id_at(pond: &Path) -> Result<Uuid, PondError> {
        Ok(Identity::read(pond)?.id)
    }

    /// Reads the identity of this pond from its folder.
    pub(super) fn identity(&self) -> Result<Identity, PondError> {
        Identity::read(&self.access_path(""))
    }
}

/// The identity of a pond.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The format of everything in the pond.
    pub format: u32,
    /// The unique id of the pond: a UUIDv7.
    pub id: Uuid,
    /// When the pond was made, in RFC 3339.
    pub born: String,
    /// The rules by which versions are kept, by default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune: Option<Policy>,
    /// The limits that differ from the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<toml::Table>,
}

impl Identity {
    /// The name of the file in the pond's folder.
    pub(super) const FILE: &str = "pond.toml";

    /// Returns the identity of a new pond.
    pub fn new() -> Identity {
        Identity {
            format: FORMAT,
            id: Uuid::now_v7(),
            born: jiff::Timestamp::now().to_string(),
            prune: None,
            limits: None,
        }
    }

    /// Reads the identity of the pond at `pond`.
    pub fn read(pond: &Path) -> Result<Identity, PondError> {
        let path = pond.join(Identity::FILE);
        shape::check(pond).or_else(|error| match &error {
            // A more specific error follows below.
            PondError::Io { source, .. } if source.kind() == io::ErrorKind::NotADirectory => Ok(()),
            _ => Err(error),
        })?;
        let read = |mut text| -> io::Result<String> {
            let file = File::open(&path)?;
            file.take(MAX_LENGTH).read_to_string(&mut text)?;
            Ok(text)
        };
        let text = match read(String::new()) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(match pond.symlink_metadata() {
                    Ok(_) => PondError::NotAPond(display_path(pond)),
                    Err(_) => PondError::Missing(display_path(pond)),
                });
            }
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
                return Err(PondError::NotAPond(display_path(pond)));
            }
            Err(e) => return Err(PondError::io("read", &path)(e)),
        };
        // The format comes first: a newer one may encode the rest differently.
        #[derive(Deserialize)]
        struct OnlyFormat {
            format: u32,
        }
        let wrong = |e: toml::de::Error| PondError::Identity {
            path: display_path(&path),
            why: e.message().to_owned(),
        };
        let OnlyFormat { format } = toml::from_str(&text).map_err(wrong)?;
        if format > FORMAT {
            return Err(PondError::Newer {
                path: display_path(pond),
                found: format,
                known: FORMAT,
            });
        }
        toml::from_str(&text).map_err(wrong)
    }

    /// Returns the limits that it sets for the pond at `pond`.
    pub fn limits(&self, pond: &Path) -> Result<Limits, PondError> {
        let table = self.limits.as_ref().map(Limits::from_table);
        table
            .transpose()
            .map(Option::unwrap_or_default)
            .map_err(|source| PondError::Limits {
                path: display_path(&pond.join(Identity::FILE)),
                source,
            })
    }

    /// Writes it, durable when this returns: the last step of making a pond.
    pub fn write(&self, pond: &Path) -> Result<(), PondError> {
        let path = pond.join(Identity::FILE);
        let text = toml::to_string(self).map_err(|e| PondError::Identity {
            path: path.clone(),
            why: e.to_string(),
        })?;
        let staged = pond.join("pond.toml.new");
        File::create(&staged)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&staged, &path))
            .and_then(|()| File::open(pond)?.sync_all())
            .map_err(PondError::io("write", &path))
    }
}
