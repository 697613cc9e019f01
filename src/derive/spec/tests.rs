//! Kinds and columns by their names.

use super::{Kind, column_matches};

#[test]
fn kinds_by_name() {
    for kind in Kind::ALL {
        assert_eq!(Kind::new(kind.as_str()), Ok(*kind));
    }
    let derived = Kind::ALL.iter().filter(|kind| kind.is_derived());
    assert_eq!((Kind::ALL.len(), derived.count()), (16, 11));
}

#[test]
fn columns_by_glob() {
    for (glob, column) in [
        ("a.b", "a.b"),
        ("*", ""),
        ("*", "a"),
        ("*.DO.*", "x.DO.mg/L"),
        ("a*c", "ac"),
        ("a*c", "abcc"),
        ("*a*a", "aa"),
        ("µ*", "µg/L"),
        ("a**b", "ab"),
    ] {
        assert!(column_matches(glob, column), "{glob} {column}");
    }
    for (glob, column) in [
        ("a.b", "aXb"),
        ("a", "A"),
        ("*.DO.*", "x.DO"),
        ("a*c", "abcd"),
        ("*a*a", "a"),
        ("ab*ba", "aba"),
        ("", "a"),
    ] {
        assert!(!column_matches(glob, column), "{glob} {column}");
    }
}
