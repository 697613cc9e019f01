//! Mounts and unmounts as a user other than root, by the set-user-id helper `fusermount3`.

use crate::mount::{MountError, MountOptions};
use rustix::io::{Errno, IoSliceMut};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = "fusermount3";

/// Mounts `source` at `mountpoint` and returns the `/dev/fuse` connection.
pub(in crate::mount) fn mount(
    source: &Path,
    mountpoint: &Path,
    options: &MountOptions,
) -> Result<OwnedFd, MountError> {
    let (ours, theirs) = UnixStream::pair().map_err(MountError::NoFusermount)?;
    // The helper sends the connection through the socket on this descriptor, its standard input.
    let mut command = Command::new(PROGRAM);
    command
        .arg("-o")
        .arg(option_list(source, options))
        .args([OsStr::new("--"), mountpoint.as_os_str()])
        .env("_FUSE_COMMFD", "0")
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let child = command.spawn().map_err(MountError::NoFusermount)?;
    // Closes this process's copy of the helper's end, so that `receive` ends when the helper exits.
    drop(command);
    let device = receive(&ours);
    let output = child.wait_with_output().map_err(MountError::NoFusermount)?;
    match device {
        Ok(Some(device)) if output.status.success() => Ok(device),
        Ok(_) => Err(refused("mount", mountpoint, &output)),
        Err(errno) => Err(MountError::Session(errno.into())),
    }
}

/// Unmounts a mount of this user at `mountpoint`.
pub(in crate::mount) fn unmount(mountpoint: &Path, lazy: bool) -> Result<(), MountError> {
    let output = Command::new(PROGRAM)
        .arg(if lazy { "-uz" } else { "-u" })
        .args([OsStr::new("--"), mountpoint.as_os_str()])
        .stdin(Stdio::null())
        .output()
        .map_err(MountError::NoFusermount)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(refused("unmount", mountpoint, &output)),
    }
}

fn option_list(source: &Path, options: &MountOptions) -> OsString {
    let mut list = b"subtype=pondmount,default_permissions,nosuid,nodev,noatime".to_vec();
    if options.read_only {
        list.extend_from_slice(b",ro");
    }
    if options.allow_other {
        list.extend_from_slice(b",allow_other");
    }
    for rule in options.rules.names() {
        list.push(b',');
        list.extend_from_slice(rule.as_bytes());
    }
    list.extend_from_slice(b",fsname=");
    for byte in source.as_os_str().as_bytes() {
        if matches!(byte, b',' | b'\\') {
            list.push(b'\\');
        }
        list.push(*byte);
    }
    OsString::from_vec(list)
}

/// Receives a file descriptor from the socket, or `None` if the peer closes it first.
fn receive(socket: &UnixStream) -> Result<Option<OwnedFd>, Errno> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    loop {
        let mut into = [IoSliceMut::new(&mut byte)];
        match rustix::net::recvmsg(socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(_) => break,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        }
    }
    let found = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Ok(found)
}

fn refused(what: &'static str, mountpoint: &Path, output: &Output) -> MountError {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().trim_start_matches("fusermount3: ");
    let has = |part: &str| said.contains(part);
    let mountpoint = || mountpoint.to_path_buf();
    if has("user_allow_other") {
        MountError::OthersNotAllowed
    } else if has("fuse device not found") {
        MountError::NoDevice
    } else if has("/dev/fuse") && has("ermission denied") {
        MountError::DeviceDenied
    } else if has("resource busy") {
        MountError::Busy(mountpoint())
    } else if has("not found in") {
        MountError::NotMounted(mountpoint())
    } else if has("no write access") || has("not permitted") || has("ermission denied") {
        MountError::Denied {
            what,
            mountpoint: mountpoint(),
        }
    } else if said.is_empty() {
        let ended = io::Error::other(format!("it ended with {}", output.status));
        MountError::NoFusermount(ended)
    } else {
        MountError::Fusermount {
            what,
            mountpoint: mountpoint(),
            said: said.replace('\n', "; "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    #[test]
    fn commas_in_the_source_do_not_end_it() {
        let options = MountOptions::default();
        let list = option_list(Path::new(r"/a,b\c"), &options);
        assert!(list.as_bytes().ends_with(br",fsname=/a\,b\\c"), "{list:?}");
    }

    #[test]
    fn what_the_helper_says_is_understood() {
        let code = |said: &str| {
            let output = Output {
                status: ExitStatus::from_raw(256),
                stdout: Vec::new(),
                stderr: said.into(),
            };
            refused("mount", Path::new("/mnt"), &output).code()
        };
        for (said, expected) in [
            (
                "fusermount3: option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf\n",
                "allow_other_denied",
            ),
            (
                "fusermount3: user has no write access to mountpoint /mnt\n",
                "permission_denied",
            ),
            (
                "fusermount3: failed to unmount /mnt: Device or resource busy\n",
                "busy",
            ),
            (
                "fusermount3: entry for /mnt not found in /etc/mtab\n",
                "not_mounted",
            ),
            (
                "fusermount3: fuse device not found, try 'modprobe fuse' first\n",
                "no_fuse",
            ),
            (
                "fusermount3: failed to open /dev/fuse: Permission denied\n",
                "permission_denied",
            ),
            ("fusermount3: the moon is full\n", "fusermount"),
            ("", "no_fusermount"),
        ] {
            assert_eq!(code(said), expected, "{said}");
        }
    }
}
