//! File handles, as NFS servers and backup programs use them: they open the same file after the
//! kernel has dropped its inode.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use mount_tests::place::{file, folder, on_both};
use mount_tests::pond::Pond;
use mount_tests::run::need_root;
use rustix::io::Errno;

/// What `name_to_handle_at` says of a path.
#[repr(C)]
#[derive(Clone, Debug, PartialEq)]
struct Handle {
    bytes: u32,
    kind: i32,
    handle: [u8; 128],
}

impl Handle {
    fn of(path: &Path) -> Handle {
        let mut handle = Handle {
            bytes: 128,
            kind: 0,
            handle: [0; 128],
        };
        let name = CString::new(path.as_os_str().as_bytes()).unwrap();
        let mut mount = 0;
        // SAFETY: a path that ends, and a handle with room for as many bytes as it says.
        let done = unsafe {
            libc::syscall(
                libc::SYS_name_to_handle_at,
                libc::AT_FDCWD,
                name.as_ptr(),
                &raw mut handle,
                &raw mut mount,
                0,
            )
        };
        assert_eq!(
            done,
            0,
            "{}: {}",
            path.display(),
            io::Error::last_os_error()
        );
        handle
    }

    fn open(&self, root: &Path) -> io::Result<File> {
        let root = File::open(root)?;
        let mut handle = self.clone();
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: a handle that the kernel has written.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_open_by_handle_at,
                root.as_raw_fd(),
                &raw mut handle,
                flags,
            )
        };
        match i32::try_from(fd) {
            // SAFETY: a descriptor that is new.
            Ok(fd) if fd >= 0 => Ok(unsafe { File::from_raw_fd(fd) }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn read(&self, root: &Path) -> io::Result<String> {
        let mut text = String::new();
        self.open(root)?.read_to_string(&mut text)?;
        Ok(text)
    }

    /// The names in a directory.
    fn list(&self, root: &Path) -> io::Result<Vec<String>> {
        let dir = self.open(root)?;
        let names = fs::read_dir(format!("/proc/self/fd/{}", dir.as_raw_fd()))?;
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().into_string().unwrap());
        let mut names: Vec<String> = names.map(name).collect::<io::Result<_>>()?;
        names.sort();
        Ok(names)
    }
}

/// Has the kernel forget all inodes that nobody uses.
fn drop_caches() {
    fs::write("/proc/sys/vm/drop_caches", "2").expect("drop the caches");
}

fn errno<T: std::fmt::Debug>(done: io::Result<T>) -> Option<Errno> {
    Errno::from_io_error(&done.expect_err("it was allowed"))
}

/// The kernel lets go of an inode when its last RELEASE was answered, some time after the close.
#[track_caller]
fn assert_becomes_stale(handle: &Handle, root: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let stale = loop {
        drop_caches();
        match handle.read(root) {
            Ok(_) if Instant::now() < deadline => std::thread::yield_now(),
            read => break errno(read),
        }
    };
    assert_eq!(stale, Some(Errno::STALE));
}

#[test]
fn handles_open_the_same_files_after_the_kernel_forgot_them() {
    need_root("opens files by their handles");
    on_both(|root| {
        let deep = folder(&folder(root, "d"), "deep");
        let path = file(&deep, "f", "text");
        let (f, dir) = (Handle::of(&path), Handle::of(&deep));
        for _ in 0..3 {
            drop_caches();
            assert_eq!(f.read(root).unwrap(), "text");
            drop_caches();
            assert_eq!(dir.list(root).unwrap(), ["f"]);
        }
        assert_eq!((Handle::of(&path), Handle::of(&deep)), (f.clone(), dir));
        // What is written by the handle is in the file; a new name changes nothing.
        let moved = root.join("moved");
        fs::rename(&path, &moved).unwrap();
        drop_caches();
        assert_eq!(f.read(root).unwrap(), "text");
        // A directory that is opened so knows where it is.
        let way = Handle::of(&deep).open(root).unwrap();
        let way = fs::read_link(format!("/proc/self/fd/{}", way.as_raw_fd())).unwrap();
        assert_eq!(way, deep);
        fs::remove_file(&moved).unwrap();
        assert_becomes_stale(&f, root);
        let again = file(root, "again", "other");
        assert_eq!(errno(f.read(root)), Some(Errno::STALE));
        fs::remove_file(again).unwrap();
    });
}

#[test]
fn handles_outlive_the_mount_and_the_index() {
    need_root("opens files by their handles");
    let pond = Pond::new();
    let mount = pond.mount();
    let dir = folder(mount.path(), "d");
    let handles = [
        Handle::of(&file(&dir, "f", "text")),
        Handle::of(&file(mount.path(), "g", "more")),
    ];
    let of_dir = Handle::of(&dir);
    let read = |root: &Path| handles.clone().map(|handle| handle.read(root).unwrap());
    let mount = mount.remount();
    assert_eq!(read(mount.path()), ["text", "more"]);
    let mount = mount.remount_without_index();
    assert_eq!(of_dir.list(mount.path()).unwrap(), ["f"]);
    assert_eq!(read(mount.path()), ["text", "more"]);
    assert_eq!(Handle::of(&mount.join("d/f")), handles[0]);
    mount.unmount();
    pond.check();
}

#[test]
fn a_handle_of_a_file_that_a_crash_took_leads_to_no_other() {
    need_root("opens files by their handles");
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=600"]);
    file(mount.path(), "kept", "x");
    mount.sync();
    let lost = file(mount.path(), "lost", "old");
    let (handle, number) = (
        Handle::of(&lost),
        mount_tests::sys::get_xattr(&lost, "user.pond.id"),
    );
    mount.kill9();
    let mount = pond.mount();
    assert!(
        !mount.join("lost").exists(),
        "it was to be lost for this test"
    );
    let new = file(mount.path(), "new", "new");
    assert_eq!(
        mount_tests::sys::get_xattr(&new, "user.pond.id"),
        number,
        "the number is given again"
    );
    assert_eq!(errno(handle.read(mount.path())), Some(Errno::STALE));
    assert_eq!(Handle::of(&new).read(mount.path()).unwrap(), "new");
    mount.unmount();
}

#[test]
fn handles_of_the_past_work_as_long_as_the_kernel_knows_it() {
    need_root("opens files by their handles");
    let pond = Pond::new();
    let mount = pond.mount();
    file(mount.path(), "f", "text");
    mount.sync();
    let path = mount.version(1).join("f");
    let handle = Handle::of(&path);
    let open = OpenOptions::new().read(true).open(&path).unwrap();
    drop_caches();
    assert_eq!(handle.read(mount.path()).unwrap(), "text");
    drop(open);
    assert_becomes_stale(&handle, mount.path());
    // By its path it has the same number, and so the same handle.
    assert_eq!(Handle::of(&path), handle);
    assert_eq!(handle.read(mount.path()).unwrap(), "text");
    mount.unmount();
}
