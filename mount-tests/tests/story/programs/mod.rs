//! The programs people use: they find a file system they can trust, and it finds nothing missing afterwards.

mod archives;
mod builders;
mod containers;
mod databases;
mod editors;
mod git;
mod images;
mod python;
mod space;
mod tools;
mod watchers;
