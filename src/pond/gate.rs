//! Admits changes of the tree: many short ones, or a long one by itself.
//!
//! Changes of the tree are serialized by one lock. A short change holds it for microseconds. A
//! long one holds it for as long as it takes: `restore`, the cut of a large file, the last step of
//! a prune. A thread that serves the kernel must not wait for a long change: four such threads
//! would block even `ls`. So it asks to [enter](Pond::try_enter_change) first. If that fails, it
//! hands the request to a thread that may wait.
//!
//! Lock order: `log`, `settling`, the gate, `changing`. A thread that has entered takes neither
//! of the first two.

use super::Pond;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A lock that short changes share and a long one takes exclusively.
#[derive(Default)]
pub(super) struct ChangeGate(RwLock<()>);

impl ChangeGate {
    /// Waits for all changes that have entered, and keeps others out.
    pub(super) fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.0.write()
    }
}

/// Keeps long changes from beginning while it lives.
pub struct ShortChange<'p>(#[expect(dead_code, reason = "held")] RwLockReadGuard<'p, ()>);

/// Keeps all other changes from beginning while it lives.
pub struct LongChange<'p>(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'p, ()>);

impl Pond {
    /// Enters for a short change; `None` while a long one is under way or waits for its turn.
    pub fn try_enter_change(&self) -> Option<ShortChange<'_>> {
        self.gate.0.try_read().map(ShortChange)
    }

    /// Like [`Pond::try_enter_change`], and waits. Not for a thread that serves the kernel.
    pub fn enter_change(&self) -> ShortChange<'_> {
        ShortChange(self.gate.0.read())
    }

    /// Enters for a long change and waits for all others. Not for a thread that serves the kernel.
    pub fn enter_long_change(&self) -> LongChange<'_> {
        LongChange(self.gate.alone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_changes_enter_together_and_a_long_one_alone() {
        let gate = ChangeGate::default();
        {
            let (first, second) = (gate.0.try_read(), gate.0.try_read());
            assert!(first.is_some() && second.is_some());
        }
        let long = gate.alone();
        assert!(gate.0.try_read().is_none());
        drop(long);
        assert!(gate.0.try_read().is_some());
    }
}
