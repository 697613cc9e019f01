//! Reads the kernel's table of mounts, `/proc/self/mountinfo`.

use crate::mount::{FILE_SYSTEM, MountError};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

const TABLE: &str = "/proc/self/mountinfo";

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The source of the mount: for a pond, its folder.
    pub source: PathBuf,
    /// The mountpoint.
    pub mountpoint: PathBuf,
    /// The file system type.
    pub kind: String,
    /// The mount ID. The kernel reuses the IDs of mounts that are gone.
    pub id: u64,
    /// The device number of its files, as `major:minor`. Bind mounts of it have the same one.
    pub device: String,
    /// The user ID of the user that mounted it; only FUSE mounts have one.
    pub owner: Option<u32>,
}

impl Mount {
    /// Returns whether this process may unmount it: it runs as root, or as the user that mounted
    /// it.
    pub fn is_ours(&self) -> bool {
        let user = rustix::process::geteuid();
        user.is_root() || self.owner == Some(user.as_raw())
    }
}

/// Returns the mounted ponds in the order in which they were mounted.
pub fn mounts() -> Result<Vec<Mount>, MountError> {
    let mut mounts = read(Path::new(TABLE))?;
    mounts.retain(|mount| mount.kind == FILE_SYSTEM);
    Ok(mounts)
}

/// Returns the mounts of ponds in the mount namespace of a process.
pub fn mounts_seen_by(pid: u32) -> Result<Vec<Mount>, MountError> {
    let mut mounts = read(Path::new(&format!("/proc/{pid}/mountinfo")))?;
    mounts.retain(|mount| mount.kind == FILE_SYSTEM);
    Ok(mounts)
}

/// Returns the uppermost mount at `mountpoint`, if there is one.
pub(in crate::mount) fn at(mountpoint: &Path) -> Result<Option<Mount>, MountError> {
    let mut mounts = read(Path::new(TABLE))?.into_iter();
    Ok(mounts.rfind(|mount| mount.mountpoint == mountpoint))
}

/// Returns the mount as the kernel lists it now: its mountpoint may have been moved.
pub(in crate::mount) fn again(mount: &Mount) -> Result<Option<Mount>, MountError> {
    let mut mounts = read(Path::new(TABLE))?.into_iter();
    Ok(mounts.rfind(|seen| seen.id == mount.id && seen.device == mount.device))
}

fn read(table: &Path) -> Result<Vec<Mount>, MountError> {
    let text = std::fs::read(table).map_err(MountError::io("read", table))?;
    Ok(text.split(|b| *b == b'\n').filter_map(parse).collect())
}

/// Parses a line `id parent device root mountpoint options tags... - type source super_options`.
fn parse(line: &[u8]) -> Option<Mount> {
    let text = |field: &[u8]| Some(std::str::from_utf8(field).ok()?.to_owned());
    let mut fields = line.split(|b| *b == b' ');
    let id = text(fields.next()?)?.parse().ok()?;
    let device = text(fields.nth(1)?)?;
    let mountpoint = unescape(fields.nth(1)?);
    fields.find(|field| *field == b"-")?;
    let kind = text(fields.next()?)?;
    let source = unescape(fields.next()?);
    let mut options = fields.next().unwrap_or_default().split(|b| *b == b',');
    let owner = options.find_map(|option| text(option.strip_prefix(b"user_id=")?)?.parse().ok());
    Some(Mount {
        source,
        mountpoint,
        kind,
        id,
        device,
        owner,
    })
}

/// Decodes the kernel's `\ooo` escapes of blanks, line ends and backslashes.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        bytes.push(octal.unwrap_or(*first));
        rest = match octal {
            Some(_) => &tail[3..],
            None => tail,
        };
    }
    OsString::from_vec(bytes).into()
}

/// Resolves `path` without a request to a file system mounted there, which may be dead.
pub(in crate::mount) fn place(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let named = match (absolute.parent(), absolute.file_name()) {
        (Some(parent), Some(name)) => parent.canonicalize().map(|parent| parent.join(name)),
        _ => return absolute.canonicalize().unwrap_or(absolute),
    };
    let Ok(named) = named else {
        return absolute;
    };
    // A symbolic link is followed; a mountpoint is none.
    match named.read_link().map(|_| named.canonicalize()) {
        Ok(Ok(target)) => target,
        _ => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_apart() {
        let line = br"36 35 0:41 / /mnt/a\040b rw,nosuid shared:1 - fuse.pondmount /srv/p\134q rw,user_id=0";
        let mount = parse(line);
        let expected = Mount {
            source: r"/srv/p\q".into(),
            mountpoint: "/mnt/a b".into(),
            kind: "fuse.pondmount".into(),
            id: 36,
            device: "0:41".into(),
            owner: Some(0),
        };
        assert_eq!(mount, Some(expected));
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"36 35 0:41 / /mnt rw"), None);
    }

    #[test]
    fn a_place_is_found_through_links_and_dots() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let root = dir.path().canonicalize().expect("its path");
        std::fs::create_dir(root.join("real")).expect("a directory");
        std::os::unix::fs::symlink("real", root.join("link")).expect("a link");
        assert_eq!(place(&root.join("link")), root.join("real"));
        assert_eq!(place(&root.join("real/")), root.join("real"));
        assert_eq!(place(&root.join("link/..")), root);
        assert_eq!(place(&root.join("gone")), root.join("gone"));
    }
}
