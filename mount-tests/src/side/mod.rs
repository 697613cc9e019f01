//! The same operations side by side on a mount and on a plain directory, which must tell the same of everything.
//!
//! In: a seed. Out: nothing, or the first difference with the operations that led to it. A sequence is plain data:
//! it is chosen without looking at any tree, so that it can be run again, and made shorter.
//!
//! * [`op`]: what an operation is. [`choose`] draws sequences of them, [`known`] says which are left out and why.
//! * [`world`]: a thread whose root is one directory, with open files and a user. [`perform`] runs operations there.
//! * [`look`]: what `stat` tells of everything in that world.
//! * [`compare`]: what two runs of a sequence disagree on. [`shrink`]: the same with fewer operations.
//! * [`plain`]: the plain directory, mounted as a pond is. [`storm`]: many workers at once.

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
