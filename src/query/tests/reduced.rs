//! Tests of reductions, against a plain computation over all rows.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Row = (i64, Option<i32>, Option<i32>);

/// Returns a CSV file of rows, with times in seconds.
fn text(rows: &[Row], columns: [&str; 2]) -> String {
    let mut text = format!("timestamp,{},{}\n", columns[0], columns[1]);
    let cell = |value: Option<i32>| value.map_or(String::new(), |value| format!("{value}.5"));
    for (time, a, b) in rows {
        text += &format!("{time},{},{}\n", cell(*a), cell(*b));
    }
    text
}

fn reduction(sources: &[Arc<Source>], width: Width, all_rows: bool) -> Reduction {
    Reduction {
        scopes: vec![Scope {
            prefix: String::new(),
            members: sources.iter().cloned().map(member).collect(),
        }],
        columns: None,
        aggregates: [
            "avg", "min", "max", "sum", "count", "first", "last", "median",
        ]
        .map(|name| Aggregate::new(name).unwrap())
        .into(),
        all_rows,
        base: Width::Fixed(10_000_000),
        width,
    }
}

fn rows(reduction: &Reduction, keep: &Arc<dyn Keep>) -> (SchemaRef, Rows) {
    let sections = reduction.sections(keep).unwrap();
    (sections.schema().clone(), sections.into_rows())
}

/// The bytes of a file, and its sections.
type Written = (Vec<u8>, Vec<(Hash, usize)>);

/// Returns the series as Parquet.
fn parquet(reduction: &Reduction, keep: &Arc<dyn Keep>, before: Option<Before>) -> Written {
    let (mut bytes, sections) = (Vec::new(), reduction.sections(keep).unwrap());
    let spliced = write_sections(sections, Format::Parquet, before, &mut bytes).unwrap();
    (bytes, spliced.sections)
}

/// Returns the values of both columns in each bucket, in time order.
fn plain(files: &[Vec<Row>], width: i64, all_rows: bool) -> BTreeMap<i64, [Vec<f64>; 2]> {
    let mut rows: Vec<(i64, usize, Option<i32>, Option<i32>)> = Vec::new();
    for row in files.iter().flatten() {
        rows.push((row.0, rows.len(), row.1, row.2));
    }
    if !all_rows {
        let mut last: BTreeMap<i64, (Option<i32>, Option<i32>)> = BTreeMap::new();
        for (time, _, a, b) in &rows {
            let there = last.entry(*time).or_default();
            *there = (a.or(there.0), b.or(there.1));
        }
        rows = last
            .into_iter()
            .map(|(time, (a, b))| (time, 0, a, b))
            .collect();
    }
    rows.sort();
    let mut buckets: BTreeMap<i64, [Vec<f64>; 2]> = BTreeMap::new();
    for (time, _, a, b) in rows {
        let bucket = buckets.entry(time.div_euclid(width) * width).or_default();
        for (values, value) in bucket.iter_mut().zip([a, b]) {
            // As in the file: -3 is written as "-3.5".
            let parsed = value.map(|value| format!("{value}.5").parse::<f64>().unwrap());
            values.extend(parsed);
        }
    }
    buckets
}

fn told(values: &[f64]) -> String {
    let Some(first) = values.first() else {
        return ",,,,0,,,".into();
    };
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let sum: f64 = values.iter().sum();
    let middle = (sorted.len() - 1) as f64 / 2.0;
    let median = (sorted[middle.floor() as usize] + sorted[middle.ceil() as usize]) / 2.0;
    format!(
        "{:?},{:?},{:?},{:?},{},{:?},{:?},{:?}",
        sum / values.len() as f64,
        sorted[0],
        sorted[sorted.len() - 1],
        sum,
        values.len(),
        first,
        values[values.len() - 1],
        median
    )
}

fn rows_of(csv: &str) -> Vec<String> {
    csv.lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap().1.to_owned())
        .collect()
}

fn row() -> impl Strategy<Value = Row> {
    let value = || proptest::option::weighted(0.8, -9..9);
    (0..300i64, value(), value())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Reduces the same files repeatedly, each time with one more row or file, and with the cache
    /// and the output of the previous time.
    #[test]
    fn reduction_equals_a_computation_over_all_rows(
        mut files in proptest::collection::vec(proptest::collection::vec(row(), 1..40), 1..4),
        more in proptest::collection::vec((any::<prop::sample::Index>(), row()), 0..4),
        sorted in any::<bool>(),
        all_rows in any::<bool>(),
    ) {
        let keep: Arc<dyn Keep> = Arc::new(Everything::default());
        if sorted {
            files.iter_mut().for_each(|file| file.sort());
        }
        let mut later = more.into_iter();
        let mut last: BTreeMap<i64, Written> = BTreeMap::new();
        loop {
            let sources: Vec<_> = files.iter().enumerate().map(|(n, rows)| {
                file_kept(&format!("{n}.csv"), text(rows, ["a", "b"]), keep.as_ref()).unwrap()
            }).collect();
            for width in [10, 60] {
                let reduction = reduction(&sources, Width::Fixed(width * 1_000_000), all_rows);
                let found = rows_of(&csv(rows(&reduction, &keep)).unwrap());
                // `first` and `last` of rows of one time depend on the order of the files only.
                let want: Vec<String> = plain(&files, width, all_rows)
                    .values()
                    .map(|[a, b]| format!("{},{}", told(a), told(b)))
                    .collect();
                prop_assert_eq!(&found, &want);
                let before = last.remove(&width).map(|(bytes, sections)| Before {
                    file: Arc::new(Memory(bytes.into())),
                    sections,
                });
                let fresh = parquet(&reduction, &keep, None);
                prop_assert!(fresh == parquet(&reduction, &keep, before), "spliced otherwise");
                let back = file("x.parquet", fresh.0.clone()).unwrap();
                prop_assert_eq!(&rows_of(&all(&back).unwrap()), &want);
                last.insert(width, fresh);
            }
            let Some((index, row)) = later.next() else { break };
            match index.index(files.len() + 1) {
                n if n < files.len() => files[n].push(row),
                _ => files.push(vec![row]),
            }
        }
    }
}

#[test]
fn scopes_and_columns_are_prefixed_and_selected() {
    let one = file(
        "1.csv",
        text(&[(0, Some(1), None), (70, Some(2), Some(3))], ["x", "y"]),
    )
    .unwrap();
    let two = file("2.csv", text(&[(10, Some(5), Some(6))], ["x", "z"])).unwrap();
    let scope = |prefix: &str, source: &Arc<Source>| Scope {
        prefix: prefix.into(),
        members: vec![member(source.clone())],
    };
    let reduction = Reduction {
        scopes: vec![scope("A", &one), scope("B", &two)],
        columns: Some(vec!["x".into(), "z*".into()]),
        aggregates: vec![Aggregate::Avg, Aggregate::Count],
        all_rows: false,
        base: Width::Fixed(60_000_000),
        width: Width::Fixed(60_000_000),
    };
    let keep: Arc<dyn Keep> = Arc::new(Nothing);
    let want = "timestamp,A.x.avg,A.x.count,B.x.avg,B.x.count,B.z.avg,B.z.count\n\
        1970-01-01T00:00:00,1.5,1,5.5,1,6.5,1\n\
        1970-01-01T00:01:00,2.5,1,,,,\n";
    assert_eq!(csv(rows(&reduction, &keep)).unwrap(), want);
}

/// A changed byte in the previous file shows up in the result: the section was copied, not
/// computed.
#[test]
fn unchanged_sections_are_copied() {
    let keep: Arc<dyn Keep> = Arc::new(Everything::default());
    let mut files = vec![(0..200).map(|n| (n, Some(n as i32), None)).collect()];
    let make = |files: &[Vec<Row>], before| {
        let file = |(n, rows): (usize, &Vec<Row>)| {
            file_kept(&format!("{n}.csv"), text(rows, ["a", "b"]), keep.as_ref()).unwrap()
        };
        let sources: Vec<_> = files.iter().enumerate().map(file).collect();
        let reduction = reduction(&sources, Width::Fixed(10_000_000), false);
        parquet(&reduction, &keep, before)
    };
    let (mut bytes, sections) = make(&files, None);
    // Five sections of four buckets of ten seconds. Changes the first number of the first section.
    assert_eq!(sections.len(), 5);
    let at = bytes
        .windows(8)
        .position(|bytes| bytes == 5.0f64.to_le_bytes());
    bytes[at.unwrap()] ^= 1;
    files.push(vec![(205, Some(1), None)]);
    let before = Before {
        file: Arc::new(Memory(bytes.into())),
        sections: sections.clone(),
    };
    let (spliced, again) = make(&files, Some(before));
    assert_eq!((again.len(), &again[..5]), (6, &sections[..]));
    assert!(spliced != make(&files, None).0, "nothing was copied");
}

#[test]
fn only_numbers_are_reduced() {
    let source = file("1.csv", "timestamp,name,x\n1,a,2\n").unwrap();
    let keep: Arc<dyn Keep> = Arc::new(Nothing);
    let mut reduction = reduction(&[source], Width::Fixed(10_000_000), false);
    let (schema, _) = rows(&reduction, &keep);
    assert!(
        schema
            .fields()
            .iter()
            .all(|field| !field.name().starts_with("name"))
    );
    reduction.columns = Some(vec!["name".into()]);
    let error = reduction.sections(&keep).err().unwrap().to_string();
    assert!(error.contains("only numbers"), "{error}");
}
