//! The events of a simulated life, chosen by the seed.

use super::world::World;
use crate::disk::sim::{Faults, Rng};

const STEPS: u64 = 70;

/// Counts of the events, as evidence of what a run has covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) operations: u64,
    /// Operations that were performed between two calls to the disk.
    pub(super) between: u64,
    /// Flushes that succeeded.
    pub(super) durable: u64,
    pub(super) versions: u64,
    pub(super) cuts: u64,
    /// Number of prunes.
    pub(super) prunes: u64,
    /// Number of restorations and undos.
    pub(super) restored: u64,
    pub(super) kills: u64,
    /// Kills and power cuts that happened while the pond was being opened.
    pub(super) reopenings_cut: u64,
    pub(super) faults: u64,
    pub(super) read_only: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Tally) {
        self.operations += other.operations;
        self.between += other.between;
        self.durable += other.durable;
        self.versions += other.versions;
        self.cuts += other.cuts;
        self.prunes += other.prunes;
        self.restored += other.restored;
        self.kills += other.kills;
        self.reopenings_cut += other.reopenings_cut;
        self.faults += other.faults;
        self.read_only += other.read_only;
    }
}

pub(super) struct Life {
    world: World,
    rng: Rng,
    /// Chooses when the past is restored; `None` in a life without restorations.
    past: Option<Rng>,
    pub(super) tally: Tally,
}

impl Life {
    pub(super) fn new(seed: u64, planted: Faults) -> Life {
        Life {
            world: World::new(seed, planted),
            rng: Rng(seed.wrapping_mul(0x9E37_79B9).wrapping_add(1)),
            past: (!super::KEPT.contains(&seed)).then_some(Rng(seed ^ 0x9a57)),
            tally: Tally::default(),
        }
    }

    pub(super) fn digest(&self) -> u64 {
        self.world.disk.digest()
    }

    pub(super) fn run(&mut self) {
        for _ in 0..STEPS {
            self.step();
            if self.world.disk.is_cut() {
                self.crash(true);
            }
        }
        self.crash(true);
        self.tally.between = self.world.promised.lock().between;
        self.tally.faults = self.world.disk.met();
    }

    fn step(&mut self) {
        if let Some(past) = &mut self.past
            && past.below(20) == 0
        {
            let chosen = past.number();
            let restored = self.with_faults(|life| life.world.bring_back(chosen).is_ok());
            self.tally.restored += u64::from(restored);
            if self.world.disk.is_cut() {
                return;
            }
        }
        match self.rng.below(100) {
            0..62 => {
                if self.world.operate(&mut self.rng).is_ok() {
                    self.tally.operations += 1;
                }
            }
            62..75 => {
                let flushed = self.with_faults(|life| life.world.fsync().is_ok());
                self.tally.durable += u64::from(flushed);
            }
            75..86 => {
                let made = self.with_faults(|life| life.world.sync().is_ok());
                self.tally.versions += u64::from(made);
            }
            86..90 => self.with_faults(|life| {
                let pond = life.world.pond();
                let _settling = pond.flusher.settling.lock();
                pond.freeze_and_settle().ok();
            }),
            90 => self.with_faults(|life| {
                life.world.pond().log.lock().checkpoint().ok();
            }),
            91 => self.with_faults(|life| {
                life.world.pond().keep_house().ok();
            }),
            92 => {
                let forgot = self.with_faults(|life| life.world.prune().is_ok());
                self.tally.prunes += u64::from(forgot);
            }
            // The power fails after some more calls, at whatever point that is.
            93..96 => self.world.disk.cut_after(1 + self.rng.below(30)),
            96..98 => self.crash(false),
            98 => self.close(),
            _ => self.crash(true),
        }
    }

    /// Performs `act` while the disk fails in some way, and checks that the visible tree stays the
    /// same.
    fn with_faults<T>(&mut self, act: impl FnOnce(&mut Life) -> T) -> T {
        let faults = self.faults();
        self.world.set_faults(faults);
        let done = act(self);
        self.world.set_faults(Faults::default());
        if !self.world.disk.is_cut() {
            self.world.nothing_else_changed("keeping it");
        }
        if self.world.pond().health.has_failed() {
            // A pond that has seen a sync fail promises nothing more.
            self.tally.read_only += 1;
            assert!(self.world.fsync().is_err(), "a failed sync was made good");
            let cut = self.rng.below(2) == 0;
            self.crash(cut);
        }
        done
    }

    fn faults(&mut self) -> Faults {
        match self.rng.below(12) {
            0 => Faults {
                writes: 150,
                ..Faults::default()
            },
            1 => Faults {
                told_wrong: 300,
                ..Faults::default()
            },
            2 => Faults {
                syncs: 150,
                ..Faults::default()
            },
            3 => Faults {
                room: 1 + self.rng.below(100_000),
                ..Faults::default()
            },
            4 => Faults {
                writes: 50,
                told_wrong: 50,
                syncs: 20,
                reads: 50,
                ..Faults::default()
            },
            5 => Faults {
                descriptors: 300,
                ..Faults::default()
            },
            _ => Faults::default(),
        }
    }

    /// Performs a kill or a power cut, and checks the result. The next opening may be cut short
    /// too.
    fn crash(&mut self, cut: bool) {
        let fate = self.rng.below(4);
        self.world.kill(fate);
        match cut {
            true => self.tally.cuts += 1,
            false => self.tally.kills += 1,
        }
        // Without a cut the disk stays as it is, with all data that was not synced.
        let mut cut = cut || self.world.disk.is_cut();
        loop {
            if cut {
                self.world.disk.power_up();
            }
            if self.rng.below(4) == 0 {
                self.world.disk.cut_after(1 + self.rng.below(12));
            }
            match self.world.open() {
                Ok(()) if !self.world.disk.is_cut() => break,
                Ok(()) => {}
                Err(error) => {
                    let why = crate::tinyfs::describe(&error);
                    assert!(self.world.disk.is_cut(), "cannot open: {why}");
                }
            }
            self.tally.reopenings_cut += 1;
            self.world.kill(fate);
            cut = true;
        }
        self.world.disk.disarm();
        self.world.verify(if cut {
            "after a power cut"
        } else {
            "after a kill"
        });
    }

    /// Closes the pond in order.
    fn close(&mut self) {
        let before = self.world.promised.lock().states.len() - 1;
        let closed = self.world.pond().close();
        if closed.is_ok() && !self.world.disk.is_cut() {
            let mut promised = self.world.promised.lock();
            promised.durable = promised.durable.max(before);
        }
        let cut = self.rng.below(2) == 0;
        self.crash(cut);
    }
}
