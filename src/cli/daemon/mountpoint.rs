//! Is this a place to mount a pond on?

use super::{Herald, Plan};
use crate::cli::failure::Failure;
use crate::cli::place;
use crate::mount;
use std::io;
use std::path::Path;

/// Refuses a mountpoint that cannot be one, and takes a dead mount away from it.
pub(super) fn prepare(plan: &Plan, herald: &mut Herald) -> Result<(), Failure> {
    let at = plan.mountpoint.as_path();
    if mount::recover_stale(at)? {
        herald.notice(&format!("the mount on {} was dead and has been replaced", at.display()));
    }
    match std::fs::metadata(at) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(refused(at, "is not a directory")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(refused(at, "does not exist")
                .hinted("a mountpoint is an empty directory; make it first"));
        }
        Err(error) => {
            let message = format!("cannot use the mountpoint {}", at.display());
            return Err(Failure::system(message, &error));
        }
    }
    // The pond would be read through its own mount, or be hidden by it.
    if at.starts_with(&plan.pond) {
        return Err(refused(at, "is inside the pond that is to be mounted"));
    }
    if plan.pond.starts_with(at) {
        return Err(refused(at, "holds the pond that is to be mounted"));
    }
    free(plan)
}

/// Other mounts may be mounted over; over a pond that is surely not what was meant.
fn free(plan: &Plan) -> Result<(), Failure> {
    let at = plan.mountpoint.as_path();
    let mounts = place::mounts()?;
    match mounts.iter().rfind(|mount| mount.mountpoint == at) {
        Some(mount) => {
            let pond = mount.source.display();
            Err(refused(at, &format!("is in use: the pond {pond} is mounted there"))
                .hinted(format!("`pondmount umount {}` unmounts it", at.display())))
        }
        None => Ok(()),
    }
}

fn refused(at: &Path, why: &str) -> Failure {
    Failure::new("mountpoint", format!("the mountpoint {} {why}", at.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Output;
    use std::path::PathBuf;

    fn try_prepare(pond: PathBuf, mountpoint: PathBuf) -> Result<(), Failure> {
        let plan = Plan {
            pond,
            mountpoint,
            create: false,
            read_only: false,
            allow_other: false,
            commit: None,
        };
        let output = Output::new(false, true, Default::default());
        prepare(&plan, &mut Herald::Terminal(output))
    }

    #[test]
    fn places_that_cannot_hold_a_mount_are_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("pond/segments")).unwrap();
        std::fs::create_dir(at("mnt")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        let said = |mountpoint| try_prepare(at("pond"), mountpoint).unwrap_err().message;
        assert!(said(at("missing")).ends_with("missing does not exist"));
        assert!(said(at("file")).ends_with("file is not a directory"));
        assert!(said(at("pond")).contains("is inside the pond"));
        assert!(said(at("pond/segments")).contains("is inside the pond"));
        assert!(said(dir.path().to_owned()).contains("holds the pond"));
        try_prepare(at("pond"), at("mnt")).unwrap();
    }
}
