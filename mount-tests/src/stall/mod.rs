//! A storm of operations under a watchdog: how long does any operation take, whatever runs beside it?
//!
//! [`actors`] repeat small sets of operations on one mount: in derived directories, in the past, on names, on content,
//! by other users, by commands. The test runs them in pairs and all together. Each operation is entered in a
//! [`watch::Watch`] before its system call and left after it; the watchdog thread looks for one that does not return
//! within the limit. When it finds one, it prints where every thread of the test and of the daemon stands
//! ([`dump`]), and aborts the FUSE connection, so that a hang leaves neither the test nor the machine stuck.
//! [`mapped`] is a load of its own, on one file.

pub mod actors;
pub mod dump;
pub mod mapped;
pub mod watch;
