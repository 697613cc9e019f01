//! Derived directories: a file of YAML goes in, and a directory that is always up to date comes out.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

use mount_tests::mount::Mount;
use mount_tests::place::{file, folder};
use mount_tests::pond::{Pond, names};
use mount_tests::run::{arrow, need_root, python, tool};
use rustix::io::Errno;

mod old_kinds;
mod reasons;

/// Three months of two measurements, some missing, as CSV, JSON lines and Parquet.
const SOW: &str = r#"
import json, math, random, sys
import pandas as pd
random.seed(7)
where = sys.argv[1]
for month in (1, 2, 3):
    times = pd.date_range(f"2024-{month:02}-01", periods=2000, freq="20min")
    rows = pd.DataFrame({"Timestamp": times.strftime("%Y-%m-%dT%H:%M:%S"),
        "S.Temp.C": [round(10 + 5 * math.sin(n / 70), 3) if random.random() > .1 else None for n in range(2000)],
        "S.DO.mg/L": [round(8 + random.random(), 3) for n in range(2000)]})
    if month == 1:
        rows.to_csv(f"{where}/1.csv", index=False)
    elif month == 2:
        with open(f"{where}/2.jsonl", "w") as out:
            for row in rows.to_dict("records"):
                out.write(json.dumps({k: v for k, v in row.items() if v == v}) + "\n")
    else:
        rows["Timestamp"] = pd.to_datetime(rows["Timestamp"])
        rows.to_parquet(f"{where}/3.parquet")
"#;

/// What pandas makes of the same files, against what the pond shows.
const COMPARE: &str = r#"
import glob, sys
import numpy as np, pandas as pd
mount = sys.argv[1]
one = pd.read_csv(f"{mount}/data/1.csv")
two = pd.read_json(f"{mount}/data/2.jsonl", lines=True)
three = pd.read_parquet(f"{mount}/data/3.parquet")
rows = pd.concat([one, two, three])
rows["Timestamp"] = pd.to_datetime(rows["Timestamp"])
rows = rows.groupby("Timestamp").last().sort_index()
for res, freq in (("1h", "1h"), ("1d", "1D"), ("1w", "W-MON"), ("1mo", "MS")):
    weekly = dict(closed="left", label="left") if freq == "W-MON" else {}
    want = rows.resample(freq, **weekly).agg(["mean", "min", "max", "count", "median", "std"])
    want = want[rows.resample(freq, **weekly).size() > 0]
    found = pd.read_parquet(f"{mount}/Reduce/tides/all/site/res={res}").set_index("Timestamp")
    assert list(found.index) == list(want.index), (res, found.index[:5], want.index[:5])
    for column in rows.columns:
        for ours, theirs in (("avg", "mean"), ("min", "min"), ("max", "max"), ("count", "count"), ("median", "median"), ("stddev", "std")):
            a, b = found[f"{column}.{ours}"].to_numpy(dtype=float), want[(column, theirs)].to_numpy(dtype=float)
            assert np.allclose(a, b, equal_nan=True), (res, column, ours)
print(len(found))
"#;

const REDUCE: &str = r#"
apiVersion: www.hydrovu.com/v1
kind: Reduce
name: tides
desc: The tides at several resolutions
spec:
  collections:
  - name: all
    resolutions: [1h, 1d, 1w, 1mo]
    datasets:
    - in_pattern: /data/*
      out_pattern: site
      aggregates: [avg, min, max, count, median, stddev]
"#;

fn resource(mount: &Mount<'_>, kind: &str, name: &str, spec: &str) {
    let dir = mount.join(kind);
    fs::create_dir_all(&dir).unwrap();
    let text = format!("apiVersion: v1\nkind: {kind}\nname: {name}\ndesc: x\nspec:\n{spec}");
    file(&dir, &format!("{name}.yaml"), text);
}

fn sql(mount: &Mount<'_>, name: &str, query: &str) {
    let spec = format!(
        "  queries:\n  - {{name: out.csv, inputs: {{t: \"/data/*.csv\"}}, query: \"{query}\"}}\n"
    );
    resource(mount, "Sql", name, &spec);
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn errno<T: std::fmt::Debug>(done: std::io::Result<T>) -> Option<Errno> {
    Errno::from_io_error(&done.expect_err("it was allowed"))
}

#[test]
fn a_series_is_reduced_as_pandas_would() {
    let pond = Pond::new();
    let mount = pond.mount();
    let data = folder(mount.path(), "data");
    arrow(SOW).arg(&data).ok();
    let dir = folder(mount.path(), "Reduce");
    file(&dir, "tides.yaml", REDUCE);
    assert_eq!(names(&dir), ["tides", "tides.yaml"]);
    let site = dir.join("tides/all/site");
    assert_eq!(names(&site), ["res=1d", "res=1h", "res=1mo", "res=1w"]);
    assert_eq!(arrow(COMPARE).arg(mount.path()).ok().text().trim(), "3");
    // Late rows in a file of their own, some of them corrections.
    let late = "Timestamp,S.DO.mg/L\n2024-01-05T00:00:00,99\n2024-02-29T23:50:00,7\n2023-12-31T23:59:59,1\n";
    file(&data, "4.csv", late);
    let hour = read(site.join("res=1h.csv"));
    assert!(
        hour.lines()
            .nth(1)
            .unwrap()
            .starts_with("2023-12-31T23:00:00,"),
        "{hour:.200}"
    );
    assert!(
        hour.lines()
            .any(|line| line.starts_with("2024-01-05T00:00:00,") && line.contains(",99.0,"))
    );
    mount.unmount();
    pond.check();
}

#[test]
fn rows_come_in_any_format_that_a_name_asks_for() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(
        &folder(mount.path(), "data"),
        "1.csv",
        "timestamp,a\n0,1\n60,2\n3600,4\n",
    );
    resource(
        &mount,
        "Reduce",
        "r",
        "  collections:\n  - name: c\n    resolutions: [1h]\n    datasets:\n    - {in_pattern: \"/data/*\", out_pattern: x, aggregates: [sum]}\n",
    );
    let x = mount.join("Reduce/r/c/x");
    assert_eq!(
        read(x.join("res=1h.csv")),
        "timestamp,a.sum\n1970-01-01T00:00:00,3.0\n1970-01-01T01:00:00,4.0\n"
    );
    let json: serde_json::Value = serde_json::from_str(&read(x.join("res=1h.json"))).unwrap();
    assert_eq!(json[1]["a.sum"], 4.0);
    assert_eq!(read(x.join("res=1h.jsonl")).lines().count(), 2);
    let script = "import duckdb, pyarrow as pa, sys\nx = sys.argv[1]\n\
        print(duckdb.sql(f\"select sum(\\\"a.sum\\\") from read_parquet('{x}/res=1h')\").fetchall()[0][0], \
        pa.ipc.open_file(f'{x}/res=1h.arrow').read_all().num_rows)";
    assert_eq!(arrow(script).arg(&x).ok().text().trim(), "7.0 2");
    // What tells nothing of itself is not listed, and not there under any other name.
    assert_eq!(names(&x), ["res=1h"]);
    assert_eq!(errno(fs::read(x.join("res=2h.csv"))), Some(Errno::NOENT));
    let size = fs::metadata(x.join("res=1h.csv")).unwrap().len();
    assert_eq!(size as usize, read(x.join("res=1h.csv")).len());
}

#[test]
fn the_past_shows_its_own_recipes_of_its_own_inputs() {
    let pond = Pond::new();
    let mount = pond.mount();
    let data = folder(mount.path(), "data");
    file(&data, "1.csv", "timestamp,a\n1,10\n");
    sql(&mount, "total", "SELECT sum(a) AS s FROM t");
    let out = mount.join("Sql/total/out.csv");
    assert_eq!(read(&out), "s\n10\n");
    let then = mount.sync();
    file(&data, "2.csv", "timestamp,a\n2,5\n");
    assert_eq!(read(&out), "s\n15\n");
    sql(&mount, "total", "SELECT count(*) AS n FROM t");
    assert_eq!(read(&out), "n\n2\n");
    let old = mount.version(then).join("Sql/total/out.csv");
    assert_eq!(read(&old), "s\n10\n");
    assert_eq!(fs::metadata(&old).unwrap().len(), 5);
    fs::remove_file(mount.join("Sql/total.yaml")).unwrap();
    assert_eq!(errno(fs::read(&out)), Some(Errno::NOENT));
    assert_eq!(names(&mount.join("Sql")), Vec::<String>::new());
    let mount = mount.remount_without_index();
    assert_eq!(
        read(mount.version(then).join("Sql/total/out.csv")),
        "s\n10\n"
    );
    mount.unmount();
    pond.check();
}

#[test]
fn what_is_derived_takes_no_changes_and_tells_of_itself() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(
        &folder(mount.path(), "data"),
        "1.csv",
        "timestamp,a\n1,10\n",
    );
    sql(&mount, "total", "SELECT a FROM t");
    let (dir, out) = (mount.join("Sql/total"), mount.join("Sql/total/out.csv"));
    assert_eq!(errno(fs::write(&out, "x")), Some(Errno::ROFS));
    assert_eq!(errno(fs::write(dir.join("new"), "x")), Some(Errno::ROFS));
    assert_eq!(errno(fs::create_dir(&dir)), Some(Errno::EXIST));
    assert_eq!(errno(fs::remove_dir(&dir)), Some(Errno::ROFS));
    assert_eq!(
        errno(fs::rename(&dir, mount.join("moved"))),
        Some(Errno::ROFS)
    );
    let told = tool("getfattr")
        .args(["-d", "--absolute-names"])
        .arg(&out)
        .ok()
        .text();
    for words in [
        "user.pond.kind=\"derived\"",
        "user.pond.spec=\"/Sql/total.yaml\"",
        "user.pond.inputs=\"/data/1.csv\"",
        "user.pond.rows=\"1\"",
    ] {
        assert!(told.contains(words), "{told}");
    }
    // It is as old as its newest input, however often it is looked at.
    let input = fs::metadata(mount.join("data/1.csv")).unwrap();
    let recipe = fs::metadata(mount.join("Sql/total.yaml")).unwrap();
    let newest = (input.mtime(), input.mtime_nsec()).max((recipe.mtime(), recipe.mtime_nsec()));
    let seen = fs::metadata(&out).unwrap();
    assert_eq!((seen.mtime(), seen.mtime_nsec()), newest);
}

#[test]
fn a_failure_has_its_reason_where_it_is_looked_for() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(
        &folder(mount.path(), "data"),
        "1.csv",
        "timestamp,a\n1,10\n",
    );
    sql(&mount, "total", "SELECT nothing FROM t");
    let out = mount.join("Sql/total/out.csv");
    assert_eq!(errno(fs::read(&out)), Some(Errno::IO));
    let script = "import os, sys\nprint(os.getxattr(sys.argv[1], 'user.pond.error').decode())";
    let told = python().args(["-c", script]).arg(&out);
    assert!(told.ok().text().contains("nothing"));
    let errors = read(mount.join(".pond/errors"));
    assert!(
        errors.contains("/Sql/total/out.csv") && errors.contains("nothing"),
        "{errors}"
    );
    // Listing makes nothing, so it does not fail.
    assert_eq!(names(&mount.join("Sql/total")), ["out.csv"]);
    // A file that is no resource stays as it was written.
    file(&mount.join("Sql"), "bad.yaml", "kind: [\n");
    assert_eq!(names(&mount.join("Sql/bad")), ["ERROR"]);
    assert!(read(mount.join("Sql/bad/ERROR")).contains("line"));
    assert_eq!(read(mount.join("Sql/bad.yaml")), "kind: [\n");
    let status = pond.ask(["status"]).ok().text();
    assert!(status.contains("/Sql/bad.yaml"), "{status}");
}

#[test]
fn many_readers_wait_for_one_rendering_and_nobody_else_does() {
    let pond = Pond::new();
    let mount = pond.mount();
    let data = folder(mount.path(), "data");
    let rows: String = (0..200_000).map(|n| format!("{n},{}\n", n % 97)).collect();
    file(&data, "1.csv", format!("timestamp,a\n{rows}"));
    sql(
        &mount,
        "slow",
        "SELECT sum(x.a * y.a) AS s FROM t x JOIN t y ON x.a = y.a WHERE x.timestamp < 20000",
    );
    let out = mount.join("Sql/slow/out.csv");
    let readers: Vec<_> = (0..64)
        .map(|_| {
            let out = out.clone();
            thread::spawn(move || read(out))
        })
        .collect();
    let mut looks = 0;
    while readers.iter().any(|reader| !reader.is_finished()) {
        // Were it to wait for the rendering, it would be answered only after it.
        names(&data);
        looks += 1;
        thread::sleep(Duration::from_millis(1));
    }
    let texts: Vec<String> = readers
        .into_iter()
        .map(|reader| reader.join().unwrap())
        .collect();
    assert!(
        texts
            .iter()
            .all(|text| *text == texts[0] && text.starts_with("s\n"))
    );
    assert!(looks > 10, "only {looks} looks while it was rendered");
}

/// Who looks and who changes do so at the same time, and each change is seen by the next look.
#[test]
fn what_the_kernel_keeps_of_derived_directories_is_so() {
    let pond = Pond::new();
    let mount = pond.mount();
    let data = folder(mount.path(), "data");
    let spec = "  collections:\n  - name: all\n    resolutions: [1d]\n    datasets:\n    \
        - {in_pattern: \"/data/*.csv\", out_pattern: \"of-$0\", aggregates: [sum]}\n";
    resource(&mount, "Reduce", "r", spec);
    let all = mount.join("Reduce/r/all");
    let (site, out) = (all.join("of-a"), all.join("of-a/res=1d.csv"));
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let _ = (fs::metadata(&site), fs::read_dir(&all), fs::read(&out));
                    let _ = (fs::metadata(mount.join("Reduce/r")), fs::read_dir(&site));
                }
            });
        }
        let stop = Stop(&done);
        for round in 1..100u64 {
            let input = file(&data, "a.csv", format!("timestamp,x\n1,{round}\n"));
            assert_eq!(names(&all), ["of-a"]);
            assert!(read(&out).contains(&format!(",{round}.0")), "{round}");
            let time = std::time::UNIX_EPOCH + Duration::from_secs(4_000_000_000 + round);
            let opened = fs::File::options().write(true).open(&input).unwrap();
            opened.set_modified(time).unwrap();
            assert_eq!(fs::metadata(&site).unwrap().modified().unwrap(), time);
            assert_eq!(fs::metadata(&out).unwrap().modified().unwrap(), time);
            drop(opened);
            match round % 3 {
                0 => fs::remove_file(&input).unwrap(),
                1 => fs::rename(&input, data.join("b.csv")).unwrap(),
                _ => {
                    // With the resource goes its directory, and its name is free.
                    fs::rename(mount.join("Reduce/r.yaml"), mount.join("away")).unwrap();
                    assert_eq!(errno(fs::read_dir(&all)), Some(Errno::NOENT));
                    fs::create_dir(mount.join("Reduce/r")).unwrap();
                    assert_eq!(errno(fs::metadata(&all)), Some(Errno::NOENT));
                    fs::remove_dir(mount.join("Reduce/r")).unwrap();
                    fs::rename(mount.join("away"), mount.join("Reduce/r.yaml")).unwrap();
                    fs::remove_file(&input).unwrap();
                }
            }
            assert_eq!(errno(fs::metadata(&site)), Some(Errno::NOENT), "{round}");
            assert_eq!(errno(fs::read_dir(&site)), Some(Errno::NOENT), "{round}");
            assert_eq!(errno(fs::metadata(&out)), Some(Errno::NOENT), "{round}");
            if round % 3 == 1 {
                assert_eq!(names(&all), ["of-b"]);
                fs::remove_file(data.join("b.csv")).unwrap();
            }
            assert!(names(&all).is_empty());
        }
        drop(stop);
    });
    mount.unmount();
    pond.check();
}

/// Sets a flag when it goes, also where an assertion fails.
struct Stop<'s>(&'s std::sync::atomic::AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn commands_write_and_tell_of_resources() {
    let pond = Pond::new();
    let mount = pond.mount();
    file(
        &folder(mount.path(), "data"),
        "1.csv",
        "timestamp,a\n1,10\n",
    );
    let yaml = pond.outside("r.yaml");
    let text = "apiVersion: v1\nkind: Sql\nname: total\ndesc: All\nmetadata:\n  path: /sites/{x}/total\nspec:\n  queries:\n  - {name: out.csv, inputs: {t: \"{{ where }}/*.csv\"}, query: \"SELECT a FROM t\"}\n";
    fs::write(&yaml, text.replace("{x}", "one")).unwrap();
    let file_arg = yaml.display().to_string();
    let store = pond.store();
    let run = |args: &[&str]| pond.run([]).args(args).env("POND_STORE", &store);
    run(&["apply", "-f", &file_arg])
        .outcome()
        .fails()
        .says(&["where"]);
    let dry = run(&["apply", "-n", "-f", &file_arg, "-v", "where=/data"]).ok();
    assert!(dry.err().contains("would be created"), "{}", dry.err());
    let uuid = run(&["apply", "-f", &file_arg, "-v", "where=/data"])
        .ok()
        .text();
    let uuid = uuid.trim();
    assert_eq!(names(&mount.join("Sql")), [uuid, "total", "total.yaml"]);
    for path in [
        format!("Sql/{uuid}/out.csv"),
        "Sql/total/out.csv".into(),
        "sites/one/total/out.csv".into(),
    ] {
        assert_eq!(read(mount.join(&path)), "a\n10\n", "{path}");
    }
    let again = run(&["apply", "-f", &file_arg, "-v", "where=/data"]).ok();
    assert_eq!(
        (again.text().trim(), again.err().contains("unchanged")),
        (uuid, true)
    );
    assert!(run(&["list"]).ok().text().contains("Sql/total"));
    let text = run(&["get", "Sql/total"]).ok().text();
    assert!(text.contains("/data/*.csv"), "{text}");
    let told = run(&["--json", "describe", "Sql/total"]).ok().json();
    assert_eq!(told["shows"][0], "/Sql/total/out.csv");
    run(&["describe", "Sql/none"])
        .outcome()
        .fails()
        .says(&["there is no Sql"]);
    run(&["delete", "Sql/total"]).ok();
    assert_eq!(names(&mount.join("Sql")), Vec::<String>::new());
    assert_eq!(names(&mount.join("sites/one")), Vec::<String>::new());
    // The same without a mount.
    mount.unmount();
    run(&["apply", "-f", &file_arg, "-v", "where=/data"]).ok();
    assert!(run(&["list"]).ok().text().contains("Sql/total"));
    pond.check();
}

#[test]
fn a_chart_and_a_page_are_made_of_a_reduced_series() {
    let pond = Pond::new();
    let mount = pond.mount();
    let series = "  series:\n  - name: waves\n    start: 2024-01-01\n    end: 2024-01-08\n    every: 10m\n    columns:\n    - {name: A.sine.m, wave: sine, period: 1d}\n";
    resource(&mount, "Synthetic", "s", series);
    resource(
        &mount,
        "Reduce",
        "r",
        "  collections:\n  - name: c\n    resolutions: [1h]\n    datasets:\n    - {in_pattern: /Synthetic/s/waves.parquet, out_pattern: x}\n",
    );
    resource(
        &mount,
        "Chart",
        "c",
        "  charts:\n  - {name: d, in_pattern: \"/Reduce/r/c/*/res=1h\", out_pattern: $0}\n",
    );
    resource(
        &mount,
        "Template",
        "t",
        "  collections:\n  - name: pages\n    in_pattern: /Reduce/r/c/*/res=1h\n    out_pattern: $0.md\n    template: \"{% for f in schema.fields %}{{ f.instrument }}.{{ f.name }} {{ f.agg }};{% endfor %}\"\n",
    );
    assert_eq!(
        read(mount.join("Template/t/pages/x.md")),
        "A.sine avg;A.sine min;A.sine max;"
    );
    let svg = read(mount.join("Chart/c/d/x.svg"));
    assert!(
        svg.contains("viewBox") && svg.contains("A.sine.m"),
        "{svg:.300}"
    );
    let png = fs::read(mount.join("Chart/c/d/x.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    assert_eq!(
        read(mount.join("Synthetic/s/waves.csv")).lines().count(),
        7 * 144 + 1
    );
}

#[test]
fn a_resource_reads_what_its_owner_may() {
    need_root("to be two users");
    let pond = Pond::new();
    let mount = pond.mount_with(&["--allow-other"]);
    let data = folder(mount.path(), "data");
    file(&data, "1.csv", "timestamp,a\n1,10\n");
    let sql_dir = folder(mount.path(), "Sql");
    fs::set_permissions(&sql_dir, fs::Permissions::from_mode(0o777)).unwrap();
    let text = "apiVersion: v1\nkind: Sql\nname: theirs\ndesc: x\nspec:\n  queries:\n  \
        - {name: out.csv, inputs: {t: \"/data/*.csv\"}, query: \"SELECT a FROM t\"}\n";
    let write = tool("tee").arg(sql_dir.join("theirs.yaml")).as_nobody();
    write.input(text).ok();
    assert_eq!(read(sql_dir.join("theirs/out.csv")), "a\n10\n");
    fs::set_permissions(data.join("1.csv"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(names(&sql_dir.join("theirs")), ["ERROR"]);
    assert!(read(sql_dir.join("theirs/ERROR")).contains("may not be read"));
    // Nor through a directory that is closed to them.
    fs::set_permissions(data.join("1.csv"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(
        errno(fs::read(sql_dir.join("theirs/out.csv"))),
        Some(Errno::IO)
    );
}
