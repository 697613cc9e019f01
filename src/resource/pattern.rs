//! Patterns of inputs.
//!
//! A pattern begins with names, followed by wildcards. Names lead into derived directories too; a
//! wildcard enters a derived directory only directly behind the leading names of a pattern, and
//! `**` never does. So the patterns alone determine which resource reads which.

use super::ResourceError;
use crate::tinyfs;

/// A pattern from the root of the pond.
pub(crate) struct Pattern {
    /// The components between slashes.
    pub(crate) components: Vec<String>,
    /// The number of leading names; at least one component is not counted.
    pub(crate) names: usize,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Result<Pattern, ResourceError> {
        let parts = text.split('/').filter(|part| !part.is_empty());
        let components: Vec<String> = parts.map(str::to_owned).collect();
        let plain = components.iter().take_while(|part| is_name(part)).count();
        match components.len().checked_sub(1) {
            Some(most) => Ok(Pattern {
                names: plain.min(most),
                components,
            }),
            None => Err(ResourceError::new(format!("{text:?} is no pattern"))),
        }
    }

    /// Returns the part behind the first `from` components, as a pattern of the tree.
    pub(crate) fn rest(&self, from: usize) -> Result<tinyfs::Pattern, ResourceError> {
        let rest = self.components.get(from..).unwrap_or_default().join("/");
        tinyfs::Pattern::new(rest.as_bytes())
            .map_err(|error| ResourceError::new(format!("{rest:?}: {error}")))
    }

    /// Returns whether the component `n` behind the names is matched by listing a directory.
    pub(crate) fn is_wild(&self, n: usize) -> bool {
        let behind = self.components.get(self.names..).unwrap_or_default();
        // `**` can match any number of names.
        behind.iter().any(|part| part == "**") || behind.get(n).is_some_and(|part| !is_name(part))
    }

    /// Returns the number of captures in all components but the last.
    pub(crate) fn directory_captures(&self) -> usize {
        let last = self.components.len().saturating_sub(1);
        let folders = self.components.get(..last).unwrap_or_default();
        folders.iter().map(|part| captures(part)).sum()
    }
}

fn captures(component: &str) -> usize {
    tinyfs::Pattern::new(component.as_bytes()).map_or(0, |pattern| pattern.captures())
}

fn is_name(component: &str) -> bool {
    captures(component) == 0 && tinyfs::Pattern::new(component.as_bytes()).is_ok()
}

/// Returns the captures if one component matches a name.
pub(crate) fn matches(component: &str, name: &[u8]) -> Option<Vec<Vec<u8>>> {
    if component == "**" {
        return None;
    }
    tinyfs::Pattern::new(component.as_bytes())
        .ok()?
        .matches(&[name])
}

/// Returns whether a pattern looks into a derived directory at a place.
pub(crate) fn reaches(pattern: &Pattern, place: &[String]) -> bool {
    let Some((last, folders)) = place.split_last() else {
        return false;
    };
    pattern.components.len() > place.len()
        && folders.len() <= pattern.names
        && pattern.components.starts_with(folders)
        && pattern
            .components
            .get(folders.len())
            .is_some_and(|component| matches(component, last.as_bytes()).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_tell_where_they_look() {
        let place = ["Reduce".to_owned(), "tides".to_owned()];
        let reach = |pattern: &str| reaches(&Pattern::new(pattern).unwrap(), &place);
        assert!(reach("/Reduce/tides/*/res=1h"));
        assert!(reach("/Reduce/t*/x"));
        assert!(!reach("/Reduce/tides"), "nothing in it is meant");
        assert!(!reach("/Reduce/**"));
        assert!(!reach("/*/tides/x"), "a wildcard before it");
        assert!(!reach("/**/*.csv"));
        assert!(!reach("/Combine/tides/x"));
    }

    #[test]
    fn only_wildcards_need_a_directory_to_be_listed() {
        let wild = |pattern: &str, n| Pattern::new(pattern).unwrap().is_wild(n);
        assert!(!wild("/a/b.csv", 0));
        assert!(wild("/a/*.csv", 0));
        assert!(wild("/a/*/b.csv", 0) && !wild("/a/*/b.csv", 1));
        assert!(wild("/a/**/b.csv", 0) && wild("/a/**/b.csv", 7));
    }

    #[test]
    fn captures_of_directories_are_told_from_those_of_files() {
        let of = |pattern: &str| Pattern::new(pattern).unwrap().directory_captures();
        assert_eq!(of("/a/*/b/*.csv"), 1);
        assert_eq!(of("/a/x*.csv"), 0);
        assert_eq!(of("/{a,b}/c*/d"), 2);
    }
}
