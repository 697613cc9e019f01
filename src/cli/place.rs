//! Which pond a command is about.
//!
//! In: an argument (a pond's folder, a mountpoint, or anything inside a mount), `POND_STORE`, or the
//! current directory. Out: the folder of the pond, and where it is mounted. Holds: a dead mount is
//! found as well, since nothing inside it is touched.

use super::failure::Failure;
use crate::mount::{self, MountError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A pond that a command is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its folder.
    pub pond: PathBuf,
    /// Where it is mounted, if it was found by that.
    pub mountpoint: Option<PathBuf>,
}

/// A pond that the kernel knows as mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its folder.
    pub pond: PathBuf,
    /// Where.
    pub at: PathBuf,
}

/// Finds the pond of an argument, or of the current directory when there is none.
pub fn find(argument: Option<&Path>) -> Result<Place, Failure> {
    let mounts = mounts()?;
    match argument.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => Ok(named(&mounts, path)),
        None => here(&mounts),
    }
}

/// Finds the pond of a path in it, and the path from its root. A path inside a mount is that; any other is one
/// in `pond`, or in the pond of the current directory. No path is the root.
pub fn within(pond: Option<&Path>, path: Option<&Path>) -> Result<(Place, Vec<u8>), Failure> {
    let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) else {
        return Ok((find(pond)?, Vec::new()));
    };
    let mounts = mounts()?;
    let resolved = resolve(path);
    if let Some(mount) = around(&mounts, &resolved) {
        let inner = resolved.strip_prefix(&mount.at).unwrap_or(Path::new(""));
        return Ok((mounted(mount), inner.as_os_str().as_bytes().to_vec()));
    }
    let place = match pond.filter(|pond| !pond.as_os_str().is_empty()) {
        Some(pond) => named(&mounts, pond),
        None => here(&mounts)?,
    };
    let bytes = path.as_os_str().as_bytes();
    let rest = bytes.iter().position(|b| *b != b'/').unwrap_or(bytes.len());
    Ok((place, bytes.get(rest..).unwrap_or_default().to_vec()))
}

/// The mounts of ponds that the kernel knows.
pub fn mounts() -> Result<Vec<Mount>, MountError> {
    let mounts = mount::mounts()?.into_iter();
    Ok(mounts
        .map(|mount| Mount {
            pond: mount.source,
            at: mount.mountpoint,
        })
        .collect())
}

fn named(mounts: &[Mount], path: &Path) -> Place {
    let path = resolve(path);
    match around(mounts, &path) {
        Some(mount) => mounted(mount),
        None => Place {
            pond: path,
            mountpoint: None,
        },
    }
}

fn here(mounts: &[Mount]) -> Result<Place, Failure> {
    let here = std::env::current_dir()
        .map_err(|error| Failure::system("cannot tell the current directory", &error))?;
    around(mounts, &here).map(mounted).ok_or_else(|| {
        Failure::usage("no pond is named, and the current directory is not inside a mounted one")
            .hinted("name a pond's folder or a mountpoint, set POND_STORE, or change into a mount")
    })
}

fn mounted(mount: &Mount) -> Place {
    Place {
        pond: mount.pond.clone(),
        mountpoint: Some(mount.at.clone()),
    }
}

/// The innermost mount that `path` is in; of several on one mountpoint the last, which is the one seen.
pub fn around<'m>(mounts: &'m [Mount], path: &Path) -> Option<&'m Mount> {
    mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.at))
        .max_by_key(|mount| mount.at.components().count())
}

/// The absolute path without symbolic links, as the kernel lists it, as far as it exists. The last
/// component is kept when it cannot be looked at: it may be a dead mount, or somebody else's.
pub fn resolve(path: &Path) -> PathBuf {
    match path.canonicalize() {
        Ok(path) => path,
        Err(error) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            // A link that leads nowhere stays as it was written.
            let link = error.kind() == io::ErrorKind::NotFound && path.is_symlink();
            match (path.parent(), path.components().next_back()) {
                (Some(parent), Some(Component::Normal(name))) if !link => {
                    resolve(parent).join(name)
                }
                _ => path,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mount(pond: &str, at: &str) -> Mount {
        Mount {
            pond: pond.into(),
            at: at.into(),
        }
    }

    #[test]
    fn the_innermost_mount_counts_and_the_last_of_two_on_one_point() {
        let mounts = [
            mount("/a", "/none/x"),
            mount("/b", "/none/x/inner"),
            mount("/c", "/none/x"),
        ];
        let pond = |path: &str| named(&mounts, Path::new(path)).pond;
        assert_eq!(pond("/none/x/inner/deep/@version/3"), Path::new("/b"));
        assert_eq!(pond("/none/x"), Path::new("/c"));
        assert_eq!(pond("/none/xy"), Path::new("/none/xy"));
    }

    #[test]
    fn paths_are_resolved_as_far_as_they_exist() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("real")).unwrap();
        symlink("real", real.join("link")).unwrap();
        assert_eq!(
            resolve(&real.join("link/missing")),
            real.join("real/missing")
        );
        assert_eq!(resolve(&real.join("link/a/b")), real.join("real/a/b"));
        symlink("nowhere", real.join("dangling")).unwrap();
        assert_eq!(resolve(&real.join("dangling")), real.join("dangling"));
    }

    #[test]
    fn outside_of_any_mount_and_without_a_name_there_is_no_pond() {
        let failure = here(&[]).unwrap_err();
        assert!(failure.hints[0].contains("POND_STORE"), "{failure}");
    }
}
