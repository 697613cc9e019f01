//! What pondmount promises, told as tests on real mounts. Read the modules in this order.
//!
//! Run one with `cargo test -p mount-tests --test story NAME`. The settings are in the harness (`src/lib.rs`).

mod basics;
mod clock;
mod crash;
mod damage;
mod delta;
mod derived;
mod entries;
mod errors;
mod exhaustion;
mod handles;
mod head_of_line;
mod history;
mod itself;
mod kept;
mod lifecycle;
mod limits;
mod mapped;
mod mending;
mod mount8;
mod moved;
mod old;
mod past;
mod posix;
mod programs;
mod promises;
mod security;
mod semantics;
mod side_by_side;
mod silent;
mod soak;
mod sql;
mod storm;
mod travel;
mod trouble;
mod users;
