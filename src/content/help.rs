//! Threads that help with what can be done for several pieces at once.
//!
//! In: pieces, and what to do with each. Out: what came of it, in their order. Holds always: where the system has no
//! threads to give, the work is done all the same.

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::OnceLock;

/// What `work` makes of each, in their order; with `help`, several at once.
pub(super) fn each<T: Sync, R: Send>(
    items: &[T],
    help: bool,
    work: impl Fn(&T) -> R + Send + Sync,
) -> Vec<R> {
    match help.then(pool).flatten() {
        Some(pool) => pool.install(|| items.par_iter().map(work).collect()),
        None => items.iter().map(work).collect(),
    }
}

/// The threads, one for each processor, from when they are needed first.
fn pool() -> Option<&'static ThreadPool> {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let pool = ThreadPoolBuilder::new().thread_name(|n| format!("pond-pack-{n}"));
        match pool.build() {
            Ok(pool) => Some(pool),
            Err(error) => {
                tracing::warn!("content is packed by one thread: {error}");
                None
            }
        }
    });
    pool.as_ref()
}
