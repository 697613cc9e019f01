//! What runs out: room, descriptors, memory. It is told where it happens, nothing acknowledged is lost, and the mount
//! goes on when there is enough again.

mod descriptors;
mod memory;
mod room;
mod small;
