//! What a kind of resource provides, and lists of kinds.
//!
//! A kind's folder defines the type of its spec and implements [`Kind`] for it. The lists in
//! `derive` and `collect` have a [`KindEntry`] for each, and [`Kinds`] joins the lists. A document
//! holds its spec as `dyn` [`Spec`]; the layer that declared the kind downcasts it.
//!
//! Invariants: unknown fields of a spec are refused. A spec is validated before any module other
//! than its kind sees it. Names in a spec become names of directory entries. Patterns are
//! [`crate::tinyfs::Pattern`]s from the root of the pond, with or without a leading slash.

use super::document::Document;
use super::document::read::{self, DocumentYaml};
use super::field::{Checked, FieldPath};
use serde::de::DeserializeOwned;
use std::any::Any;
use std::fmt;

/// A kind of resource, implemented by the type of its spec.
pub trait Kind: DeserializeOwned + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// Name of the kind in documents, and of its directory.
    const NAME: &'static str;
    /// What the kind does, in one sentence.
    const ABOUT: &'static str;
    /// Fields whose text is not expanded when a document is applied: comments, and templates that
    /// are rendered later.
    const LITERAL: &'static [&'static str] = &[];
    /// Fields of the spec with a reference to a secret. No error repeats their text.
    const SECRET: &'static [&'static str] = &[];
    /// Whether the spec has parts with a `kind` and a `spec` of their own.
    const NESTS: bool = false;

    /// Returns the first fault that the types do not express. The spec is at path `at`.
    fn check(&self, at: &FieldPath) -> Checked;

    /// Like [`Kind::check`], for a kind whose spec names other kinds.
    fn check_among(&self, at: &FieldPath, _kinds: Kinds) -> Checked {
        self.check(at)
    }

    /// Returns the patterns of all files that the resource reads.
    fn patterns(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// A spec of any kind.
pub trait Spec: Any + fmt::Debug + Send + Sync {
    /// Returns the first fault of the spec, which is at path `at`.
    fn validate(&self, at: &FieldPath, kinds: Kinds) -> Checked;

    /// Returns the patterns of all files that the resource reads.
    fn patterns(&self) -> Vec<&str>;

    /// Returns whether the other spec is of the same kind and equal.
    fn equals(&self, other: &dyn Spec) -> bool;
}

impl<T: Kind> Spec for T {
    fn validate(&self, at: &FieldPath, kinds: Kinds) -> Checked {
        self.check_among(at, kinds)
    }

    fn patterns(&self) -> Vec<&str> {
        Kind::patterns(self)
    }

    fn equals(&self, other: &dyn Spec) -> bool {
        other.downcast_ref::<T>() == Some(self)
    }
}

impl dyn Spec {
    /// Returns the spec if it is of kind `T`.
    pub fn downcast_ref<T: Kind>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }
}

impl PartialEq for dyn Spec {
    fn eq(&self, other: &dyn Spec) -> bool {
        self.equals(other)
    }
}

/// Deserializes a document of a known kind.
type ReadDocument =
    for<'a> fn(DocumentYaml<'a>, &'static KindEntry) -> Result<Document, serde_yaml::Error>;

/// An entry of a list of kinds.
pub struct KindEntry {
    name: &'static str,
    about: &'static str,
    derived: bool,
    pub(super) literal: &'static [&'static str],
    pub(super) secret: &'static [&'static str],
    pub(super) nests: bool,
    pub(super) read: ReadDocument,
}

impl KindEntry {
    /// Returns the entry of a kind whose resources appear as directories.
    pub const fn derived<T: Kind>() -> KindEntry {
        KindEntry::new::<T>(true)
    }

    /// Returns the entry of a kind whose resources write into the pond.
    pub const fn collecting<T: Kind>() -> KindEntry {
        KindEntry::new::<T>(false)
    }

    const fn new<T: Kind>(derived: bool) -> KindEntry {
        KindEntry {
            name: T::NAME,
            about: T::ABOUT,
            derived,
            literal: T::LITERAL,
            secret: T::SECRET,
            nests: T::NESTS,
            read: read::document::<T>,
        }
    }

    /// Returns the name of the kind in documents, and of its directory.
    pub fn as_str(&self) -> &'static str {
        self.name
    }

    /// Returns what the kind does, in one sentence.
    pub fn about(&self) -> &'static str {
        self.about
    }

    /// Returns whether the kind renders files from others, as opposed to collecting data.
    pub fn is_derived(&self) -> bool {
        self.derived
    }
}

impl PartialEq for KindEntry {
    fn eq(&self, other: &KindEntry) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for KindEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for KindEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// All kinds: several lists, joined.
#[derive(Clone, Copy, Debug)]
pub struct Kinds(&'static [&'static [KindEntry]]);

impl Kinds {
    /// Joins lists. Names of kinds must differ.
    pub const fn new(lists: &'static [&'static [KindEntry]]) -> Kinds {
        Kinds(lists)
    }

    /// Returns all kinds, in the order of the lists.
    pub fn iter(self) -> impl Iterator<Item = &'static KindEntry> {
        self.0.iter().copied().flatten()
    }

    /// Returns the kind of a name. The error lists all names.
    pub fn find(self, name: &str) -> Result<&'static KindEntry, String> {
        let found = self.iter().find(|kind| kind.name == name);
        found.ok_or_else(|| {
            let names: Vec<_> = self.iter().map(KindEntry::as_str).collect();
            format!("{name:?} is not a kind; write one of {}", names.join(", "))
        })
    }
}
