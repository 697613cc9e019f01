//! Fuzz tests of the control socket: whatever a client sends, it gets an answer or an error, in
//! bounded memory, and the next client is served.

use super::answer::{Role, answer};
use super::message::{Reply, Request};
use super::read_line::{self, ReadError, read_line};
use super::server::{Server, parse};
use super::travel::HistoryPosition;
use super::{Client, Forget, Raw, Resources, Travel, address};
use crate::fuzz_tests::{config, peak, slow_config};
use crate::pond::{OpenOptions, Policy, Pond};
use crate::tinyfs::ops::{Caller, NewNode};
use crate::tinyfs::{Kind, Name, NodeId, Time};
use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index as At;
use proptest::test_runner::TestRunner;
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

const ROOT: Caller = Caller {
    uid: 0,
    gid: 0,
    member: true,
    now: Time {
        sec: 1_700_000_000,
        nsec: 0,
    },
};

const DOCUMENT: &str = "apiVersion: v1\nkind: Sql\nname: s\ndesc: x\nspec:\n  queries:\n  \
    - {name: q.csv, inputs: {t: \"/d/*.csv\"}, query: \"SELECT a FROM t\"}\n";

/// Creates a pond of a few files and versions.
fn pond() -> (TempDir, Arc<Pond>) {
    let dir = TempDir::new_in("/dev/shm")
        .or_else(|_| TempDir::new())
        .unwrap();
    let path = dir.path().join("pond");
    Pond::init(&path).unwrap();
    let options = OpenOptions {
        commit_interval: Duration::from_secs(3_600),
        ..OpenOptions::default()
    };
    let pond = Pond::open(&path, &options).unwrap();
    let make = |dir: NodeId, name: &str, kind: Kind, text: &str| {
        let new = NewNode {
            kind,
            mode: 0o755,
            rdev: 0,
            target: b"f.csv",
        };
        let name = Name::new(name.as_bytes()).unwrap();
        let (id, _) = pond.create(&ROOT, dir, &name, &new).unwrap();
        if kind == Kind::File {
            pond.write(&ROOT, id, 0, text.as_bytes()).unwrap();
        }
        id
    };
    let d = make(NodeId::ROOT, "d", Kind::Directory, "");
    make(d, "f.csv", Kind::File, "timestamp,a\n1,2\n");
    make(d, "link", Kind::Symlink, "");
    pond.sync().unwrap();
    make(d, "big", Kind::File, &"0123456789".repeat(10_000));
    pond.sync().unwrap();
    pond.give_tag("named", None, "").unwrap();
    (dir, pond)
}

fn paths() -> BoxedStrategy<Raw> {
    prop_oneof![
        4 => "(/?(d|f\\.csv|big|link|Sql|s|\\.|\\.\\.|@version|x|)){0,6}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..40),
        1 => (0..3_000usize).prop_map(|n| b"d/".repeat(n)),
        1 => (0..10_000usize).prop_map(|n| vec![b'l'; n]),
    ]
    .prop_map(Raw).boxed()
}

fn versions() -> BoxedStrategy<String> {
    prop_oneof![
        3 => "[0-4]|latest(~[0-3])?|named",
        2 => "(latest|[0-9]{1,22}|[0-9]{0,21}[smhdw]?)(~|-ago|Z|-)?[0-9]{0,22}([T_ ][0-9:.]{0,14})?",
        1 => "\\PC{0,20}",
    ].boxed()
}

fn numbers() -> BoxedStrategy<u64> {
    prop_oneof![
        0..10u64,
        any::<u64>(),
        Just(u64::MAX),
        Just(1 << 63),
        Just(i64::MAX as u64)
    ]
    .boxed()
}

fn at() -> BoxedStrategy<Option<String>> {
    proptest::option::of(versions()).boxed()
}

fn messages() -> BoxedStrategy<String> {
    prop_oneof![
        "\\PC{0,300}",
        (0..100_000usize).prop_map(|n| "\u{1}".repeat(n)),
    ]
    .boxed()
}

fn positions() -> BoxedStrategy<HistoryPosition> {
    (numbers(), proptest::option::of(paths()), numbers())
        .prop_map(|(dir, name, until)| HistoryPosition { dir, name, until })
        .boxed()
}

fn travels() -> BoxedStrategy<Travel> {
    let after = || proptest::option::of(paths());
    prop_oneof![
        (paths(), at()).prop_map(|(path, at)| Travel::Stat { path, at }),
        (paths(), at(), after()).prop_map(|(path, at, after)| Travel::List { path, at, after }),
        (paths(), at(), numbers()).prop_map(|(path, at, offset)| Travel::Read { path, at, offset }),
        (paths(), proptest::option::of(positions()))
            .prop_map(|(path, from)| Travel::History { path, from }),
        (versions(), at(), paths(), after()).prop_map(|(from, to, path, after)| Travel::Diff {
            from,
            to,
            path,
            after
        }),
        ("[a-z]{1,9}|\\PC{0,12}", at(), messages()).prop_map(|(name, at, message)| Travel::Tag {
            name,
            at,
            message
        }),
        "named|\\PC{0,12}".prop_map(|name| Travel::Untag { name }),
        Just(Travel::Tags),
        (paths(), versions()).prop_map(|(path, at)| Travel::Restore { path, at }),
        Just(Travel::Undo),
    ]
    .boxed()
}

fn forgets() -> BoxedStrategy<Forget> {
    let within = "[0-9]{1,6}[ymdh]([0-9]{1,6}[mdh])?".prop_map(|text| text.parse().ok());
    let policy = (
        [
            numbers(),
            numbers(),
            numbers(),
            numbers(),
            numbers(),
            numbers(),
        ],
        within,
        vec("named|\\PC{0,5}", 0..2),
    )
        .prop_map(
            |([last, hourly, daily, weekly, monthly, yearly], within, tags)| Policy {
                keep_last: last,
                keep_hourly: hourly,
                keep_daily: daily,
                keep_weekly: weekly,
                keep_monthly: monthly,
                keep_yearly: yearly,
                keep_within: within,
                keep_tag: tags,
            },
        );
    prop_oneof![
        (
            policy,
            proptest::option::of(paths()),
            any::<bool>(),
            any::<bool>()
        )
            .prop_map(|(policy, path, dry_run, trust_clock)| Forget::Versions {
                policy,
                path,
                dry_run,
                trust_clock
            }),
        (paths(), any::<bool>()).prop_map(|(path, dry_run)| Forget::Path { path, dry_run }),
    ]
    .boxed()
}

/// Generates documents: changed ones, deep ones, and ones whose aliases expand without end.
fn documents() -> BoxedStrategy<String> {
    let changed = (any::<At>(), "\\PC{0,12}", any::<At>()).prop_map(|(from, new, to)| {
        let end = DOCUMENT.len() + 1;
        let (from, to) = (from.index(end), to.index(end));
        [&DOCUMENT[..from.min(to)], &new, &DOCUMENT[from.max(to)..]].concat()
    });
    let aliases = (2..12usize, 1..12usize).prop_map(|(levels, width)| {
        let mut text = DOCUMENT.to_owned() + "metadata:\n  a0: &a0 x\n";
        for level in 1..levels {
            let refs = vec![format!("*a{}", level - 1); width].join(",");
            text += &format!("  a{level}: &a{level} [{refs}]\n");
        }
        text
    });
    let deep = (0..20_000usize, any::<bool>()).prop_map(|(n, list)| {
        let open = if list { "[" } else { "{a: " };
        DOCUMENT.to_owned() + "metadata: " + &open.repeat(n)
    });
    prop_oneof![
        4 => changed,
        1 => Just(DOCUMENT.to_owned()),
        1 => aliases,
        1 => deep,
        1 => "\\PC{0,100}",
    ]
    .boxed()
}

fn resources() -> BoxedStrategy<Resources> {
    let kind = || "Sql|sql|\\PC{0,8}";
    let name = || "s|\\PC{0,8}";
    prop_oneof![
        4 => (documents(), any::<bool>()).prop_map(|(text, dry_run)| Resources::Apply {
            text,
            dry_run
        }),
        1 => Just(Resources::List),
        1 => (kind(), name()).prop_map(|(kind, name)| Resources::Get { kind, name }),
        1 => (kind(), name()).prop_map(|(kind, name)| Resources::Describe { kind, name }),
        1 => (kind(), name(), any::<bool>()).prop_map(|(kind, name, dry_run)| Resources::Delete {
            kind,
            name,
            dry_run
        }),
    ]
    .boxed()
}

/// Generates every request but `End`. Boxed, as all strategies here: their types are large, and
/// overflow the stack of a test's thread in builds without optimisation.
fn requests() -> BoxedStrategy<Request> {
    prop_oneof![
        1 => Just(Request::Status),
        1 => Just(Request::Clock),
        1 => Just(Request::Sync),
        1 => Just(Request::Ping),
        3 => (proptest::option::of(numbers()), numbers()).prop_map(|(before, limit)| Request::Log {
            before,
            limit: limit as usize
        }),
        1 => any::<bool>().prop_map(|read_data| Request::Check { read_data }),
        1 => numbers().prop_map(|rate| Request::Scrub { rate }),
        8 => travels().prop_map(|about| Request::Travel { about }),
        3 => forgets().prop_map(|about| Request::Forget { about }),
        4 => resources().prop_map(|about| Request::Resources { about }),
    ]
    .boxed()
}

/// Generates JSON that is no value of a request's field, or nearly none.
fn values() -> BoxedStrategy<String> {
    let nested =
        (1..20_000usize, "\\[|\\{\"a\":|\\[\\{\"request\":").prop_map(|(n, open)| open.repeat(n));
    prop_oneof![
        "null|true|-1|-0|1e400|1.5|0x1|18446744073709551616|18446744073709551615|\\[\\]|\\{\\}",
        Just("\"\\ud800\"".to_owned()),
        Just("\"\\u0000\"".to_owned()),
        (1..2_000usize).prop_map(|n| "9".repeat(n)),
        (1..50_000usize).prop_map(|n| format!("[{}0]", "0,".repeat(n))),
        (1..100_000usize).prop_map(|n| format!("\"{}\"", "x".repeat(n))),
        nested,
    ]
    .boxed()
}

/// Replaces the value of some field by other JSON.
fn replace_field(request: &Request, which: &At, by: &str) -> String {
    const MARK: &str = "the value that is replaced";
    fn leaves<'v>(value: &'v mut serde_json::Value, all: &mut Vec<&'v mut serde_json::Value>) {
        match value {
            serde_json::Value::Object(fields) => {
                for value in fields.values_mut() {
                    leaves(value, all);
                }
            }
            value => all.push(value),
        }
    }
    let mut value = serde_json::to_value(request).unwrap();
    let mut all = Vec::new();
    leaves(&mut value, &mut all);
    *all.swap_remove(which.index(all.len())) = MARK.into();
    value.to_string().replace(&format!("\"{MARK}\""), by)
}

/// Generates lines: requests, changed ones, and any bytes. None has a newline.
fn lines() -> BoxedStrategy<Vec<u8>> {
    let text = |request: &Request| serde_json::to_string(request).unwrap();
    let replaced = (requests(), any::<At>(), values())
        .prop_map(|(request, which, by)| replace_field(&request, &which, &by));
    let bytes =
        (requests(), any::<At>(), vec(any::<u8>(), 0..12)).prop_map(move |(request, at, new)| {
            let mut line = text(&request).into_bytes();
            let at = at.index(line.len());
            let end = (at + new.len() / 2).min(line.len());
            line.splice(at..end, new);
            line
        });
    prop_oneof![
        4 => requests().prop_map(move |request| text(&request).into_bytes()),
        4 => replaced.prop_map(String::into_bytes),
        2 => bytes,
        1 => vec(any::<u8>(), 0..300),
    ]
    .prop_map(|line| line.into_iter().filter(|byte| *byte != b'\n').collect())
    .boxed()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn fuzz_lines_are_requests_or_refused(line in lines()) {
        let (_, most) = peak(|| parse(&line).is_some());
        prop_assert!(most < (1 << 20) + 96 * line.len(), "{most} bytes for {}", line.len());
        let (_, most) = peak(|| serde_json::from_slice::<Reply>(&line).is_ok());
        prop_assert!(most < (1 << 20) + 256 * line.len(), "{most} bytes for {}", line.len());
    }

    #[test]
    fn fuzz_streams_are_split_into_lines_and_end(
        parts in vec(prop_oneof![
            4 => vec(prop_oneof![8 => any::<u8>(), 1 => Just(b'\n')], 0..300),
            1 => (0..3 * read_line::LONG).prop_map(|n| vec![b'x'; n]),
        ], 0..6),
    ) {
        let sent = parts.concat();
        let (mut client, server) = UnixStream::pair().unwrap();
        let writer = std::thread::spawn(move || {
            for part in parts {
                client.write_all(&part).unwrap();
            }
        });
        let (mut stream, long) = (BufReader::new(server), Mutex::new(()));
        let mut read = Vec::new();
        let end = loop {
            let (line, most) = peak(|| read_line(&mut stream, LIMIT, &long));
            prop_assert!(most < (64 << 10) + 4 * sent.len(), "{most}");
            match line {
                Ok(line) => read.extend(line.bytes),
                Err(error) => break error,
            }
        };
        writer.join().unwrap();
        let whole = sent.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        prop_assert_eq!(&read, &sent[..whole]);
        match end {
            ReadError::Closed => prop_assert_eq!(whole, sent.len()),
            ReadError::TooLong => prop_assert!(whole < sent.len()),
            ReadError::Io(error) => prop_assert!(false, "{error}"),
        }
    }
}

#[test]
fn fuzz_requests_are_answered_or_fail() {
    let (_dir, pond) = pond();
    let mut runner = TestRunner::new(config());
    runner
        .run(&(lines(), requests(), any::<(bool, bool)>()), |case| {
            let (line, request, (changed, daemon)) = case;
            let parsed = parse(&line);
            let (Some(request), line) = (match changed {
                true => (parsed, line),
                false => (Some(request), Vec::new()),
            }) else {
                return Ok(());
            };
            let role = match daemon {
                true => Role::Daemon(None),
                false => Role::Command,
            };
            // A command waits for its scrub, however slow it is to be.
            if let (Request::Scrub { rate: 1..1_000_000 }, Role::Command) = (&request, role) {
                return Ok(());
            }
            let (answered, most) = peak(|| answer(&pond, role, &request));
            prop_assert!(most < (64 << 20) + 64 * line.len(), "{most}");
            if let Err(failure) = answered {
                prop_assert!(!failure.message.is_empty());
            }
            Ok(())
        })
        .unwrap();
    pond.close().unwrap();
}

#[test]
fn fuzz_frames_to_a_served_pond_are_answered() {
    let (_dir, pond) = pond();
    let server = Server::start(pond.clone()).unwrap();
    let mut runner = TestRunner::new(slow_config());
    let frames = (vec(lines(), 0..6), vec(any::<u8>(), 0..20), any::<bool>());
    runner
        .run(&frames, |(lines, rest, end)| {
            let mut lines = lines;
            if end && rest.first().is_some_and(|byte| *byte < 10) {
                lines.push(br#"{"request":"end"}"#.to_vec());
            }
            let rest: Vec<u8> = rest.into_iter().filter(|byte| *byte != b'\n').collect();
            let mut sent: Vec<u8> = Vec::new();
            for line in &lines {
                sent.extend_from_slice(line);
                sent.push(b'\n');
            }
            sent.extend_from_slice(&rest);
            // The server stops at the first line that is no request, and at the end of the stream.
            let refused = lines.iter().position(|line| parse(line).is_none());
            let ends = lines
                .iter()
                .position(|line| parse(line) == Some(Request::End));
            let expected = match (refused, ends) {
                (Some(refused), ends) if ends.is_none_or(|end| refused < end) => refused + 1,
                (_, Some(end)) => end,
                _ => lines.len() + usize::from(!rest.is_empty()),
            };
            let stream = address::connect(pond.path(), LIMIT).unwrap();
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            let mut writer = stream.try_clone().unwrap();
            let sending = std::thread::spawn(move || {
                // The server closes the connection after a line that it refuses.
                let _ = writer.write_all(&sent);
                let _ = writer.shutdown(Shutdown::Write);
            });
            let mut replies = 0;
            for line in BufReader::new(stream).split(b'\n') {
                match line {
                    Ok(line) if line.is_empty() => {}
                    Ok(line) => {
                        prop_assert!(serde_json::from_slice::<Reply>(&line).is_ok());
                        replies += 1;
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                    Err(error) => prop_assert!(false, "no answer: {error}"),
                }
            }
            sending.join().unwrap();
            prop_assert_eq!(replies, expected);
            let mut client = Client::connect(pond.path()).unwrap();
            prop_assert!(client.ask::<serde_json::Value>(&Request::Ping).is_ok());
            Ok(())
        })
        .unwrap();
    pond.close().unwrap();
    server.end(Ok(()));
}
