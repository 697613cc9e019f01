//! The socket in a pond's folder. It is opened relative to a descriptor of the folder, since a
//! socket's address may have no more than 107 bytes and a pond's path may.

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fchmod, openat, statat, unlinkat};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

const FILE: &str = "control.sock";

/// A listening socket. Its file is removed when this is dropped.
#[derive(Debug)]
pub struct Bound {
    folder: OwnedFd,
    /// Device and inode of the file: a socket that replaced it is not removed.
    file: (u64, u64),
    /// The listener.
    pub listener: UnixListener,
}

/// Creates the socket in folder `pond`, in place of one that a dead daemon has left.
pub fn bind(pond: &Path) -> io::Result<Bound> {
    let folder = open(pond)?;
    let address = address(&folder)?;
    let socket = socket()?;
    // Set before the file exists, so that other users can connect at no moment.
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    match unlinkat(&folder, FILE, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    net::bind(&socket, &address)?;
    net::listen(&socket, 64)?;
    let file = identity(&folder)?;
    Ok(Bound {
        folder,
        file,
        listener: socket.into(),
    })
}

/// Connects to the daemon that has the pond in folder `pond` open. Waits at most `limit` for one
/// that accepts no connections.
pub fn connect(pond: &Path, limit: Duration) -> io::Result<UnixStream> {
    let folder = open(pond)?;
    // A symbolic link could lead to the socket of another program.
    let stat = statat(&folder, FILE, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(Errno::NOTSOCK.into());
    }
    let socket = UnixStream::from(socket()?);
    socket.set_write_timeout(Some(limit))?;
    net::connect(&socket, &address(&folder)?)?;
    Ok(socket)
}

impl Drop for Bound {
    fn drop(&mut self) {
        if identity(&self.folder).is_ok_and(|file| file == self.file) {
            let _ = unlinkat(&self.folder, FILE, AtFlags::empty());
        }
    }
}

fn open(pond: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(CWD, pond, flags, Mode::empty())?)
}

fn socket() -> io::Result<OwnedFd> {
    Ok(net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

fn address(folder: &OwnedFd) -> io::Result<SocketAddrUnix> {
    let path = format!("/proc/self/fd/{}/{FILE}", folder.as_raw_fd());
    Ok(SocketAddrUnix::new(path)?)
}

fn identity(folder: &OwnedFd) -> io::Result<(u64, u64)> {
    let stat = statat(folder, FILE, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((stat.st_dev, stat.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn a_socket_is_made_below_any_path_for_its_owner_and_goes_with_its_value() {
        let dir = tempfile::tempdir().unwrap();
        let pond = dir.path().join("long".repeat(40));
        std::fs::create_dir(&pond).unwrap();
        assert_eq!(
            connect(&pond, LIMIT).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        let bound = bind(&pond).unwrap();
        let mode = std::fs::metadata(pond.join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        connect(&pond, LIMIT).unwrap();
        drop(bound);
        assert!(!pond.join(FILE).exists());
    }

    #[test]
    fn what_a_dead_daemon_left_is_replaced_and_what_another_made_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let first = bind(dir.path()).unwrap();
        let second = bind(dir.path()).unwrap();
        drop(first);
        connect(dir.path(), LIMIT).unwrap();
        drop(second);
        std::fs::write(dir.path().join(FILE), "").unwrap();
        assert!(connect(dir.path(), LIMIT).is_err());
        bind(dir.path()).unwrap();
    }
}
