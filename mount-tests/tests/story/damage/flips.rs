//! One random bit, in every kind of file of a pond: what is read is right or an error, and damage is told.

use std::path::Path;
use std::time::Instant;

use mount_tests::damage::garden::{End, Garden};
use mount_tests::damage::kind::{Flip, by_kind};
use mount_tests::damage::verdict::{Table, Verdict, judge};
use mount_tests::rng::Rng;
use mount_tests::setting;

#[test]
fn a_flipped_bit_in_a_pond_that_was_closed_is_never_taken_for_the_truth() {
    flips("flips, closed", End::Closed);
}

#[test]
fn a_flipped_bit_in_a_pond_that_was_killed_is_never_taken_for_the_truth() {
    flips("flips, killed", End::Killed);
}

#[test]
fn a_flipped_bit_in_a_pond_without_an_index_is_never_taken_for_the_truth() {
    flips("flips, no index", End::Unindexed);
}

/// The harness itself: a wrong that nobody is told of must be found.
#[test]
fn a_silent_wrong_is_found_out() {
    type Plant<'p> = (&'p str, &'p dyn Fn(&mut Garden));
    let wrongs: [Plant<'_>; 3] = [
        ("bytes", &|garden| {
            let file = garden.trees[0].1.0.get_mut(Path::new("a/f3"));
            file.expect("a file").content ^= 1;
        }),
        ("silently wrong", &|garden| {
            let file = garden.trees[3].1.0.get_mut(Path::new("moved/f2"));
            file.expect("a file").mode = 0o4000;
        }),
        ("not listed", &|garden| {
            let tree = &mut garden.trees[1].1.0;
            tree.insert("a/lost".into(), tree[Path::new("a/f0")].clone());
        }),
    ];
    for (wrong, plant) in wrongs {
        let mut garden = Garden::grow(End::Closed);
        assert_eq!(
            judge(&garden, &garden.copy()),
            Verdict::Harmless,
            "of no damage"
        );
        plant(&mut garden);
        match judge(&garden, &garden.copy()) {
            Verdict::Silent(said) => assert!(said.contains(wrong), "{said}"),
            other => panic!("{wrong}: {other:?}"),
        }
    }
}

#[track_caller]
fn flips(name: &str, end: End) {
    // A third of the flips for each end.
    let count = setting("POND_TEST_FLIPS", 24_usize).div_ceil(3);
    let mut rng = Rng::for_test(name);
    let garden = Garden::grow(end);
    let mut kinds = by_kind(&garden.store());
    let only: String = setting("POND_TEST_KIND", String::new());
    kinds.retain(|kind, _| kind.starts_with(&only));
    let (mut table, start, mut faults) = (Table::default(), Instant::now(), Vec::new());
    for (kind, files) in kinds.iter().cycle().take(count) {
        let pond = garden.copy();
        let flip = Flip::choose(&pond.store(), files, &mut rng);
        flip.apply(&pond.store()).expect("flip a bit");
        let told = TellWhatPanics(&flip);
        let verdict = judge(&garden, &pond);
        drop(told);
        table.count(kind, &verdict);
        // Every byte of the segments is in a tree that was read.
        let found = kind != "segment" || verdict != Verdict::Harmless;
        if verdict.fault().is_some() || !found {
            println!("{name}: {flip:?}: {verdict:?}");
            faults.push(format!("{kind}: {flip:?}"));
        }
    }
    println!(
        "{name}: {:.1?} a flip\n{table}",
        start.elapsed() / count as u32
    );
    assert!(
        faults.is_empty(),
        "{name}: {} faults: {faults:#?}",
        faults.len()
    );
}

/// Says which flip it was, whatever fails.
struct TellWhatPanics<'f>(&'f Flip);

impl Drop for TellWhatPanics<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the flip was {:?}", self.0);
        }
    }
}
