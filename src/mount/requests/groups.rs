//! The supplementary groups of a process, which the kernel does not send with a request.

/// Returns the supplementary groups of process `pid`; none if they cannot be read.
pub(in crate::mount) fn of(pid: u32) -> Vec<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    parse(&status)
}

fn parse(status: &str) -> Vec<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Groups:"));
    let words = line.unwrap_or_default().split_whitespace();
    words.filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_groups_is_read() {
        assert_eq!(
            parse("Name:\tcat\nGid:\t5 5\nGroups:\t4 27 1000 \n"),
            [4, 27, 1000]
        );
        assert!(parse("").is_empty() && parse("Groups:\t\n").is_empty());
        assert!(of(u32::MAX).is_empty());
    }
}
