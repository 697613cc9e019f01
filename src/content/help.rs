//! Runs a closure over many items on a shared thread pool.
//!
//! Used for chunking, hashing and compression. Results are in the order of the items. If the system
//! cannot start the threads, the caller's thread does the work.

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::OnceLock;

/// Returns the result of `work` for each item, in order; in parallel if `help` is set.
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

/// Returns the pool of one thread per processor. Started on first use; `None` if that failed.
fn pool() -> Option<&'static ThreadPool> {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let pool = ThreadPoolBuilder::new().thread_name(|n| format!("pond-pack-{n}"));
        match pool.build() {
            Ok(pool) => Some(pool),
            Err(error) => {
                tracing::warn!("content is compressed by one thread: {error}");
                None
            }
        }
    });
    pool.as_ref()
}
