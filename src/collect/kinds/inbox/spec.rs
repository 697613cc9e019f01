//! The spec of Inbox: files of the host.
//!
//! Invariant: after the check, the pattern of the host is absolute.

use crate::resource::Kind;
use crate::resource::field::{Checked, FieldPath, pattern};
use serde::{Deserialize, Serialize};

/// Files of the host that are copied in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inbox {
    /// Absolute glob of the host.
    pub pattern: String,
}

impl Kind for Inbox {
    const NAME: &'static str = "Inbox";
    const ABOUT: &'static str = "Copies files of the host.";

    fn check(&self, at: &FieldPath) -> Checked {
        let at = at.key("pattern");
        pattern(&at, &self.pattern)?;
        match self.pattern.starts_with('/') {
            true => Ok(()),
            false => at.fault("a pattern of the host is absolute: it begins with `/`"),
        }
    }
}
