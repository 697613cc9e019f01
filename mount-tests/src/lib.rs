//! The harness of pondmount's black-box tests: it runs the built binary on real mounts and links none of its code.
//!
//! * [`run`]: programs with a time limit, and answers worth reading when they fail.
//! * [`pond`] and [`mount`]: a pond in a temporary directory, and a mount that is taken down whatever happens.
//! * [`process`]: daemons held by pidfd, and what the kernel says is mounted.
//! * [`tree`]: everything POSIX knows about a tree, as a value that can be compared.
//! * [`grow`]: generated trees and random edits of them.
//! * [`inject`]: a daemon that meets a fault at one of its system calls.
//! * [`load`]: writers to be killed under, with a model of what they were promised.
//! * [`damage`]: broken files of a pond, and whether anything wrong is ever taken for the truth.
//! * [`disk`]: a small disk under a pond, to be filled up or cut off its power.
//! * [`place`]: the same test body on a plain directory and on a mount.
//! * [`stall`]: a storm of operations under a watchdog that notices one that does not return.
//! * [`stacked`]: bind mounts, overlays and disks in files, which a test puts on top of a mount or below it.
//! * [`sys`] and [`rng`]: thin wrappers, and a random generator that a seed repeats.
//!
//! Settings, all from the environment:
//!
//! | variable | default | |
//! |---|---|---|
//! | `POND_BIN` | `pondmount` in the target directory of this test | the binary under test |
//! | `POND_TEST_DIR` | the system's temporary directory | where ponds and mountpoints are made |
//! | `POND_TEST_PLAIN` | unset | `1`: run the bodies on a plain directory only, which validates the tests |
//! | `POND_TEST_FILES` | 2000 | files of the history test (the full run takes 10000) |
//! | `POND_TEST_KILLS` | 10 | kills of each crash test (the full run takes 50) |
//! | `POND_TEST_CUTS` | 5 | power cuts of each such test |
//! | `POND_TEST_HOUSEKEEPING` | 2 | crashes within each of prune, forget, restore, undo and apply (the full run takes 100) |
//! | `POND_TEST_BOUNDARIES` | 12 | system calls of each kind at which a fault is met; 0 takes all |
//! | `POND_TEST_FLIPS` | 24 | bits that are flipped, one in a pond (the full run takes 2000) |
//! | `POND_TEST_KIND` | all | flips bits only of files whose kind begins so |
//! | `POND_TEST_FULL` | 3 | times that a disk of each kind is filled (the full run takes 50) |
//! | `POND_TEST_MANY` | 5000 | files that are made under a limit of memory (the full run takes 50000) |
//! | `POND_TEST_LARGE_MB` | 256 | the size of the file that is written under it (the full run takes 4096) |
//! | `POND_TEST_SOAK` | 10 | seconds of the mixed load (the full run takes 2700; raise `POND_TEST_LIMIT` with it) |
//! | `POND_TEST_STORM_SECONDS` | 15 | seconds of the storm under a watchdog (the full run takes 1800) |
//! | `POND_TEST_MAPPED_SECONDS` | 5 | seconds of mapped writes beside direct reads and holes (the full run takes 3600) |
//! | `POND_TEST_STALL_MS` | 30000 | how long an operation in it may take (the full run allows 2000) |
//! | `POND_TEST_REMOUNT_MS` | 2000 | how long a mount after a kill may take |
//! | `POND_TEST_DIRECT` | 400 | asynchronous direct writes of each kind that are read back |
//! | `POND_TEST_SEED` | from the clock | repeats a random test; every such test prints its seed |
//! | `POND_TEST_LIMIT` | 900 | seconds after which a mount is killed, so that a hang is a failure |
//! | `POND_TEST_PYTHON` | the venv of `scripts/setup` | a Python with `deltalake`, `pyarrow`, `pandas`, `duckdb` and `blake3` |

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

/// A number from the environment, or its default; a value that is no number is an error, not the default.
pub fn setting<T: FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Err(_) => default,
        Ok(text) => match text.parse() {
            Ok(value) => value,
            Err(_) => panic!("{name}={text}: not a value of the right kind"),
        },
    }
}
