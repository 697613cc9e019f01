//! The last failures that were the pond's and not the caller's, with what a number cannot tell.
//!
//! In: an operation, what it was about, and why it failed. Out: lines of `.pond/errors`, and the attribute
//! `user.pond.error` of a file. Holds always: the last so many as the limit `errors` says are there; a path is looked for when
//! somebody reads them, not when an operation waits.

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
    /// Where it is, of something derived.
    derived: Option<Vec<u8>>,
    errno: Errno,
    reason: String,
}

#[derive(Debug, Default)]
pub(in crate::mount) struct Errors(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    last: VecDeque<Failure>,
    /// All since the mount began.
    count: u64,
}

impl Errors {
    /// Notes a failure, if it is the pond's.
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
        // A line is a line.
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

    /// Why the last operation on a node at a version failed, if one did.
    pub(in crate::mount) fn of(&self, at: Version, id: NodeId) -> Option<String> {
        let kept = self.0.lock();
        let about = |failure: &&Failure| match failure.view {
            Some(View::Node { tree, id: node }) => (tree.at, node) == (at, id),
            _ => false,
        };
        Some(kept.last.iter().rfind(about)?.reason.clone())
    }

    /// All that are kept, oldest first, a line each: time, operation, path, error and reason, with tabs
    /// between.
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

/// Where a view stands in the mount, as far as that can be found.
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

/// A path in the tree that a view is in.
fn in_tree(view: View, path: String) -> String {
    match view.tree() {
        Some(tree) if !tree.is_live() => format!("/@version/{}{path}", tree.at),
        _ => path,
    }
}
