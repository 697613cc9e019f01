//! Renders templates with Tera, in the context that old templates expect.
//!
//! - `args`: the name of the result without its extension, then the captures of the wildcards;
//! - `schema.fields`: the columns of the input as `{instrument, name, unit, agg}`, the parts of
//!   their names between dots: the last is `agg`, before it `unit`, before that `name`, and the
//!   rest is `instrument`;
//! - `export`: the files beside the input, by the captures of their wildcards,
//!   `[{file, start_time, end_time}]`, in seconds since 1970: the time of the first row, and the
//!   second after the last row;
//! - `group(by, in)`: the items of an array by the value of a key.
//!
//! Nothing is escaped. A name that does not exist is an error.

use crate::derive::DeriveError;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use tera::{Context, Function, Tera, Value};

/// The context of a template.
pub(super) struct Given<'g> {
    pub(super) args: &'g [String],
    /// The columns of the input.
    pub(super) columns: &'g [String],
    pub(super) exports: &'g [Export],
}

/// A file in `export`.
pub(super) struct Export {
    /// The captures of the wildcards.
    pub(super) captures: Vec<String>,
    pub(super) path: String,
    /// Its first and last time, in microseconds since 1970, if the template uses them and it has
    /// rows.
    pub(super) span: Option<(i64, i64)>,
}

/// Returns whether a template uses the times of its exports, for which these have to be read.
pub(super) fn asks_for_times(text: &str) -> bool {
    ["start_time", "end_time"]
        .iter()
        .any(|name| text.contains(name))
}

/// Columns that are times and not measurements.
const TIMES: [&str; 2] = ["timestamp", "rtimestamp"];
/// Microseconds in a second.
const SECOND: i64 = 1_000_000;
/// The least number of parts in the name of a measurement.
const PARTS: usize = 4;

/// Renders a template.
pub(super) fn render(text: &str, given: &Given<'_>) -> Result<String, DeriveError> {
    const NAME: &str = "template";
    let mut tera = Tera::default();
    tera.autoescape_on(Vec::new());
    tera.register_function("group", Group);
    // Readers of a template's output must not learn the daemon's environment.
    tera.register_function("get_env", |_: &HashMap<String, Value>| {
        Err(tera::Error::msg("the environment is not read by templates"))
    });
    let told = |error: tera::Error| DeriveError::new(told(&error));
    tera.add_raw_template(NAME, text).map_err(told)?;
    let mut context = Context::new();
    context.insert("args", given.args);
    // Only a template that uses `schema` needs column names of four parts.
    if text.contains("schema") {
        let fields = fields(given.columns)?;
        context.insert("schema", &serde_json::json!({ "fields": fields }));
    }
    context.insert("export", &export(given.exports));
    tera.render(NAME, &context).map_err(told)
}

/// Formats a library error with its causes, which are more precise.
fn told(error: &tera::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.replace('\n', " ")
}

fn fields(columns: &[String]) -> Result<Vec<Value>, DeriveError> {
    let measured = |name: &&String| !TIMES.iter().any(|time| name.eq_ignore_ascii_case(time));
    let field = |name: &String| {
        let parts: Vec<&str> = name.split('.').collect();
        match &parts[..] {
            [instrument @ .., name, unit, agg] if parts.len() >= PARTS => Ok(serde_json::json!({
                "instrument": instrument.join("."), "name": name, "unit": unit, "agg": agg,
            })),
            _ => Err(DeriveError::new(format!(
                "column {name:?} is not made of instrument, name, unit and aggregate with dots between"
            ))),
        }
    };
    columns.iter().filter(measured).map(field).collect()
}

/// Returns files by their captures, as nested maps.
fn export(files: &[Export]) -> Value {
    let mut root = Value::Object(serde_json::Map::new());
    for Export {
        captures,
        path,
        span,
    } in files
    {
        let mut file = serde_json::json!({ "file": path });
        // Without times, a template that uses them fails: null would be written as nothing.
        if let (Some((first, last)), Value::Object(file)) = (span, &mut file) {
            file.insert("start_time".into(), first.div_euclid(SECOND).into());
            file.insert("end_time".into(), (last.div_euclid(SECOND) + 1).into());
        }
        put(&mut root, captures, file);
    }
    root
}

fn put(map: &mut Value, captures: &[String], file: Value) {
    match (captures, map) {
        ([], Value::Array(list)) => list.push(file),
        ([], map) => *map = Value::Array(vec![file]),
        ([first, rest @ ..], Value::Object(map)) => {
            let below = map.entry(first.clone());
            put(
                below.or_insert_with(|| Value::Object(serde_json::Map::new())),
                rest,
                file,
            );
        }
        // All files of a pattern have the same number of captures.
        _ => {}
    }
}

/// The function `group(by="key", in=array)`.
struct Group;

impl Function for Group {
    fn call(&self, args: &HashMap<String, Value>) -> tera::Result<Value> {
        let by = args.get("by").and_then(Value::as_str);
        let list = args.get("in").and_then(Value::as_array);
        let (Some(by), Some(list)) = (by, list) else {
            return Err("group is called as group(by=\"key\", in=array)".into());
        };
        let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for item in list {
            let key = match item.get(by) {
                Some(Value::String(key)) => key.clone(),
                Some(key) => key.to_string(),
                None => return Err(format!("group: an item has no {by:?}").into()),
            };
            groups.entry(key).or_default().push(item.clone());
        }
        Ok(serde_json::to_value(groups)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> Result<String, DeriveError> {
        let columns = [
            "Timestamp",
            "A.x.DO.mg/L.avg",
            "A.x.DO.mg/L.max",
            "B.Temp.C.avg",
        ];
        let export = |resolution: &str, path: &str, span| Export {
            captures: vec!["DO".into(), resolution.into()],
            path: path.into(),
            span,
        };
        let exports = [
            export("res=1h", "/a", Some((1_500_000, 7_200_000_000))),
            export("res=2h", "/b", None),
        ];
        render(
            text,
            &Given {
                args: &["DO".into()],
                columns: &columns.map(String::from),
                exports: &exports,
            },
        )
    }

    #[test]
    fn the_old_context_is_there() {
        let text = "{% for key, fields in group(by=\"name\", in=schema.fields) %}{{ key }}:\
            {% for f in fields %}{{ f.instrument }}/{{ f.unit }}/{{ f.agg }};{% endfor %} {% endfor %}";
        assert_eq!(
            rendered(text).unwrap(),
            "DO:A.x/mg/L/avg;A.x/mg/L/max; Temp:B/C/avg; "
        );
        let text =
            "{% for res, files in export[args[0]] %}{{ res }}={{ files[0].file }} {% endfor %}";
        assert_eq!(rendered(text).unwrap(), "res=1h=/a res=2h=/b ");
        assert_eq!(rendered("<b>{{ args[0] }}</b>&").unwrap(), "<b>DO</b>&");
        let text = "{% set f = export.DO['res=1h'][0] %}{{ f.start_time }} {{ f.end_time }}";
        assert_eq!(rendered(text).unwrap(), "1 7201");
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        for text in [
            "{{ nothing }}",
            "{{ args[7] }}",
            "{{ export.DO['res=2h'][0].start_time }}",
            "{% if %}",
            "{{ group(by=\"x\", in=schema.fields) }}",
            "{{ get_env(name=\"PATH\") }}",
        ] {
            let error = rendered(text).unwrap_err().to_string();
            assert!(!error.contains('\n') && error.len() > 20, "{error}");
        }
    }
}
