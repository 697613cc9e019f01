//! The supplementary groups of a process: the kernel does not send them with a request.

/// The groups that process `pid` is in besides its own; none where it cannot be asked.
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
