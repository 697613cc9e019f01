//! Keeps a panic of a decoder from ending the program.
//!
//! Role: the Parquet and Arrow libraries answer some damaged input by a panic; what is read from a
//! disk must not be able to do that to us. In: a call of a decoder. Out: what it returned, or
//! nothing. Holds always: what the call was about to change is not used again after it panicked.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `decode` returns, or `None` where it panicked.
pub(super) fn guarded<T>(decode: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(decode)).ok()
}
