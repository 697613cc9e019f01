//! Fuzz tests of mount options: `-o` of the command and of mount(8), and the `pond.toml` of the
//! pond to mount. Anything but options is a usage error.

use super::failure::exit;
use super::options::Options;
use super::{Cli, helper};
use crate::fuzz_tests::{config, peak};
use crate::pond::{Pond, PondError, Reference};
use clap::Parser;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index as At;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

/// Generates values of options: numbers around every limit, versions, and any text.
fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "=",
        any::<u64>().prop_map(|n| format!("={n}")),
        (86_390..86_410u64).prop_map(|n| format!("={n}")),
        "=[+-]?[0-9]{1,40}",
        "=(latest(~[0-9]{1,22})?|[0-9]{1,22}[smhdw]-ago|[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:]{0,9})?)",
        "=(commit|journal|always)",
        "=\\PC{0,12}",
        (0..100_000usize).prop_map(|n| format!("={}", "=x".repeat(n))),
    ]
}

fn lists() -> impl Strategy<Value = String> {
    let name = "ro|rw|at|allow_other|noexec|exec|sync|async|dirsync|remount|commit|_netdev|user|suid|relatime|user_id|x-|comment|\\PC{0,8}";
    let option = (name, values()).prop_map(|(name, value)| name + &value);
    prop_oneof![
        6 => vec(option, 0..12).prop_map(|options| options.join(",")),
        1 => "\\PC{0,200}",
        1 => (0..50_000usize).prop_map(|n| ",".repeat(n)),
    ]
}

/// Generates arguments as mount(8) passes them, in any number, order and encoding.
fn arguments() -> impl Strategy<Value = Vec<OsString>> {
    let flags = "-[sfnvrwotNz]{0,6}".prop_map(String::into_bytes);
    let option = lists().prop_map(|list| format!("-o{list}").into_bytes());
    let argument = prop_oneof![
        2 => flags,
        2 => lists().prop_map(String::into_bytes),
        1 => option,
        1 => "-|--|-ä|-o ä|/p/q".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..12),
    ];
    vec(argument.prop_map(OsString::from_vec), 0..8)
}

fn length(arguments: &[OsString]) -> usize {
    arguments.iter().map(|argument| argument.len()).sum()
}

/// Generates texts of `pond.toml`.
fn identities() -> impl Strategy<Value = Vec<u8>> {
    const SOUND: &str = "format = 1\nid = \"01890a5d-ac96-774b-bcce-b302099a8057\"\nborn = \"2026-01-01T00:00:00Z\"\n\n\
        [prune]\nkeep-last = 3\nkeep-daily = 7\nkeep-within = \"1y2m3d4h\"\nkeep-tag = [\"a\"]\n";
    let changed =
        (any::<At>(), vec(any::<u8>(), 0..12), any::<At>()).prop_map(|(from, new, to)| {
            let end = SOUND.len() + 1;
            let (from, to) = (from.index(end), to.index(end));
            let (from, to) = (from.min(to), from.max(to));
            [&SOUND.as_bytes()[..from], &new, &SOUND.as_bytes()[to..]].concat()
        });
    let value = "-1|1e400|18446744073709551616|9{1,400}|\"\\\\ud800\"|\"9{1,8}y\"|\"1z\"|inf|\\[\\[1\\]\\]|\\{a=1\\}|true";
    let field =
        "format|id|born|prune|prune\\.keep-last|prune\\.keep-within|prune\\.keep-tag|[a-z.]{1,9}";
    let added = (field, value).prop_map(|(field, value)| format!("{field} = {value}\n{SOUND}"));
    let deep = (0..30_000usize, "\\[|\\{a=|a\\.|\"").prop_map(|(n, open)| {
        let head = if open == "a." { "" } else { "x = " };
        format!("{SOUND}{head}{}", open.repeat(n))
    });
    prop_oneof![
        3 => changed,
        3 => added.prop_map(String::into_bytes),
        1 => deep.prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..300),
        1 => (0..200_000usize).prop_map(|n| [SOUND.as_bytes(), &b"#"[..], &vec![b'x'; n]].concat()),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn fuzz_mount_options_are_read_or_a_usage_error(list in lists()) {
        let (parsed, most) = peak(|| Options::parse(&list));
        prop_assert!(most < (64 << 10) + 8 * list.len(), "{most} bytes for {}", list.len());
        match parsed {
            Ok(options) => {
                prop_assert!(options.commit.is_none_or(|commit| commit.as_secs() <= 86_400));
                prop_assert_eq!(Options::parse(&format!("{list},")).unwrap(), options.clone());
                if let Some(at) = options.at {
                    let (_, most) = peak(|| Reference::parse(at.as_bytes()));
                    prop_assert!(most <= 2 * at.len() + 64, "{most}");
                }
            }
            Err(failure) => prop_assert_eq!(failure.exit, exit::USAGE),
        }
    }

    #[test]
    fn fuzz_arguments_of_mount8_are_read_or_a_usage_error(arguments in arguments()) {
        let parsed = helper::Request::parse(&arguments);
        if let Err(failure) = parsed.and_then(|request| Options::parse(request.options())) {
            prop_assert_eq!(failure.exit, exit::USAGE);
        }
    }

    #[test]
    fn fuzz_arguments_of_the_command_are_read_or_a_usage_error(arguments in arguments()) {
        let line = ["pondmount", "mount"].into_iter().map(OsString::from);
        let line = line.chain(arguments.iter().cloned());
        let (parsed, most) = peak(|| Cli::try_parse_from(line).map(drop));
        // The command itself, with all of its options, takes most of it.
        prop_assert!(most < (16 << 20) + 64 * length(&arguments), "{most}");
        if let Err(error) = parsed {
            prop_assert!(matches!(error.exit_code(), 0 | 2), "{error}");
        }
    }

    #[test]
    fn fuzz_identities_of_ponds_are_read_or_refused(text in identities()) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pond.toml"), &text).unwrap();
        let (read, most) = peak(|| Pond::id_at(dir.path()));
        prop_assert!(most < (1 << 20) + 256 * text.len().min(64 << 10), "{most} bytes for {}", text.len());
        match read {
            Ok(_) | Err(PondError::Identity { .. } | PondError::Newer { .. }) => {}
            // Text that is not UTF-8.
            Err(PondError::Io { .. }) => prop_assert!(std::str::from_utf8(&text).is_err()
                || text.len() > 64 << 10),
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}
