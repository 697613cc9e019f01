//! The oplog is a Delta table like any other: `deltalake` for Python opens it, walks its history, goes back in
//! it, and finds the name of a file in an Arrow payload.

use mount_tests::place::{file, folder};
use mount_tests::pond::{Pond, number};
use mount_tests::run::arrow;

#[test]
fn python_opens_the_oplog_its_history_and_its_past() {
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=3600"]);
    let mut versions = vec![0];
    for round in 0..5 {
        let dir = folder(mount.path(), &format!("dir{round}"));
        for n in 0..20 {
            file(&dir, &format!("a-telling-name-{round}-{n}.txt"), "content");
        }
        versions.push(mount.sync());
    }
    mount.unmount();
    let script = include_str!("delta.py");
    let report = arrow(script)
        .arg(pond.store().join("oplog"))
        .arg("a-telling-name-3-")
        .ok()
        .json();
    let newest = *versions.last().unwrap();
    assert!(number(&report, "version") >= newest, "{report}");
    assert_eq!(
        number(&report, "history"),
        number(&report, "version") + 1,
        "history has every version from 0 on"
    );
    let rows = report["rows"].as_array().unwrap();
    let rows_at = |version: u64| rows[version as usize].as_u64().unwrap();
    assert!(
        versions
            .windows(2)
            .all(|pair| rows_at(pair[1]) > rows_at(pair[0])),
        "each version adds rows: {report}"
    );
    // The names are found in the version that made them, or in those: on a slow machine, one may have been made
    // within the round. And in none before.
    let found: Vec<u64> = report["found"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|version| version.as_u64())
        .collect();
    assert!(!found.is_empty(), "{report}");
    let round = versions[3] + 1..=versions[4];
    assert!(
        found.iter().all(|version| round.contains(version)),
        "{report}"
    );
    assert_eq!(
        report["wrong_counts"].as_array().map(Vec::len),
        Some(0),
        "{report}"
    );
}
