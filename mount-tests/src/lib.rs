//! The harness of pondmount's black-box tests. It runs the built binary on real mounts and links
//! none of its code.
//!
//! * [`run`]: programs with a time limit, and detailed reports of their failures.
//! * [`pond`] and [`mount`]: a pond in a temporary directory, and a mount that is always removed.
//! * [`process`]: daemons by pidfd, and the kernel's mount table.
//! * [`tree`]: everything that POSIX reports about a tree, as a value that can be compared.
//! * [`grow`]: generated trees and random edits of them.
//! * [`inject`]: a daemon with a fault injected at one of its system calls.
//! * [`load`]: writers that run during a crash, with a model of what was acknowledged.
//! * [`damage`]: damaged files of a pond, and whether wrong data is ever returned.
//! * [`disk`]: a small disk under a pond, to be filled up or to have its power cut.
//! * [`place`]: the same test body on a plain directory and on a mount.
//! * [`side`]: random operations on a mount and on a plain directory, compared.
//! * [`stall`]: a stress test under a watchdog that detects an operation that does not return.
//! * [`stacked`]: bind mounts, overlays and loop devices on top of a mount or below it.
//! * [`sys`] and [`rng`]: thin wrappers, and a random generator that a seed repeats.
//!
//! Settings, all from the environment; "full" is the value of the full run:
//!
//! | variable | default | |
//! |---|---|---|
//! | `POND_BIN` | `pondmount` in the target directory of this test | the binary under test |
//! | `POND_TEST_DIR` | the system's temporary directory | where ponds and mountpoints are made |
//! | `POND_TEST_PLAIN` | unset | `1`: plain directory only, which validates the tests |
//! | `POND_TEST_FILES` | 2000 | files of the history test (full: 10000) |
//! | `POND_TEST_KILLS` | 10 | kills of each crash test (full: 50) |
//! | `POND_TEST_CUTS` | 5 | power cuts of each such test |
//! | `POND_TEST_HOUSEKEEPING` | 2 | crashes in prune, forget, restore, undo, apply (full: 100) |
//! | `POND_TEST_BOUNDARIES` | 12 | system calls of each kind with an injected fault; 0 takes all |
//! | `POND_TEST_FLIPS` | 24 | bits that are flipped, one in a pond (full: 2000) |
//! | `POND_TEST_KIND` | all | flips bits only of files whose kind begins so |
//! | `POND_TEST_FULL` | 3 | times that a disk of each kind is filled (full: 50) |
//! | `POND_TEST_MANY` | 5000 | files that are made under a limit of memory (full: 50000) |
//! | `POND_TEST_LARGE_MB` | 256 | size of the file that is written under it (full: 4096) |
//! | `POND_TEST_SOAK` | 10 | seconds of mixed load (full: 2700, with a higher `POND_TEST_LIMIT`) |
//! | `POND_TEST_STORM_SECONDS` | 15 | seconds of the storm under a watchdog (full: 1800) |
//! | `POND_TEST_MAPPED_SECONDS` | 5 | seconds of mapped writes, reads, holes (full: 3600) |
//! | `POND_TEST_STALL_MS` | 30000 | longest time of an operation in it (full: 2000) |
//! | `POND_TEST_REMOUNT_MS` | 2000 | longest time of a mount after a kill |
//! | `POND_TEST_DIRECT` | 400 | asynchronous direct writes of each kind that are read back |
//! | `POND_TEST_SEED` | from the clock | repeats a random test; every such test prints its seed |
//! | `POND_TEST_LIMIT` | 900 | seconds after which a mount is killed, so that a hang is a failure |
//! | `POND_TEST_PYTHON` | of `scripts/setup` | with `deltalake`, `pyarrow`, `pandas`, `duckdb`, … |

pub mod damage;
pub mod disk;
pub mod grow;
pub mod inject;
pub mod load;
pub mod mount;
pub mod place;
pub mod pond;
pub mod process;
pub mod rng;
pub mod run;
pub mod side;
pub mod stacked;
pub mod stall;
pub mod sys;
pub mod tree;

use std::str::FromStr;

/// Returns a number from the environment, or its default; fails for a value that is not a number.
pub fn setting<T: FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Err(_) => default,
        Ok(text) => match text.parse() {
            Ok(value) => value,
            Err(_) => panic!("{name}={text}: not a value of the right kind"),
        },
    }
}
