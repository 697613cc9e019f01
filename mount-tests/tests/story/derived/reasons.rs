//! What derived files tell of their inputs: each reader the paths that it may list, and nobody those of other files
//! that happen to have the same content.

use std::fs;
use std::path::Path;

use mount_tests::mount::Mount;
use mount_tests::place::{file, folder};
use mount_tests::pond::Pond;
use mount_tests::run::{need_root, python};
use mount_tests::sys::as_nobody;
use rustix::io::Errno;

use super::{errno, read, resource};
use crate::users::give;

const NOBODY: u32 = mount_tests::run::NOBODY;

/// An attribute of a file, as text.
fn told(path: &Path, name: &str) -> String {
    let value = mount_tests::sys::get_xattr(path, name);
    let value = value.unwrap_or_else(|error| panic!("{name} of {}: {error}", path.display()));
    String::from_utf8(value).unwrap()
}

fn reason(path: &Path) -> String {
    told(path, "user.pond.error")
}

/// A directory with one file, and a resource of each kind that reads it: each fails in its own way.
fn sow(mount: &Mount<'_>, name: &str, input: &str) {
    file(&folder(mount.path(), name), input, "");
    let reduce = format!(
        "  collections:\n  - name: c\n    resolutions: [1h]\n    datasets:\n    \
         - {{in_pattern: \"/{name}/*.csv\", out_pattern: o}}\n"
    );
    resource(mount, "Reduce", name, &reduce);
    let sql = format!(
        "  queries:\n  - {{name: q.csv, inputs: {{t: \"/{name}/*.csv\"}}, query: \"SELECT 1 FROM t\"}}\n"
    );
    resource(mount, "Sql", name, &sql);
    let derive = format!(
        "  collections:\n  - {{name: c, pattern: \"/{name}/*.csv\", query: \"FROM '$1'\"}}\n"
    );
    resource(mount, "Derive", name, &derive);
    // Of what is derived itself.
    let nested = format!(
        "  queries:\n  - {{name: q.csv, inputs: {{t: \"/Reduce/{name}/c/o/res=1h\"}}, query: \"SELECT 1 FROM t\"}}\n"
    );
    resource(mount, "Sql", &format!("{name}2"), &nested);
}

/// The files that [`sow`] makes of a directory.
fn shown(mount: &Mount<'_>, name: &str, input: &str) -> [std::path::PathBuf; 4] {
    [
        mount.join(format!("Reduce/{name}/c/o/res=1h.csv")),
        mount.join(format!("Sql/{name}/q.csv")),
        mount.join(format!("Derive/{name}/c/{input}")),
        mount.join(format!("Sql/{name}2/q.csv")),
    ]
}

#[test]
fn a_failure_names_the_inputs_of_its_reader_and_not_other_files_of_equal_content() {
    let pond = Pond::new();
    let mount = pond.mount();
    sow(&mount, "A", "private-name.csv");
    sow(&mount, "B", "y.csv");
    let first = shown(&mount, "A", "private-name.csv");
    let second = shown(&mount, "B", "y.csv");
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(errno(fs::read(first)), Some(Errno::IO));
        let (first, second) = (reason(first), reason(second));
        assert!(first.contains("/A/private-name.csv: "), "{first}");
        assert!(second.contains("/B/y.csv: "), "{second}");
        assert!(!second.contains("private"), "{second}");
        for text in [&first, &second] {
            assert!(
                text.contains("it is empty") && !text.contains('⟦'),
                "{text}"
            );
        }
    }
    let nested = reason(&second[3]);
    assert!(
        nested.starts_with("/Reduce/B/c/o/res=1h: /B/y.csv: "),
        "{nested}"
    );
    let errors = read(mount.join(".pond/errors"));
    assert!(errors.contains("/A/private-name.csv: "), "{errors}");
    mount.unmount();
}

#[test]
fn names_that_a_reader_may_not_list_are_hidden() {
    need_root("to be two users");
    let pond = Pond::new();
    let mount = pond.mount_with(&["--allow-other"]);
    sow(&mount, "A", "private-name.csv");
    sow(&mount, "B", "y.csv");
    give(&mount.join("A"), 0, 0o711);
    for (kind, name) in [
        ("Reduce", "B"),
        ("Sql", "B"),
        ("Derive", "B"),
        ("Sql", "B2"),
    ] {
        give(&mount.join(format!("{kind}/{name}.yaml")), NOBODY, 0o644);
    }
    for path in shown(&mount, "A", "private-name.csv") {
        assert!(reason(&path).contains("/A/private-name.csv: "));
        let text = as_nobody(|| reason(&path));
        assert!(
            text.contains("(hidden input)") && !text.contains("private"),
            "{text}"
        );
    }
    for path in shown(&mount, "B", "y.csv") {
        let text = as_nobody(|| reason(&path));
        assert!(
            text.contains("/B/y.csv: ") && !text.contains("private"),
            "{text}"
        );
    }
    // What was made tells of its inputs by the same rule.
    file(&mount.join("A"), "private-name.csv", "timestamp,a\n0,1\n");
    let out = mount.join("Reduce/A/c/o/res=1h.csv");
    assert_eq!(told(&out, "user.pond.inputs"), "/A/private-name.csv");
    assert_eq!(
        as_nobody(|| told(&out, "user.pond.inputs")),
        "(hidden input)"
    );
    mount.unmount();
}

#[test]
fn a_wildcard_finds_only_what_the_owner_of_the_resource_may_list() {
    need_root("to be two users");
    let pond = Pond::new();
    let mount = pond.mount_with(&["--allow-other"]);
    file(
        &folder(mount.path(), "data"),
        "secret-name.csv",
        "timestamp,a\n0,1\n",
    );
    give(&mount.join("data"), 0, 0o711);
    let files =
        |pattern: &str| format!("  files:\n  - {{name: all.csv, pattern: \"{pattern}\"}}\n");
    resource(&mount, "Concat", "wild", &files("/data/*.csv"));
    resource(&mount, "Concat", "named", &files("/data/secret-name.csv"));
    give(&mount.join("Concat/wild.yaml"), NOBODY, 0o644);
    give(&mount.join("Concat/named.yaml"), NOBODY, 0o644);
    // Whoever knows the name may read the file, as with `cat`.
    assert_eq!(
        read(mount.join("Concat/named/all.csv")),
        "timestamp,a\n0,1\n"
    );
    let wild = fs::read_to_string(mount.join("Concat/wild/all.csv"));
    assert!(!wild.is_ok_and(|text| text.contains("timestamp")));
    mount.unmount();
}

#[test]
fn a_query_that_tells_the_path_of_its_file_tells_its_own() {
    let pond = Pond::new();
    let mount = pond.mount();
    let data = folder(mount.path(), "data");
    for name in ["one.csv", "it's.csv"] {
        file(&data, name, "a\n1\n");
    }
    let spec = "  collections:\n  - {name: c, pattern: \"/data/*.csv\", \
                query: \"SELECT a, '$1' AS source FROM read_csv('$1')\"}\n\
                \x20 - {name: plain, pattern: \"/data/*.csv\", query: \"SELECT a FROM '$1'\"}\n";
    resource(&mount, "Derive", "d", spec);
    for name in ["one.csv", "it's.csv"] {
        let out = mount.join("Derive/d/c").join(name);
        assert_eq!(read(&out), format!("a,source\n1,/data/{name}\n"));
        assert_eq!(read(mount.join("Derive/d/plain").join(name)), "a\n1\n");
    }
    // It is read anew under a new name.
    fs::rename(data.join("one.csv"), data.join("two.csv")).unwrap();
    assert_eq!(
        read(mount.join("Derive/d/c/two.csv")),
        "a,source\n1,/data/two.csv\n"
    );
    let script = "import os, sys\nprint(os.getxattr(sys.argv[1], 'user.pond.inputs').decode())";
    let inputs = python()
        .args(["-c", script])
        .arg(mount.join("Derive/d/c/two.csv"));
    assert_eq!(inputs.ok().text().trim(), "/data/two.csv");
    mount.unmount();
}
