//! Runs a sequence on both sides, and compares the results.
//!
//! In: a sequence, and a fresh directory on each side. Out: nothing, or the first operation whose
//! result or effects differ. Times that were set must be equal; times of the clock must be of this
//! run, and must have changed on both sides or on neither.

use std::collections::HashMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::known;
use super::look::{Key, Seen, Time, View, look};
use super::op::{Sequence, User};
use super::perform::{Answer, perform};
use super::world::{act_as, within};
use crate::tree::Tree;

/// The first thing that differs.
#[derive(Debug)]
pub struct Difference {
    /// The number of operations before it.
    pub after: usize,
    pub lines: Vec<String>,
}

/// The result of one operation, and the tree after it if it was looked at.
struct Record {
    answer: Answer,
    view: Option<View>,
}

/// Runs the sequence in both directories at once.
pub fn run(sequence: &Sequence, found: &Path, expected: &Path) -> Option<Difference> {
    let start = SystemTime::now() - Duration::from_secs(1);
    let (found_log, expected_log) = thread::scope(|scope| {
        let other = scope.spawn(|| record(sequence, expected));
        (
            record(sequence, found),
            other.join().expect("the plain side"),
        )
    });
    let clock = since_1970(start)..=since_1970(SystemTime::now() + Duration::from_secs(1));
    let mut before: Option<(&View, &View)> = None;
    for (index, (found, expected)) in found_log.iter().zip(&expected_log).enumerate() {
        let mut lines = Vec::new();
        if found.answer != expected.answer {
            lines.push(format!("answer {:?} | {:?}", found.answer, expected.answer));
        }
        let open = known::times_are_open(&sequence.steps[index].op, &found.answer);
        if let (Some(found), Some(expected)) = (&found.view, &expected.view) {
            lines.extend(differences(found, expected));
            let within = |times: &[Time; 2]| times.iter().all(|time| clock.contains(time));
            lines.extend(other_times(found, expected, within));
            let moves = before.filter(|_| sequence.look_every == 1 && !open);
            lines.extend(
                moves
                    .into_iter()
                    .flat_map(|(found_before, expected_before)| {
                        other_moves((found_before, found), (expected_before, expected))
                    }),
            );
            before = Some((found, expected));
        }
        if !lines.is_empty() {
            let after = index + 1;
            return Some(Difference { after, lines });
        }
    }
    let (found, expected) = (Tree::of(found), Tree::of(expected));
    let lines = found.without_times().differences(&expected.without_times());
    let after = sequence.steps.len();
    (!lines.is_empty()).then_some(Difference { after, lines })
}

fn record(sequence: &Sequence, root: &Path) -> Vec<Record> {
    within(root, |world| {
        let mut log = Vec::new();
        for (index, step) in sequence.steps.iter().enumerate() {
            act_as(step.user);
            let answer = perform(world, &step.op);
            act_as(User::Root);
            let done = index + 1;
            let looks = done % sequence.look_every == 0 || done == sequence.steps.len();
            let view = looks.then(|| look(world));
            log.push(Record { answer, view });
        }
        log
    })
}

fn since_1970(time: SystemTime) -> Time {
    let since = time.duration_since(UNIX_EPOCH).expect("a clock after 1970");
    (since.as_secs() as i64, since.subsec_nanos().into())
}

/// Returns one line for each difference, except for times.
fn differences(found: &View, expected: &View) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, seen) in found {
        let Some(other) = expected.get(key) else {
            lines.push(format!("{key:?}: should not be there"));
            continue;
        };
        for ((name, ours), (_, theirs)) in seen.fields().into_iter().zip(other.fields()) {
            if ours != theirs {
                lines.push(format!("{key:?}: {name} {ours} | {theirs}"));
            }
        }
    }
    let missing = expected.keys().filter(|key| !found.contains_key(key));
    lines.extend(missing.map(|key| format!("{key:?}: missing")));
    lines
}

const TIMES: [&str; 3] = ["atime", "mtime", "ctime"];

/// Returns the entries that are on both sides.
fn common<'v>(
    found: &'v View,
    expected: &'v View,
) -> impl Iterator<Item = (&'v Key, &'v Seen, &'v Seen)> {
    found
        .iter()
        .filter_map(|(key, seen)| Some((key, seen, expected.get(key)?)))
}

/// Returns times that are neither equal nor both from the clock.
fn other_times(
    found: &View,
    expected: &View,
    by_clock: impl Fn(&[Time; 2]) -> bool,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, seen, other) in common(found, expected) {
        for (index, name) in TIMES.into_iter().enumerate() {
            let both = [seen.times[index], other.times[index]];
            if both[0] != both[1] && !by_clock(&both) {
                lines.push(format!("{key:?}: {name} {:?} | {:?}", both[0], both[1]));
            }
        }
    }
    lines
}

/// Returns files that were replaced on one side only, and times that changed on one side only.
fn other_moves(found: (&View, &View), expected: (&View, &View)) -> Vec<String> {
    let (found_before, expected_before) = (by_inode(found.0), by_inode(expected.0));
    let mut lines = Vec::new();
    for (key, seen, other) in common(found.1, expected.1) {
        let was = found_before.get(&seen.inode);
        let other_was = expected_before.get(&other.inode);
        let (Some(was), Some(other_was)) = (was, other_was) else {
            if was.is_some() != other_was.is_some() {
                let [ours, theirs] = [was, other_was].map(|was| match was {
                    Some(_) => "kept",
                    None => "new",
                });
                lines.push(format!("{key:?}: file {ours} | {theirs}"));
            }
            continue;
        };
        for (index, name) in TIMES.into_iter().enumerate() {
            // Equal times were set, whatever they were before.
            if seen.times[index] == other.times[index] || known::TIMELESS == seen.kind {
                continue;
            }
            let moved = |now: &Seen, was: &Seen| match now.times[index].cmp(&was.times[index]) {
                std::cmp::Ordering::Less => "moved back",
                std::cmp::Ordering::Equal => "stood",
                std::cmp::Ordering::Greater => "moved on",
            };
            let (ours, theirs) = (moved(seen, was), moved(other, other_was));
            if ours != theirs {
                lines.push(format!("{key:?}: {name} {ours} | {theirs}"));
            }
        }
    }
    lines
}

fn by_inode(view: &View) -> HashMap<u64, &Seen> {
    view.values().map(|seen| (seen.inode, seen)).collect()
}
