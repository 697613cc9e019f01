//! Tests of documents that load, and of their content.

mod expanded;
mod refused;

use super::{Document, DocumentError};
use crate::collect::{Copy, HydroVu};
use crate::derive::{DeriveSpec, DynamicDir, Reduce};
use crate::service::KINDS;
use proptest::prelude::*;
use std::collections::BTreeMap;
use uuid::Uuid;

const UUID: &str = "ca5a6baf-7787-40c2-beb5-42dfe7484bcc";

/// The documents of the predecessor's pond, one of each kind.
const OLD: [(&str, &str); 9] = [
    ("HydroVu", include_str!("../../examples/hydrovu.yaml")),
    ("Backup", include_str!("../../examples/backup.yaml")),
    ("Copy", include_str!("../../examples/copy.yaml")),
    ("Scribble", include_str!("../../examples/scribble.yaml")),
    ("Inbox", include_str!("../../examples/inbox.yaml")),
    ("Derive", include_str!("../../examples/derive.yaml")),
    ("Combine", include_str!("../../examples/combine.yaml")),
    ("Template", include_str!("../../examples/template.yaml")),
    ("Reduce", include_str!("../../examples/reduce.yaml")),
];
const NEW: &str = include_str!("../../examples/all-new.yaml");
const REDUCE: &str = include_str!("../../examples/reduce.yaml");

fn variables() -> BTreeMap<String, String> {
    let pairs = [
        ("endpoint", "https://s3.example.com"),
        ("uuid", UUID),
        ("resource", "/Inbox/csvin"),
        ("derive", "/Derive/csvextract"),
        ("hydrovu", "/HydroVu/noyo-harbor"),
        ("combine", "noyo-data"),
        ("reduce", "downsampled"),
    ];
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn parse(text: &str) -> Result<Document, DocumentError> {
    Document::parse(text, KINDS)
}

fn expand(text: &str, variables: &BTreeMap<String, String>) -> Result<String, DocumentError> {
    Document::expand(text, variables, KINDS)
}

fn stamp(text: &str, uuid: Uuid) -> Result<String, DocumentError> {
    Document::stamp(text, uuid, KINDS)
}

fn load(text: &str) -> Document {
    parse(&expand(text, &variables()).unwrap()).unwrap()
}

/// Returns a document of a kind, with a spec in one line, which is line 6.
fn short(kind: &str, spec: &str) -> String {
    format!("apiVersion: v1\nkind: {kind}\nname: short\ndesc: one\nmetadata: {{}}\nspec: {spec}\n")
}

#[test]
fn each_old_kind_loads() {
    for (kind, text) in OLD {
        let document = load(text);
        assert_eq!(document.kind.as_str(), kind);
        assert_eq!((document.uuid, document.path()), (None, None));
        assert!(!document.desc.is_empty());
    }
}

#[test]
fn old_documents_keep_their_content() {
    let spec = load(OLD[5].1).spec;
    let derive: &DeriveSpec = spec.downcast_ref().unwrap();
    let names: Vec<_> = derive.collections.iter().map(|c| &c.name[..]).collect();
    assert_eq!(
        names,
        [
            "SurfaceMeasurements",
            "BottomMeasurements",
            "VulinkMeasurements"
        ]
    );
    assert_eq!(derive.collections[0].pattern, "/Inbox/csvin/*surface*.csv");
    assert!(derive.collections[0].query.contains("FROM read_csv('$1')"));
    let spec = load(REDUCE).spec;
    let reduce: &Reduce = spec.downcast_ref().unwrap();
    let resolutions = reduce.collections[0]
        .resolutions
        .iter()
        .map(ToString::to_string);
    assert_eq!(
        resolutions.collect::<Vec<_>>(),
        ["1h", "2h", "4h", "12h", "24h"]
    );
    let dataset = &reduce.collections[1].datasets[1];
    assert_eq!(
        dataset.columns.as_deref().unwrap(),
        ["AT500_Surface.Chl-a.µg/L"]
    );
    let aggregates = dataset.aggregates.iter().map(ToString::to_string);
    assert_eq!(aggregates.collect::<Vec<_>>(), ["avg", "min", "max"]);
    let spec = load(OLD[0].1).spec;
    let hydrovu: &HydroVu = spec.downcast_ref().unwrap();
    assert_eq!(hydrovu.key.to_string(), "${env:HYDROVU_KEY}");
    assert_eq!(hydrovu.devices[2].id, 6_582_334_615_060_480);
    let spec = load(OLD[2].1).spec;
    let copy: &Copy = spec.downcast_ref().unwrap();
    assert_eq!(copy.backup_uuid, Uuid::parse_str(UUID).unwrap());
}

#[test]
fn the_new_kinds_load() {
    let document = load(NEW);
    assert_eq!(document.path(), Some("/sites/everything"));
    assert_eq!(document.metadata["revision"], "5");
    assert_eq!(document.desc, "");
    let dir: &DynamicDir = document.spec.downcast_ref().unwrap();
    let kinds: Vec<_> = dir
        .entries
        .iter()
        .map(|entry| entry.kind.as_str())
        .collect();
    assert_eq!(
        kinds,
        [
            "Reduce",
            "Pivot",
            "Rename",
            "Sql",
            "Synthetic",
            "Chart",
            "Concat",
            "DynamicDir"
        ]
    );
}

#[test]
fn fields_may_come_in_any_order() {
    let text =
        "spec: {pattern: /in/*}\ndesc: ~\nname: x\nkind: Inbox\napiVersion: 1.10\nmetadata:\n";
    let document = parse(text).unwrap();
    assert_eq!(
        (&document.api_version[..], &document.desc[..]),
        ("1.10", "")
    );
}

/// The YAML library panics on some of these.
#[test]
fn an_alias_anywhere_never_panics() {
    let text: Vec<char> = NEW.chars().collect();
    for at in 0..text.len() {
        let mut edited = text.clone();
        edited[at] = '*';
        let edited = String::from_iter(edited);
        let answer = expand(&edited, &variables()).and_then(|text| parse(&text));
        if let Err(error) = answer {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}

#[test]
fn a_uuid_is_stamped_into_the_text() {
    let uuid = Uuid::parse_str(UUID).unwrap();
    let comment = "# A comment\n";
    for text in [
        format!("{comment}{}", OLD[3].1),
        format!("{comment}{NEW}"),
        OLD[4]
            .1
            .replace("spec:", "metadata:\n    # Ours\n\n    team: water\nspec:")
            + comment,
    ] {
        let stamped = stamp(&text, uuid).unwrap();
        assert!(stamped.contains(comment));
        let document = parse(&stamped).unwrap();
        assert_eq!(document.uuid, Some(uuid));
        assert_eq!(&*document.spec, &*parse(&text).unwrap().spec);
        assert_eq!(stamp(&stamped, uuid).unwrap(), stamped);
        let other = stamp(&stamped, Uuid::nil()).unwrap();
        assert_eq!(parse(&other).unwrap().uuid, Some(Uuid::nil()));
    }
    let flow = "{spec: {pattern: /a}, kind: Inbox, metadata: {b: c}, name: d, apiVersion: e}";
    for text in [
        flow.to_owned(),
        short("Inbox", "{pattern: /a}"),
        flow.replace("{b: c}", "~"),
    ] {
        let stamped = parse(&stamp(&text, uuid).unwrap()).unwrap();
        assert_eq!(stamped.uuid, Some(uuid));
    }
    assert!(stamp("kind: Inbox", uuid).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_edit_gives_a_document_or_a_one_line_error(
        which in 0_usize..10,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..4, any::<char>()), 1..4),
    ) {
        let mut text: Vec<char> = OLD.get(which).map_or(NEW, |(_, text)| text).chars().collect();
        for (at, how, char) in edits {
            let at = at.index(text.len());
            match how {
                0 => text[at] = char,
                1 => text[at] = ['\n', ' ', ':', '{', '-', '"', '\'', '|', '&', '*', '!', '#'][char as usize % 12],
                2 => drop(text.drain(at..(at + 1 + char as usize % 30).min(text.len()))),
                _ => {
                    let copied = text[at..(at + 1 + char as usize % 60).min(text.len())].to_vec();
                    text.splice(at..at, copied);
                }
            }
            if text.is_empty() {
                text.push('x');
            }
        }
        let text = String::from_iter(text);
        let expanded = expand(&text, &variables());
        let answer = expanded.and_then(|text| parse(&text));
        if let Err(error) = answer {
            let error = error.to_string();
            prop_assert!(!error.is_empty() && !error.contains('\n'), "{}", error);
        }
    }
}
