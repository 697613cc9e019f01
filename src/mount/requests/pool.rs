//! A small pool of threads for requests that must not block a serving thread.
//!
//! A job is a request with its reply. Threads start on demand, up to a bound, and end after an idle
//! time. When all are busy, jobs wait in a queue, first in, first out. The kernel bounds the queue:
//! each job is one system call whose caller waits, or one of the kernel's background requests.
//!
//! Jobs of one key run one after another, in one thread: all readers of a file that is being
//! rendered occupy one thread.
//!
//! Invariant: a job of a pool never waits for a job of the same pool that has not begun. So a full
//! pool delays jobs, and cannot deadlock.

use parking_lot::{Condvar, Mutex};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// How long an idle thread stays.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// A pool. Its threads end when the last handle is dropped and the last job is done.
#[derive(Clone)]
pub(in crate::mount) struct Pool(Arc<Shared>);

struct Shared {
    name: &'static str,
    most: usize,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    threads: usize,
    /// The number of `threads` that wait for a job.
    idle: usize,
    ready: VecDeque<(Option<u64>, Job)>,
    /// For each key of which a job is ready or runs, the jobs behind it.
    behind: FxHashMap<u64, VecDeque<Job>>,
}

impl Pool {
    /// Creates a pool of at most `most` threads with this name.
    pub(in crate::mount) fn new(name: &'static str, most: usize) -> Pool {
        Pool(Arc::new(Shared {
            name,
            most,
            state: Mutex::default(),
            wake: Condvar::new(),
        }))
    }

    /// Queues a job. If no thread can be started, drops the job and its reply, so that the caller
    /// gets an error.
    pub(in crate::mount) fn run(&self, key: Option<u64>, job: impl FnOnce() + Send + 'static) {
        let job: Job = Box::new(job);
        let mut state = self.0.state.lock();
        if let Some(key) = key {
            if let Some(behind) = state.behind.get_mut(&key) {
                behind.push_back(job);
                return;
            }
            state.behind.insert(key, VecDeque::new());
        }
        state.ready.push_back((key, job));
        // A thread that was woken counts as idle until it has taken its job out of the queue.
        if state.ready.len() <= state.idle || state.threads >= self.0.most {
            self.0.wake.notify_one();
            return;
        }
        state.threads += 1;
        drop(state);
        let shared = self.0.clone();
        let thread = std::thread::Builder::new().name(self.0.name.into());
        if let Err(error) = thread.spawn(move || shared.work()) {
            tracing::error!("no thread to serve a request in: {error}");
            let mut state = self.0.state.lock();
            state.threads -= 1;
            if state.threads == 0 {
                let lost = std::mem::take(&mut state.ready);
                let behind = std::mem::take(&mut state.behind);
                drop(state);
                drop((lost, behind));
            }
        }
    }
}

impl Shared {
    /// Runs jobs until the pool has been idle for [`IDLE`].
    fn work(&self) {
        let mut state = self.state.lock();
        loop {
            while let Some((key, job)) = state.ready.pop_front() {
                drop(state);
                self.done(job);
                state = self.state.lock();
                let Some(key) = key else { continue };
                let next = state.behind.get_mut(&key).and_then(VecDeque::pop_front);
                match next {
                    Some(next) => state.ready.push_front((Some(key), next)),
                    None => drop(state.behind.remove(&key)),
                }
            }
            state.idle += 1;
            let waited = self.wake.wait_for(&mut state, IDLE);
            state.idle -= 1;
            if waited.timed_out() && state.ready.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }

    fn done(&self, job: Job) {
        // A panic in a library must not cost the pool a thread. Its reply was dropped, which sends
        // an error.
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!(
                "a request ended in a panic in a thread called {}",
                self.name
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn jobs_run_beside_each_other_up_to_the_bound_and_the_rest_waits() {
        let pool = Pool::new("test", 3);
        let (together, running) = (Arc::new(Barrier::new(4)), Arc::new(AtomicUsize::new(0)));
        let (tell, told) = channel();
        for _ in 0..9 {
            let (together, running, tell) = (together.clone(), running.clone(), tell.clone());
            pool.run(None, move || {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                together.wait();
                running.fetch_sub(1, Ordering::SeqCst);
                tell.send(now).unwrap();
            });
        }
        for _ in 0..3 {
            // All three threads have a job; a fourth would be counted.
            together.wait();
            let most = (0..3).map(|_| told.recv_timeout(LONG).unwrap()).max();
            assert!(most <= Some(3), "{most:?}");
        }
        assert_eq!(pool.0.state.lock().threads, 3);
    }

    #[test]
    fn jobs_of_one_key_keep_one_thread_and_their_order() {
        let pool = Pool::new("test", 2);
        let (go, wait) = channel::<()>();
        let (tell, told) = channel();
        let first = tell.clone();
        pool.run(Some(1), move || {
            wait.recv().unwrap();
            first.send(0).unwrap();
        });
        for n in 1..50 {
            let tell = tell.clone();
            pool.run(Some(1), move || tell.send(n).unwrap());
        }
        let (other, done) = channel();
        pool.run(Some(2), move || other.send(()).unwrap());
        done.recv_timeout(LONG)
            .expect("another key waits for a thread");
        go.send(()).unwrap();
        let order: Vec<i32> = (0..50).map(|_| told.recv_timeout(LONG).unwrap()).collect();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn a_panic_costs_no_thread() {
        let pool = Pool::new("test", 1);
        let (tell, told) = channel();
        pool.run(Some(1), || panic!("on purpose"));
        pool.run(Some(1), move || tell.send(()).unwrap());
        told.recv_timeout(LONG).unwrap();
    }
}
