//! A clock that is wrong for a while: dates, ages and rules follow the true times.

use super::*;
use crate::oplog::Oplog;
use crate::pond::history::Reference;
use crate::pond::identity::Identity;
use crate::pond::lock::Lock;
use crate::pond::open::{Ground, INDEX};
use crate::pond::{Policy, PondError};
use std::cell::Cell;

thread_local! {
    static CLOCK: Cell<i64> = const { Cell::new(0) };
}

/// The clock of this thread.
fn clock() -> Time {
    Time::from_micros(CLOCK.get())
}

const DAY: i64 = 86_400 * 1_000_000;
/// The first day of these tests: 2026-11-23T00:00:00Z.
const FIRST: i64 = 1_795_392_000 * 1_000_000;
/// Noon of a day of these tests.
fn noon(day: i64) -> i64 {
    FIRST + day * DAY + DAY / 2
}

/// 2031-01-01T00:00:00Z.
const AHEAD: i64 = 1_924_992_000 * 1_000_000;

fn set(micros: i64) {
    CLOCK.set(micros);
}

/// A pond with the clock of this thread. Its own threads do not run.
struct Board {
    dir: TempDir,
    pond: Option<Pond>,
}

impl Board {
    fn new(micros: i64) -> Board {
        set(micros);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pond");
        Pond::init(&path).unwrap();
        // It was made by the clock of the machine: version 0 is made again.
        fs::remove_dir_all(path.join("oplog")).unwrap();
        let id = Identity::read(&path).unwrap().id;
        let disk: Arc<dyn crate::disk::Disk> = Arc::new(crate::disk::LocalDisk);
        super::super::open::make(&disk, &path, id, clock()).unwrap();
        let mut board = Board { dir, pond: None };
        board.boot(micros);
        board
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("pond")
    }

    /// Opens the pond, with the clock at that time.
    fn boot(&mut self, micros: i64) {
        self.stop();
        set(micros);
        let path = self.path().canonicalize().unwrap();
        let ground = Ground {
            limits: crate::limits::Limits::default(),
            disk: Arc::new(crate::disk::LocalDisk),
            clock,
            index: path.join(INDEX),
            path: path.clone(),
            folder: None,
        };
        let id = Identity::read(&path).unwrap().id;
        let folder = Arc::new(crate::disk::AnchoredDir::open(&path).unwrap());
        let lock = Lock::take(&folder).unwrap();
        let pond = Pond::on(ground, id, Some(lock), &options(), &mut |_| ());
        self.pond = Some(pond.unwrap());
    }

    fn stop(&mut self) {
        if let Some(pond) = self.pond.take() {
            pond.close().unwrap();
        }
    }

    /// Does the same without the index.
    fn boot_without_index(&mut self, micros: i64) {
        self.stop();
        fs::remove_dir_all(self.path().join(INDEX)).unwrap();
        self.boot(micros);
    }

    fn pond(&self) -> &Pond {
        self.pond.as_ref().unwrap()
    }

    /// Makes a version at that time.
    fn version(&self, micros: i64) -> Version {
        set(micros);
        let caller = Caller {
            now: clock(),
            ..CALLER
        };
        let pond = self.pond();
        let id = match pond.lookup(Version::NOW, NodeId::ROOT, &name("f")).unwrap() {
            Some((id, _)) => id,
            None => make(pond, Kind::File, NodeId::ROOT, "f"),
        };
        pond.write(&caller, id, 0, &micros.to_le_bytes()).unwrap();
        pond.sync().unwrap()
    }

    fn at(&self, reference: &str) -> Option<Version> {
        let reference = Reference::parse(reference.as_bytes()).unwrap();
        self.pond().resolve(&reference, Version::NOW).unwrap()
    }

    fn kept(&self, policy: &Policy) -> Result<Vec<u64>, PondError> {
        let done = self.pond().prune(policy, None, true)?;
        Ok(done.kept.keys().map(|version| version.0).collect())
    }

    fn doubted(&self) -> Vec<u64> {
        let versions = self.pond().versions(Version(0), Version::NOW).unwrap();
        let doubted = self.pond().doubted(&versions).unwrap();
        doubted.iter().map(|version| version.0).collect()
    }
}

fn daily(days: u64) -> Policy {
    Policy {
        keep_daily: days,
        ..Policy::default()
    }
}

/// Makes a version a day, except for one boot with the clock years ahead.
fn one_boot_ahead() -> Board {
    let mut board = Board::new(noon(0) - DAY / 4);
    assert_eq!(board.version(noon(0)), Version(1));
    board.boot(AHEAD);
    assert_eq!(board.version(AHEAD + 1_000_000), Version(2));
    for day in 1..=3 {
        board.boot(noon(day));
        assert_eq!(
            board.version(noon(day) + 1_000_000),
            Version(2 + day as u64)
        );
    }
    board
}

#[test]
fn dates_lead_to_what_was_true_after_a_boot_with_the_clock_ahead() {
    let mut board = one_boot_ahead();
    for index in [true, false] {
        match index {
            true => board.boot(noon(4)),
            false => board.boot_without_index(noon(4)),
        }
        let versions = board.pond().versions(Version(0), Version::NOW).unwrap();
        assert!(versions.is_sorted_by(|a, b| a.committed < b.committed));
        assert_eq!(versions[3].clock, Time::from_micros(noon(1) + 1_000_000));
        assert_eq!(board.at("2026-11-24"), Some(Version(1)));
        assert_eq!(board.at("2026-11-25"), Some(Version(3)));
        assert_eq!(board.at("2026-11-25T12:00:02Z"), Some(Version(4)));
        assert_eq!(board.at("36h-ago"), Some(Version(4)));
        assert_eq!(board.at("2031-06"), Some(Version(5)));
        assert_eq!(board.at("2026-11"), None);
        assert_eq!(board.doubted(), [2]);
        assert_eq!(board.pond().clock_behind().unwrap(), None);
        sound(board.pond());
    }
}

#[test]
fn rules_of_time_keep_true_days() {
    let mut board = one_boot_ahead();
    board.boot(noon(4));
    // All days, and the version of an unknown day.
    assert_eq!(board.kept(&daily(30)).unwrap(), [1, 2, 3, 4, 5]);
    assert_eq!(board.kept(&daily(2)).unwrap(), [4, 5]);
    let within = Policy {
        keep_within: Some("1d".parse().unwrap()),
        ..Policy::default()
    };
    assert_eq!(board.kept(&within).unwrap(), [4, 5]);
    // Kept versions have the same dates afterwards.
    board.pond().prune(&daily(30), None, false).unwrap();
    assert_eq!(board.doubted(), [2]);
    assert_eq!(board.at("2026-11-25"), Some(Version(3)));
    board.boot_without_index(noon(4));
    assert_eq!(board.doubted(), [2]);
    assert_eq!(board.at("2026-11-25"), Some(Version(3)));
    sound(board.pond());
}

#[test]
fn rules_of_time_are_refused_while_the_clock_is_behind() {
    let mut board = Board::new(noon(0) - DAY / 4);
    board.version(noon(0));
    board.boot(AHEAD);
    board.version(AHEAD + 1_000_000);
    board.boot(noon(1));
    let behind = board.pond().clock_behind().unwrap().unwrap();
    assert_eq!(
        behind.to_string(),
        "the clock is behind: it says 2026-11-24T12:00:00Z, and version 2 was made at \
         2031-01-01T00:00:01Z"
    );
    let refused = board.kept(&daily(30)).unwrap_err();
    assert!(matches!(refused, PondError::ClockBehind(_)), "{refused}");
    assert!(refused.hint().unwrap().contains("--trust-clock"));
    // Rules that need no clock do not wait for one.
    let last = Policy {
        keep_last: 2,
        ..Policy::default()
    };
    assert_eq!(board.kept(&last).unwrap(), [1, 2]);
    let trusted = board.pond().prune_by_clock(&daily(30), None, true, true);
    let trusted: Vec<u64> = trusted.unwrap().kept.keys().map(|v| v.0).collect();
    assert_eq!(trusted, [1, 2]);
    // A version by the right clock is enough.
    board.version(noon(1));
    assert_eq!(board.pond().clock_behind().unwrap(), None);
    assert_eq!(board.kept(&daily(30)).unwrap(), [1, 2, 3]);
}

#[test]
fn a_boot_in_1970_moves_no_date_and_forgets_nothing() {
    let mut board = Board::new(noon(0) - DAY / 4);
    for day in 0..4 {
        board.version(noon(day));
    }
    let boot = 30 * 1_000_000;
    board.boot(boot);
    for seconds in 1..4 {
        board.version(boot + seconds * 1_000_000);
    }
    assert!(board.pond().clock_behind().unwrap().is_some());
    assert_eq!(board.at("2026-11-25"), Some(Version(2)));
    assert_eq!(board.at("2026-11-26T13:00"), Some(Version(7)));
    assert!(matches!(
        board.kept(&daily(3)),
        Err(PondError::ClockBehind(_))
    ));
    // The clock is set from the network.
    board.version(noon(5));
    assert_eq!(board.pond().clock_behind().unwrap(), None);
    assert_eq!(board.doubted(), [5, 6, 7]);
    assert_eq!(board.at("2026-11-26T13:00"), Some(Version(4)));
    assert_eq!(board.kept(&daily(3)).unwrap(), [3, 4, 7, 8]);
    board.boot_without_index(noon(5));
    assert_eq!(board.doubted(), [5, 6, 7]);
}

#[test]
fn the_clock_jumps_ahead_and_back_within_one_run() {
    let board = Board::new(noon(0) - DAY / 4);
    for minute in 0..5 {
        board.version(noon(0) + minute * 60_000_000);
    }
    board.version(AHEAD);
    board.version(AHEAD + 60_000_000);
    for minute in 7..12 {
        board.version(noon(0) + minute * 60_000_000);
    }
    assert_eq!(board.doubted(), [6, 7]);
    assert_eq!(board.at("2026-11-23T12:05:30"), Some(Version(5)));
    assert_eq!(board.at("2026-11-23T12:07"), Some(Version(8)));
    assert_eq!(board.kept(&daily(1)).unwrap(), [12]);
}

#[test]
fn the_daily_prune_waits_for_a_clock_that_can_be_trusted() {
    let mut board = Board::new(noon(0) - DAY / 4);
    for day in 0..4 {
        board.version(noon(day));
    }
    board.stop();
    let mut identity = Identity::read(&board.path()).unwrap();
    identity.prune = Some(Policy {
        keep_within: Some("2d".parse().unwrap()),
        ..Policy::default()
    });
    identity.write(&board.path()).unwrap();
    // In 1970.
    board.boot(30_000_000);
    board.version(31_000_000);
    let hour = Duration::from_secs(3_600);
    assert_eq!(board.pond().prune_by_rule().unwrap(), hour);
    // Years ahead: all other versions would be too old.
    board.boot(AHEAD);
    board.version(AHEAD + 1_000_000);
    assert!(board.pond().prune_by_rule().unwrap() > 23 * hour);
    assert_eq!(board.pond().latest().version, Version(6));
    let count = |board: &Board| {
        board
            .pond()
            .versions(Version(0), Version::NOW)
            .unwrap()
            .len()
    };
    assert_eq!(count(&board), 7);
    // Right again.
    board.boot(noon(4));
    board.version(noon(4));
    assert_eq!(board.pond().prune_by_rule().unwrap(), 24 * hour);
    assert_eq!(count(&board), 5);
    assert_eq!(board.at("2026-11-26"), Some(Version(3)));
}

/// The versions of a program that recorded no reading: the times after the wrong one follow it by
/// microseconds.
#[test]
fn versions_of_an_older_program_are_dated_by_the_files_that_they_changed() {
    let mut board = Board::new(noon(0) - DAY / 4);
    board.version(noon(0));
    board.version(AHEAD);
    for day in 1..=3 {
        board.version(noon(day));
    }
    board.stop();
    // The same table, without readings.
    let (path, disk) = (board.path(), crate::disk::LocalDisk);
    let id = Identity::read(&path).unwrap().id;
    let disk: Arc<dyn crate::disk::Disk> = Arc::new(disk);
    let mut opened = Oplog::open(&disk, &path.join("oplog"), id, Version(0)).unwrap();
    let mut rewrite = opened.oplog.rewrite().unwrap();
    let mut versions = Vec::new();
    let all = opened.oplog.replay(None, &mut |mut commit, changes| {
        commit.stamp.clock = None;
        versions.push((commit, changes));
        Ok::<(), PondError>(())
    });
    all.unwrap();
    for (commit, changes) in &versions {
        rewrite.push(*commit, changes).unwrap();
    }
    opened.oplog.commit_rewrite(rewrite).unwrap();
    drop(opened);
    board.boot_without_index(noon(4));
    assert_eq!(board.doubted(), [2]);
    assert_eq!(board.at("2026-11-25"), Some(Version(3)));
    assert_eq!(board.kept(&daily(30)).unwrap(), [1, 2, 3, 4, 5]);
    sound(board.pond());
}
