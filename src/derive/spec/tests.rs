//! Tests of the names of kinds.

use super::Kind;

#[test]
fn kinds_by_name() {
    for kind in Kind::ALL {
        assert_eq!(Kind::new(kind.as_str()), Ok(*kind));
    }
    let derived = Kind::ALL.iter().filter(|kind| kind.is_derived());
    assert_eq!((Kind::ALL.len(), derived.count()), (16, 11));
}
