//! What is asked of a pond that is to forget, and the answer.

use super::answer::json;
use super::raw::Raw;
use crate::cli::failure::Failure;
use crate::pond::{Policy, Pond, Pruned};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "forget", rename_all = "snake_case")]
pub enum Forget {
    /// The versions that a policy does not keep.
    Versions {
        /// The policy.
        policy: Policy,
        /// Of what is and was at this path; without it, of everything.
        path: Option<Raw>,
        /// Only say which.
        dry_run: bool,
        /// The clock is right, whatever versions say.
        #[serde(default)]
        trust_clock: bool,
    },
    /// All versions of a path but the newest.
    Path {
        /// The path.
        path: Raw,
        /// Only say what.
        #[serde(default)]
        dry_run: bool,
    },
}

/// What was forgotten, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetReport {
    /// How many versions are kept.
    pub kept: usize,
    /// How many of them each rule keeps.
    pub rules: BTreeMap<String, usize>,
    /// How many are forgotten.
    pub forgotten: usize,
    /// Which, as first and last of each run.
    pub runs: Vec<(u64, u64)>,
    /// Files and directories that leave all versions but the newest.
    #[serde(default)]
    pub nodes: usize,
    /// What was below the path once, and stands elsewhere now with all its history.
    pub left: Vec<String>,
    /// Bytes of the oplog and the segments before.
    pub bytes_before: u64,
    /// And after.
    pub bytes_after: u64,
}

/// Answers.
pub(super) fn answer(pond: &Pond, about: &Forget) -> Result<Value, Failure> {
    let pruned = match about {
        Forget::Versions {
            policy,
            path,
            dry_run,
            trust_clock,
        } => {
            let path = path.as_ref().map(|path| &path.0[..]);
            pond.prune_by_clock(policy, path, *dry_run, *trust_clock)?
        }
        Forget::Path { path, dry_run } => pond.forget(&path.0, *dry_run)?,
    };
    json(&report(pruned))
}

fn report(pruned: Pruned) -> ForgetReport {
    let mut rules: BTreeMap<String, usize> = BTreeMap::new();
    for rule in pruned.kept.values().flatten() {
        *rules.entry(rule.clone()).or_default() += 1;
    }
    ForgetReport {
        kept: pruned.kept.len(),
        rules,
        forgotten: pruned.forgotten,
        runs: pruned.runs.iter().map(|run| (run.0.0, run.1.0)).collect(),
        nodes: pruned.nodes,
        left: pruned.left,
        bytes_before: pruned.before,
        bytes_after: pruned.after,
    }
}
