//! Compares two versions of the tree.
//!
//! Differences are sorted by path. A directory in which nothing changed is not read: the index
//! knows that it did not. A node that has another path than before was moved. A path that leads
//! to another node (an editor saved the file) is compared by the bytes.
//!
//! A tree may be ten thousand directories deep, so no path is resolved from the root for each
//! difference. [`PathCache`] keeps the paths of the last directories. A comparison that resumes
//! an earlier one knows for each directory its position relative to the end of that one
//! ([`Resume`]).

use crate::pond::Pond;
use crate::tinyfs::{Dentry, FsResult, Kind, Name, Node, NodeId, Version};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::Bound;

/// How a path differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The path exists only in the later version.
    Added,
    /// The path existed only in the earlier version.
    Removed,
    /// The path leads to other content.
    Modified,
    /// Only mode, owner or extended attributes differ.
    Attributes,
    /// The path leads to a node of another kind.
    Kind,
    /// The node had this path before.
    Moved(Vec<u8>),
}

/// A path that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path from the root, without a slash at its beginning.
    pub path: Vec<u8>,
    /// How it differs.
    pub change: Change,
    /// The node of the path in the earlier version.
    pub before: Option<(NodeId, Node)>,
    /// The node of the path in the later version.
    pub after: Option<(NodeId, Node)>,
}

/// A comparison in progress, depth first in the order of paths. Directories are read in batches,
/// so the memory is bounded by the depth of the trees, and a page costs what it shows.
pub struct Comparison<'p> {
    pond: &'p Pond,
    from: Version,
    to: Version,
    /// The path that is compared, with everything below it.
    scope: Vec<u8>,
    /// The components of the path where an earlier comparison stopped.
    after: Vec<Vec<u8>>,
    /// The nodes of the scope, until they are compared.
    root: Option<Pair>,
    /// The directories that are being compared, the deepest last.
    open: Vec<OpenPair>,
    /// The path of the deepest open directory, possibly with more components.
    path: Vec<u8>,
    cache: PathCache,
}

/// The nodes of one path in both versions.
struct Pair {
    path: Vec<u8>,
    before: Option<NodeId>,
    after: Option<NodeId>,
    /// The entry that was compared; `None` for the root of the comparison.
    within: Option<Within>,
    resume: Resume,
}

/// The directories that hold an entry in both versions, and its name.
struct Within {
    before: Option<NodeId>,
    after: Option<NodeId>,
    name: Name,
}

/// Two directories whose entries are being compared.
struct OpenPair {
    /// The length of their path in bytes.
    path_len: usize,
    before: Side,
    after: Side,
    resume: Resume,
}

/// The entries of one directory, read in batches.
struct Side {
    at: Version,
    /// `None` if there is no directory in this version.
    dir: Option<NodeId>,
    batch: VecDeque<(Name, Dentry)>,
    /// The start of the next batch; `None` after the last one.
    next: Option<Bound<Name>>,
}

/// A name, and its entries in both versions.
type EntryPair = (Name, Option<Dentry>, Option<Dentry>);

/// Entries of a directory that are read at a time.
const BATCH: usize = 256;

/// The position of a path relative to the path at which an earlier comparison stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resume {
    /// Before it: the path and all below were reported.
    Reported,
    /// At it or above it: the path was reported, and some below. It is the first so many
    /// components of the path where the earlier comparison stopped.
    Within(usize),
    /// After it: not reported yet.
    After,
}

/// The paths of the directories that were compared last, and the nodes that these paths lead to,
/// so that their entries need a single lookup.
#[derive(Default)]
struct PathCache {
    paths: Cached<(Version, NodeId), Option<Vec<u8>>>,
    nodes: Cached<(Version, Vec<u8>), Option<NodeId>>,
}

/// Keys with their values, the newest first.
type Cached<K, V> = VecDeque<(K, V)>;

/// Entries of each kind in a [`PathCache`]: a path may be megabytes long.
const CACHED_PATHS: usize = 4;

impl Pond {
    /// Compares the nodes that `path` led to at `from` and `to`, with everything below it; only the
    /// paths after `after`.
    pub fn differences(
        &self,
        from: Version,
        to: Version,
        path: &[u8],
        (was, is): (Option<NodeId>, Option<NodeId>),
        after: Option<Vec<u8>>,
    ) -> Comparison<'_> {
        // Without open changes the present is the newest version, of which the index knows more.
        let to = match to {
            Version::NOW if self.index.dirty().entries == 0 => self.latest().version,
            to => to,
        };
        let resume = match &after {
            None => Resume::After,
            Some(after) if is_below(after, path) => Resume::Within(parts(path).count()),
            Some(after) if parts(path).cmp(parts(after)).is_le() => Resume::Reported,
            Some(_) => Resume::After,
        };
        let pair = Pair {
            path: path.to_vec(),
            before: was,
            after: is,
            within: None,
            resume,
        };
        let after = after.unwrap_or_default();
        Comparison {
            pond: self,
            from,
            to,
            scope: path.to_vec(),
            after: parts(&after).map(<[u8]>::to_vec).collect(),
            root: Some(pair),
            open: Vec::new(),
            path: Vec::new(),
            cache: PathCache::default(),
        }
    }

    /// Returns whether two files have the same bytes.
    fn same_bytes(&self, a: (Version, NodeId), b: (Version, NodeId), size: u64) -> FsResult<bool> {
        const PIECE: u64 = 1 << 20;
        let mut offset = 0;
        while offset < size {
            if self.read(a.0, a.1, offset, PIECE)? != self.read(b.0, b.1, offset, PIECE)? {
                return Ok(false);
            }
            offset += PIECE;
        }
        Ok(true)
    }
}

impl Comparison<'_> {
    /// Returns the next path that differs; `None` when there are no more.
    pub fn next_difference(&mut self) -> FsResult<Option<Difference>> {
        loop {
            let pair = match self.root.take() {
                Some(root) => Some(root),
                None => self.next_pair()?,
            };
            let Some(pair) = pair else {
                return Ok(None);
            };
            if pair.resume == Resume::Reported {
                continue;
            }
            if let Some(difference) = self.look(pair)? {
                return Ok(Some(difference));
            }
        }
    }

    /// Returns the next entry of the open directories that may differ.
    fn next_pair(&mut self) -> FsResult<Option<Pair>> {
        while let Some(open) = self.open.last_mut() {
            let Some((name, before, after)) = open.next(self.pond)? else {
                self.open.pop();
                continue;
            };
            let resume = resume(&self.after, open.resume, &name);
            if resume == Resume::Reported {
                continue;
            }
            self.path.truncate(open.path_len);
            let within = Within {
                before: open.before.dir,
                after: open.after.dir,
                name,
            };
            let child = |side: &Option<Dentry>| side.as_ref().map(|dentry| dentry.child);
            let is_file = before.is_some_and(|dentry| dentry.kind != Kind::Directory);
            let (before, after) = (child(&before), child(&after));
            let is_same = is_file && before == after && self.to != Version::NOW;
            if is_same && self.is_same_file(before)? {
                continue;
            }
            let name = within.name.as_bytes();
            return Ok(Some(Pair {
                path: match self.path.is_empty() {
                    true => name.to_vec(),
                    false => [&self.path, &b"/"[..], name].concat(),
                },
                before,
                after,
                within: Some(within),
                resume,
            }));
        }
        Ok(None)
    }

    fn node(&self, at: Version, id: Option<NodeId>) -> FsResult<Option<(NodeId, Node)>> {
        id.map(|id| Ok((id, self.pond.node(at, id)?))).transpose()
    }

    fn look(&mut self, pair: Pair) -> FsResult<Option<Difference>> {
        let before = self.node(self.from, pair.before)?;
        let after = self.node(self.to, pair.after)?;
        let is_dir = |side: &Option<(NodeId, Node)>| side.as_ref().is_some_and(|(_, n)| n.is_dir());
        let same = match (&before, &after) {
            (Some((a, _)), Some((b, _))) => a == b,
            _ => false,
        };
        if (is_dir(&before) || is_dir(&after)) && !(same && self.is_untouched(pair.before)?) {
            let within = pair.within.as_ref();
            let dir_before = within.map(|within| (within.before, &within.name));
            let dir_after = within.map(|within| (within.after, &within.name));
            let in_from = self.is_entered(self.from, before.as_ref(), dir_before)?;
            let in_to = self.is_entered(self.to, after.as_ref(), dir_after)?;
            self.descend(in_from, in_to, &pair);
        }
        if pair.resume != Resume::After {
            return Ok(None);
        }
        let change = match (&before, &after) {
            (Some(a), Some(b)) => self.change(a, b)?,
            (None, Some((id, _))) => match self.moved(*id)? {
                Some((from, to)) if to == pair.path => Some(Change::Moved(from)),
                _ => Some(Change::Added),
            },
            // A move is reported at its destination.
            (Some((id, _)), None) => match self.moved(*id)? {
                Some((from, to)) if from == pair.path && is_below(&to, &self.scope) => None,
                _ => Some(Change::Removed),
            },
            (None, None) => None,
        };
        // The root itself is never reported.
        let change = change.filter(|_| !pair.path.is_empty());
        let before = match (&change, &after) {
            (Some(Change::Moved(_)), Some((id, _))) => self.node(self.from, Some(*id))?,
            _ => before,
        };
        Ok(change.map(|change| Difference {
            path: pair.path,
            change,
            before,
            after,
        }))
    }

    /// Returns whether a node is a directory that the comparison enters at the place where it was
    /// found: in its parent, and by the first of its names. In a forged pond a directory may
    /// contain itself, or have so many names that the number of paths has no bound.
    fn is_entered(
        &self,
        at: Version,
        node: Option<&(NodeId, Node)>,
        within: Option<(Option<NodeId>, &Name)>,
    ) -> FsResult<bool> {
        let Some((id, node)) = node.filter(|(_, node)| node.is_dir()) else {
            return Ok(false);
        };
        let Some((dir, name)) = within else {
            return Ok(true);
        };
        if node.parent != dir {
            return Ok(false);
        }
        let first = self.pond.first_name_of(at, *id)?;
        Ok(first.is_none_or(|(of, first)| Some(of) == dir && first == *name))
    }

    /// Returns whether nothing in a directory changed between the versions.
    fn is_untouched(&self, dir: Option<NodeId>) -> FsResult<bool> {
        let Some(dir) = dir.filter(|dir| *dir != NodeId::ROOT) else {
            return Ok(self.from == self.to);
        };
        if self.to == Version::NOW {
            return Ok(false);
        }
        let (low, high) = (self.from.min(self.to), self.from.max(self.to));
        let last = self.pond.index.last_change(dir, Version(low.0 + 1), high)?;
        Ok(last.is_none())
    }

    /// Opens directories, so that their entries are compared next.
    fn descend(&mut self, in_from: bool, in_to: bool, pair: &Pair) {
        let stopped = match pair.resume {
            Resume::Within(depth) => self.after.get(depth).and_then(|name| Name::new(name).ok()),
            Resume::Reported | Resume::After => None,
        };
        let side = |at, dir: Option<NodeId>| Side {
            at,
            dir,
            batch: VecDeque::new(),
            next: dir.map(|_| match &stopped {
                Some(name) => Bound::Included(name.clone()),
                None => Bound::Unbounded,
            }),
        };
        self.path.clone_from(&pair.path);
        self.open.push(OpenPair {
            path_len: pair.path.len(),
            before: side(self.from, pair.before.filter(|_| in_from)),
            after: side(self.to, pair.after.filter(|_| in_to)),
            resume: pair.resume,
        });
    }

    /// Returns whether a node is the same in both versions, without reading it: fast for large
    /// directories.
    fn is_same_file(&self, id: Option<NodeId>) -> FsResult<bool> {
        let Some(id) = id else { return Ok(false) };
        let (a, b) = (self.pond.node(self.from, id)?, self.pond.node(self.to, id)?);
        Ok(a == b)
    }

    fn change(
        &self,
        (a, before): &(NodeId, Node),
        (b, after): &(NodeId, Node),
    ) -> FsResult<Option<Change>> {
        if before.kind != after.kind {
            return Ok(Some(Change::Kind));
        }
        let same_content = match before.kind {
            Kind::File if before.size != after.size => false,
            Kind::File
                if a == b && before.content == after.content && before.mtime == after.mtime =>
            {
                true
            }
            Kind::File => self
                .pond
                .same_bytes((self.from, *a), (self.to, *b), before.size)?,
            _ => before.target == after.target && before.rdev == after.rdev,
        };
        if !same_content {
            return Ok(Some(Change::Modified));
        }
        let attributes = |node: &Node| (node.mode, node.uid, node.gid);
        let same = attributes(before) == attributes(after)
            && self.attributes(self.from, *a)? == self.attributes(self.to, *b)?;
        Ok((!same).then_some(Change::Attributes))
    }

    fn attributes(&self, at: Version, id: NodeId) -> FsResult<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut found = Vec::new();
        for name in self.pond.list_xattrs(at, id)? {
            let value = self.pond.xattr(at, id, &name)?.unwrap_or_default();
            found.push((name.as_bytes().to_vec(), value.to_vec()));
        }
        Ok(found)
    }

    /// Returns the old and the new path of a node, if it had both and has left the old one.
    fn moved(&mut self, id: NodeId) -> FsResult<Option<(Vec<u8>, Vec<u8>)>> {
        let pond = self.pond;
        if !pond.has_node(self.from, id)? || !pond.has_node(self.to, id)? {
            return Ok(None);
        }
        let from = self.cache.path_of(pond, self.from, id)?;
        let to = self.cache.path_of(pond, self.to, id)?;
        let (Some(from), Some(to)) = (from, to) else {
            return Ok(None);
        };
        // A node that keeps its old name as well was not moved. One that replaced another node
        // modified that path.
        let stays = self.cache.find(pond, self.to, &from)? == Some(id);
        if stays || self.cache.find(pond, self.from, &to)?.is_some() {
            return Ok(None);
        }
        Ok(Some((from, to)))
    }
}

impl OpenPair {
    /// Returns the next name, and its entries in both versions.
    fn next(&mut self, pond: &Pond) -> FsResult<Option<EntryPair>> {
        let order = match (self.before.peek(pond)?, self.after.peek(pond)?) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(before), Some(after)) => before.cmp(after),
        };
        let before = self.before.batch.pop_front_if(|_| order.is_le());
        let after = self.after.batch.pop_front_if(|_| order.is_ge());
        Ok(match (before, after) {
            (Some((name, before)), after) => Some((name, Some(before), after.map(|(_, d)| d))),
            (None, Some((name, after))) => Some((name, None, Some(after))),
            (None, None) => None,
        })
    }
}

impl Side {
    /// Returns the next name.
    fn peek(&mut self, pond: &Pond) -> FsResult<Option<&Name>> {
        if let (true, Some(dir), Some(next)) = (self.batch.is_empty(), self.dir, &self.next) {
            let (batch, more) = pond.list_from(self.at, dir, next.as_ref(), BATCH)?;
            let last = batch.last().map(|(name, _)| Bound::Excluded(name.clone()));
            self.next = last.filter(|_| more);
            self.batch = batch.into();
        }
        Ok(self.batch.front().map(|(name, _)| name))
    }
}

/// Returns the position of the entry `name` of a directory relative to the path at which an
/// earlier comparison stopped, whose components are `after`.
fn resume(after: &[Vec<u8>], dir: Resume, name: &Name) -> Resume {
    let Resume::Within(depth) = dir else {
        return dir;
    };
    match after.get(depth) {
        // The earlier comparison stopped at the directory itself.
        None => Resume::After,
        Some(stopped) => match name.as_bytes().cmp(stopped) {
            Ordering::Less => Resume::Reported,
            Ordering::Equal => Resume::Within(depth + 1),
            Ordering::Greater => Resume::After,
        },
    }
}

impl PathCache {
    /// Returns a path that leads to a node, without a slash at its beginning.
    fn path_of(&mut self, pond: &Pond, at: Version, id: NodeId) -> FsResult<Option<Vec<u8>>> {
        if let Some((_, path)) = self.paths.iter().find(|(key, _)| *key == (at, id)) {
            return Ok(path.clone());
        }
        let found = match pond.a_name_of(at, id)? {
            Some((dir, name)) => {
                let around = match self.paths.iter().find(|(key, _)| *key == (at, dir)) {
                    Some((_, path)) => path.clone(),
                    None => pond.path_of(at, dir)?.map(|path| bare(&path).to_vec()),
                };
                around.map(|dir| match dir.is_empty() {
                    true => name.as_bytes().to_vec(),
                    false => [&dir[..], b"/", name.as_bytes()].concat(),
                })
            }
            None => None,
        };
        remember(&mut self.paths, (at, id), found.clone());
        Ok(found)
    }

    /// Returns the node that a path leads to.
    fn find(&mut self, pond: &Pond, at: Version, path: &[u8]) -> FsResult<Option<NodeId>> {
        let key = (at, path.to_vec());
        if let Some((_, found)) = self.nodes.iter().find(|(known, _)| *known == key) {
            return Ok(*found);
        }
        let cut = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
        let (dir, name) = path.split_at(cut);
        let around = self
            .nodes
            .iter()
            .find(|(known, _)| known.0 == at && known.1 == dir);
        let found = match around {
            Some((_, None)) => None,
            Some((_, Some(dir))) => match Name::new(bare(name)) {
                Ok(name) => pond.lookup(at, *dir, &name)?.map(|(id, _)| id),
                Err(_) => None,
            },
            None => pond.find(at, path)?,
        };
        remember(&mut self.nodes, key, found);
        Ok(found)
    }
}

fn remember<K, V>(kept: &mut Cached<K, V>, key: K, value: V) {
    kept.truncate(CACHED_PATHS - 1);
    kept.push_front((key, value));
}

fn bare(path: &[u8]) -> &[u8] {
    path.strip_prefix(b"/").unwrap_or(path)
}

/// Returns whether `path` equals `above` or lies below it.
fn is_below(path: &[u8], above: &[u8]) -> bool {
    match path.strip_prefix(above) {
        Some(rest) => above.is_empty() || matches!(rest.first(), None | Some(b'/')),
        None => false,
    }
}

/// Returns the components of a path; the root has none.
fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|part| !part.is_empty())
}
