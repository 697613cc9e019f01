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
        let named = |name: &str| KINDS.find(name).unwrap();
        assert!(named("Reduce").is_derived() && !named("HydroVu").is_derived());
        let names: std::collections::BTreeSet<_> = KINDS.iter().map(|k| k.as_str()).collect();
        assert_eq!(names.len(), KINDS.iter().count());
    }
}
