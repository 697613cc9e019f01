//! Damage to the files of a pond, and whether it is ever taken for the truth.
//!
//! * [`garden`]: a pond with a past, grown once, whose trees are known and which is copied for every damage.
//! * [`kind`]: what the files of a pond are, so that every kind is met.
//! * [`look`]: a mounted tree held against the one that is expected, where reading may fail.
//! * [`verdict`]: what came of one damage, and a table of many.

pub mod garden;
pub mod kind;
pub mod look;
pub mod verdict;
