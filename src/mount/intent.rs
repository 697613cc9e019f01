//! What a process is about to do with a name that it looks up.
//!
//! The name of a version is a link, and the kernel lets nobody call `rmdir` on a link: it looks the name up,
//! and asks us no more. So to a process that is in `rmdir` the name leads to a directory. Requests do not tell
//! the system call; the kernel does, in `/proc`. Where that cannot be read the name is a link to everybody, and
//! `rm` takes it away as well.

use std::fs;

/// Removes the directory, as an argument of `unlinkat`.
const AT_REMOVEDIR: libc::c_long = libc::AT_REMOVEDIR as libc::c_long;

/// Whether a process is in a call that removes a directory.
pub(super) fn removes_directory(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/syscall")).is_ok_and(|line| is_removal(&line))
}

/// The line has the number of the call and its arguments in hexadecimal.
fn is_removal(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    let call = words
        .next()
        .and_then(|call| call.parse::<libc::c_long>().ok());
    let flags = words
        .nth(2)
        .and_then(|flags| libc::c_long::from_str_radix(flags.trim_start_matches("0x"), 16).ok());
    match call {
        // Newer machines have no call of this name.
        #[cfg(target_arch = "x86_64")]
        Some(libc::SYS_rmdir) => true,
        Some(libc::SYS_unlinkat) => flags.is_some_and(|flags| flags & AT_REMOVEDIR != 0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removal_is_told_from_other_calls() {
        let unlinkat = libc::SYS_unlinkat;
        assert!(is_removal(&format!(
            "{unlinkat} 0xffffff9c 0x7ffe 0x200 0x0 0x0 0x0 0x7f 0x7f"
        )));
        assert!(!is_removal(&format!(
            "{unlinkat} 0xffffff9c 0x7ffe 0x0 0x0 0x0 0x0 0x7f 0x7f"
        )));
        assert!(!is_removal("running") && !is_removal("") && !is_removal("0 0x3 0x4 0x200"));
        #[cfg(target_arch = "x86_64")]
        assert!(is_removal(&format!("{} 0x7ffe 0x0 0x0", libc::SYS_rmdir)));
    }
}
