//! Which changes run: many short ones, one after another, or a long one by itself.
//!
//! Changes of the tree are serialized by one lock, which a short change holds for microseconds and a
//! long one for as long as it takes: `restore`, the cutting of a large file, the last step of a
//! prune. A thread that serves the kernel must not wait for a long one, since four such threads
//! would keep `ls` from an answer. So it asks to [enter](Pond::try_enter_change) first; where that
//! fails, it leaves the request to a thread that may wait.
//!
//! Lock order: `log`, `settling`, the gate, `changing`. A thread that has entered takes none of the
//! first two.

use super::Pond;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Shared by short changes, exclusive for a long one.
#[derive(Default)]
pub(super) struct ChangeGate(RwLock<()>);

impl ChangeGate {
    /// Waits for all changes that have entered, and keeps others out.
    pub(super) fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.0.write()
    }
}

/// As long as it lives, no long change begins.
pub struct ShortChange<'p>(#[expect(dead_code, reason = "held")] RwLockReadGuard<'p, ()>);

/// As long as it lives, no other change begins.
pub struct LongChange<'p>(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'p, ()>);

impl Pond {
    /// Enters for a short change; `None` while a long one is under way or waits for its turn.
    pub fn try_enter_change(&self) -> Option<ShortChange<'_>> {
        self.gate.0.try_read().map(ShortChange)
    }

    /// The same, and waits. Not for a thread that serves the kernel.
    pub fn enter_change(&self) -> ShortChange<'_> {
        ShortChange(self.gate.0.read())
    }

    /// Enters for a long change: waits for all others. Not for a thread that serves the kernel.
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
