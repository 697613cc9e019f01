//! Tests of variables in documents.

use super::{NEW, OLD, REDUCE, expand, parse, short, variables};
use std::collections::BTreeMap;

#[test]
fn a_text_without_variables_is_unchanged() {
    let none = BTreeMap::new();
    for text in [NEW, OLD[0].1, OLD[3].1, "not: [a document", "{{"] {
        match expand(text, &none) {
            Ok(same) => assert_eq!(same, text),
            Err(error) => assert_eq!((text, error.line()), ("{{", Some(2))),
        }
    }
    let mut template = OLD[7].1.replace("{{ reduce }}", "downsampled");
    template.push_str("# The end\n");
    assert_eq!(expand(&template, &none).unwrap(), template);
    // Other values are the same after an expansion.
    let expanded = expand(OLD[7].1, &variables()).unwrap();
    assert!(expanded != OLD[7].1 && expanded.contains("{{ args[0] }}"));
    assert_eq!(parse(&expanded).unwrap(), parse(&template).unwrap());
}

#[test]
fn variables_that_cannot_be_expanded_are_named() {
    for (variable, expected) in [
        (
            "{{ combin }}",
            "line 10, column 19: spec.collections[0].datasets[0].in_pattern: the variable \
          `combin` is not given; give it with `-v combin=VALUE`",
        ),
        (
            "{{ combine",
            "line 10, column 19: spec.collections[0].datasets[0].in_pattern: expected",
        ),
        (
            "{{ get_env(name='PATH') }}",
            "line 10, column 19: spec.collections[0].datasets[0].in_pattern: \
          the environment is not read; give variables with `-v NAME=VALUE`",
        ),
    ] {
        let text = REDUCE.replacen("{{ combine }}", variable, 1);
        let error = expand(&text, &variables()).unwrap_err().to_string();
        assert!(
            error.starts_with(expected) && !error.contains('\n'),
            "{error}"
        );
    }
    let text = short("HydroVu", "devices SESAME");
    let error = parse(&text).unwrap_err().to_string();
    assert_eq!(
        error,
        "line 6, column 7: spec: invalid type: string, expected a map: the fields of HydroVu"
    );
    let bare = short("Inbox", "\n  pattern: {{ inbox }}/*.csv");
    let error = expand(&bare, &variables()).unwrap_err().to_string();
    assert!(error.starts_with("line 7, column "), "{error}");
    assert!(
        error.ends_with("; a value with `{{ }}` has to be quoted"),
        "{error}"
    );
    // Nothing is escaped, and a value is not expanded again.
    let given = [("x".to_owned(), "/<a>&'\"{{ y }}".to_owned())].into();
    let text = expand(&short("Sql", "{query: '{{ x }}'}"), &given).unwrap();
    let value: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    assert_eq!(value["spec"]["query"], given["x"].as_str());
}

#[test]
fn nested_templates_are_not_expanded() {
    let inner = "{collections: [{name: '{{ combine }}', in_pattern: /a, out_pattern: b, template: '{{ no }}'}]}";
    let text = short(
        "DynamicDir",
        &format!("{{entries: [{{name: a, kind: Template, spec: {inner}}}]}}"),
    );
    let text = expand(&text, &variables()).unwrap();
    assert!(
        text.contains("name: noyo-data") && text.contains("{{ no }}"),
        "{text}"
    );
}
