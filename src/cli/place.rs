//! Finds the pond that a command refers to.
//!
//! In: an argument (a pond's folder, a mountpoint, or anything inside a mount), `POND_STORE`, or
//! the current directory. Out: the folder of the pond, and the mount that it was found by.
//!
//! Invariants: no file system call enters a mount before its daemon has answered, so that no path
//! makes a command hang; a dead mount is found as well.

use super::control::ping;
use super::failure::Failure;
use crate::mount::{self, Mount, MountError};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The code of the failure to find a pond that could be meant.
pub const NO_POND_NAMED: &str = "no_pond_named";
/// The most symbolic links that are followed in one path, as in the kernel.
const MOST_LINKS: usize = 40;
/// The hidden name of a directory's past, and the suffix that names a file's past.
const PAST: &[u8] = b"@version";

/// The pond of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its folder; for a mounted pond, its path at mount time.
    pub pond: PathBuf,
    /// The mount that it was found by.
    pub mount: Option<Mount>,
}

/// Finds the pond of an argument, or of the current directory without one.
pub fn find(argument: Option<&Path>) -> Result<Place, Failure> {
    let mounts = mounts()?;
    match argument.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => named(&mounts, path),
        None => here(&mounts),
    }
}

/// Finds the pond of a path in it, and the path from its root. A path inside a mount belongs to
/// that mount; any other belongs to `pond`, or to the pond of the current directory. `None` is the
/// root.
pub fn within(pond: Option<&Path>, path: Option<&Path>) -> Result<(Place, Vec<u8>), Failure> {
    let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) else {
        return Ok((find(pond)?, Vec::new()));
    };
    let mounts = mounts()?;
    let resolved = resolve_among(&mounts, path)?;
    let (place, inner) = match around(&mounts, &resolved) {
        Some(mount) => {
            let inner = resolved
                .strip_prefix(&mount.mountpoint)
                .unwrap_or(Path::new(""));
            (mounted(mount), inner.as_os_str().as_bytes().to_vec())
        }
        None => {
            let place = match pond.filter(|pond| !pond.as_os_str().is_empty()) {
                Some(pond) => named(&mounts, pond)?,
                None => here(&mounts)?,
            };
            let bytes = path.as_os_str().as_bytes();
            let rest = bytes.iter().position(|b| *b != b'/').unwrap_or(bytes.len());
            (place, bytes.get(rest..).unwrap_or_default().to_vec())
        }
    };
    match in_the_past(&inner) {
        Some(failure) => Err(failure),
        None => Ok((place, inner)),
    }
}

/// Returns the failure for a path through `@version`: commands take a present path and a version.
fn in_the_past(inner: &[u8]) -> Option<Failure> {
    let mut parts = inner
        .split(|b| *b == b'/')
        .filter(|part| !part.is_empty())
        .map(OsStr::from_bytes);
    let mut path = PathBuf::new();
    let past = parts.find_map(|part| match part.as_bytes().strip_suffix(PAST) {
        Some([]) => Some(None),
        Some(file) => Some(Some(OsStr::from_bytes(file))),
        None => {
            path.push(part);
            None
        }
    })?;
    path.extend(past);
    let version = parts.next();
    path.extend(parts);
    let path = match path.as_os_str().is_empty() {
        true => "/".to_owned(),
        false => path.display().to_string(),
    };
    let hint = match version {
        Some(version) => format!(
            "name the path without it, and the version behind it: `{path}@{}`; `pondmount log {path}` lists its versions",
            version.display()
        ),
        None => format!("`pondmount log {path}` lists the versions of {path}"),
    };
    let inner = OsStr::from_bytes(inner).display();
    Some(
        Failure::usage(format!(
            "{inner} is a path into the past, which commands do not take"
        ))
        .hinted(hint),
    )
}

/// Returns the mounts of ponds in the kernel's mount table.
pub fn mounts() -> Result<Vec<Mount>, MountError> {
    mount::mounts()
}

/// Returns the absolute path without symbolic links, as the kernel lists it, as far as it exists.
/// Keeps a last component that cannot be accessed: it may be a dead mount, or that of another user.
pub fn resolve(path: &Path) -> Result<PathBuf, Failure> {
    resolve_among(&mounts()?, path)
}

fn named(mounts: &[Mount], path: &Path) -> Result<Place, Failure> {
    let path = resolve_among(mounts, path)?;
    if let Some(mount) = around(mounts, &path) {
        return Ok(mounted(mount));
    }
    // A pond that was moved while mounted is also found by its old path, unless another is there.
    let moved = || mounts.iter().find(|mount| mount.source == path);
    let mount = match path.join("pond.toml").symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => moved().cloned(),
        _ => None,
    };
    Ok(Place { pond: path, mount })
}

fn here(mounts: &[Mount]) -> Result<Place, Failure> {
    let here = std::env::current_dir()
        .map_err(|error| Failure::system("cannot tell the current directory", &error))?;
    around(mounts, &here).map(mounted).ok_or_else(|| {
        let message = "no pond is named, and the current directory is not inside a mounted one";
        Failure {
            code: NO_POND_NAMED.into(),
            ..Failure::usage(message)
        }
        .hinted("name a pond's folder or a mountpoint, set POND_STORE, or change into a mount")
    })
}

fn mounted(mount: &Mount) -> Place {
    Place {
        pond: mount.source.clone(),
        mount: Some(mount.clone()),
    }
}

/// Returns the innermost mount that contains `path`; of several on one mountpoint the uppermost.
pub fn around<'m>(mounts: &'m [Mount], path: &Path) -> Option<&'m Mount> {
    mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.mountpoint))
        .max_by_key(|mount| mount.mountpoint.components().count())
}

fn resolve_among(mounts: &[Mount], path: &Path) -> Result<PathBuf, Failure> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let reached = walk(mounts, &path);
    let inside = around(mounts, &reached).filter(|mount| mount.mountpoint != reached);
    match inside {
        Some(mount) => {
            ping(mount)?;
            Ok(canonical(&reached))
        }
        None => Ok(reached),
    }
}

/// Follows the symbolic links of an absolute path, until it enters a mount.
fn walk(mounts: &[Mount], path: &Path) -> PathBuf {
    let mut reached = PathBuf::from("/");
    let mut links = 0;
    let mut rest: VecDeque<OsString> = parts(path).collect();
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            reached.pop();
            continue;
        }
        reached.push(&part);
        if mounts.iter().any(|mount| mount.mountpoint == reached) {
            break;
        }
        match reached.read_link() {
            Ok(target) if links < MOST_LINKS => {
                // A dangling link stays as it was written.
                if reached.metadata().is_err_and(is_missing) && rest.is_empty() {
                    break;
                }
                links += 1;
                reached.pop();
                if target.is_absolute() {
                    reached = PathBuf::from("/");
                }
                for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                    rest.push_front(part);
                }
            }
            // Not a link, or missing or inaccessible, so that there is nothing to follow.
            _ => {}
        }
    }
    reached.extend(rest);
    reached
}

fn is_missing(error: io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

/// Canonicalizes a path as the kernel does, as far as it exists.
fn canonical(path: &Path) -> PathBuf {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(path), ..) => path,
        (Err(error), ..) if error.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            path.to_owned()
        }
        (Err(_), Some(parent), Some(name)) => canonical(parent).join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mount(pond: &str, at: &str) -> Mount {
        Mount {
            source: pond.into(),
            mountpoint: at.into(),
            kind: mount::FILE_SYSTEM.into(),
            id: 1,
            device: "0:0".into(),
            owner: Some(0),
        }
    }

    #[test]
    fn the_innermost_mount_counts_and_the_last_of_two_on_one_point() {
        let mounts = [
            mount("/a", "/none/x"),
            mount("/b", "/none/x/inner"),
            mount("/c", "/none/x"),
        ];
        let pond = |path: &str| named(&mounts, Path::new(path)).unwrap().pond;
        assert_eq!(pond("/none/x/inner/deep/dir"), Path::new("/b"));
        assert_eq!(pond("/none/x"), Path::new("/c"));
        assert_eq!(pond("/none/xy"), Path::new("/none/xy"));
    }

    #[test]
    fn a_pond_is_found_by_the_path_that_it_was_mounted_from() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        let old = real.join("old");
        let mounts = [mount(old.to_str().unwrap(), "/none/x")];
        assert_eq!(named(&mounts, &old).unwrap().mount.as_ref(), mounts.first());
        // Another pond stands there now.
        std::fs::create_dir(&old).unwrap();
        std::fs::write(old.join("pond.toml"), "").unwrap();
        assert_eq!(named(&mounts, &old).unwrap().mount, None);
    }

    #[test]
    fn paths_are_resolved_as_far_as_they_exist() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("real")).unwrap();
        symlink("real", real.join("link")).unwrap();
        let resolve = |path: &str| resolve_among(&[], &real.join(path)).unwrap();
        assert_eq!(resolve("link/missing"), real.join("real/missing"));
        assert_eq!(resolve("link/a/b"), real.join("real/a/b"));
        assert_eq!(resolve("link/../x"), real.join("x"));
        symlink("nowhere", real.join("dangling")).unwrap();
        assert_eq!(resolve("dangling"), real.join("dangling"));
        symlink(real.join("link"), real.join("second")).unwrap();
        assert_eq!(resolve("second/x"), real.join("real/x"));
        symlink("loop", real.join("loop")).unwrap();
        assert_eq!(resolve("loop/x"), real.join("loop/x"));
    }

    #[test]
    fn a_mount_is_found_through_links_and_what_is_in_it_is_not_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("mnt")).unwrap();
        symlink("mnt", real.join("link")).unwrap();
        // A link inside would lead out.
        symlink("/", real.join("mnt/out")).unwrap();
        let at = real.join("mnt");
        let mounts = [mount("/none/pond", at.to_str().unwrap())];
        assert_eq!(walk(&mounts, &real.join("link")), at);
        assert_eq!(walk(&mounts, &real.join("link/out/x")), at.join("out/x"));
    }

    #[test]
    fn paths_into_the_past_are_refused_with_the_path_in_the_present() {
        for (inner, path) in [
            ("@version/3/notes.txt", "`notes.txt@3`"),
            ("d/@version/latest/e/f", "`d/e/f@latest`"),
            ("d/notes.txt@version/3", "`d/notes.txt@3`"),
            ("d/@version", "log d`"),
            ("@version", "log /`"),
        ] {
            let failure = in_the_past(inner.as_bytes()).unwrap();
            assert_eq!(failure.exit, 2);
            assert!(failure.message.contains(inner), "{failure}");
            assert!(failure.hints[0].contains(path), "{:?}", failure.hints);
        }
        assert_eq!(in_the_past(b"d/version/@versions/f"), None);
    }

    #[test]
    fn outside_of_any_mount_and_without_a_name_there_is_no_pond() {
        let failure = here(&[]).unwrap_err();
        assert!(failure.hints[0].contains("POND_STORE"), "{failure}");
    }
}
