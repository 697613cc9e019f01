//! Content that waits in memory: backpressure on writers, and a disk that refuses writes.

use super::world::World;
use crate::disk::sim::Faults;
use crate::pond::Pond;
use crate::tinyfs::ops::{Caller, NewNode};
use crate::tinyfs::{Errno, Kind, Name, NodeId, Time, Version};
use std::sync::Arc;
use std::sync::mpsc::{TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const CALLER: Caller = Caller {
    uid: 0,
    gid: 0,
    member: true,
    now: Time {
        sec: 1_700_000_000,
        nsec: 5,
    },
};
const PIECE: usize = 1 << 20;
/// Bytes of content at which writers wait.
const WAIT_AT: u64 = 32 << 20;
const LONG: Duration = Duration::from_secs(60);

fn world() -> World {
    let world = World::new(7, Faults::default());
    world.disk.set_hook(None);
    world
}

fn file(pond: &Pond, name: &str) -> NodeId {
    let new = NewNode {
        kind: Kind::File,
        mode: 0o644,
        rdev: 0,
        target: b"",
    };
    let name = Name::new(name.as_bytes()).unwrap();
    pond.create(&CALLER, NodeId::ROOT, &name, &new).unwrap().0
}

/// Starts the spilling thread.
fn spilling(pond: &Arc<Pond>) -> JoinHandle<()> {
    let pond = pond.clone();
    thread::spawn(move || pond.spill_until_stopped())
}

#[test]
fn a_write_is_applied_at_once_and_answered_when_there_is_memory() {
    let world = world();
    let pond = world.pond();
    let id = file(pond, "f");
    let (go, wait) = channel::<()>();
    // The store stalls at the first call.
    world.disk.set_hook(Some(Box::new(move || {
        wait.recv().ok();
    })));
    let spilling = spilling(pond);
    let (tell, told) = channel();
    let mut size = 0;
    let mut write = |n: usize| {
        let tell = tell.clone();
        let bytes = vec![n as u8; PIECE];
        pond.write_then(&CALLER, id, size, &bytes, move |done| {
            tell.send(done.map(|()| n)).unwrap();
        });
        size += PIECE as u64;
        // The written data is there, whether the write was answered or not.
        assert_eq!(pond.node(Version::NOW, id).unwrap().size, size);
        let read = pond.read(Version::NOW, id, size - 3, 3).unwrap();
        assert_eq!(read, [n as u8; 3]);
    };
    let mut answered = 0;
    for n in 0.. {
        write(n);
        match told.try_recv() {
            Ok(done) => answered += done.map(|_| 1).unwrap(),
            Err(TryRecvError::Empty) => break,
            Err(error) => panic!("{error}"),
        }
        assert!(n < 100, "nobody waits");
    }
    assert!(answered >= 31, "{answered}");
    (answered + 1..answered + 4).for_each(&mut write);
    assert!(matches!(told.try_recv(), Err(TryRecvError::Empty)));
    drop(go);
    let mut late: Vec<usize> = (0..4)
        .map(|_| told.recv_timeout(LONG).unwrap().unwrap())
        .collect();
    late.sort_unstable();
    assert_eq!(late, (answered..answered + 4).collect::<Vec<_>>());
    pond.spiller.stop();
    spilling.join().unwrap();
}

#[test]
fn what_cannot_be_spilled_refuses_writes_and_memory_is_bounded() {
    let world = world();
    let pond = world.pond();
    let id = file(pond, "f");
    let spilling = spilling(pond);
    world.disk.set_faults(Faults {
        writes: 1000,
        ..Faults::default()
    });
    let mut refused = 0;
    for n in 0..200u64 {
        let bytes = vec![n as u8; PIECE];
        match pond.write(&CALLER, id, n * PIECE as u64, &bytes) {
            Ok(_) => {}
            Err(error) => {
                assert!(
                    [Errno::EIO, Errno::ENOSPC].contains(&error.errno()),
                    "{error:?}"
                );
                refused += 1;
            }
        }
    }
    assert!(refused > 100, "{refused}");
    let unsettled = pond.index.dirty().unsettled;
    assert!(unsettled <= WAIT_AT + 2 * PIECE as u64, "{unsettled}");
    // When the disk works again, writers do too.
    world.disk.set_faults(Faults::default());
    let start = Instant::now();
    while pond.write(&CALLER, id, 0, &vec![1; PIECE]).is_err() {
        assert!(start.elapsed() < LONG);
        thread::sleep(Duration::from_millis(10));
    }
    pond.spiller.stop();
    spilling.join().unwrap();
}
