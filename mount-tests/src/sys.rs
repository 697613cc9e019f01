//! Thin wrappers of system calls that the standard library lacks.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::ptr::NonNull;

use rustix::fs::{AtFlags, CWD, RenameFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// Checks that the call has failed with exactly this errno.
#[track_caller]
pub fn refused<T: std::fmt::Debug, E: Into<io::Error>>(result: Result<T, E>, expected: Errno) {
    match result.map_err(Into::into) {
        Ok(value) => panic!("succeeded with {value:?}, expected {expected:?}"),
        Err(error) => assert_eq!(Errno::from_io_error(&error), Some(expected), "{error}"),
    }
}

/// Makes only the calling thread run as `nobody`. This cannot be undone.
pub fn become_nobody() {
    let nobody = crate::run::NOBODY;
    // SAFETY: plain numbers. Bypassing the C library, it changes this thread alone.
    let (group, user) = unsafe {
        (
            libc::syscall(libc::SYS_setresgid, nobody, nobody, nobody),
            libc::syscall(libc::SYS_setresuid, nobody, nobody, nobody),
        )
    };
    assert_eq!((group, user), (0, 0), "cannot become another user");
}

/// Runs `body` as `nobody`, in a thread of its own.
pub fn as_nobody<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            become_nobody();
            body()
        });
        thread.join().expect("what runs as nobody")
    })
}

/// Returns the metadata of the path itself, not of a symlink's target.
#[track_caller]
pub fn lstat(path: impl AsRef<Path>) -> fs::Metadata {
    let path = path.as_ref();
    fs::symlink_metadata(path).unwrap_or_else(|error| panic!("lstat {}: {error}", path.display()))
}

/// Returns the permission bits, with setuid, setgid and sticky.
#[track_caller]
pub fn mode(path: impl AsRef<Path>) -> u32 {
    lstat(path).mode() & 0o7777
}

/// Truncates a file by its path, without opening it.
pub fn truncate(path: impl Arg, size: u64) -> Result<(), Errno> {
    path.into_with_c_str(|path| {
        // SAFETY: a NUL-terminated string, and a number.
        match unsafe { libc::truncate(path.as_ptr(), size as i64) } {
            0 => Ok(()),
            _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
        }
    })
}

pub fn rename_with(from: &Path, to: &Path, flags: RenameFlags) -> rustix::io::Result<()> {
    rustix::fs::renameat_with(CWD, from, CWD, to, flags)
}

pub fn set_xattr(
    path: &Path,
    name: &str,
    value: &[u8],
    flags: XattrFlags,
) -> rustix::io::Result<()> {
    rustix::fs::lsetxattr(path, name, value, flags)
}

pub fn get_xattr(path: &Path, name: impl Arg) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 65536];
    let len = rustix::fs::lgetxattr(path, name, &mut buffer[..])?;
    buffer.truncate(len);
    Ok(buffer)
}

pub fn remove_xattr(path: &Path, name: &str) -> rustix::io::Result<()> {
    rustix::fs::lremovexattr(path, name)
}

/// Returns the names of the `user.` xattrs, sorted, without those that pondmount computes.
pub fn list_xattrs(path: &Path) -> rustix::io::Result<Vec<OsString>> {
    let mut buffer = vec![0; 65536];
    let len = rustix::fs::llistxattr(path, &mut buffer[..])?;
    let names = buffer[..len].split(|byte| *byte == 0);
    let ours = |name: &&[u8]| name.starts_with(b"user.") && !name.starts_with(b"user.pond.");
    let mut names: Vec<_> = names
        .filter(ours)
        .map(|name| OsString::from_vec(name.to_vec()))
        .collect();
    names.sort();
    Ok(names)
}

/// Returns a time as seconds and nanoseconds since 1970; negative seconds are before.
pub fn instant(seconds: i64, nanos: i64) -> Timespec {
    Timespec {
        tv_sec: seconds,
        tv_nsec: nanos as _,
    }
}

/// Sets atime and mtime of the path itself.
pub fn set_times(path: &Path, access: Timespec, modification: Timespec) -> rustix::io::Result<()> {
    let times = Timestamps {
        last_access: access,
        last_modification: modification,
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
}

/// Returns the result of `f` in a forked process that shares open files but neither locks nor
/// memory. `f` may only make system calls: the other threads of this process do not exist there.
pub fn in_another_process(f: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child makes system calls only (the caller's promise) and leaves by `_exit`.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork: {}", io::Error::last_os_error());
    if pid == 0 {
        let code = if f() { 0 } else { 1 };
        // SAFETY: ends the child at once, without running destructors that belong to the parent.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `pid` is a child and `status` is valid.
    let waited = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert!(
        waited == pid && libc::WIFEXITED(status),
        "the forked process did not exit by itself"
    );
    libc::WEXITSTATUS(status) == 0
}

/// Tries a POSIX record lock on bytes `start..start + len` without waiting.
pub fn try_record_lock(fd: RawFd, kind: libc::c_int, start: i64, len: i64) -> bool {
    // SAFETY: all-zero is a valid `flock`.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    (lock.l_start, lock.l_len) = (start, len);
    // SAFETY: a valid fd and a valid lock description.
    unsafe { libc::fcntl(fd, libc::F_SETLK, &lock) == 0 }
}

/// A file mapped shared and writable.
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    pub fn new(file: &File, len: usize) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh mapping of an open file, at an address of the kernel's choice.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                protection,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => Ok(Mapping { start, len }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is `len` bytes long, lives as long as `self`, and is borrowed
        // exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// Writes the pages back and waits.
    pub fn sync(&self) -> io::Result<()> {
        // SAFETY: the range is exactly the mapping.
        match unsafe { libc::msync(self.start.as_ptr().cast(), self.len, libc::MS_SYNC) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: unmaps exactly what `new` mapped.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
