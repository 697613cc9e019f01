//! Data of files in the reference.

use super::reference::{Answer, Plain, Reference};
use crate::tinyfs::ops::Caller;
use crate::tinyfs::{Errno, Kind};
use std::ops::Range;
use std::rc::Rc;

impl Reference {
    fn file(&mut self, id: u64) -> Result<&mut Plain, Errno> {
        let node = self.nodes.get_mut(&id).ok_or(Errno::ENOENT)?;
        match node.kind {
            Kind::File => Ok(node),
            Kind::Directory => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Changes the bytes of a file.
    fn change(&mut self, caller: &Caller, id: u64, change: impl FnOnce(&mut Vec<u8>)) -> Answer {
        let node = self.file(id)?;
        change(Rc::make_mut(&mut node.data));
        (node.mtime, node.ctime) = (caller.now, caller.now);
        if caller.uid != 0 {
            node.lose_set_id(caller);
        }
        Ok(())
    }

    pub fn truncate(&mut self, caller: &Caller, id: u64, size: u64) -> Answer {
        self.change(caller, id, |data| data.resize(size as usize, 0))
    }

    pub fn write(&mut self, caller: &Caller, id: u64, offset: u64, bytes: &[u8]) -> Answer {
        if bytes.is_empty() {
            return self.file(id).map(|_| ());
        }
        self.change(caller, id, |data| put(data, offset as usize, bytes))
    }

    pub fn zero(&mut self, caller: &Caller, id: u64, range: Range<u64>, min: u64) -> Answer {
        self.change(caller, id, |data| {
            data.resize(data.len().max(min as usize), 0);
            let end = data.len().min(range.end as usize);
            if let Some(zeroed) = data.get_mut(range.start as usize..end) {
                zeroed.fill(0);
            }
        })
    }

    pub fn copy(
        &mut self,
        caller: &Caller,
        (from, at): (u64, u64),
        (to, offset): (u64, u64),
        len: u64,
    ) -> Result<u64, Errno> {
        let source = self.file(from)?.data.clone();
        self.file(to)?;
        let rest = source.get(at as usize..).unwrap_or_default();
        let bytes = &rest[..rest.len().min(len as usize)];
        let count = bytes.len() as u64;
        if from == to && count > 0 && at < offset + count && offset < at + count {
            return Err(Errno::EINVAL);
        }
        self.write(caller, to, offset, bytes)?;
        Ok(count)
    }
}

fn put(data: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    data.resize(data.len().max(end), 0);
    data[offset..end].copy_from_slice(bytes);
}
