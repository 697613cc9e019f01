//! Random parts of operations: paths, targets, sizes, times and names of attributes.

use rustix::fs::{Timespec, UTIME_NOW, UTIME_OMIT};

use crate::rng::Rng;
use crate::side::op::{Base, Data, Octal, Place, SLOTS, Target, Text};

/// At first `a` and `b` are directories, `c` and `e` files, and `d` is a link.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const PARENTS: [&str; 4] = ["a", "a", "b", "d"];
const CHILDREN: [&str; 3] = ["b", "c", "f"];

pub fn slot(rng: &mut Rng) -> usize {
    rng.below(SLOTS)
}

pub fn place(rng: &mut Rng) -> Place {
    let base = match rng.below(12) {
        0 => Base::Cwd,
        1 => Base::Slot(slot(rng)),
        _ => Base::Root,
    };
    let path = path(rng);
    Place { base, path }
}

/// Returns mostly a name at the top or one level below, sometimes an unusual path.
fn path(rng: &mut Rng) -> Text {
    let (name, other) = (*rng.pick(&NAMES), *rng.pick(&NAMES));
    let (parent, child) = (*rng.pick(&PARENTS), *rng.pick(&CHILDREN));
    let path = match rng.below(60) {
        0..28 => name.to_string(),
        28..41 => format!("{parent}/{child}"),
        41..44 => format!("{name}/{other}"),
        44 => format!("{name}/"),
        45 => format!("{name}/."),
        46 => format!("{name}/.."),
        47 => format!("./{name}"),
        48 => format!("{name}//{other}/"),
        49 => format!("{name}/../{other}"),
        50 => format!("/{name}"),
        51 => format!("{name}/{other}/{name}"),
        52 => return Text(odd(rng)),
        _ => name.to_string(),
    };
    Text(path.into_bytes())
}

fn odd(rng: &mut Rng) -> Vec<u8> {
    match rng.below(10) {
        0 => Vec::new(),
        1 => b".".to_vec(),
        2 => b"..".to_vec(),
        3 => b"/".to_vec(),
        4 => vec![b'n'; 255],
        5 => vec![b'n'; 256],
        6 => b"\xff\xfe\x80".to_vec(),
        7 => b"line\nbreak".to_vec(),
        8 => [b"a/".repeat(2048), b"b".to_vec()].concat(),
        _ => "\u{fc}/b".into(),
    }
}

pub fn link_target(rng: &mut Rng) -> Text {
    let long = vec![b't'; *rng.pick(&[59, 60, 255, 1000, 4000])];
    match rng.below(10) {
        0 => Text(b"d".to_vec()),
        1 => Text(b"../c".to_vec()),
        2 => Text(b"nowhere".to_vec()),
        3 => Text(long),
        4 => Text(b"/a/".to_vec()),
        5 => Text(b".".to_vec()),
        6 => Text(Vec::new()),
        _ => path(rng),
    }
}

pub fn target(rng: &mut Rng) -> Target {
    match rng.below(10) {
        0..5 => Target::Path(place(rng)),
        5 | 6 => Target::Link(place(rng)),
        _ => Target::Slot(slot(rng)),
    }
}

pub fn bits(rng: &mut Rng) -> Octal {
    Octal(*rng.pick(&[
        0, 0o400, 0o600, 0o644, 0o666, 0o700, 0o755, 0o777, 0o070, 0o007, 0o1777, 0o2755, 0o2745,
        0o2777, 0o4755, 0o4711, 0o6755, 0o6666, 0o7777,
    ]))
}

/// Returns a length or offset: small ones more often, with those around pages and blocks.
pub fn length(rng: &mut Rng) -> usize {
    const EDGES: [usize; 8] = [4095, 4096, 4097, 8192, 10_000, 65_536, 131_073, 200_000];
    match rng.below(6) {
        0 => 0,
        1 | 2 => rng.below(20),
        3 => rng.below(5000),
        4 => *rng.pick(&EDGES[..5]),
        _ => *rng.pick(&EDGES),
    }
}

/// Returns an offset or a new size; rarely a negative one.
pub fn offset(rng: &mut Rng) -> u64 {
    match rng.below(30) {
        0 => u64::MAX,
        1 => 1 << 20,
        _ => length(rng) as u64,
    }
}

pub fn data(rng: &mut Rng) -> Data {
    Data {
        len: length(rng),
        seed: rng.number() as u8,
    }
}

/// Returns a time within the range of an inode of the plain side: from 1901 to 2446.
pub fn time(rng: &mut Rng) -> Timespec {
    let (tv_sec, tv_nsec) = match rng.below(10) {
        0..2 => (0, UTIME_NOW),
        2..4 => (0, UTIME_OMIT),
        4 => (*rng.pick(&[-1, -1_000_000_000, -2_147_483_000]), 500),
        5 => (
            *rng.pick(&[2_147_483_648, 4_294_967_296, 15_000_000_000]),
            1,
        ),
        6 => (0, *rng.pick(&[0, 999_999_999, 1_000_000_000, -1])),
        _ => (
            rng.below(1_500_000_000) as i64,
            rng.below(1_000_000_000) as i64,
        ),
    };
    Timespec { tv_sec, tv_nsec }
}

/// Returns the name of an attribute: mostly one of few, sometimes an unusual one.
pub fn attribute(rng: &mut Rng) -> Text {
    let long = |len: usize| [&b"user."[..], &vec![b'n'; len]].concat();
    let name: &[u8] = match rng.below(50) {
        0..22 => b"user.one",
        22..28 => b"user.two",
        28..32 => b"user.large",
        32 => b"user.a/b",
        33 => b"user.\xff\xfe",
        34 => b"user.",
        35 => b"user",
        36 => b"",
        37 => b"system.unknown",
        38 => b"nothing.at.all",
        39..42 => b"trusted.one",
        42..44 => b"security.one",
        44 => return Text(long(250)),
        45 => return Text(long(251)),
        _ => b"user.three",
    };
    Text(name.to_vec())
}

/// Returns a value that fits into the 4 KB that the plain side has for all of them.
pub fn attribute_value(rng: &mut Rng, name: &Text) -> Data {
    let len = match rng.below(20) {
        0 => 65_537,
        1..4 => 0,
        _ if name.0 == b"user.large" => *rng.pick(&[100, 1000, 2000]),
        _ => rng.below(100),
    };
    Data {
        len,
        seed: rng.number() as u8,
    }
}

/// Returns the size of a caller's buffer: none (to query the size), too little, or enough.
pub fn room(rng: &mut Rng) -> usize {
    *rng.pick(&[0, 1, 10, 50, 65_536, 65_536, 65_536, 65_536])
}

pub fn owner(rng: &mut Rng) -> Option<u32> {
    use crate::side::world::{ALICE, BOB, CLUB};
    *rng.pick(&[None, None, Some(0), Some(ALICE), Some(BOB), Some(CLUB)])
}
