//! Tests of patterns, captures and substitution.

use super::{Errno, Pattern, substitute};
use proptest::prelude::*;

proptest! {
    #[test]
    fn arbitrary_bytes_parse_or_are_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        odd in r"[*$?{}\[\]!,\\/a.(?i)-]{0,12}",
        name in proptest::collection::vec(any::<u8>(), 1..12),
    ) {
        for pattern in [&bytes[..], odd.as_bytes()] {
            if let Ok(pattern) = Pattern::new(pattern) {
                let captures = pattern.matches(&[&name]);
                prop_assert!(captures.is_none_or(|found| found.len() == pattern.captures()));
            }
            let _ = substitute(pattern, std::slice::from_ref(&name));
        }
    }
}

#[test]
fn brace_nesting_is_limited() {
    let nested = |n: usize| format!("{}a{}", "{".repeat(n), "}".repeat(n));
    assert!(Pattern::new(nested(10).as_bytes()).is_ok());
    assert!(Pattern::new(nested(1 << 20).as_bytes()).is_err());
}

#[test]
fn captures_hold_the_text_that_wildcards_match() {
    let captured = |pattern: &str, path: &str| {
        let names: Vec<&[u8]> = path.split('/').map(str::as_bytes).collect();
        let found = Pattern::new(pattern.as_bytes()).unwrap().matches(&names)?;
        Some(
            found
                .into_iter()
                .map(|c| String::from_utf8(c).unwrap())
                .collect::<Vec<_>>(),
        )
    };
    let some = |captures: &[&str]| Some(captures.iter().map(|c| c.to_string()).collect());
    assert_eq!(captured("a/b", "a/b"), some(&[]));
    assert_eq!(captured("a/b", "a/c"), None);
    assert_eq!(captured("*-*.csv", "x-y-z.csv"), some(&["x-y", "z"]));
    assert_eq!(captured("$-*.csv", "x-y-z.csv"), some(&["x", "y-z"]));
    assert_eq!(captured("??[0-9]", "aé7"), some(&["a", "é", "7"]));
    assert_eq!(captured("[!0-9]", "7"), None);
    assert_eq!(captured("{ab,a}{b,bc}c", "abbc"), some(&["ab", "b"]));
    assert_eq!(captured("{a,ab}{c,bcd}", "abcd"), some(&["a", "bcd"]));
    assert_eq!(captured("{*.{go,rs}}", "main.rs"), some(&["main.rs"]));
    assert_eq!(captured("**/*.txt", "b.txt"), some(&["", "b"]));
    assert_eq!(captured("**/*.txt", "x/y/b.txt"), some(&["x/y/", "b"]));
    assert_eq!(captured("a/**", "a/b/c"), some(&["b/c"]));
    assert_eq!(captured("a/**", "a"), None);
    assert_eq!(captured("(?i)ab[c](?-i)d", "AbCd"), some(&["C"]));
    assert_eq!(captured("(?i)ab(?-i)d", "AbD"), None);
    assert_eq!(captured("\\*\\{", "*{"), some(&[]));
    assert_eq!(Pattern::new(b"**/?*/{a,b}[x]c").unwrap().captures(), 5);
    for bad in [
        "", "/", "a/../b", "./a", "a**", "{a", "[", "[]", "[z-a]", "**/**/a", "a\\",
    ] {
        assert!(Pattern::new(bad.as_bytes()).is_err(), "{bad}");
    }
    let bytes = Pattern::new(b"?\xff*").unwrap().matches(&[b"\xfe\xff\xfd"]);
    assert_eq!(bytes, Some(vec![b"\xfe".to_vec(), b"\xfd".to_vec()]));
}

#[test]
fn substitution_counts_from_zero() {
    let captures: Vec<Vec<u8>> = (0..11).map(|i| format!("c{i}").into_bytes()).collect();
    assert_eq!(substitute(b"$0-$1.x$", &captures), Ok(b"c0-c1.x$".to_vec()));
    assert_eq!(substitute(b"$10$a", &captures), Ok(b"c10$a".to_vec()));
    assert_eq!(substitute(b"$11", &captures), Err(Errno::EINVAL));
}
