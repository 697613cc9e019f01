//! Runs the same operations on a mount and on a plain directory, and compares all results.
//!
//! In: a seed. Out: nothing, or the first difference with the operations that led to it. A sequence
//! is plain data: it is chosen without looking at any tree, so that it can be run again, and
//! shortened.
//!
//! * [`op`]: the operations. [`choose`] draws sequences of them, [`known`] has the exceptions.
//! * [`world`]: a thread whose root is one directory, with open files and a user. [`perform`] runs
//!   operations there.
//! * [`look`]: the `stat` results of everything in that world.
//! * [`compare`]: the differences of two runs of a sequence. [`shrink`]: shortens the sequence.
//! * [`plain`]: the plain directory, mounted like a pond. [`storm`]: many workers at once.

pub mod choose;
pub mod compare;
pub mod known;
pub mod look;
pub mod op;
pub mod perform;
pub mod plain;
pub mod shrink;
pub mod storm;
pub mod world;
