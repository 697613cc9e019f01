//! Counts the entries that a thread reads from the index, for tests of the cost of operations.
//!
//! Outside of tests [`note`] does nothing.

#[cfg(test)]
thread_local! {
    static READS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Notes that this thread reads an entry of the store or of a memtable.
#[inline]
pub(super) fn note() {
    #[cfg(test)]
    READS.set(READS.get() + 1);
}

/// Returns how many entries `work` reads on this thread.
#[cfg(test)]
pub(crate) fn during<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = READS.get();
    let result = work();
    (result, READS.get() - before)
}
