//! Finds out whether the caller of a LOOKUP is about to remove a directory of that name.
//!
//! `mkdir @version/NAME` names a version and `rmdir` removes the name. The name is a symbolic link,
//! and the kernel refuses `rmdir` of a link with `ENOTDIR` after a LOOKUP, which carries a name and
//! no purpose. So the purpose is read from the caller's system call. [Decision
//! 22](../../docs/decisions/0022-rmdir-of-version-names.md) says why there is no other way.
//!
//! Invariants: used only for names of versions, and only for callers that may remove them. A wrong
//! result does no harm: by default the name is a link, which `rm` removes; taken for a directory,
//! for one look-up (TTL 0), it shows the same version.

use std::fs;
use std::thread;
use std::time::Duration;

/// How often the caller's state is read until it waits for the reply, and the pause between.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(1);

/// The flag of `unlinkat` that removes a directory.
const AT_REMOVEDIR: libc::c_long = libc::AT_REMOVEDIR as libc::c_long;

/// The state of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// In a system call that removes a directory.
    RemovesDirectory,
    /// In another system call.
    Other,
    /// Running. The caller of a LOOKUP will soon wait for the reply.
    Runs,
}

/// Returns whether a thread that waits for a reply is in a system call that removes a directory.
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

/// Returns whether `/proc` shows this process's own PID namespace, as requests do. In another
/// namespace, the PID could belong to an unrelated process.
fn shows_our_processes() -> bool {
    let own = std::process::id().to_string();
    fs::read_link("/proc/self").is_ok_and(|shown| shown.as_os_str() == own.as_str())
}

/// Parses a line of `/proc/PID/syscall`: the number of the call and its arguments in hexadecimal,
/// or `running`.
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
        // Newer architectures have no such call.
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
        // SAFETY: `gettid` takes no arguments and cannot fail.
        let own = unsafe { libc::gettid() };
        assert!(!removes_directory(own.unsigned_abs()));
    }
}
