//! Prepares the mountpoint before anything is created or opened: removes a dead mount, and fails
//! the start if the mountpoint cannot be used.

use super::{Plan, Reporter};
use crate::cli::control::{MountState, mount_state};
use crate::cli::failure::Failure;
use crate::cli::place;
use crate::mount::{self, MountError};
use std::io;

/// Removes dead mounts from the mountpoint, and checks that it can be used.
pub(super) fn prepare(plan: &Plan, reporter: &mut Reporter) -> Result<(), Failure> {
    let at = &plan.mountpoint;
    // A stuck mount is not accessed, since the call would not return.
    let stands = place::mounts()?
        .into_iter()
        .rfind(|mount| mount.mountpoint == *at);
    let alive = stands.is_some_and(|mount| mount_state(&mount) != MountState::Dead);
    if !alive && mount::recover_stale(at)? {
        let at = at.display();
        reporter.notice(&format!("the mount at {at} was dead; it has been removed"));
    }
    Ok(check(plan)?)
}

/// Makes the checks that `mount` repeats later. By then, an unwanted pond might have been created.
fn check(plan: &Plan) -> Result<(), MountError> {
    let mountpoint = plan.mountpoint.clone();
    let pond = plan.pond.clone();
    if let Some(mount) = place::mounts()?
        .iter()
        .rfind(|mount| mount.mountpoint == mountpoint)
    {
        let pond = mount.source.clone();
        return Err(MountError::Taken { mountpoint, pond });
    }
    match std::fs::metadata(&mountpoint) {
        Ok(seen) if !seen.is_dir() => return Err(MountError::NotADirectory(mountpoint)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(MountError::Missing(mountpoint));
        }
        // `mount` reports all other errors.
        _ => {}
    }
    match mountpoint.starts_with(&pond) || pond.starts_with(&mountpoint) {
        true => Err(MountError::Overlaps { mountpoint, pond }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::Rules;

    #[test]
    fn places_that_cannot_hold_a_mount_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("pond/segments")).unwrap();
        std::fs::create_dir(at("mnt")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        let try_at = |mountpoint| {
            check(&Plan {
                pond: at("pond"),
                mountpoint,
                create: false,
                read_only: false,
                at: None,
                allow_other: false,
                rules: Rules::default(),
                commit: None,
                commit_on_sync: false,
            })
        };
        let code = |mountpoint| try_at(mountpoint).unwrap_err().code();
        assert_eq!(code(at("missing")), "no_mountpoint");
        assert_eq!(code(at("file")), "mountpoint_not_a_directory");
        for inside in [at("pond"), at("pond/segments"), dir.path().to_owned()] {
            assert_eq!(code(inside), "mountpoint_overlaps");
        }
        try_at(at("mnt")).unwrap();
    }
}
