//! What others may do to a pond, and what a pond may do to others: one test for each line of `docs/security.md`.

mod forged;
mod hostile;
mod others;
mod secrets;
