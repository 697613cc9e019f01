//! A stress test under a watchdog: no operation may take longer than a limit, whatever runs with
//! it.
//!
//! [`actors`] repeat small sets of operations on one mount: in derived directories, in the past, on
//! names, on content, by other users, by commands. The test runs them in pairs and all together.
//! Each operation is entered in a [`watch::Watch`] before its system call and removed after it; the
//! watchdog thread looks for one that does not return within the limit. When it finds one, it
//! prints the stacks of all threads of the test and of the daemon ([`dump`]), and aborts the FUSE
//! connection, so that neither the test nor the machine stays stuck. [`mapped`] is a separate load
//! on one file.

pub mod actors;
pub mod dump;
pub mod mapped;
pub mod watch;
