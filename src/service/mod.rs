//! What the front ends share: for now the list of all kinds of resources.

use crate::resource::Kinds;

/// All kinds of resources.
pub const KINDS: Kinds = Kinds::new(&[crate::collect::KINDS, crate::derive::KINDS]);

#[cfg(test)]
mod tests {
    use super::KINDS;

    #[test]
    fn kinds_are_found_by_name() {
        for kind in KINDS.iter() {
            assert_eq!(KINDS.find(kind.as_str()), Ok(kind));
            assert!(kind.about().ends_with('.'), "{kind}");
        }
        let derived = KINDS.iter().filter(|kind| kind.is_derived()).count();
        assert_eq!((KINDS.iter().count() - derived, derived), (5, 11));
    }
}
