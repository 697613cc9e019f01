//! Whether a pond is whole: the oplog against the index, and the maps against each other.

use super::{Pond, PondError};
use crate::tinyfs::{
    Attrs, Changes, ContentId, Entries, Extents, FsError, Kind, Map, Names, Node, NodeId, Nodes,
    Version,
};
use std::collections::HashMap;
use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(pub String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pond {
    /// Reads the whole oplog and compares what it says of the newest version with the index; checks
    /// the maps of that version against each other; with `read_data`, reads and verifies all
    /// content. Answers what is wrong.
    pub fn check(&self, read_data: bool) -> Result<Vec<Problem>, PondError> {
        let mut problems = Vec::new();
        let latest;
        let mut tree = Changes::default();
        {
            let log = self.log.lock();
            latest = self.latest().version;
            log.oplog().replay(None, &mut |_, changes| {
                tree.absorb(changes);
                Ok::<(), PondError>(())
            })?;
        }
        self.compare::<Nodes>(latest, &tree, &mut problems)?;
        self.compare::<Names>(latest, &tree, &mut problems)?;
        self.compare::<Extents>(latest, &tree, &mut problems)?;
        self.compare::<Attrs>(latest, &tree, &mut problems)?;
        check_tree(&tree, &mut problems);
        check_extents(&tree, &mut problems);
        if read_data {
            for ((content, start), extent) in &tree.extents {
                if let Some(crate::tinyfs::Extent::Stored(run)) = extent
                    && let Err(error) = self.content.read_verified(run)
                {
                    problems.push(Problem(format!("content {content} at {start}: {error}")));
                }
            }
        }
        Ok(problems)
    }

    /// Compares one map of the index at version `at` with what the oplog says.
    fn compare<M: Map>(
        &self,
        at: Version,
        tree: &Changes,
        problems: &mut Vec<Problem>,
    ) -> Result<(), PondError> {
        let mut there = Entries::<M>::new();
        self.index.visit_all::<M>(at, &mut |key, value| {
            there.insert(key, Some(value));
        })?;
        for (key, value) in M::of(tree) {
            let found = there.remove(key).flatten();
            if found != *value {
                let id = M::ID;
                problems.push(Problem(format!(
                    "{id:?} {key:?}: the index differs from the oplog"
                )));
            }
        }
        for key in there.keys() {
            let id = M::ID;
            problems.push(Problem(format!(
                "{id:?} {key:?}: in the index and not in the oplog"
            )));
        }
        Ok(())
    }
}

/// The live nodes of a tree.
fn nodes(tree: &Changes) -> impl Iterator<Item = (NodeId, &Node)> {
    tree.nodes
        .iter()
        .filter_map(|(id, node)| Some((*id, node.as_ref()?)))
}

/// Names lead to nodes, and every node has as many as it says.
fn check_tree(tree: &Changes, problems: &mut Vec<Problem>) {
    let mut links: HashMap<NodeId, u32> = HashMap::new();
    let mut problem = |text: String| problems.push(Problem(text));
    for ((dir, name), dentry) in &tree.names {
        let Some(dentry) = dentry else { continue };
        let node = tree.nodes.get(&dentry.child).and_then(Option::as_ref);
        let Some(node) = node else {
            problem(format!(
                "{name} in directory {dir}: there is no node {}",
                dentry.child
            ));
            continue;
        };
        if node.kind != dentry.kind {
            problem(format!(
                "{name} in directory {dir}: it is a {:?}, not a {:?}",
                node.kind, dentry.kind
            ));
        }
        *links.entry(dentry.child).or_default() += 1;
        if node.kind == Kind::Directory {
            *links.entry(dentry.child).or_default() += 1;
            *links.entry(*dir).or_default() += 1;
            if node.parent != Some(*dir) {
                problem(format!("{name} in directory {dir}: it has another parent"));
            }
        }
        if !matches!(tree.nodes.get(dir), Some(Some(parent)) if parent.is_dir()) {
            problem(format!("{name}: there is no directory {dir}"));
        }
    }
    *links.entry(NodeId::ROOT).or_default() += 2;
    for (id, node) in nodes(tree) {
        let found = links.get(&id).copied().unwrap_or(0);
        if found != node.nlink {
            problem(format!(
                "node {id}: it has {found} links and says {}",
                node.nlink
            ));
        }
    }
    for (id, _) in tree
        .attrs
        .iter()
        .filter_map(|(key, value)| Some((key.0, value.as_ref()?)))
    {
        if !matches!(tree.nodes.get(&id), Some(Some(_))) {
            problem(format!("node {id}: it has attributes and is not there"));
        }
    }
}

/// Extents are disjoint and within their file, which says how many bytes they cover.
fn check_extents(tree: &Changes, problems: &mut Vec<Problem>) {
    let mut covered: HashMap<ContentId, u64> = HashMap::new();
    let mut last = (ContentId(0), 0);
    for ((content, start), extent) in &tree.extents {
        let Some(extent) = extent else { continue };
        let end = start + extent.len();
        if last.0 == *content && *start < last.1 {
            problems.push(Problem(format!(
                "content {content} at {start}: two extents overlap"
            )));
        }
        last = (*content, end);
        *covered.entry(*content).or_default() += extent.len();
    }
    // Content that no file has any more is garbage, and no problem.
    for (id, node) in nodes(tree).filter(|(_, node)| node.is_file()) {
        let content = node.content.unwrap_or(ContentId(0));
        let found = covered.get(&content).copied().unwrap_or(0);
        if found != node.allocated {
            problems.push(Problem(format!(
                "node {id}: its extents cover {found} bytes, and it says {}",
                node.allocated
            )));
        }
        let end = tree.extents.range((content, 0)..=(content, u64::MAX));
        let end = end
            .rev()
            .find_map(|((_, start), e)| Some(start + e.as_ref()?.len()));
        if end.is_some_and(|end| end > node.size) {
            problems.push(Problem(format!(
                "node {id}: content {content} reaches beyond the file's {} bytes",
                node.size
            )));
        }
    }
}

impl From<PondError> for FsError {
    fn from(error: PondError) -> FsError {
        FsError::store(error)
    }
}
