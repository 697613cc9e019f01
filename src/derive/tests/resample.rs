//! Resample: regular rows from irregular ones, in any format.

use super::*;

fn document(fields: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Resample\nname: even\nspec:\n  collections:\n  - {{name: out, \
         pattern: \"/data/*.csv\", {fields}}}\n"
    )
}

#[test]
fn a_series_is_resampled_to_regular_times_and_long_gaps_stay() {
    let world = World::new();
    let rows = "timestamp,t,note\n5,10,a\n15,20,b\n100,30,c\n110,40,d\n";
    world.put("data", "a.csv", rows);
    world.apply(&document("every: 10s, max_gap: 1m")).unwrap();
    let expected = "timestamp,t\n\
                    1970-01-01T00:00:10,15.0\n\
                    1970-01-01T00:01:40,30.0\n\
                    1970-01-01T00:01:50,40.0\n";
    assert_eq!(world.now("/Resample/even/out/a.csv").unwrap(), expected);
    let lines = world.now("/Resample/even/out/a.csv.jsonl").unwrap();
    assert_eq!(lines.lines().count(), 3);
    let selected = document("every: 10s, max_gap: 1m, columns: [t]");
    world.apply(&selected).unwrap();
    assert_eq!(world.now("/Resample/even/out/a.csv").unwrap(), expected);
}

#[test]
fn a_gap_of_too_many_steps_is_refused() {
    let error = World::new()
        .apply(&document("every: 1us, max_gap: 1s"))
        .unwrap_err();
    let expected = "spec.collections[0].max_gap: it is more than 100000 times `every`";
    assert!(error.contains(expected), "{error}");
}
