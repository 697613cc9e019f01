//! Tests of reading and writing files.

use super::*;
use std::io::Write;

const TEXT: &str = "timestamp,a,b\n2024-01-01T00:00:00,1,x\n2024-01-02T00:00:00,2.5,\n";

#[test]
fn csv_is_read_compressed_or_not() {
    let want = "timestamp,a,b\n2024-01-01T00:00:00,1.0,x\n2024-01-02T00:00:00,2.5,\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(TEXT.as_bytes()).unwrap();
    let packed = [
        ("a.csv.gz", gzip.finish().unwrap()),
        ("a.csv.zst", zstd::encode_all(TEXT.as_bytes(), 1).unwrap()),
        ("a.csv", TEXT.into()),
        ("a.csv", [b"\xef\xbb\xbf", TEXT.as_bytes()].concat()),
        ("a.csv", TEXT.replace('\n', "\r\n").into_bytes()),
        ("a.tsv", TEXT.replace(',', "\t").into_bytes()),
    ];
    for (name, bytes) in packed {
        assert_eq!(all(&file(name, bytes).unwrap()).unwrap(), want, "{name}");
    }
}

#[test]
fn a_type_that_contradicts_the_sample_is_learned() {
    // More rows than the sample, in several pieces.
    let mut text = "timestamp,a\n".to_owned();
    for n in 0..600_000 {
        text += &format!("{n},{}\n", n % 10);
    }
    text += "600000,1.5\n600001,none\n";
    let source = file("a.csv", text.clone()).unwrap();
    assert!(source.pieces(&Nothing).unwrap().len() > 1);
    assert!(matches!(all(&source), Err(QueryError::Mistyped { .. })));
    assert!(source.learn(&Nothing).unwrap());
    assert_eq!(all(&source).unwrap(), text);
    assert!(!source.learn(&Nothing).unwrap());
}

#[test]
fn quoted_values_may_have_line_ends() {
    let mut text = "timestamp,a\n".to_owned();
    for n in 0..200_000 {
        text += &format!("{n},\"a\nb,{n}\"\n");
    }
    let source = file("a.csv", text.clone()).unwrap();
    if all(&source).is_err() {
        assert!(source.learn(&Nothing).unwrap());
    }
    assert_eq!(all(&source).unwrap(), text);
}

#[test]
fn json_columns_are_the_keys_of_all_lines() {
    let text = "{\"timestamp\": 1, \"a\": 1}\n\n{\"timestamp\": 2, \"b\": \"x\", \"a\": 0.5}\n";
    let source = file("a.jsonl", text).unwrap();
    assert_eq!(all(&source).unwrap(), "a,timestamp,b\n1.0,1,\n0.5,2,x\n");
    let error = file("a.json", "[{\"a\": 1}]").err().unwrap().to_string();
    assert!(error.contains("JSON lines"), "{error}");
}

#[test]
fn metrics_have_one_row_per_time() {
    let point = |name: &str, time: u64, value: &str| {
        format!(
            "{{\"resourceMetrics\":[{{\"scopeMetrics\":[{{\"metrics\":[{{\"name\":\"{name}\",\
             \"gauge\":{{\"dataPoints\":[{{\"timeUnixNano\":\"{time}\",{value}}}]}}}}]}}]}}]}}\n"
        )
    };
    let text = [
        point("temp", 2_000_000_000, "\"asDouble\":1.5"),
        point("level", 1_000_000_000, "\"asInt\":\"7\""),
        point("temp", 1_000_000_000, "\"asDouble\":-2"),
        point("temp", 2_000_000_000, "\"asDouble\":2.5"),
    ];
    let source = file("a.jsonl", text.concat()).unwrap();
    let want = "timestamp,level,temp\n1970-01-01T00:00:01,7.0,-2.0\n1970-01-01T00:00:02,,2.5\n";
    assert_eq!(all(&source).unwrap(), want);
    let error = file("b.jsonl", text.concat() + "{broken\n").err().unwrap();
    assert!(error.to_string().starts_with("b.jsonl: "), "{error}");
}

#[test]
fn rows_round_trip_in_every_format() {
    let source = file("a.csv", TEXT).unwrap();
    for (name, format) in [
        ("a.parquet", Format::Parquet),
        ("a.arrow", Format::Arrow),
        ("a.jsonl", Format::JsonLines),
        ("no ending", Format::Parquet),
    ] {
        let same = |name: &str| Renamed {
            name: name.to_owned(),
            as_time: false,
        };
        let (schema, rows) = renamed(source.clone(), &same).unwrap();
        let mut out = Vec::new();
        assert_eq!(write(&schema, rows, format, &mut out).unwrap(), 2);
        let again = file(name, out).unwrap();
        let want = match format {
            // The keys of a JSON object have no order.
            Format::JsonLines => {
                "a,b,timestamp\n1.0,x,2024-01-01T00:00:00\n2.5,,2024-01-02T00:00:00\n".into()
            }
            _ => all(&source).unwrap(),
        };
        assert_eq!(all(&again).unwrap(), want, "{name}");
    }
}

#[test]
fn invalid_files_are_refused_in_one_sentence() {
    for (name, bytes) in [
        ("README", &b"Read me"[..]),
        ("a.csv", b""),
        ("a.csv", b"a,a\n1,2\n"),
        ("a.parquet", b"PAR1 and nothing more"),
        ("a.arrow", b"ARROW1"),
        ("a.csv.gz", b"not gzip"),
    ] {
        let error = match file(name, bytes) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{name} is no table"),
        };
        assert!(error.starts_with(name) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn a_column_without_values_takes_the_type_of_another_file() {
    let one = file("1.csv", "timestamp,a\n1,\n").unwrap();
    let two = file("2.csv", "timestamp,a\n2,0.5\n").unwrap();
    let want = "timestamp,a\n1970-01-01T00:00:01,\n1970-01-01T00:00:02,0.5\n";
    assert_eq!(series(&[one, two]).unwrap(), want);
    // The first value comes after the sample.
    let mut text = "timestamp,a\n".to_owned();
    (0..100_000).for_each(|n| text += &format!("{n},\n"));
    text += "100000,7\n";
    let source = file("3.csv", text.clone()).unwrap();
    assert!(matches!(all(&source), Err(QueryError::Mistyped { .. })));
    assert!(source.learn(&Nothing).unwrap());
    assert_eq!(all(&source).unwrap(), text);
}

#[test]
fn a_series_has_one_row_per_time() {
    let one = file("1.csv", "Timestamp,a,b\n20,1,1\n10,2,2\n10,3,\n").unwrap();
    let two = file(
        "2.csv",
        "time_of_day,timestamp,a,c\nx,1970-01-01T00:00:20,9,4\ny,1970-01-01T00:00:30,,5\nz,,6,6\n",
    )
    .unwrap();
    let want = "Timestamp,a,b,time_of_day,c\n\
        1970-01-01T00:00:10,3,2,,\n\
        1970-01-01T00:00:20,9,1,x,4\n\
        1970-01-01T00:00:30,,,y,5\n";
    assert_eq!(series(&[one.clone(), two.clone()]).unwrap(), want);
    let none = file("3.csv", "when,a\n1,2\n").unwrap();
    let error = series(&[one, none]).unwrap_err().to_string();
    assert!(
        error.starts_with("3.csv: ") && error.contains("timestamp"),
        "{error}"
    );
}
