//! A clock that is wrong: years ahead for a boot, in 1970 until the network tells the time, or back and forth within
//! one run. The daemons of these tests have a clock of their own (libfaketime).

use std::fs;

use mount_tests::mount::Mount;
use mount_tests::place::file;
use mount_tests::pond::Pond;
use mount_tests::run::{Outcome, arrow, tool};

/// Mounts at that time, writes it to `note`, makes a version and unmounts.
#[track_caller]
fn boot(pond: &Pond, time: &str) {
    let mount = pond.mount_at_time(time);
    write(&mount, time);
    mount.unmount();
}

#[track_caller]
fn write(mount: &Mount, time: &str) -> u64 {
    file(mount.path(), "note", time);
    mount.sync()
}

/// A day each, but for one boot with the clock years ahead.
fn one_boot_ahead() -> Pond {
    let pond = Pond::missing();
    boot(&pond, "2026-11-23 10:00:00");
    boot(&pond, "2031-01-01 00:00:00");
    for day in 24..27 {
        boot(&pond, &format!("2026-11-{day} 10:00:00"));
    }
    pond
}

#[track_caller]
fn note(mount: &Mount, version: &str) -> String {
    let path = mount.join("@version").join(version).join("note");
    let text = fs::read_to_string(&path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim_end().to_owned()
}

/// `pondmount ARGS…` about a mount.
fn about<const N: usize>(pond: &Pond, mount: &Mount, args: [&str; N]) -> Outcome {
    pond.run(args).within(mount.path()).outcome()
}

/// Checks what the versions of `one_boot_ahead` show, by whichever binary they were made.
#[track_caller]
fn goes_by_true_days(pond: &Pond, mount: &Mount) {
    for (date, day) in [("2026-11-25", 24), ("2026-11-26", 25), ("2026-11-27", 26)] {
        assert_eq!(
            note(mount, date),
            format!("2026-11-{day} 10:00:00"),
            "{date}"
        );
    }
    assert_eq!(note(mount, "25h-ago"), "2026-11-25 10:00:00");
    assert!(!mount.join("@version/2026-11-22").exists());
    let log = about(pond, mount, ["log"]).ok();
    let log = log.text();
    let wrong: Vec<&str> = log.lines().filter(|line| line.contains("wrong")).collect();
    assert!(
        wrong.len() == 1 && wrong[0].contains("2031-01-01T00:00:0"),
        "{log}"
    );
    assert!(log.contains("2026-11-25T10:00:0"), "{log}");
    let plan = about(pond, mount, ["prune", "--keep-daily", "30", "-n"]).ok();
    let plan = plan.text();
    for kept in ["4  daily\n", "1  daily, undated\n"] {
        assert!(plan.contains(kept), "{plan}");
    }
    let says_nothing = about(pond, mount, ["cat", "note@2026-11-25"]).ok();
    assert_eq!(says_nothing.err(), "");
}

#[test]
fn one_boot_with_the_clock_ahead_moves_no_date() {
    let pond = one_boot_ahead();
    let mount = pond.mount_at_time("2026-11-26 12:00:00");
    goes_by_true_days(&pond, &mount);
    mount.unmount();
    pond.forget_index();
    let mount = pond.mount_at_time("2026-11-26 12:00:00");
    goes_by_true_days(&pond, &mount);
    about(&pond, &mount, ["prune", "--keep-daily", "2"]).ok();
    assert_eq!(note(&mount, "2026-11-26"), "2026-11-25 10:00:00");
    mount.unmount();
    pond.check();
}

#[test]
fn other_delta_readers_see_what_the_clock_said() {
    let pond = one_boot_ahead();
    let script = include_str!("readings.py");
    let read = arrow(script).arg(pond.store().join("oplog")).ok();
    let days = [
        "2026-11-23",
        "2026-11-23",
        "2031-01-01",
        "2026-11-24",
        "2026-11-25",
        "2026-11-26",
    ];
    let read = read.json();
    let found: Vec<&str> = (read["clock"].as_array().unwrap().iter())
        .map(|reading| &reading.as_str().unwrap()[..10])
        .collect();
    assert_eq!(found, days, "{read}");
    assert_eq!(read["rising"], true, "{read}");
}

#[test]
fn while_the_clock_is_behind_it_is_said_and_rules_of_time_are_refused() {
    let pond = Pond::missing();
    boot(&pond, "2026-11-23 10:00:00");
    boot(&pond, "2031-01-01 00:00:00");
    let at = pond.mountpoint("mnt");
    let told = pond.mount_command_at_time("2026-11-24 10:00:00", &at).ok();
    let mount = Mount::adopt(&pond, at, std::time::Duration::ZERO);
    let words = [
        "the clock is behind",
        "2026-11-24T10:00:0",
        "version 2",
        "2031-01-01T00:00:0",
    ];
    told.says(&words);
    for words in words {
        let daemon = pond.daemon_log();
        assert!(daemon.contains(words), "{daemon}");
        let status = mount.status();
        let behind = status["clock_behind"].as_str().unwrap_or_default();
        assert!(behind.contains(words), "{status}");
        let status = fs::read_to_string(mount.join(".pond/status")).expect("read");
        assert!(status.contains(words), "{status}");
    }
    for command in [
        &["log"][..],
        &["cat", "note@2026-11-24"],
        &["ls", "@1h-ago"],
        &["diff", "2026-11-24"],
        &["prune", "--keep-last", "9", "-n"],
    ] {
        let run = pond.run([]).args(command).within(mount.path());
        run.outcome().says(&words);
    }
    // A number means what it says.
    assert_eq!(about(&pond, &mount, ["cat", "note@1"]).ok().err(), "");
    let refused = about(&pond, &mount, ["prune", "--keep-daily", "30"]);
    refused.fails().says(&[
        "the clock is behind",
        "hint: set the clock",
        "--trust-clock",
    ]);
    let plan = about(
        &pond,
        &mount,
        ["prune", "--keep-daily", "30", "-n", "--trust-clock"],
    )
    .ok();
    assert!(
        plan.text().starts_with("2 versions would be kept\n"),
        "{}",
        plan.text()
    );
    // The first version by the right clock tells which of the two was wrong.
    write(&mount, "2026-11-24 10:00:00");
    assert!(
        mount.status()["clock_behind"].is_null(),
        "{}",
        mount.status()
    );
    assert_eq!(about(&pond, &mount, ["log"]).ok().err(), "");
    about(&pond, &mount, ["prune", "--keep-daily", "30"]).ok();
    mount.unmount();
    pond.check();
}

#[test]
fn a_board_that_starts_in_1970_keeps_its_dates() {
    let pond = Pond::missing();
    for day in 20..24 {
        boot(&pond, &format!("2026-11-{day} 10:00:00"));
    }
    let mount = pond.mount_at_time("1970-01-01 00:00:30");
    let before_the_network = write(&mount, "in 1970");
    about(&pond, &mount, ["prune", "--keep-within", "1d"])
        .fails()
        .says(&["the clock is behind", "1970-01-01T00:00:3"]);
    assert_eq!(note(&mount, "2026-11-22"), "2026-11-21 10:00:00");
    mount.unmount();
    let mount = pond.mount_at_time("2026-11-25 10:00:00");
    write(&mount, "2026-11-25 10:00:00");
    assert_eq!(note(&mount, "2026-11-22"), "2026-11-21 10:00:00");
    assert_eq!(note(&mount, "2026-11-24"), "2026-11-23 10:00:00");
    assert!(
        mount.status()["clock_behind"].is_null(),
        "{}",
        mount.status()
    );
    let log = about(&pond, &mount, ["log"]).ok().text();
    let wrong = log
        .lines()
        .find(|line| line.contains("wrong"))
        .unwrap_or_default();
    let number = wrong.split_whitespace().next();
    assert_eq!(
        number,
        Some(before_the_network.to_string().as_str()),
        "{log}"
    );
    mount.unmount();
    pond.check();
}

/// The pond was made by a program that recorded no reading, with one boot in 2031: all later times follow that one by
/// a microsecond each.
#[test]
fn a_pond_with_a_stamp_of_the_future_from_before_readings_were_recorded_opens_and_goes_by_true_days()
 {
    let pond = Pond::missing();
    let packed = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/story/clock/recorded-no-clock.tar.gz"
    );
    tool("tar")
        .args(["xzf", packed])
        .within(&pond.outside(""))
        .ok();
    let mount = pond.mount_at_time("2026-11-26 12:00:00");
    for version in 1..=5 {
        assert!(mount.version(version).join("note").exists());
    }
    goes_by_true_days(&pond, &mount);
    // The next version adds the column, so that other readers see it too.
    mount.unmount();
    boot(&pond, "2026-11-27 10:00:00");
    let read = arrow(include_str!("readings.py"))
        .arg(pond.store().join("oplog"))
        .ok();
    let read = read.json();
    let found = read["clock"].as_array().unwrap();
    assert!(found[..6].iter().all(serde_json::Value::is_null), "{read}");
    assert!(
        found[6].as_str().unwrap().starts_with("2026-11-27"),
        "{read}"
    );
    pond.check();
}
