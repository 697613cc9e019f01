//! The last failures that were the pond's fault, with their causes.
//!
//! In: an operation, its view, and the error. Out: lines of `.pond/errors`, and the attribute
//! `user.pond.error` of a file. Invariants: the last failures are kept, as many as the limit
//! `errors` says; a path is resolved when `.pond/errors` is read, not when an operation waits.

use crate::mount::views::inodes::View;
use crate::pond::Pond;
use crate::tinyfs::{Errno, FsError, NodeId, Time, Version, describe};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt::Write;
use std::time::SystemTime;

#[derive(Debug)]
struct Failure {
    time: Time,
    op: &'static str,
    view: Option<View>,
    /// The path of something derived.
    derived: Option<Vec<u8>>,
    errno: Errno,
    reason: String,
}

#[derive(Debug, Default)]
pub(in crate::mount) struct Errors(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    last: VecDeque<Failure>,
    /// The number of failures since the mount began.
    count: u64,
}

impl Errors {
    /// Records a failure, if the pond is at fault.
    pub(in crate::mount) fn note(
        &self,
        op: &'static str,
        view: Option<View>,
        derived: Option<Vec<u8>>,
        error: &FsError,
        most: usize,
    ) {
        let FsError::Store { errno, cause } = error else {
            return;
        };
        let mut kept = self.0.lock();
        kept.count += 1;
        if kept.last.len() >= most {
            kept.last.pop_front();
        }
        // Keeps one failure on one line.
        let reason = describe(cause.as_ref()).replace(['\n', '\t'], " ");
        kept.last.push_back(Failure {
            time: Time::from(SystemTime::now()),
            op,
            view,
            derived,
            errno: *errno,
            reason,
        });
    }

    pub(in crate::mount) fn count(&self) -> u64 {
        self.0.lock().count
    }

    /// Returns why the last failed operation on a node at a version failed.
    pub(in crate::mount) fn of(&self, at: Version, id: NodeId) -> Option<String> {
        let kept = self.0.lock();
        let about = |failure: &&Failure| match failure.view {
            Some(View::Node { tree, id: node }) => (tree.at, node) == (at, id),
            _ => false,
        };
        Some(kept.last.iter().rfind(about)?.reason.clone())
    }

    /// Returns all recorded failures, oldest first, one line each: time, operation, path, error and
    /// reason, separated by tabs.
    pub(in crate::mount) fn text(&self, pond: &Pond) -> String {
        let rows: Vec<_> = {
            let kept = self.0.lock();
            let row = |f: &Failure| {
                let (view, derived) = (f.view, f.derived.clone());
                (f.time, f.op, view, derived, f.errno, f.reason.clone())
            };
            kept.last.iter().map(row).collect()
        };
        let mut text = String::new();
        for (time, op, view, derived, errno, reason) in rows {
            let time = jiff::Timestamp::from_microsecond(time.micros())
                .map_or_else(|_| time.micros().to_string(), |time| format!("{time:.6}"));
            let path = match (view, derived) {
                (Some(view), Some(derived)) => in_tree(view, derived.escape_ascii().to_string()),
                (Some(view), None) => path(pond, view),
                (None, _) => "-".into(),
            };
            // Writing to a string cannot fail.
            writeln!(text, "{time}\t{op}\t{path}\t{errno:?}\t{reason}").ok();
        }
        text
    }
}

/// Returns the path of a view in the mount, as far as it can be found.
fn path(pond: &Pond, view: View) -> String {
    let (at, id) = match view {
        View::Node { tree, id } => (tree.at, id),
        View::Versions { tree, of } | View::Ref { tree, of, .. } => (tree.at, of.dir()),
        View::Derived { .. } => return in_tree(view, "/(derived)".into()),
        View::Own(own) => {
            return format!("/.pond/{}", String::from_utf8_lossy(own.name()));
        }
    };
    let path = match pond.path_of(at, id) {
        Ok(Some(path)) => path.escape_ascii().to_string(),
        _ => format!("/(node {id})"),
    };
    match at {
        Version::NOW => path,
        at => format!("/@version/{at}{path}"),
    }
}

/// Returns a path below the root of the tree that a view is in.
fn in_tree(view: View, path: String) -> String {
    match view.tree() {
        Some(tree) if !tree.is_live() => format!("/@version/{}{path}", tree.at),
        _ => path,
    }
}
