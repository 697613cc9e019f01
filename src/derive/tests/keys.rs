//! Pinned keys of results: a change of a key rebuilds everything that was cached before it.

use super::*;
use std::fmt::Write;

/// A document with a directory of each derived kind over `/data`.
const EACH_KIND: &str = r#"
apiVersion: v1
kind: DynamicDir
name: all
spec:
  entries:
  - name: derive
    kind: Derive
    spec:
      collections:
      - {name: plain, pattern: "/data/*.csv", query: "SELECT * FROM read_csv('$1')"}
      - {name: told, pattern: "/data/a.csv", query: "SELECT '$1' AS f, * FROM read_csv('$1')"}
  - name: sql
    kind: Sql
    spec:
      queries:
      - {name: sum, inputs: {t: "/data/*.csv", u: "/data/a.csv"}, query: "SELECT sum(x) FROM t, u"}
  - name: combine
    kind: Combine
    spec:
      scopes:
      - name: both
        columns: [x]
        series: [{pattern: "/data/a.csv", scope: a}, {pattern: "/data/b.csv"}]
  - name: pivot
    kind: Pivot
    spec:
      collections:
      - {name: beside, pattern: "/data/*.csv"}
  - name: reduce
    kind: Reduce
    spec:
      collections:
      - name: days
        resolutions: [1h, 1d, 1mo]
        datasets:
        - {in_pattern: "/data/*.csv", out_pattern: "$0", aggregates: [avg, p99.9], duplicates: all}
  - name: rename
    kind: Rename
    spec:
      collections:
      - name: clean
        pattern: /data/a.csv
        rules:
        - {type: direct, from: time, to: timestamp, cast: timestamp}
        - {type: pattern, pattern: '^(.)$', replacement: "col.$1"}
  - name: synthetic
    kind: Synthetic
    spec:
      series:
      - name: tide
        start: 2024-01-01
        end: 2024-01-02
        every: 10m
        columns: [{name: level, wave: sine, period: 12h 25m, phase: 0.25}]
  - name: template
    kind: Template
    spec:
      collections:
      - {name: pages, in_pattern: "/data/*.csv", out_pattern: "$0.md", template: "{{ args[0] }}"}
  - name: chart
    kind: Chart
    spec:
      charts:
      - {name: lines, in_pattern: "/data/*.csv", out_pattern: "$0", from: 2024-01-01}
  - name: concat
    kind: Concat
    spec:
      files:
      - {name: all.csv, pattern: "/data/*.csv", header: once, separator: "-"}
  - name: nested
    kind: DynamicDir
    spec:
      entries:
      - name: concat
        kind: Concat
        spec: {files: [{name: all.csv, pattern: "/data/*.csv"}]}
"#;

/// The files that `EACH_KIND` shows, each with its key.
const KEYS: &str = include_str!("keys.txt");

#[test]
fn keys_of_results_stay_valid() {
    let world = World::new();
    world.put("data", "a.csv", "timestamp,x\n1,10\n");
    world.put("data", "b.csv", "timestamp,x\n1,20\n2,30\n");
    world.apply(EACH_KIND).unwrap();
    let view = world.derive.view(Version::NOW).unwrap();
    let dir = find_dir(&view, b"/DynamicDir/all").unwrap().unwrap();
    let mut keys = String::new();
    list(&world, &dir, &mut keys);
    assert_eq!(keys, KEYS);
}

fn list(world: &World, dir: &Dir, keys: &mut String) {
    for node in dir.entries.values() {
        match node {
            Node::Dir(dir) => list(world, dir, keys),
            Node::File(file) => {
                let key = world.derive.key(file).unwrap();
                let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
                writeln!(keys, "{key} {}", String::from_utf8_lossy(&file.path)).unwrap();
            }
        }
    }
}
