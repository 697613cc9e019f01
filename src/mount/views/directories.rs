//! Reading open directories.

use crate::mount::vfs::{GENERATION, Vfs, attr_valid, name_valid};
use crate::mount::views::attr::{FOR_EVER, NOT_AT_ALL, file_type, no_entry};
use crate::mount::views::inodes::View;
use crate::mount::views::listing::{Item, Listing};
use crate::mount::views::names::Lookup;
use crate::tinyfs::{Errno, FsResult};
use fuser::{FileType, INodeNo, ReplyDirectoryPlus};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

impl Vfs {
    /// Passes entries of the open directory to `add`, from the one behind `offset` on, until it
    /// reports a full buffer. `add` also learns whether the listing is as the directory is now.
    pub(in crate::mount) fn read_directory(
        &self,
        ino: u64,
        handle: u64,
        offset: u64,
        add: &mut dyn FnMut(&Item, bool) -> FsResult<bool>,
    ) -> FsResult<()> {
        let handle = self.handles.get(handle).ok_or(Errno::ESTALE)?;
        let mut kept = handle.lock();
        let mut listing = match kept.take() {
            Some(listing) if offset > 0 => listing,
            _ => self.list(ino)?,
        };
        let fresh = self.is_fresh(ino, &listing)?;
        let rest = listing.behind(offset);
        let at_end = rest.is_empty();
        for item in rest {
            if add(item, fresh)? {
                break;
            }
        }
        if at_end {
            // A later READDIR from this position must start again.
            listing.items = Vec::new();
        } else {
            *kept = Some(listing);
        }
        Ok(())
    }

    /// Returns whether a listing is up to date; the kernel locks the directory meanwhile.
    fn is_fresh(&self, ino: u64, listing: &Listing) -> FsResult<bool> {
        match listing.changed {
            None => Ok(true),
            Some(changed) => Ok(self.node(self.view(ino)?)?.ctime == changed),
        }
    }

    /// Adds one entry with its attributes; the kernel holds a reference to it from then on. Returns
    /// whether the buffer was full.
    pub(in crate::mount) fn add_plus(
        &self,
        ino: u64,
        item: &Item,
        fresh: bool,
        reply: &mut ReplyDirectoryPlus,
    ) -> FsResult<bool> {
        let name = OsStr::from_bytes(&item.name);
        let position = item.position;
        if matches!(&*item.name, b"." | b"..") {
            let mut attr = no_entry();
            attr.ino = INodeNo(self.entry_number(ino, item));
            attr.kind = FileType::Directory;
            return Ok(reply.add(attr.ino, position, name, &FOR_EVER, &attr, GENERATION));
        }
        if let View::Derived { .. } = item.view {
            // Its attributes may take long: only its name is sent, and the kernel requests them
            // when needed. `fuser` counts a reference of the kernel to the number all the same.
            let mut attr = no_entry();
            attr.ino = INodeNo(self.inodes.hold(item.view));
            attr.kind = file_type(item.kind);
            let held = attr.ino;
            let full = reply.add(held, position, name, &NOT_AT_ALL, &attr, GENERATION);
            if full {
                self.forget(held.0, 1);
            }
            return Ok(full);
        }
        let found = match fresh {
            true => match self.node(item.view) {
                Ok(node) => self.found(item.view, &node)?,
                Err(error) if error.errno() == Errno::ENOENT => return Ok(false),
                Err(error) => return Err(error),
            },
            // The name may be gone or lead elsewhere; this listing does not report that.
            false => match self.lookup(ino, &item.name)? {
                Lookup::Found(found) => found,
                Lookup::Absent(_) | Lookup::AbsentNow => return Ok(false),
            },
        };
        let valid = name_valid(item.view).min(attr_valid(item.view));
        self.note_parent(ino, &found);
        let (attr, generation) = (&found.attr, found.generation);
        let full = reply.add(attr.ino, position, name, &valid, attr, generation);
        if full {
            self.forget(attr.ino.0, 1);
        }
        Ok(full)
    }
}
