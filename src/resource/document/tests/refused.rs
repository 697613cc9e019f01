//! Tests of documents that are refused, and of the messages.

use super::{OLD, REDUCE, UUID, expand, parse, short};
use crate::service::KINDS;

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = parse(text).unwrap_err();
    assert_eq!(error.to_string(), expected, "of\n{text}");
}

#[test]
fn errors_name_the_position_and_the_field() {
    let reduce = REDUCE.replace("{{ combine }}", "noyo-data");
    let line = |number: usize| reduce.lines().nth(number - 1).unwrap();
    let with = |number: usize, text: &str| reduce.replacen(line(number), text, 1);
    refused(
        &with(8, "    resolutions: [1h, 90x]"),
        "line 8, column 23: spec.collections[0].resolutions[1]: \"90x\" is not a resolution; \
         write 15m, 1h, 1d, 1w, 1mo, 1q or 1y",
    );
    refused(
        &with(11, "      out_pattern: site=$1"),
        "line 11, column 20: spec.collections[0].datasets[0].out_pattern: `$1` stands for nothing: \
         \"/Combine/noyo-data/*/combine\" has one wildcard, `$0`",
    );
    refused(
        &with(11, "      out_patern: site=$1"),
        "line 11, column 7: spec.collections[0].datasets[0]: unknown field `out_patern`, expected one \
         of `in_pattern`, `out_pattern`, `columns`, `aggregates`, `duplicates`",
    );
}

#[test]
fn faults_of_the_heading_are_refused() {
    let good = short("Inbox", "{pattern: /in/*}");
    parse(&good).unwrap();
    let kinds: Vec<_> = KINDS.iter().map(|kind| kind.as_str()).collect();
    let unknown = format!(
        "line 2, column 7: kind: \"Inbax\" is not a kind; write one of {}",
        kinds.join(", ")
    );
    for (from, to, expected) in [
        ("kind: Inbox", "kind: Inbax", &unknown[..]),
        (
            "kind: Inbox\n",
            "",
            "line 1, column 1: missing field `kind`",
        ),
        (
            "desc: one",
            "descr: one",
            "line 4, column 1: unknown field `descr`, expected one of \
          `apiVersion`, `kind`, `name`, `desc`, `metadata`, `spec`",
        ),
        (
            "desc: one",
            "name: one",
            "line 1, column 1: duplicate field `name`",
        ),
        (
            "desc: one",
            "kind: Inbox",
            "line 1, column 1: duplicate field `kind`",
        ),
        (
            "name: short",
            "name: a/b",
            "line 3, column 7: name: \"a/b\" is not the name of a file: it \
          holds `/` or a zero byte",
        ),
        (
            "name: short",
            "name:",
            "line 3, column 6: name: it is empty",
        ),
        (
            "name: short",
            "name: [a]",
            "line 3, column 7: name: invalid type: sequence, expected a string",
        ),
        (
            "name: short",
            "name: ..",
            "line 3, column 7: name: a name is neither `.` nor `..`",
        ),
        (
            "name: short",
            "name: x.yaml",
            "line 3, column 7: name: a name does not end in `.yaml`: its \
          file does",
        ),
        (
            "name: short",
            "name: x@version",
            "line 3, column 7: name: a name does not end in \
          `@version`, which leads to the past",
        ),
        (
            "name: short",
            &format!("name: {UUID}"),
            "line 3, column 7: name: a name is not a uuid, \
          which would be taken for that of a resource",
        ),
        (
            "name: short",
            &format!("name: {}", "x".repeat(201)),
            "line 3, column 7: name: the name has \
          more than 200 bytes",
        ),
        (
            "{}",
            "{path: a/b}",
            "line 5, column 18: metadata.path: \"a/b\" is not absolute: it does not \
          begin with `/`",
        ),
        (
            "{}",
            "{path: /}",
            "line 5, column 18: metadata.path: the root of the pond cannot be a \
          rendered directory",
        ),
        (
            "{}",
            "{path: /a/../b}",
            "line 5, column 18: metadata.path: \"/a/../b\" is not a path of a \
          directory: it has no `.` and no `..`",
        ),
        (
            "{}",
            "{path: /a/@version/3}",
            "line 5, column 18: metadata.path: \"/a/@version/3\" is not a \
          path of a directory: `@version` leads to the past",
        ),
        (
            "{}",
            "{path: /a//b}",
            "line 5, column 18: metadata.path: \"/a//b\" is not a path of a \
          directory: it has a `/` too many",
        ),
        (
            "{}",
            "{uuid: 5}",
            "line 5, column 18: metadata.uuid: it is not a uuid",
        ),
        (
            "{}",
            "{a: b, a: c}",
            "line 5, column 11: metadata: duplicate field `a`",
        ),
        (
            "{}",
            "{a: {b: c}}",
            "line 5, column 15: metadata.a: invalid type: map, expected a string",
        ),
        (
            "spec: {pattern: /in/*}",
            "",
            "line 1, column 1: missing field `spec`",
        ),
        (
            "/in/*}",
            "/in/*}\n---\nname: x",
            "line 8, column 1: a second document begins here; write one \
          document per file",
        ),
        (
            "/in/*}",
            "/in/*",
            "line 7, column 1: did not find expected ',' or '}', while parsing a flow \
          mapping at line 6 column 7",
        ),
    ] {
        refused(&good.replacen(from, to, 1), expected);
    }
    refused("", "there is no document in it");
    refused(
        "# only this\n  # and this\n\n",
        "there is no document in it",
    );
    refused(
        "- a\n",
        "line 1, column 1: invalid type: sequence, expected a map with apiVersion, kind, name, desc, \
         metadata and spec",
    );
}

#[test]
fn faults_of_the_spec_are_refused() {
    for (kind, spec, expected) in [
        (
            "Inbox",
            "{pattern: in/*}",
            "17: spec.pattern: a pattern of the host is absolute: it begins \
          with `/`",
        ),
        (
            "Derive",
            "{collections: []}",
            "21: spec.collections: the list is empty",
        ),
        (
            "Derive",
            "{collections: [{name: a, pattern: '/b**', query: x}]}",
            "41: \
          spec.collections[0].pattern: \"/b**\" is not a pattern: `**` has to be a whole component",
        ),
        (
            "Derive",
            "{collections: [{name: a, pattern: /b, query: ' '}]}",
            "52: \
          spec.collections[0].query: it is empty",
        ),
        (
            "Pivot",
            "{collections: [{name: a, pattern: /b}, {name: a, pattern: /c}]}",
            "53: \
          spec.collections[1].name: the name \"a\" was given before",
        ),
        (
            "Pivot",
            "{collections: [{name: a, pattern: '{{ x }}/b'}]}",
            "41: \
          spec.collections[0].pattern: \"{{ x }}/b\" holds a variable that was not expanded; give it \
          with `apply -v NAME=VALUE`",
        ),
        (
            "Pivot",
            "{collections: [{name: a, pattern: /b, columns: [c, c]}]}",
            "58: \
          spec.collections[0].columns[1]: \"c\" was given before",
        ),
        (
            "Scribble",
            "{count_min: 2, count_max: 1, probs: {}}",
            "33: spec.count_max: it is less than \
          `count_min`",
        ),
        (
            "Scribble",
            "{count_min: 1, count_max: 1, probs: {tree: 2}}",
            "50: spec.probs.tree: a \
          probability is a number from 0 to 1",
        ),
        (
            "Scribble",
            "{count_min: 1, count_max: 1, probs: {bush: 1}}",
            "44: spec.probs: unknown \
          variant `bush`, expected one of `tree`, `table`, `series`, `data`, `syntree`, `symlink`",
        ),
        (
            "Rename",
            "{collections: [{name: a, pattern: /b, rules: [{type: direct, from: a}]}]}",
            "53: \
          spec.collections[0].rules[0]: a rule of the type `direct` has `from`, `to` and perhaps `cast`",
        ),
        (
            "Rename",
            "{collections: [{name: a, pattern: /b, rules: [{type: pattern, pattern: '(', \
          replacement: a}]}]}",
            "78: spec.collections[0].rules[0].pattern: \"(\" is not a regular \
          expression: unclosed group",
        ),
        (
            "Sql",
            "{queries: [{name: a, inputs: {1: /b}, query: c}]}",
            "40: spec.queries[0].inputs.1: \
          \"1\" is not the name of a table; write letters, digits and `_`",
        ),
        (
            "Sql",
            "{queries: [{name: a, inputs: {b: /b, B: /c}, query: c}]}",
            "40: \
          spec.queries[0].inputs.b: the name \"b\" was given before in another case",
        ),
        (
            "Synthetic",
            "{series: [{name: a, start: 2024-01-01, end: 2023-01-01, every: 1h, columns: []}]}",
            "51: spec.series[0].end: it is not after `start`",
        ),
        (
            "Synthetic",
            "{series: [{name: a, start: 2024-01-01, end: 2025-01-01, every: 1h, columns: \
          [{name: b, wave: sine}]}]}",
            "84: spec.series[0].columns[0]: `period` is missing: this wave \
          repeats or grows by it",
        ),
        (
            "Synthetic",
            "{series: [{name: a, start: 2024-01-01, end: 2025-01-01, every: 1mo, columns: []}]}",
            "70: spec.series[0].every: \"1mo\" is not a length of time; months and years differ in \
          length: write days",
        ),
        (
            "Template",
            "{collections: [{name: a, in_pattern: /b, out_pattern: c}]}",
            "22: \
          spec.collections[0]: there is neither `template` nor `template_file`; give one of them",
        ),
        (
            "Template",
            "{collections: [{name: a, in_pattern: /b, out_pattern: c/d, template: e}]}",
            "61: \
          spec.collections[0].out_pattern: \"c/d\" is not the name of a file: it holds `/` or a zero byte",
        ),
        (
            "Chart",
            "{charts: [{name: a, in_pattern: /b, out_pattern: c, width: 5}]}",
            "66: \
          spec.charts[0].width: write from 32 to 8192 pixels",
        ),
        (
            "Chart",
            "{charts: [{name: a, in_pattern: /b, out_pattern: c, formats: [gif]}]}",
            "69: \
          spec.charts[0].formats[0]: unknown variant `gif`, expected `svg` or `png`",
        ),
        (
            "DynamicDir",
            "{entries: [{name: a, kind: Inbox, spec: {pattern: /b}}]}",
            "34: \
          spec.entries[0].kind: Inbox collects data, and is applied on its own: it cannot be in a \
          DynamicDir",
        ),
        (
            "DynamicDir",
            "{entries: [{name: a, spec: {pattern: /b}, kind: Inbox}]}",
            "18: \
          spec.entries[0]: write `kind` above `spec` in an entry",
        ),
        (
            "DynamicDir",
            "{entries: [{name: a, kind: Concat, spec: {files: [{name: a, patern: /b}]}}]}",
            "67: spec.entries[0].spec.files[0]: unknown field `patern`, expected one of `name`, \
          `pattern`, `header`, `separator`",
        ),
    ] {
        refused(&short(kind, spec), &format!("line 6, column {expected}"));
    }
}

#[test]
fn nesting_of_dynamic_directories_is_bounded() {
    let nested = |levels: usize| {
        let mut spec = "{files: [{name: a, pattern: /b}]}".to_owned();
        let mut kind = "Concat";
        for _ in 0..levels {
            spec = format!("{{entries: [{{name: a, kind: {kind}, spec: {spec}}}]}}");
            kind = "DynamicDir";
        }
        short(kind, &spec)
    };
    parse(&nested(4)).unwrap();
    let error = parse(&nested(5)).unwrap_err().to_string();
    assert!(
        error.ends_with("a DynamicDir holds at most 4 levels of itself"),
        "{error}"
    );
    assert!(parse(&nested(200)).is_err());
}

#[test]
fn a_literal_secret_is_refused_and_not_repeated() {
    let variables = [("key".to_owned(), "SESAME".to_owned())].into();
    for (_, text) in OLD
        .into_iter()
        .filter(|(kind, _)| matches!(*kind, "HydroVu" | "Copy"))
    {
        let at = text.find("secret: ").unwrap() + "secret: ".len();
        let end = at + text[at..].find('\n').unwrap();
        for literal in [
            "SESAME",
            "\"SESAME\"",
            "[SESAME]",
            "{SESAME: 1}",
            "!!null SESAME",
            "!SESAME x",
            "&a SESAME",
            "|\n    SESAME",
            "!!int SESAME",
            "'{{ \"SESAME\" | nonsense }}'",
            "'{{ \"SESAME'",
            "'{{ key }}'",
            "'${env:SES AME}'",
            "SESAME: x",
            "\"SESAME",
            "*SESAME",
            "'{% raw %}SESAME'",
        ] {
            let text = format!("{}{literal}{}", &text[..at], &text[end..]);
            let text = text
                .replace("{{ endpoint }}", "e")
                .replace("{{ uuid }}", UUID);
            let error = match expand(&text, &variables) {
                Ok(text) => parse(&text).unwrap_err().to_string(),
                Err(error) => error.to_string(),
            };
            assert!(!error.contains("SESAME"), "{error}");
            assert!(error.starts_with("line "), "{error}");
        }
    }
}
