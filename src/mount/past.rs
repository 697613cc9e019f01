//! `@version`: what it holds, in each directory.
//!
//! A directory's past goes by the node, not by the path: a directory that was moved brings its past
//! along. Nodes are born once and die once, so the versions that hold one are a run without gaps.

use crate::index::VersionInfo;
use crate::pond::Pond;
use crate::tinyfs::{Errno, FsError, FsResult, NodeId, Version};

/// The hidden name.
pub(super) const VERSIONS: &[u8] = b"@version";
/// The link to the newest version.
pub(super) const LATEST: &[u8] = b"latest";

/// Whether a name says something about versions, and so cannot be given to anything.
pub(super) fn is_reserved(name: &[u8]) -> bool {
    name.ends_with(VERSIONS)
}

/// The versions in which directory `dir` existed, as far as the tree as of `at` knows, oldest first.
pub(super) fn versions(pond: &Pond, at: Version, dir: NodeId) -> FsResult<Vec<VersionInfo>> {
    let mut versions = pond.versions(Version(0), at).map_err(FsError::store)?;
    if dir == NodeId::ROOT {
        return Ok(versions);
    }
    let Some(newest) = newest(pond, at, dir)? else {
        return Ok(Vec::new());
    };
    versions.retain(|info| info.version <= newest.version);
    let mut failed = None;
    let born = versions.partition_point(|info| match pond.node(info.version, dir) {
        Ok(_) => false,
        Err(error) if error.errno() == Errno::ENOENT => true,
        Err(error) => {
            failed.get_or_insert(error);
            true
        }
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(versions.split_off(born)),
    }
}

/// The newest version that holds directory `dir`, as far as the tree as of `at` knows.
pub(super) fn newest(pond: &Pond, at: Version, dir: NodeId) -> FsResult<Option<VersionInfo>> {
    if at != Version::NOW {
        return info(pond, at);
    }
    let latest = pond.latest();
    if exists(pond, latest.version, dir)? {
        return Ok(Some(latest));
    }
    // It was made since, or it is removed and somebody is still in it.
    if exists(pond, at, dir)? && pond.node(at, dir)?.nlink > 0 {
        return Ok(None);
    }
    let versions = pond.versions(Version(0), at).map_err(FsError::store)?;
    for info in versions.into_iter().rev() {
        if exists(pond, info.version, dir)? {
            return Ok(Some(info));
        }
    }
    Ok(None)
}

/// The version that `name` is the number of, if it holds directory `dir`.
pub(super) fn numbered(
    pond: &Pond,
    at: Version,
    dir: NodeId,
    name: &[u8],
) -> FsResult<Option<Version>> {
    let Some(version) = parse(name).filter(|version| *version <= at) else {
        return Ok(None);
    };
    let holds = info(pond, version)?.is_some() && exists(pond, version, dir)?;
    Ok(holds.then_some(version))
}

/// What is known of a version, if it is one.
pub(super) fn info(pond: &Pond, version: Version) -> FsResult<Option<VersionInfo>> {
    let latest = pond.latest();
    match version.cmp(&latest.version) {
        std::cmp::Ordering::Equal => Ok(Some(latest)),
        std::cmp::Ordering::Greater => Ok(None),
        std::cmp::Ordering::Less => {
            let found = pond.versions(version, version).map_err(FsError::store)?;
            Ok(found.into_iter().next())
        }
    }
}

fn exists(pond: &Pond, at: Version, dir: NodeId) -> FsResult<bool> {
    match pond.node(at, dir) {
        Ok(_) => Ok(true),
        Err(error) if error.errno() == Errno::ENOENT => Ok(false),
        Err(error) => Err(error),
    }
}

/// A number as it is listed: no sign, no leading zeros.
fn parse(name: &[u8]) -> Option<Version> {
    let plain =
        name.iter().all(u8::is_ascii_digit) && (name.len() == 1 || name.first() != Some(&b'0'));
    let text = std::str::from_utf8(name).ok().filter(|_| plain)?;
    text.parse().ok().map(Version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_as_they_are_listed_are_numbers() {
        assert_eq!(parse(b"0"), Some(Version(0)));
        assert_eq!(parse(b"1841"), Some(Version(1841)));
        for other in [
            &b""[..],
            b"01",
            b"+1",
            b"-1",
            b"1 ",
            b"latest",
            b"99999999999999999999",
        ] {
            assert_eq!(parse(other), None);
        }
    }

    #[test]
    fn names_about_versions_are_reserved() {
        assert!(is_reserved(b"@version") && is_reserved(b"a.csv@version"));
        assert!(!is_reserved(b"@versions") && !is_reserved(b"@version.txt"));
    }
}
