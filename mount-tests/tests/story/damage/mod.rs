//! Damage to the files of a pond: nothing wrong is ever taken for the truth, and the user is told.

mod flips;
mod surgery;
