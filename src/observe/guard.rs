//! Keeps a panic in a library's decoder from ending the process.
//!
//! Some libraries panic on some damaged input, and a damaged file must not stop the daemon. The
//! modules that read files from a disk call such decoders through [`guarded`].
//!
//! After a panic the caller must not use anything that the call was changing. The panic is logged
//! at debug level only, because the caller reports what is damaged.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};

thread_local! {
    /// Whether [`guarded`] catches a panic of this thread.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Returns the result of `decode`, or `None` if it panics.
pub fn guarded<T>(decode: impl FnOnce() -> T) -> Option<T> {
    let outer = GUARDED.replace(true);
    let decoded = catch_unwind(AssertUnwindSafe(decode)).ok();
    GUARDED.set(outer);
    decoded
}

/// Sets a panic hook that calls `tell`, except for panics that [`guarded`] catches.
pub(super) fn tell_panics(tell: impl Fn(&PanicHookInfo<'_>) + Send + Sync + 'static) {
    set_hook(Box::new(move |panic| match GUARDED.get() {
        true => tracing::debug!("a library panicked while decoding: {panic}"),
        false => tell(panic),
    }));
}

/// Returns whether a panic of this thread would be caught by [`guarded`].
#[cfg(test)]
pub(crate) fn is_guarded() -> bool {
    GUARDED.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_of_a_decoder_becomes_none() {
        assert_eq!(guarded(|| 7), Some(7));
        assert_eq!(guarded(|| Vec::<u8>::new()[0]), None);
        assert!(!GUARDED.get());
    }
}
