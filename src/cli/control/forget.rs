//! Requests to forget versions or paths, and their results.

use super::answer::json;
use super::raw::Raw;
use crate::cli::failure::Failure;
use crate::pond::{Policy, Pond, Pruned};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What to forget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "forget", rename_all = "snake_case")]
pub enum Forget {
    /// The versions that a policy does not keep.
    Versions {
        /// The policy.
        policy: Policy,
        /// Only versions of the nodes at this path, now and in the past; `None` for all.
        path: Option<Raw>,
        /// Only reports which versions would be forgotten.
        dry_run: bool,
        /// Trusts the clock, even if versions contradict it.
        #[serde(default)]
        trust_clock: bool,
    },
    /// A path, in all versions but the newest.
    Path {
        /// The path.
        path: Raw,
        /// Only reports what would be forgotten.
        #[serde(default)]
        dry_run: bool,
    },
}

/// What was forgotten, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetReport {
    /// The number of versions that are kept.
    pub kept: usize,
    /// The number of versions that each rule keeps.
    pub rules: BTreeMap<String, usize>,
    /// The number of versions that are forgotten.
    pub forgotten: usize,
    /// The forgotten versions, as first and last of each run.
    pub runs: Vec<(u64, u64)>,
    /// Files and directories that leave all versions but the newest.
    #[serde(default)]
    pub nodes: usize,
    /// Former entries below the path that are elsewhere now, with all their history.
    pub left: Vec<String>,
    /// Bytes of the oplog and the segments before.
    pub bytes_before: u64,
    /// Bytes of the oplog and the segments after.
    pub bytes_after: u64,
}

/// Serves a request.
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
