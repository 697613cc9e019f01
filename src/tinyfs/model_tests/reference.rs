//! A plain file system as a reference: nodes in a map, bytes in vectors, links counted by a scan.
//!
//! It follows the manual pages, not the code under test, and is kept simple.

use crate::tinyfs::ops::{Caller, RenameMode, SetAttr, SetXattr};
use crate::tinyfs::{AttrName, Errno, Kind, Name, Time};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A node with its data, entries and attributes.
#[derive(Clone, Debug)]
pub struct Plain {
    pub kind: Kind,
    pub mode: u16,
    pub owner: (u32, u32),
    pub rdev: u32,
    pub atime: Time,
    pub mtime: Time,
    pub ctime: Time,
    pub btime: Time,
    pub target: Vec<u8>,
    pub data: Rc<Vec<u8>>,
    pub entries: BTreeMap<Name, u64>,
    pub xattrs: BTreeMap<AttrName, Vec<u8>>,
}

/// The file system. Clones share the bytes of files.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    pub nodes: BTreeMap<u64, Plain>,
}

pub(super) type Answer = Result<(), Errno>;

impl Reference {
    /// Returns an empty file system whose root has the id `root`.
    pub fn new(root: u64, caller: &Caller, mode: u16) -> Reference {
        let plain = Plain::new(Kind::Directory, mode, caller);
        Reference {
            nodes: BTreeMap::from([(root, plain)]),
        }
    }

    /// Returns the number of names of a node; for a directory 2 plus the number of subdirectories.
    pub fn nlink(&self, id: u64) -> u32 {
        let is_dir = |id: &u64| self.nodes[id].kind == Kind::Directory;
        let count = if is_dir(&id) {
            2 + self.nodes[&id]
                .entries
                .values()
                .filter(|c| is_dir(c))
                .count()
        } else {
            let entries = self.nodes.values().flat_map(|n| n.entries.values());
            entries.filter(|child| **child == id).count()
        };
        count as u32
    }

    fn dir(&self, id: u64) -> Result<&Plain, Errno> {
        let node = self.nodes.get(&id).ok_or(Errno::ENOENT)?;
        match node.kind {
            Kind::Directory => Ok(node),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn of(&mut self, id: u64) -> &mut Plain {
        self.nodes.get_mut(&id).unwrap()
    }

    fn enter(&mut self, caller: &Caller, dir: u64, name: &Name, child: Option<u64>) {
        let dir = self.of(dir);
        match child {
            Some(child) => dir.entries.insert(name.clone(), child),
            None => dir.entries.remove(name),
        };
        (dir.mtime, dir.ctime) = (caller.now, caller.now);
    }

    /// Updates node `id` after it lost a name. The node goes with its last name.
    fn dropped(&mut self, caller: &Caller, id: u64) {
        let names = self.nodes.values().flat_map(|n| n.entries.values());
        match names.filter(|child| **child == id).count() {
            0 => drop(self.nodes.remove(&id)),
            _ => self.of(id).ctime = caller.now,
        }
    }

    pub fn make(
        &mut self,
        caller: &Caller,
        (dir, name): (u64, &Name),
        id: u64,
        (kind, mode, rdev): (Kind, u16, u32),
        target: &[u8],
    ) -> Answer {
        let parent = self.dir(dir)?;
        if parent.entries.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let inherits = (parent.mode & 0o2000 != 0).then_some(parent.owner.1);
        let mut node = Plain::new(kind, mode, caller);
        match kind {
            Kind::Symlink if target.is_empty() => return Err(Errno::ENOENT),
            Kind::Symlink => (node.mode, node.target) = (0o777, target.to_vec()),
            Kind::CharDevice | Kind::BlockDevice => node.rdev = rdev,
            _ => {}
        }
        if let Some(gid) = inherits {
            node.owner.1 = gid;
            if kind == Kind::Directory {
                node.mode |= 0o2000;
            }
        }
        self.nodes.insert(id, node);
        self.enter(caller, dir, name, Some(id));
        Ok(())
    }

    pub fn link(&mut self, caller: &Caller, id: u64, (dir, name): (u64, &Name)) -> Answer {
        match self.nodes.get(&id) {
            None => return Err(Errno::ENOENT),
            Some(node) if node.kind == Kind::Directory => return Err(Errno::EPERM),
            Some(_) if self.dir(dir)?.entries.contains_key(name) => return Err(Errno::EEXIST),
            Some(_) => {}
        }
        self.enter(caller, dir, name, Some(id));
        self.of(id).ctime = caller.now;
        Ok(())
    }

    pub fn unlink(&mut self, caller: &Caller, (dir, name): (u64, &Name), rmdir: bool) -> Answer {
        let child = *self.dir(dir)?.entries.get(name).ok_or(Errno::ENOENT)?;
        let node = &self.nodes[&child];
        match (rmdir, node.kind == Kind::Directory) {
            (true, false) => return Err(Errno::ENOTDIR),
            (false, true) => return Err(Errno::EISDIR),
            (true, true) if !node.entries.is_empty() => return Err(Errno::ENOTEMPTY),
            _ => {}
        }
        self.enter(caller, dir, name, None);
        self.dropped(caller, child);
        Ok(())
    }

    /// Returns whether `inner` is `outer` or lies below it.
    fn within(&self, inner: u64, outer: u64) -> bool {
        inner == outer
            || (self.nodes[&outer].entries.values()).any(|child| self.within(inner, *child))
    }

    pub fn rename(
        &mut self,
        caller: &Caller,
        (dir, name): (u64, &Name),
        (to, new): (u64, &Name),
        mode: RenameMode,
        whiteout: Option<u64>,
    ) -> Answer {
        self.dir(dir)?;
        self.dir(to)?;
        let moved = *self.nodes[&dir].entries.get(name).ok_or(Errno::ENOENT)?;
        let there = self.nodes[&to].entries.get(new).copied();
        match (mode, there) {
            (RenameMode::NoReplace, Some(_)) => return Err(Errno::EEXIST),
            (RenameMode::Exchange, None) => return Err(Errno::ENOENT),
            (_, Some(there)) if there == moved => return Ok(()),
            _ if self.within(to, moved) => return Err(Errno::EINVAL),
            _ => {}
        }
        if let (RenameMode::Exchange, Some(there)) = (mode, there) {
            if self.within(dir, there) {
                return Err(Errno::EINVAL);
            }
            self.enter(caller, dir, name, Some(there));
            self.enter(caller, to, new, Some(moved));
            self.of(there).ctime = caller.now;
            self.of(moved).ctime = caller.now;
            return Ok(());
        }
        if let Some(there) = there {
            let is_dir = |id: u64| self.nodes[&id].kind == Kind::Directory;
            match (is_dir(moved), is_dir(there)) {
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                _ if !self.nodes[&there].entries.is_empty() => return Err(Errno::ENOTEMPTY),
                _ => {}
            }
        }
        self.enter(caller, dir, name, None);
        self.enter(caller, to, new, Some(moved));
        self.of(moved).ctime = caller.now;
        if let Some(there) = there {
            self.dropped(caller, there);
        }
        match whiteout {
            Some(id) => self.make(caller, (dir, name), id, (Kind::CharDevice, 0, 0), b""),
            None => Ok(()),
        }
    }

    pub fn setattr(&mut self, caller: &Caller, id: u64, set: &SetAttr) -> Answer {
        let node = self.nodes.get_mut(&id).ok_or(Errno::ENOENT)?;
        if set.mode.is_some() && node.kind == Kind::Symlink {
            return Err(Errno::EOPNOTSUPP);
        }
        let chown = set.uid.is_some() || set.gid.is_some();
        node.owner.0 = set.uid.unwrap_or(node.owner.0);
        node.owner.1 = set.gid.unwrap_or(node.owner.1);
        match set.mode {
            Some(mode) => node.mode = mode & 0o7777,
            None if chown && node.kind != Kind::Directory => node.lose_set_id(caller),
            None => {}
        }
        node.atime = set.atime.unwrap_or(node.atime);
        node.mtime = set.mtime.unwrap_or(node.mtime);
        node.ctime = caller.now;
        Ok(())
    }

    pub fn set_xattr(
        &mut self,
        caller: &Caller,
        id: u64,
        (name, value): (&AttrName, &[u8]),
        mode: SetXattr,
    ) -> Answer {
        let node = self.nodes.get_mut(&id).ok_or(Errno::ENOENT)?;
        match (mode, node.xattrs.contains_key(name)) {
            (SetXattr::Create | SetXattr::Neither, true) => return Err(Errno::EEXIST),
            (SetXattr::Replace | SetXattr::Neither, false) => return Err(Errno::ENODATA),
            _ => {}
        }
        if node.xattrs.get(name).is_some_and(|there| there == value) {
            return Ok(());
        }
        node.xattrs.insert(name.clone(), value.to_vec());
        node.ctime = caller.now;
        Ok(())
    }

    pub fn remove_xattr(&mut self, caller: &Caller, id: u64, name: &AttrName) -> Answer {
        let node = self.nodes.get_mut(&id).ok_or(Errno::ENOENT)?;
        node.xattrs.remove(name).ok_or(Errno::ENODATA)?;
        node.ctime = caller.now;
        Ok(())
    }
}

impl Plain {
    fn new(kind: Kind, mode: u16, caller: &Caller) -> Plain {
        Plain {
            kind,
            mode,
            owner: (caller.uid, caller.gid),
            rdev: 0,
            atime: caller.now,
            mtime: caller.now,
            ctime: caller.now,
            btime: caller.now,
            target: Vec::new(),
            data: Rc::default(),
            entries: BTreeMap::new(),
            xattrs: BTreeMap::new(),
        }
    }

    pub(super) fn lose_set_id(&mut self, caller: &Caller) {
        self.mode &= if self.mode & 0o10 != 0 || !caller.member {
            0o1777
        } else {
            0o3777
        };
    }
}
