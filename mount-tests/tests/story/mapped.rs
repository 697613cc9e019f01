//! Direct reads, mapped writes, punched holes and changes of size of one file, beside each other and under a watchdog:
//! every call returns, every word is one that was written or zero, and all ways to read the file agree.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use mount_tests::pond::Pond;
use mount_tests::rng::Rng;
use mount_tests::stall::dump::Connection;
use mount_tests::stall::mapped::{ALL, MappedFile};
use mount_tests::stall::watch::Watch;
use serde_json::Value;

/// How long all of them work until the views of the file are compared.
const ROUND: Duration = Duration::from_secs(1);

#[test]
fn direct_reads_mapped_writes_and_holes_of_one_file_all_return() {
    let seconds: u64 = mount_tests::setting("POND_TEST_MAPPED_SECONDS", 5);
    let limit = Duration::from_millis(mount_tests::setting("POND_TEST_STALL_MS", 30_000));
    let mut rng = Rng::for_test("mapped");
    let pond = Pond::new();
    let mount = pond.mount_with(&["-o", "commit=1"]);
    let file = MappedFile::new(mount.join("mapped"));
    let status = mount.join(".pond/status");
    let connection = Connection::of(mount.path());
    let watch = Watch::new(limit, mount.daemon().pid(), connection, status.clone());
    let until = Instant::now() + Duration::from_secs(seconds);
    let (mut rounds, mut requests, mut failed) = (0, Value::Null, None);
    thread::scope(|scope| {
        scope.spawn(|| watch.guard());
        let clock = watch.clock("compares");
        while !watch.ended() && Instant::now() < until && file.wrong().is_none() {
            failed = round(&file, &watch, &mut rng);
            let compared = failed
                .is_none()
                .then(|| file.compare_views(&clock, &mut rng));
            if let Some(Err(error)) = compared {
                failed = Some(format!("compares: {error}"));
            }
            if failed.is_some() {
                break;
            }
            rounds += 1;
            let text = clock.op("read, .pond/status", || fs::read_to_string(&status));
            let status: Option<Value> = text.ok().and_then(|text| serde_json::from_str(&text).ok());
            requests = status.map_or(Value::Null, |status| status["requests"].clone());
        }
        watch.end();
    });
    print!("{}", watch.figures("mapped"));
    if let Some(stall) = watch.stall() {
        panic!("{}", stall.lines().next().unwrap_or_default());
    }
    assert_eq!(file.wrong(), None, "after {rounds} rounds, {requests}");
    assert_eq!(failed, None, "after {rounds} rounds");
    println!(
        "mapped: {rounds} rounds, longest operation {:?}; requests: {requests}; {} pages were zeroed by the kernel",
        watch.longest(),
        file.zeroed()
    );
    assert!(rounds > 0, "it proved nothing");
    let before = fs::read(file.path()).expect("read the file");
    let mount = mount.remount_without_index();
    assert!(
        fs::read(file.path()).expect("read the file") == before,
        "the file is another after it was mounted again"
    );
    mount.unmount();
    pond.check();
}

/// Runs all actors beside each other for a while. Returns why one of them failed, if one did.
fn round(file: &MappedFile, watch: &Watch, rng: &mut Rng) -> Option<String> {
    let over = Instant::now() + ROUND;
    thread::scope(|scope| {
        let actors: Vec<_> = ALL
            .iter()
            .map(|actor| {
                let mut rng = rng.fork();
                scope.spawn(move || {
                    let clock = watch.clock(actor.0);
                    let acted = file.act(*actor, &clock, &mut rng, || Instant::now() >= over);
                    acted.err().map(|error| format!("{}: {error}", actor.0))
                })
            })
            .collect();
        let ended = actors
            .into_iter()
            .map(|actor| actor.join().expect("an actor"));
        ended.collect::<Vec<_>>().into_iter().flatten().next()
    })
}
