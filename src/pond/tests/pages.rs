//! Long listings come in pages, and the cost of a page does not depend on earlier or later rows.
//!
//! The cost is the number of entries that are read from the index.

use super::*;
use crate::index::reads_during;
use crate::pond::{Change, Comparison, Event, HistoryCursor};
use std::ops::Bound;

/// Rows of a page.
const PAGE: usize = 50;

/// Asserts that no page reads more than a few entries for each row.
fn assert_flat(costs: &[u64], per_row: u64) {
    let most = costs.iter().max().unwrap();
    assert!(
        costs.len() > 3 && *most <= per_row * (PAGE as u64 + 2),
        "entries read for the pages: {costs:?}"
    );
}

fn file_name(n: usize) -> String {
    format!("f{n:05}")
}

fn list_in_pages(pond: &Pond, at: Version, dir: NodeId) -> (Vec<Name>, Vec<u64>) {
    let (mut names, mut costs) = (Vec::<Name>::new(), Vec::new());
    loop {
        let after = names.last().cloned();
        let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let (page, cost) = reads_during(|| pond.list_from(at, dir, from, PAGE));
        let (page, more) = page.unwrap();
        assert!(page.len() <= PAGE);
        names.extend(page.into_iter().map(|(name, _)| name));
        costs.push(cost);
        if !more {
            return (names, costs);
        }
    }
}

#[test]
fn a_page_of_a_directory_costs_what_it_shows_at_any_version() {
    let (_dir, pond) = new_pond();
    let dir = make(&pond, Kind::Directory, NodeId::ROOT, "d");
    for n in 0..1_000 {
        make(&pond, Kind::File, dir, &file_name(n));
    }
    let all = pond.sync().unwrap();
    for n in (0..1_000).step_by(2) {
        pond.unlink(&CALLER, dir, &name(&file_name(n))).unwrap();
    }
    let half = pond.sync().unwrap();
    // In the present some names are removed and some are new, in several memtables.
    for n in (1..1_000).step_by(4) {
        pond.unlink(&CALLER, dir, &name(&file_name(n))).unwrap();
        make(&pond, Kind::File, dir, &file_name(1_000 + n));
        if n % 100 == 1 {
            pond.index.freeze();
        }
    }
    for at in [all, half, Version::NOW] {
        let (names, costs) = list_in_pages(&pond, at, dir);
        let whole = pond.list(at, dir).unwrap().into_iter();
        assert!(names == whole.map(|(name, _)| name).collect::<Vec<_>>());
        assert_flat(&costs, 5);
    }
    pond.close().unwrap();
}

/// Returns the rows of the rest of a comparison, up to a page.
fn rows(mut comparison: Comparison<'_>) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    while paths.len() < PAGE
        && let Some(difference) = comparison.next_difference().unwrap()
    {
        assert_ne!(difference.change, Change::Attributes);
        paths.push(difference.path);
    }
    paths
}

#[test]
fn a_page_of_a_comparison_costs_what_it_shows() {
    let (_dir, pond) = new_pond();
    let dir = make(&pond, Kind::Directory, NodeId::ROOT, "d");
    for n in 0..1_000 {
        make(&pond, Kind::File, dir, &file_name(n));
    }
    let before = pond.sync().unwrap();
    for n in 0..1_000 {
        match n % 2 {
            0 => pond.unlink(&CALLER, dir, &name(&file_name(n))).unwrap(),
            _ => drop(make(&pond, Kind::Directory, dir, &file_name(2_000 + n))),
        }
    }
    let after = pond.sync().unwrap();
    let ends = (Some(NodeId::ROOT), Some(NodeId::ROOT));
    let (mut found, mut costs) = (Vec::<Vec<u8>>::new(), Vec::new());
    loop {
        let from = found.last().cloned();
        let page = || rows(pond.differences(before, after, b"", ends, from));
        let (page, cost) = reads_during(page);
        costs.push(cost);
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found.len(), 1_000);
    assert!(found.is_sorted());
    // Directories are read in batches of 256 names on both sides.
    assert_flat(&costs, 30);
    pond.close().unwrap();
}

#[test]
fn a_page_of_the_history_of_a_path_costs_what_it_shows() {
    let (_dir, pond) = new_pond();
    let dir = make(&pond, Kind::Directory, NodeId::ROOT, "d");
    let mut file = make(&pond, Kind::File, dir, "new");
    for n in 0..300_u32 {
        // An editor writes a new file and renames it, every third time in place.
        if n % 3 == 0 {
            file = match pond.lookup(Version::NOW, dir, &name("new")).unwrap() {
                Some((id, _)) => id,
                None => make(&pond, Kind::File, dir, "new"),
            };
            let (from, to) = ((dir, &name("new")), (dir, &name("f")));
            pond.rename(&CALLER, from, to, RenameMode::Replace, false)
                .unwrap();
        }
        let caller = Caller {
            now: Time::from_micros(i64::from(n)),
            ..CALLER
        };
        pond.write(&caller, file, 0, &n.to_le_bytes()).unwrap();
        pond.sync().unwrap();
    }
    for path in ["d/f", "d", ""] {
        let mut history = pond.path_history(path.as_bytes()).unwrap();
        let whole: Vec<Event> = std::iter::from_fn(|| history.next_event().unwrap()).collect();
        let versions: Vec<Version> = whole.iter().map(|event| event.version).collect();
        assert!(versions.len() >= 300, "/{path}: {versions:?}");
        assert!(versions.is_sorted_by(|a, b| a > b), "/{path}: {versions:?}");
        let (mut found, mut costs) = (Vec::new(), Vec::new());
        let mut cursor: Option<HistoryCursor> = None;
        loop {
            let page = || {
                let mut history = match cursor.take() {
                    None => pond.path_history(path.as_bytes()).unwrap(),
                    cursor => pond.path_history_from(cursor),
                };
                let events = std::iter::from_fn(|| history.next_event().unwrap());
                found.extend(events.take(PAGE));
                history.cursor().cloned()
            };
            let (next, cost) = reads_during(page);
            costs.push(cost);
            match next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        assert_eq!(found, whole, "/{path}");
        assert_flat(&costs, 20);
    }
    pond.close().unwrap();
}

#[test]
fn a_page_of_versions_costs_what_it_shows_and_passes_over_gaps() {
    let (_dir, pond) = new_pond();
    for n in 0..200_u32 {
        put(&pond, "f", &n.to_le_bytes());
        pond.sync().unwrap();
    }
    let (mut found, mut costs) = (Vec::new(), Vec::new());
    let mut end = Version(1_000_000_000);
    loop {
        let (page, cost) = reads_during(|| pond.versions_before(end, PAGE).unwrap());
        costs.push(cost);
        let Some(last) = page.last() else { break };
        end = last.version;
        found.extend(page.into_iter().map(|info| info.version.0));
    }
    let all = pond.versions(Version(0), pond.latest().version).unwrap();
    let all: Vec<u64> = all.iter().rev().map(|info| info.version.0).collect();
    assert!(all.len() > 200 && found == all, "{found:?}");
    assert_flat(&costs, 1);
    pond.close().unwrap();
}
