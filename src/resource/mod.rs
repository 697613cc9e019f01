//! Resources: YAML documents in a pond that define derived directories and collectors.
//!
//! `derive` and `collect` declare the kinds, and `service` joins their lists to one [`Kinds`],
//! which every function that reads documents takes. This module names no kind.
//!
//! - [`kind`]: what a kind provides. [`field`], [`secret`], [`duration`], [`moment`]: parts of
//!   specs, and the checks that kinds share.
//! - [`document`]: the text of a resource. [`inline`]: files that become part of it.
//! - [`registry`]: the resources of a version and the names under which they appear.
//!   [`pattern`], [`dependencies`]: which resource reads which.
//! - [`apply`]: creates, replaces and removes resources.
//!
//! Invariant: a [`Document`] is valid, except for what depends on the files that it reads.

mod apply;
mod dependencies;
mod document;
pub(crate) mod duration;
mod error;
pub(crate) mod field;
mod inline;
mod kind;
mod moment;
pub(crate) mod pattern;
mod registry;
mod secret;

pub use apply::{Applied, apply, delete, missing};
pub use document::{Document, DocumentError};
pub use duration::{DurationError, Span};
pub use error::ResourceError;
pub use inline::inline_templates;
pub use kind::{Kind, KindEntry, Kinds, Spec};
pub use moment::Moment;
pub use registry::{DocumentCache, ENDING, Overlay, Owner, Registry, Resource};
pub use secret::{Secret, SecretError, SecretRef};
