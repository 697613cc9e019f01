//! Keeps a panic of a decoder from ending the program.
//!
//! Role: some libraries answer some damaged input by a panic; what is read from a disk must not be
//! able to do that to us. In: a call of a decoder. Out: what it returned, or nothing. Holds always:
//! what the call was about to change is not used again after it panicked; such a panic is no news
//! but for who looks for causes, since the caller says what was damaged.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};

thread_local! {
    /// Whether a panic of this thread is caught.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// What `decode` returns, or `None` where it panicked.
pub fn guarded<T>(decode: impl FnOnce() -> T) -> Option<T> {
    let outer = GUARDED.replace(true);
    let decoded = catch_unwind(AssertUnwindSafe(decode)).ok();
    GUARDED.set(outer);
    decoded
}

/// Has all panics but those that are caught here told by `tell`.
pub(super) fn tell_panics(tell: impl Fn(&PanicHookInfo<'_>) + Send + Sync + 'static) {
    set_hook(Box::new(move |panic| match GUARDED.get() {
        true => tracing::debug!("a library gave up on what it was to decode: {panic}"),
        false => tell(panic),
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_answer() {
        assert_eq!(guarded(|| 7), Some(7));
        assert_eq!(guarded(|| Vec::<u8>::new()[0]), None);
        assert!(!GUARDED.get());
    }
}
