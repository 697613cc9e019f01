//! The effect of one damage: none, a reported error, or a wrong result without an error.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::garden::{Garden, QUIET};
use super::look::Look;
use crate::mount::Mount;
use crate::pond::Pond;
use crate::run::Outcome;

/// The most time that a command may take: more is a hang.
const HANG: Duration = Duration::from_secs(60);

/// What the user observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is as it was, and no error is reported.
    Harmless,
    /// The pond was not mounted, for a stated reason.
    Refused(String),
    /// A file could not be read, with an error, and `check` reports it too.
    Unreadable(String),
    /// An error occurred once, and was repaired: opened again, everything is right.
    Healed(String),
    /// `check` reports it; everything read was right, or at least its bytes were.
    Reported(String),
    /// It was detected, but the message does not help.
    Unclear(String),
    /// `check` finds nothing where a read fails.
    Missed(String),
    /// The fault: a wrong result without an error.
    Silent(String),
    /// The daemon hung, died or panicked.
    Broken(String),
}

/// Mounts a damaged copy of the garden, reads all of it and checks it.
#[track_caller]
pub fn judge(garden: &Garden, pond: &Pond) -> Verdict {
    let mounted = pond.run(["mount"]).args(QUIET).arg(pond.store());
    let mounted = mounted.arg(pond.mountpoint("mnt")).limit(HANG).outcome();
    let verdict = match mounted.succeeded() {
        false => refused(garden, pond, &mounted),
        true => seen(garden, pond),
    };
    match pond
        .daemon_log()
        .lines()
        .find(|line| line.contains("panicked at"))
    {
        Some(panic) => Verdict::Broken(format!("the daemon's log: {panic} ({verdict:?})")),
        None => match verdict {
            Verdict::Silent(said) => {
                Verdict::Silent(format!("{said}\nthe daemon says:\n{}", pond.daemon_log()))
            }
            verdict => verdict,
        },
    }
}

fn refused(garden: &Garden, pond: &Pond, mounted: &Outcome) -> Verdict {
    if let Err(why) = clear(pond, mounted) {
        return Verdict::Unclear(format!("the refusal {why}: {}", mounted.err()));
    }
    let check = check(pond);
    match (check.code(), clear(pond, &check)) {
        (Some(0), _) if is_whole_again(garden, pond) => Verdict::Healed(mounted.err()),
        (Some(0), _) => Verdict::Silent(format!(
            "the mount is refused, check finds nothing: {}",
            mounted.err()
        )),
        (Some(4), _) | (_, Ok(())) => Verdict::Refused(mounted.err()),
        (_, Err(why)) => Verdict::Unclear(format!("what check says {why}: {}", check.err())),
    }
}

fn seen(garden: &Garden, pond: &Pond) -> Verdict {
    let mount = Mount::adopt(pond, pond.outside("mnt"), Duration::ZERO);
    let look = look(garden, &mount);
    if mount.daemon().ended(Duration::ZERO) {
        return Verdict::Broken(format!("the daemon has died: {:?}", look.wrong));
    }
    let check = check(pond);
    mount.kill9();
    let told = match check.code() {
        Some(0) => false,
        Some(4) => true,
        _ => match clear(pond, &check) {
            Ok(()) => true,
            Err(why) => return Verdict::Unclear(format!("what check says {why}: {}", check.err())),
        },
    };
    let said = format!("{}{}", check.text(), check.err());
    match (&look.false_bytes[..], &look.wrong[..], &look.unreadable[..]) {
        ([false_bytes, ..], ..) => Verdict::Silent(format!("wrong bytes: {false_bytes}")),
        (_, [wrong, ..], _) if !told => Verdict::Silent(format!(
            "silently wrong, {} times: {wrong}",
            look.wrong.len()
        )),
        (_, _, [path, ..]) if !told && is_whole_again(garden, pond) => {
            Verdict::Healed(format!("{path:?} was EIO"))
        }
        (_, _, [path, ..]) if !told => {
            Verdict::Missed(format!("{path:?} is EIO, check finds nothing"))
        }
        (_, _, [_, ..]) => Verdict::Unreadable(said),
        _ if told => Verdict::Reported(said),
        _ => Verdict::Harmless,
    }
}

fn look(garden: &Garden, mount: &Mount) -> Look {
    let mut look = Look::default();
    for (at, tree) in &garden.trees {
        look.absorb(&at.display().to_string(), Look::at(&mount.join(at), tree));
    }
    look
}

/// Returns whether everything is right when the pond is opened again.
fn is_whole_again(garden: &Garden, pond: &Pond) -> bool {
    if !pond.try_mount(&QUIET).succeeded() {
        return false;
    }
    let mount = Mount::adopt(pond, pond.outside("mnt"), Duration::ZERO);
    let look = look(garden, &mount);
    mount.kill9();
    look.wrong.is_empty() && look.unreadable.is_empty()
}

fn check(pond: &Pond) -> Outcome {
    let check = pond.run(["check", "--read-data"]).arg(pond.store());
    check.limit(HANG).outcome()
}

/// Checks that a failure is one sentence that names a file or what to do.
fn clear(pond: &Pond, failed: &Outcome) -> Result<(), &'static str> {
    let said = failed.err();
    // For a missing file, the pond's folder is precise enough.
    let names = ["/", ".json", ".parquet", "pond.toml", "hint:"];
    match failed.code() {
        None | Some(101) => Err("is no decision of its own"),
        _ if !said.contains("error:") || said.contains("panicked") => Err("says nothing clear"),
        _ if !names.iter().any(|name| said.contains(name)) => {
            Err("names neither a path nor a cure")
        }
        _ if !pond.store().exists() => Err("comes with the pond gone"),
        _ => Ok(()),
    }
}

impl Verdict {
    /// Returns the column of a table that counts it.
    fn column(&self) -> usize {
        match self {
            Verdict::Harmless => 0,
            Verdict::Refused(_) => 1,
            Verdict::Unreadable(_) => 2,
            Verdict::Healed(_) => 3,
            Verdict::Reported(_) => 4,
            Verdict::Unclear(_) => 5,
            Verdict::Missed(_) => 6,
            Verdict::Broken(_) => 7,
            Verdict::Silent(_) => 8,
        }
    }

    /// Returns the fault, if the verdict is one.
    pub fn fault(&self) -> Option<&str> {
        match self {
            Verdict::Unclear(said)
            | Verdict::Missed(said)
            | Verdict::Broken(said)
            | Verdict::Silent(said) => Some(said),
            _ => None,
        }
    }
}

/// The counts of verdicts by kind of file.
#[derive(Debug, Default)]
pub struct Table(BTreeMap<String, [usize; COLUMNS.len()]>);

const COLUMNS: [&str; 9] = [
    "harmless", "refused", "EIO", "healed", "by check", "unclear", "missed", "broken", "silent",
];

impl Table {
    pub fn count(&mut self, kind: &str, verdict: &Verdict) {
        self.0.entry(kind.to_string()).or_default()[verdict.column()] += 1;
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = COLUMNS.map(|name| format!("{name:>9}")).concat();
        writeln!(f, "{:<22}{:>6}{columns}", "kind", "flips")?;
        let line = |f: &mut fmt::Formatter<'_>, kind: &str, counts: &[usize; COLUMNS.len()]| {
            let columns = counts.map(|count| format!("{count:>9}")).concat();
            writeln!(f, "{kind:<22}{:>6}{columns}", counts.iter().sum::<usize>())
        };
        let mut all = [0; COLUMNS.len()];
        for (kind, counts) in &self.0 {
            line(f, kind, counts)?;
            all.iter_mut()
                .zip(counts)
                .for_each(|(sum, count)| *sum += count);
        }
        line(f, "all", &all)
    }
}
