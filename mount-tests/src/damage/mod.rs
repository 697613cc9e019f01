//! Damage to the files of a pond, and whether it is ever taken for valid data.
//!
//! * [`garden`]: a pond with a past, created once, whose trees are known; copied for every damage.
//! * [`kind`]: the kinds of a pond's files, so that each is damaged.
//! * [`look`]: compares a mounted tree with the expected one, where reads may fail.
//! * [`verdict`]: the effect of one damage, and a table of many.

pub mod garden;
pub mod kind;
pub mod look;
pub mod verdict;
