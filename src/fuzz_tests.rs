//! What tests named `fuzz_…` share: the number of cases, and the memory that a call takes.
//!
//! `POND_FUZZ_CASES` sets the number of cases, and proptest's `PROPTEST_RNG_SEED` makes them
//! repeatable; `scripts/fuzz` sets both. The test binary allocates through [`Counting`], which
//! counts for each thread, so that tests in other threads are not counted.

use crate::observe::is_guarded;
use proptest::test_runner::Config;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Bytes that the thread has allocated and not freed, and the most since the last [`peak`].
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// The system's allocator, with a count of bytes for each thread.
pub(crate) struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(more: isize) {
    // Fails only while the thread ends.
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        held.set((now + more, most.max(now + more)));
    });
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller upholds the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller upholds the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: the caller upholds the contract of `realloc`.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Returns the configuration of a fuzz test.
pub(crate) fn config() -> Config {
    config_of(64)
}

/// Returns the configuration of a fuzz test whose cases take long.
pub(crate) fn slow_config() -> Config {
    config_of(16)
}

fn config_of(cases: u32) -> Config {
    silence_guarded_panics();
    let given = std::env::var("POND_FUZZ_CASES").ok();
    let cases = given.map_or(cases, |cases| {
        cases.parse().expect("POND_FUZZ_CASES is a number")
    });
    Config {
        cases,
        failure_persistence: None,
        max_shrink_time: 60_000,
        ..Config::default()
    }
}

/// Keeps the panic hook from printing panics that `guarded` catches: to find the names for a
/// backtrace takes megabytes, which would count for the call.
fn silence_guarded_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = take_hook();
        set_hook(Box::new(move |panic| {
            if !is_guarded() {
                hook(panic);
            }
        }));
    });
}

/// Runs a call, and returns its result and the most bytes that this thread held during it beyond
/// those that it held before.
pub(crate) fn peak<T>(call: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.with(|held| {
        let (now, _) = held.get();
        held.set((now, now));
        now
    });
    let result = call();
    let (_, most) = HELD.with(Cell::get);
    (result, usize::try_from(most - before).unwrap_or(0))
}

#[test]
fn peak_of_a_call_is_the_most_that_it_held() {
    let ((), most) = peak(|| {
        for n in 1..4 {
            drop(std::hint::black_box(vec![1u8; n << 20]));
        }
    });
    assert!((3 << 20..4 << 20).contains(&most), "{most}");
}
