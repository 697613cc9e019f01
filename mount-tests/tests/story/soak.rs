//! A mixed load for a long time: memory, descriptors and threads of the daemon stay where they are, and what is read
//! is what was written.

use std::thread;
use std::time::{Duration, Instant};

use mount_tests::load::Signals;
use mount_tests::load::mixed::{Worker, historian, mover, reader, writer};
use mount_tests::mount::Mount;
use mount_tests::place::folder;
use mount_tests::pond::Pond;
use mount_tests::rng::Rng;
use mount_tests::setting;

/// A shorter run shows that the load works, and says nothing about growth.
const JUDGED_FROM: Duration = Duration::from_secs(300);
/// How much more memory the last third of a run may take than the middle one. Caches fill in the first.
const MAX_GROWTH: f64 = 16.0;
/// The same of descriptors: tables of the index come and go.
const MAX_MORE_OPEN: f64 = 8.0;
/// A version is made this often.
const SYNC_EVERY: Duration = Duration::from_secs(2);

const WORKERS: [(&str, Worker); 6] = [
    ("writer", writer),
    ("another writer", writer),
    ("reader", reader),
    ("another reader", reader),
    ("mover", mover),
    ("historian", historian),
];

/// The daemon at one moment.
#[derive(Clone, Copy, Debug)]
struct Sample {
    megabytes: f64,
    descriptors: f64,
    threads: f64,
}

impl Sample {
    fn of(mount: &Mount) -> Option<Sample> {
        let daemon = mount.daemon();
        Some(Sample {
            megabytes: daemon.count("VmRSS")? as f64 / 1024.0,
            descriptors: daemon.descriptors()? as f64,
            threads: daemon.count("Threads")? as f64,
        })
    }

    fn mean(of: &[Sample]) -> Sample {
        let mean =
            |field: fn(&Sample) -> f64| of.iter().map(field).sum::<f64>() / of.len().max(1) as f64;
        Sample {
            megabytes: mean(|sample| sample.megabytes),
            descriptors: mean(|sample| sample.descriptors),
            threads: mean(|sample| sample.threads),
        }
    }
}

#[test]
fn under_a_mixed_load_memory_and_descriptors_stay_flat() {
    let seconds = setting("POND_TEST_SOAK", 10);
    let limit = setting("POND_TEST_LIMIT", 900);
    assert!(
        seconds < limit,
        "POND_TEST_LIMIT={limit} ends a mount before {seconds} s"
    );
    let (length, every) = (
        Duration::from_secs(seconds),
        Duration::from_millis((seconds * 1000 / 200).clamp(200, 5000)),
    );
    let mut rng = Rng::for_test("soak");
    let pond = Pond::new();
    let mount = pond.mount();
    folder(mount.path(), "moving");
    mount.sync();
    let signals = Signals::default();
    let (mut samples, mut versions, start) = (Vec::new(), 0, Instant::now());
    let ends: Vec<Result<u64, String>> = thread::scope(|scope| {
        let signals = &signals;
        let threads: Vec<_> = WORKERS
            .map(|(_, work)| {
                let (rng, dir) = (rng.fork(), mount.path());
                scope.spawn(move || {
                    let done = work(dir, rng, signals);
                    // Whatever ended it, the others need not go on.
                    signals.end();
                    done
                })
            })
            .into_iter()
            .collect();
        let mut synced = Instant::now();
        while start.elapsed() < length && !signals.ended() {
            thread::sleep(every);
            samples.extend(Sample::of(&mount));
            if synced.elapsed() >= SYNC_EVERY {
                versions = mount.sync();
                synced = Instant::now();
            }
        }
        signals.end();
        let ends = threads.into_iter().map(|thread| thread.join());
        ends.map(|end| end.expect("a worker")).collect()
    });
    for ((name, _), end) in WORKERS.iter().zip(&ends) {
        match end {
            Ok(steps) => println!("soak: {steps} steps of the {name}"),
            Err(wrong) => println!("soak: the {name}: {wrong}"),
        }
    }
    println!("soak: {:.0?}, {versions} versions", start.elapsed());
    judge(&samples, length);
    mount.unmount();
    pond.check();
    assert!(
        ends.iter()
            .all(|end| end.as_ref().is_ok_and(|steps| *steps > 0)),
        "{ends:#?}"
    );
}

#[track_caller]
fn judge(samples: &[Sample], length: Duration) {
    let third = samples.len() / 3;
    let [first, middle, last] =
        [0, third, samples.len() - third].map(|at| Sample::mean(&samples[at..at + third]));
    let most = samples
        .iter()
        .map(|sample| sample.megabytes)
        .fold(0.0, f64::max);
    for (name, third) in [("first", first), ("middle", middle), ("last", last)] {
        println!(
            "soak: the {name} third: {:.1} MiB, {:.1} descriptors, {:.1} threads",
            third.megabytes, third.descriptors, third.threads
        );
    }
    let course = samples.iter().step_by((samples.len() / 12).max(1));
    let course: Vec<_> = course
        .map(|sample| format!("{:.0}", sample.megabytes))
        .collect();
    println!(
        "soak: {most:.1} MiB at most; in the course of time {} MiB",
        course.join(" ")
    );
    if length < JUDGED_FROM {
        return;
    }
    let grown = last.megabytes - middle.megabytes;
    assert!(grown < MAX_GROWTH, "memory has grown by {grown:.1} MiB");
    let more = last.descriptors - middle.descriptors;
    assert!(more < MAX_MORE_OPEN, "{more:.1} more descriptors are open");
    let more = last.threads - middle.threads;
    assert!(more < 2.0, "{more:.1} more threads run");
}
