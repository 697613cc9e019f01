//! Whether the caller of a LOOKUP is about to remove a directory of that name.
//!
//! `mkdir @version/NAME` names a version and `rmdir` takes the name back. The name is a symbolic link, and the kernel
//! refuses `rmdir` of a link with `ENOTDIR` after a LOOKUP, which carries a name and no purpose. So the purpose is read
//! from the system call of the caller. [Decision 22](../../docs/decisions/0022-rmdir-of-version-names.md) tells why
//! there is no other way.
//!
//! Invariants: it is asked only for names of versions, and only about callers who may remove them. A wrong answer does
//! no harm: without a reason to believe in `rmdir` the name is a link, which `rm` removes; taken for a directory, for
//! one look-up (TTL 0), it shows the same version.

use std::fs;
use std::thread;
use std::time::Duration;

/// How often the caller is looked at until it waits for the reply, and how long after.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(1);

/// Removes the directory, as an argument of `unlinkat`.
const AT_REMOVEDIR: libc::c_long = libc::AT_REMOVEDIR as libc::c_long;

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// It is in a system call that removes a directory.
    RemovesDirectory,
    /// It is in another one.
    Other,
    /// It runs. The caller of a LOOKUP waits for the reply, in a moment.
    Runs,
}

/// Returns whether a thread is in a system call that removes a directory. The thread waits for our reply.
pub(in crate::mount) fn removes_directory(thread: u32) -> bool {
    if thread == 0 || !shows_our_processes() {
        return false;
    }
    for _ in 0..TRIES {
        let line = fs::read_to_string(format!("/proc/{thread}/syscall"));
        match line.as_deref().map(call) {
            Ok(Call::RemovesDirectory) => return true,
            Ok(Call::Other) | Err(_) => return false,
            Ok(Call::Runs) => thread::sleep(PAUSE),
        }
    }
    false
}

/// Whether `/proc` counts processes as the kernel does in requests to us. One of another PID namespace would tell of a
/// process that has nothing to do with the request.
fn shows_our_processes() -> bool {
    let own = std::process::id().to_string();
    fs::read_link("/proc/self").is_ok_and(|shown| shown.as_os_str() == own.as_str())
}

/// What a line of `/proc/PID/syscall` says: the number of the call and its arguments in hexadecimal, or `running`.
fn call(line: &str) -> Call {
    let mut words = line.split_ascii_whitespace();
    let Some(first) = words.next() else {
        return Call::Other;
    };
    if first == "running" {
        return Call::Runs;
    }
    let flags = words
        .nth(2)
        .and_then(|flags| libc::c_long::from_str_radix(flags.trim_start_matches("0x"), 16).ok());
    let removes = match first.parse() {
        // Newer architectures have no call of this name.
        #[cfg(target_arch = "x86_64")]
        Ok(libc::SYS_rmdir) => true,
        Ok(libc::SYS_unlinkat) => flags.is_some_and(|flags| flags & AT_REMOVEDIR != 0),
        _ => false,
    };
    match removes {
        true => Call::RemovesDirectory,
        false => Call::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removal_of_a_directory_is_told_from_other_calls() {
        let unlinkat = libc::SYS_unlinkat;
        let of = |flags| {
            call(&format!(
                "{unlinkat} 0xffffff9c 0x7ffe {flags} 0x0 0x0 0x0 0x7f 0x7f"
            ))
        };
        assert_eq!(of("0x200"), Call::RemovesDirectory);
        for other in ["0x0", "", "0xfffffffffffffffff", "x"] {
            assert_eq!(of(other), Call::Other, "{other}");
        }
        for other in ["", "\n", "-1 0x7ffe", "0 0x3 0x4 0x200", "x 0x3 0x4 0x200"] {
            assert_eq!(call(other), Call::Other, "{other}");
        }
        assert_eq!(call("running\n"), Call::Runs);
        #[cfg(target_arch = "x86_64")]
        assert_eq!(
            call(&format!("{} 0x7ffe 0x0 0x0", libc::SYS_rmdir)),
            Call::RemovesDirectory
        );
    }

    #[test]
    fn threads_that_remove_nothing_or_are_not_there_remove_nothing() {
        assert!(shows_our_processes());
        assert!(!removes_directory(0) && !removes_directory(u32::MAX));
        // SAFETY: it takes nothing and cannot fail.
        let own = unsafe { libc::gettid() };
        assert!(!removes_directory(own.unsigned_abs()));
    }
}
