//! The kinds of old ponds, as their documents have them: long CSV is made wide, series are combined and reduced, pages
//! are written. DuckDB and pandas say what has to come of it.

use std::fs;

use mount_tests::mount::Mount;
use mount_tests::place::{file, folder};
use mount_tests::pond::{Pond, names};
use mount_tests::run::{arrow, tool};

use super::read;

/// Three instruments of two docks, months of long CSV: with days that are missing, a parameter that comes later,
/// rows that come late in the file of the next month, a month that is sent again, and times before the clock was set.
const SOW: &str = r#"
import csv, datetime as dt, math, random, sys
random.seed(11)
where = sys.argv[1]
parameters = {"surface": ["DO", "Temperature", "Chl-a"], "bottom": ["DO", "Temperature"], "vulink": ["Temperature", "Baro"]}
for dock in ("BDock", "FDock"):
    for instrument, all_parameters in parameters.items():
        late = []
        for month in (5, 6, 7):
            rows, late = late, []
            at = dt.datetime(2024, month, 1)
            while at.month == month:
                known = all_parameters if month > 5 else all_parameters[:-1] or all_parameters
                if not (month == 6 and 10 <= at.day < 14):
                    for parameter in known:
                        if random.random() > .05:
                            value = round(10 + 5 * math.sin(at.timestamp() / 40_000) + random.random(), 3)
                            row = [f"{dock} {instrument}", dock, parameter, value, "0", at.strftime("%Y-%m-%d %H:%M:%S")]
                            (late if random.random() < .01 else rows).append(row)
                at += dt.timedelta(minutes=30 if instrument == "vulink" else 20)
            for copy in range(2 if month == 6 else 1):
                with open(f"{where}/{dock}_{instrument}_2024_{month:02}{'_again' * copy}.csv", "w", newline="") as out:
                    writer = csv.writer(out)
                    writer.writerow(["Series Name", "Location", "Parameter", "Value", "Offset", "Timestamp"])
                    writer.writerows(rows)
"#;

/// The query of a document, of one dock's instrument; what the fields of a time make is what its numbers say.
fn query(scope: &str, parameters: &[(&str, &str)]) -> String {
    let parts = ["year", "month", "day", "hour", "minute", "second"];
    let parts = parts
        .map(|part| format!("EXTRACT('{part}' FROM Timestamp)"))
        .join(", ");
    let columns: String = parameters
        .iter()
        .map(|(name, unit)| {
            format!("MAX(Value) FILTER (WHERE Parameter = '{name}') AS \"{scope}.{name}.{unit}\", ")
        })
        .collect();
    format!(
        "SELECT EPOCH(MAKE_TIMESTAMPTZ({parts}, 'UTC'))::BIGINT AS Timestamp, {columns} \
         FROM read_csv('$1') GROUP BY ALL ORDER BY 1"
    )
}

const SURFACE: &[(&str, &str)] = &[("DO", "mg/L"), ("Temperature", "C"), ("Chl-a", "µg/L")];
const BOTTOM: &[(&str, &str)] = &[("DO", "mg/L"), ("Temperature", "C")];
const VULINK: &[(&str, &str)] = &[("Temperature", "C"), ("Baro", "psi")];

fn derive() -> String {
    let collection = |name: &str, scope: &str, parameters| {
        let query = query(scope, parameters);
        format!(
            "  - name: {name}\n    pattern: /Inbox/lake/*_{name}_*.csv\n    query: >-\n      {query}\n"
        )
    };
    format!(
        "apiVersion: github.com/jmacd/duckpond/v1\nkind: Derive\nname: wide\ndesc: Long to wide\nspec:\n  collections:\n{}{}{}",
        collection("surface", "AT500_Surface", SURFACE),
        collection("bottom", "AT500_Bottom", BOTTOM),
        collection("vulink", "Vulink", VULINK),
    )
}

const COMBINE: &str = r#"
apiVersion: github.com/jmacd/duckpond/v1
kind: Combine
name: docks
desc: All of a dock
spec:
  scopes:
  - name: BDock
    series:
    - pattern: /Derive/wide/surface/BDock_*
    - pattern: /Derive/wide/bottom/BDock_*
    - pattern: /Derive/wide/vulink/BDock_*
  - name: FDock
    series:
    - pattern: /Derive/wide/surface/FDock_*
    - pattern: /Derive/wide/bottom/FDock_*
    - pattern: /Derive/wide/vulink/FDock_*
"#;

const REDUCE: &str = r#"
apiVersion: github.com/jmacd/duckpond/v1
kind: Reduce
name: lake
desc: Downsampled
spec:
  collections:
  - name: single_site
    resolutions: [1h, 2h, 4h, 12h, 24h]
    datasets:
    - in_pattern: "/Combine/docks/*/combine"
      out_pattern: "site=$0"
  - name: single_param
    resolutions: [1h, 24h]
    datasets:
    - in_pattern: "/Combine/docks/*/combine"
      out_pattern: "param=DO"
      columns: ["AT500_Surface.DO.mg/L", "AT500_Bottom.DO.mg/L"]
    - in_pattern: "/Combine/docks/*/combine"
      out_pattern: "param=Temperature"
      columns: ["AT500_Surface.Temperature.C", "AT500_Bottom.Temperature.C", "Vulink.Temperature.C"]
"#;

const TEMPLATE: &str = r#"
apiVersion: github.com/jmacd/duckpond/v1
kind: Template
name: pages
desc: Pages
spec:
  collections:
  - name: params
    in_pattern: "/Reduce/lake/single_param/param=*/res=1h"
    out_pattern: "$0.md"
    template: |
      ---
      title: {{ args[0] }}
      ---
      {% for name, fields in group(by="name", in=schema.fields) -%}
      ## {{ name }}
      {% for instrument, aggs in group(by="instrument", in=fields) -%}
      - {{ instrument }} ({{ aggs[0].unit }}):{% for f in aggs %} {{ f.agg }}{% endfor %}
      {% endfor %}{% endfor %}
  - name: files
    in_pattern: "/Reduce/lake/single_param/param=*/res=1h"
    out_pattern: "$0.json"
    template: |
      {
      {%- for resolution, parts in export[args[0]] %}
        "{{ resolution }}": [
        {%- for part in parts %}
          {"start": {{ part.start_time }}, "end": {{ part.end_time }}, "file": "{{ part.file }}"}{% if not loop.last %},{% endif %}
        {%- endfor %}
        ]{% if not loop.last %},{% endif %}
      {%- endfor %}
      }
"#;

/// What the same queries make in DuckDB, and what pandas makes of that.
const COMPARE: &str = r#"
import glob, json, os, sys
import duckdb, numpy as np, pandas as pd, pyarrow.parquet as pq
mount = sys.argv[1]
queries = dict(zip(("surface", "bottom", "vulink"), sys.argv[2:]))
duckdb.sql("SET TimeZone = 'UTC'")

def same(found, want, what):
    assert list(found.columns) == list(want.columns), (what, list(found.columns), list(want.columns))
    assert len(found) == len(want), (what, len(found), len(want))
    for column in want.columns:
        a, b = found[column], want[column]
        if a.dtype.kind == "M":
            b = pd.to_datetime(b, unit="s") if b.dtype.kind == "i" else b
            assert (a.to_numpy().astype("int64") == b.to_numpy().astype(a.dtype).astype("int64")).all(), (what, column)
        else:
            assert np.allclose(a.to_numpy(dtype=float), b.to_numpy(dtype=float), equal_nan=True), (what, column)

wide = {}
for name, query in queries.items():
    listed = sorted(os.listdir(f"{mount}/Derive/wide/{name}"))
    assert len(listed) == 8, listed
    for entry in listed:
        want = duckdb.sql(query.replace("$1", f"{mount}/Inbox/lake/{entry}")).df()
        # What is made of a CSV has its name, and so its format; as Parquet it has another.
        assert len(pd.read_csv(f"{mount}/Derive/wide/{name}/{entry}")) == len(want)
        found = pd.read_parquet(f"{mount}/Derive/wide/{name}/{entry}.parquet")
        same(found, want, entry)
        wide[name, entry] = want

combined = {}
for dock in ("BDock", "FDock"):
    series = []
    for name in queries:
        rows = pd.concat([rows for (of, entry), rows in sorted(wide.items()) if of == name and entry.startswith(dock)])
        series.append(rows.groupby("Timestamp").last())
    joined = pd.concat(series, axis=1).sort_index()
    joined = joined[sorted(joined.columns, key=lambda name: name.encode())].reset_index()
    same(pd.read_parquet(f"{mount}/Combine/docks/{dock}/combine"), joined, dock)
    combined[dock] = joined

def reduced(rows, resolution, columns=None):
    rows = rows.assign(Timestamp=pd.to_datetime(rows["Timestamp"], unit="s")).set_index("Timestamp")
    rows = rows[columns] if columns else rows
    groups = rows.resample(resolution)
    aggregates = {"avg": groups.mean(), "min": groups.min(), "max": groups.max()}
    table = pd.DataFrame({f"{c}.{a}": aggregates[a][c] for c in rows.columns for a in aggregates})
    return table[groups.size() > 0]

for dock, rows in combined.items():
    for resolution in ("1h", "2h", "4h", "12h", "24h"):
        found = pd.read_parquet(f"{mount}/Reduce/lake/single_site/site={dock}/res={resolution}")
        same(found, reduced(rows, resolution).reset_index(), (dock, resolution))

pages = {"DO": ["AT500_Surface.DO.mg/L", "AT500_Bottom.DO.mg/L"],
    "Temperature": ["AT500_Surface.Temperature.C", "AT500_Bottom.Temperature.C", "Vulink.Temperature.C"]}
for param, columns in pages.items():
    for resolution in ("1h", "24h"):
        path = f"{mount}/Reduce/lake/single_param/param={param}/res={resolution}"
        parts = [reduced(rows, resolution, columns).add_prefix(f"{dock}.") for dock, rows in combined.items()]
        want = pd.concat(parts, axis=1).sort_index().reset_index()
        found = pd.read_parquet(path)
        assert set(found.columns) == set(want.columns), (param, set(found.columns) ^ set(want.columns))
        same(found[list(want.columns)], want, (param, resolution))
    # DuckDB reads it where it stands, and so does what reads a line.
    ((count,),) = duckdb.sql(f"SELECT count(*) FROM read_parquet('{path}')").fetchall()
    assert count == len(want)
    fields = [name.split(".") for name in pq.read_schema(f"{mount}/Reduce/lake/single_param/param={param}/res=1h").names[1:]]
    text = f"---\ntitle: {param}\n---\n## {param}\n"
    for instrument in sorted({".".join(f[:-3]) for f in fields}):
        aggs = [f for f in fields if ".".join(f[:-3]) == instrument]
        text += f"- {instrument} ({aggs[0][-2]}): {' '.join(f[-1] for f in aggs)}\n"
    page = open(f"{mount}/Template/pages/params/{param}.md").read()
    squeezed = "".join(line + "\n" for line in page.splitlines() if line.strip())
    assert squeezed == text, (squeezed, text)
    files = json.load(open(f"{mount}/Template/pages/files/{param}.json"))
    assert sorted(files) == sorted(os.path.basename(p) for p in glob.glob(f"{mount}/Reduce/lake/single_param/param={param}/*")), files
    for resolution, parts in files.items():
        [part] = parts
        times = pq.read_table(mount + part["file"])["Timestamp"].to_pandas()
        assert part["file"].endswith(f"/param={param}/{resolution}"), part
        assert part["start"] == int(times.min().timestamp()), (resolution, part, times.min())
        assert part["end"] == int(times.max().timestamp()) + 1, (resolution, part, times.max())
print("same")
"#;

fn apply(mount: &Mount<'_>, kind: &str, name: &str, text: &str) {
    let dir = mount.join(kind);
    fs::create_dir_all(&dir).unwrap();
    file(&dir, &format!("{name}.yaml"), text);
}

#[test]
fn long_rows_become_pages_as_duckdb_and_pandas_have_it() {
    let pond = Pond::new();
    let mount = pond.mount();
    folder(mount.path(), "Inbox");
    let lake = folder(&mount.join("Inbox"), "lake");
    arrow(SOW).arg(&lake).ok();
    apply(&mount, "Derive", "wide", &derive());
    apply(&mount, "Combine", "docks", COMBINE);
    apply(&mount, "Reduce", "lake", REDUCE);
    apply(&mount, "Template", "pages", TEMPLATE);
    let compared = arrow(COMPARE)
        .arg(mount.path())
        .arg(query("AT500_Surface", SURFACE))
        .arg(query("AT500_Bottom", BOTTOM))
        .arg(query("Vulink", VULINK));
    assert_eq!(compared.ok().text().trim(), "same");
    let line = tool("sh").args(["-c", "cat \"$0\" | head -1"]);
    let line = line.arg(mount.join("Reduce/lake/single_site/site=BDock/res=24h.csv"));
    assert!(
        line.ok()
            .text()
            .starts_with("Timestamp,AT500_Bottom.DO.mg/L.avg,")
    );

    // A month that is sent again changes nothing: what is shown has the same bytes, and is not even made anew.
    let reduced = mount.join("Reduce/lake/single_site/site=BDock/res=1h");
    let before = fs::read(&reduced).unwrap();
    let inputs = fs::read(lake.join("BDock_surface_2024_06.csv")).unwrap();
    file(&lake, "BDock_surface_2024_06_once_more.csv", inputs);
    assert_eq!(fs::read(&reduced).unwrap(), before);
    mount.unmount();
    pond.check();
}

#[test]
fn all_kinds_of_old_documents_load() {
    let pond = Pond::new();
    let mount = pond.mount();
    let documents = [
        (
            "HydroVu",
            "noyo",
            "  key: ${env:HYDROVU_KEY}\n  secret: ${env:HYDROVU_SECRET}\n  devices:\n  - {id: 6582334615060480, name: NoyoCenterVulink, scope: Vulink, comment: at the dock}\n",
        ),
        (
            "Backup",
            "s3",
            "  bucket: noyo\n  region: us-west-2\n  key: ${env:S3_KEY}\n  secret: ${file:/etc/pond/s3}\n  endpoint: https://s3.example.org\n",
        ),
        (
            "Copy",
            "back",
            "  bucket: noyo\n  region: us-west-2\n  key: ${env:S3_KEY}\n  secret: ${env:S3_SECRET}\n  endpoint: https://s3.example.org\n  backup_uuid: 0192c3f6-6d3b-7a0a-8f4c-111111111111\n",
        ),
        (
            "Scribble",
            "noise",
            "  count_min: 2\n  count_max: 5\n  probs: {tree: 0.3, table: 0.2, series: 0, data: 0, syntree: 0, symlink: 0}\n",
        ),
        ("Inbox", "host", "  pattern: /var/spool/sensors/**/*.csv\n"),
    ];
    for (kind, name, spec) in documents {
        let text = format!(
            "apiVersion: duckpond/v1\nkind: {kind}\nname: {name}\ndesc: As it was\nmetadata: {{}}\nspec:\n{spec}"
        );
        apply(&mount, kind, name, &text);
    }
    apply(&mount, "Derive", "wide", &derive());
    apply(&mount, "Combine", "docks", COMBINE);
    apply(&mount, "Reduce", "lake", REDUCE);
    apply(&mount, "Template", "pages", TEMPLATE);
    let listed = pond.run(["list"]).env("POND_STORE", pond.store());
    let listed = listed.ok().text();
    for (kind, name, _) in documents {
        assert!(listed.contains(&format!("{kind}/{name}")), "{listed}");
        let shown = names(&mount.join(kind));
        assert!(
            !shown.contains(&name.to_string())
                || read(mount.join(kind).join(name).join("ERROR")).is_empty()
        );
    }
    let status: serde_json::Value =
        serde_json::from_str(&read(mount.join(".pond/status"))).unwrap();
    assert_eq!(status["broken_resources"], serde_json::json!([]));
    apply(
        &mount,
        "Inbox",
        "wrong",
        "apiVersion: v1\nkind: Inbox\nname: wrong\ndesc: x\nspec: {patern: /x}\n",
    );
    let status: serde_json::Value =
        serde_json::from_str(&read(mount.join(".pond/status"))).unwrap();
    assert_eq!(status["broken_resources"][0]["path"], "/Inbox/wrong.yaml");
    assert!(
        status["broken_resources"][0]["why"]
            .as_str()
            .unwrap()
            .contains("patern")
    );
}
