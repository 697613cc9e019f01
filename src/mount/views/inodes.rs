//! Inode numbers: live nodes by their id, other views by a hash, kept as long as the kernel refers
//! to them.
//!
//! Invariants: a number maps to one view as long as the kernel holds it, and a view has one number,
//! so that hard links within a version share theirs. A past file keeps its number across mounts, so
//! that programs that detect changes by inode number find the past unchanged.

use crate::mount::views::derived::Shown;
use crate::tinyfs::{Name, NodeId, Version};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

/// The bit that marks numbers of views that are not live nodes; node ids never reach it.
const DERIVED: u64 = 1 << 62;
/// The seed of hashes of views. Those of entry paths begin with a directory; the two must not
/// cancel out.
const VIEWS: u64 = 0x7669_6577_7300_0000;

/// The live tree, or the past of one directory at one version.
///
/// `d/@version/3` and `@version/3/d` show the same nodes, but are two trees: a directory has one
/// parent in the kernel, which would otherwise move it back and forth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::mount) struct Tree {
    /// The version of the tree; [`Version::NOW`] in the live tree.
    pub(in crate::mount) at: Version,
    /// A hash of the path by which the tree was entered. The content does not depend on it.
    entry_path_hash: u64,
}

impl Tree {
    /// The live tree.
    pub(in crate::mount) const LIVE: Tree = Tree {
        at: Version::NOW,
        entry_path_hash: 0,
    };

    pub(in crate::mount) fn is_live(self) -> bool {
        self.at == Version::NOW
    }

    /// Returns the past of directory `dir` at `version`, entered from this tree.
    pub(in crate::mount) fn past(self, dir: NodeId, version: Version) -> Tree {
        Tree {
            at: version,
            entry_path_hash: mix(mix(self.entry_path_hash ^ dir.0) ^ version.0),
        }
    }
}

/// What an inode number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::mount) enum View {
    /// A node in a tree.
    Node { tree: Tree, id: NodeId },
    /// The directory `@version` of a directory, or `FILE@version`.
    Versions { tree: Tree, of: Subject },
    /// A link in there to version `target`, such as `latest`. With another target it has another
    /// number, so the kernel may cache its content.
    Ref {
        tree: Tree,
        of: Subject,
        target: Version,
    },
    /// A file of `.pond`, or `.pond` itself.
    Own(Own),
    /// Something derived.
    Derived { tree: Tree, id: DerivedKey },
}

/// Identifies something derived: a hash of its path and, of a file, of its inputs. So the content
/// behind a number never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::mount) struct DerivedKey([u64; 2]);

impl DerivedKey {
    pub(in crate::mount) fn of(path: &[u8], made_of: &[u8]) -> DerivedKey {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(path.len() as u64).to_le_bytes());
        DerivedKey(words(hasher.update(path).update(made_of).finalize()))
    }
}

/// Returns the first two words of a hash.
fn words(hash: blake3::Hash) -> [u64; 2] {
    let (words, _) = hash.as_bytes().as_chunks::<8>();
    let word = |n: usize| words.get(n).map_or(0, |word| u64::from_le_bytes(*word));
    [word(0), word(1)]
}

/// The subject of an `@version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::mount) enum Subject {
    /// A directory.
    Dir(NodeId),
    /// The files that a name refers to, now and in the past, in a directory.
    File(NodeId, NameKey),
}

impl Subject {
    /// Returns the directory itself, or the directory of the file.
    pub(in crate::mount) fn dir(self) -> NodeId {
        match self {
            Subject::Dir(dir) | Subject::File(dir, _) => dir,
        }
    }
}

/// Identifies a name in a [`View`] by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::mount) struct NameKey([u64; 2]);

impl NameKey {
    pub(in crate::mount) fn of(name: &Name) -> NameKey {
        NameKey(words(blake3::hash(name.as_bytes())))
    }
}

/// `.pond` in the root of the live tree, and the files in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::mount) enum Own {
    Dir,
    Status,
    Metrics,
    Errors,
    Sync,
}

impl View {
    /// The root of the live tree.
    #[cfg(test)]
    pub(in crate::mount) const ROOT: View = View::live(NodeId::ROOT);

    /// Returns the view of a live node.
    pub(in crate::mount) const fn live(id: NodeId) -> View {
        View::Node {
            tree: Tree::LIVE,
            id,
        }
    }

    /// Returns the tree of a view, if it is in one.
    pub(in crate::mount) fn tree(self) -> Option<Tree> {
        match self {
            View::Node { tree, .. }
            | View::Versions { tree, .. }
            | View::Ref { tree, .. }
            | View::Derived { tree, .. } => Some(tree),
            View::Own(_) => None,
        }
    }

    /// Returns the live node of a view, if it is one.
    pub(in crate::mount) fn as_live(self) -> Option<NodeId> {
        match self {
            View::Node { tree, id } if tree.is_live() => Some(id),
            _ => None,
        }
    }

    fn hash(self) -> u64 {
        let name = match self.name_key() {
            Some(NameKey(words)) => words,
            None => [0, 0],
        };
        let parts = match self {
            View::Node { tree, id } => [1, tree.at.0, tree.entry_path_hash, id.0, 0],
            View::Versions { tree, of } => [2, tree.at.0, tree.entry_path_hash, of.dir().0, 0],
            View::Ref { tree, of, target } => {
                [3, tree.at.0, tree.entry_path_hash, of.dir().0, target.0]
            }
            View::Own(own) => [4, own as u64, 0, 0, 0],
            View::Derived {
                tree,
                id: DerivedKey([a, b]),
            } => [5, tree.at.0, tree.entry_path_hash, a, b],
        };
        let parts = parts.into_iter().chain(name);
        parts.fold(VIEWS, |hash, part| mix(hash ^ part))
    }

    /// Returns the key of the name that the view needs.
    fn name_key(self) -> Option<NameKey> {
        match self {
            View::Versions { of, .. } | View::Ref { of, .. } => match of {
                Subject::File(_, key) => Some(key),
                Subject::Dir(_) => None,
            },
            View::Node { .. } | View::Own(_) | View::Derived { .. } => None,
        }
    }
}

/// The finalizer of SplitMix64: a bijection in which each output bit depends on all input bits.
pub(in crate::mount) fn mix(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The numbers of views other than live nodes that the kernel holds.
#[derive(Debug, Default)]
pub(in crate::mount) struct Inodes {
    table: Mutex<Table>,
    /// The view of the root, unless it is the live root.
    root: Option<View>,
}

#[derive(Debug, Default)]
struct Table {
    views: FxHashMap<u64, Held>,
    /// Numbers of views whose hash was taken.
    moved: FxHashMap<View, u64>,
    /// The names in held views, with the number of views that use each.
    names: FxHashMap<NameKey, (Name, u64)>,
    /// The objects behind held views of something derived.
    derived: FxHashMap<View, Shown>,
}

#[derive(Debug)]
struct Held {
    view: View,
    count: u64,
    /// The number of the directory that a directory was last found in, its parent in the kernel;
    /// else 0.
    parent: u64,
}

impl Table {
    /// Returns the number that `view` has, or would get.
    fn number(&self, view: View) -> u64 {
        if let Some(moved) = self.moved.get(&view) {
            return *moved;
        }
        let mut number = DERIVED | view.hash() >> 2;
        while self
            .views
            .get(&number)
            .is_some_and(|held| held.view != view)
        {
            number = DERIVED | number.wrapping_add(1);
        }
        number
    }
}

impl Inodes {
    /// Creates the table of a mount that shows version `at`.
    pub(in crate::mount) fn past(at: Version) -> Inodes {
        Inodes {
            table: Mutex::default(),
            root: Some(View::Node {
                tree: Tree::LIVE.past(NodeId::ROOT, at),
                id: NodeId::ROOT,
            }),
        }
    }

    /// Returns the number of a view for information, without a reference.
    pub(in crate::mount) fn number(&self, view: View) -> u64 {
        match self.fixed(view) {
            Some(number) => number,
            None => self.table.lock().number(view),
        }
    }

    /// Returns the number of a view with a fixed one: a live node, or the root of the mount.
    fn fixed(&self, view: View) -> Option<u64> {
        match view.as_live() {
            Some(id) => Some(id.0),
            None => (self.root == Some(view)).then_some(NodeId::ROOT.0),
        }
    }

    /// Notes that the kernel has found a directory in another.
    pub(in crate::mount) fn set_parent(&self, number: u64, parent: u64) {
        if let Some(held) = self.table.lock().views.get_mut(&number) {
            held.parent = parent;
        }
    }

    /// Returns the number of the directory that a directory was last found in; not for live ones.
    pub(in crate::mount) fn parent(&self, number: u64) -> Option<u64> {
        let parent = self.table.lock().views.get(&number)?.parent;
        (parent != 0).then_some(parent)
    }

    /// Returns the number of a view and counts a reference of the kernel. Live nodes are not
    /// counted here.
    pub(in crate::mount) fn hold(&self, view: View) -> u64 {
        if let Some(number) = self.fixed(view) {
            return number;
        }
        let mut table = self.table.lock();
        let number = table.number(view);
        if number != DERIVED | view.hash() >> 2 {
            table.moved.insert(view, number);
        }
        let held = table.views.entry(number);
        let held = held.or_insert(Held {
            view,
            count: 0,
            parent: 0,
        });
        held.count += 1;
        if held.count == 1
            && let Some(key) = view.name_key()
            && let Some((_, views)) = table.names.get_mut(&key)
        {
            *views += 1;
        }
        number
    }

    /// Does the same for a view of something derived.
    pub(in crate::mount) fn hold_derived(&self, view: View, shown: Shown) -> u64 {
        let number = self.hold(view);
        self.table.lock().derived.insert(view, shown);
        number
    }

    /// Returns the object behind a view of something derived.
    pub(in crate::mount) fn shown(&self, view: View) -> Option<Shown> {
        self.table.lock().derived.get(&view).cloned()
    }

    /// Stores a name for a view that is held next.
    pub(in crate::mount) fn keep_name(&self, key: NameKey, name: &Name) {
        let mut table = self.table.lock();
        table.names.entry(key).or_insert_with(|| (name.clone(), 0));
    }

    /// Returns the name that a view is shown by.
    pub(in crate::mount) fn name(&self, key: NameKey) -> Option<Name> {
        self.table
            .lock()
            .names
            .get(&key)
            .map(|(name, _)| name.clone())
    }

    /// Returns the view of a number that the kernel holds.
    pub(in crate::mount) fn view(&self, number: u64) -> Option<View> {
        match number & DERIVED {
            0 => match self.root {
                Some(root) => (number == NodeId::ROOT.0).then_some(root),
                None => Some(View::live(NodeId(number))),
            },
            _ => self.table.lock().views.get(&number).map(|held| held.view),
        }
    }

    /// Drops `count` of the kernel's references to a number.
    pub(in crate::mount) fn release(&self, number: u64, count: u64) {
        let mut table = self.table.lock();
        if let Some(held) = table.views.get_mut(&number) {
            held.count = held.count.saturating_sub(count);
            if held.count == 0 {
                let view = held.view;
                table.views.remove(&number);
                table.moved.remove(&view);
                table.derived.remove(&view);
                if let Some(key) = view.name_key()
                    && let Some((_, views)) = table.names.get_mut(&key)
                {
                    *views -= 1;
                    if *views == 0 {
                        table.names.remove(&key);
                    }
                }
            }
        }
    }

    /// Returns the numbers of past views that the kernel holds.
    pub(in crate::mount) fn of_the_past(&self) -> Vec<u64> {
        let table = self.table.lock();
        let past = |held: &Held| held.view.tree().is_some_and(|tree| !tree.is_live());
        let views = table.views.iter().filter(|(_, held)| past(held));
        views.map(|(number, _)| *number).collect()
    }

    #[cfg(test)]
    pub(in crate::mount) fn held(&self) -> usize {
        self.table.lock().views.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(at: u64, id: u64) -> View {
        View::Node {
            tree: Tree::LIVE.past(NodeId::ROOT, Version(at)),
            id: NodeId(id),
        }
    }

    #[test]
    fn live_nodes_have_their_ids() {
        let inodes = Inodes::default();
        assert_eq!(inodes.hold(View::live(NodeId(7))), 7);
        assert_eq!(inodes.view(7), Some(View::live(NodeId(7))));
        assert_eq!(inodes.held(), 0);
    }

    #[test]
    fn past_nodes_have_one_number_while_they_are_held() {
        let inodes = Inodes::default();
        let number = inodes.hold(past(3, 7));
        assert_eq!(inodes.hold(past(3, 7)), number);
        assert_ne!(inodes.hold(past(4, 7)), number);
        assert_eq!(inodes.view(number), Some(past(3, 7)));
        assert!(number & DERIVED != 0 && i64::try_from(number).is_ok());
        inodes.release(number, 1);
        assert_eq!(inodes.view(number), Some(past(3, 7)));
        inodes.release(number, 1);
        assert_eq!(inodes.view(number), None);
        assert_eq!(inodes.number(past(3, 7)), number);
    }

    #[test]
    fn a_directory_is_where_it_was_last_found_as_long_as_it_is_held() {
        let inodes = Inodes::default();
        let number = inodes.hold(past(3, 7));
        assert_eq!(inodes.parent(number), None);
        inodes.set_parent(number, 1);
        inodes.set_parent(number, 5);
        assert_eq!(inodes.parent(number), Some(5));
        inodes.release(number, 1);
        inodes.set_parent(number, 5);
        assert_eq!((inodes.parent(number), inodes.held()), (None, 0));
    }

    #[test]
    fn the_root_of_a_mount_of_the_past_has_the_number_of_a_root() {
        let inodes = Inodes::past(Version(3));
        let root = past(3, NodeId::ROOT.0);
        assert_eq!((inodes.number(root), inodes.hold(root)), (1, 1));
        assert_eq!((inodes.view(1), inodes.held()), (Some(root), 0));
    }

    #[test]
    fn versions_of_the_root_have_numbers_of_their_own() {
        let inodes = Inodes::default();
        let hashes = (0..1000).map(|at| past(at, NodeId::ROOT.0).hash());
        assert_eq!(
            hashes.collect::<std::collections::BTreeSet<_>>().len(),
            1000
        );
        inodes.hold(past(1, NodeId::ROOT.0));
        inodes.hold(past(2, NodeId::ROOT.0));
        assert!(inodes.table.lock().moved.is_empty());
    }

    #[test]
    fn views_of_one_directory_are_told_apart() {
        let inodes = Inodes::default();
        let (tree, dir) = (Tree::LIVE, NodeId(9));
        let past_tree = tree.past(dir, Version(9));
        let of = Subject::Dir(dir);
        let file =
            |name: &str| Subject::File(dir, NameKey::of(&Name::new(name.as_bytes()).unwrap()));
        let latest = |target| View::Ref {
            tree,
            of,
            target: Version(target),
        };
        let numbers = [
            View::Versions { tree, of },
            View::Versions {
                tree,
                of: file("a"),
            },
            View::Versions {
                tree,
                of: file("b"),
            },
            View::Versions {
                tree: past_tree,
                of,
            },
            latest(1),
            latest(2),
            past(9, 9),
            View::Node {
                tree: past_tree,
                id: dir,
            },
            View::Node {
                tree: past_tree.past(dir, Version(9)),
                id: dir,
            },
        ]
        .map(|view| inodes.hold(view));
        let distinct: std::collections::BTreeSet<_> = numbers.into();
        assert_eq!(distinct.len(), numbers.len());
    }

    #[test]
    fn a_name_is_kept_as_long_as_a_view_needs_it() {
        let inodes = Inodes::default();
        let name = Name::new(b"a.csv").unwrap();
        let key = NameKey::of(&name);
        let view = View::Versions {
            tree: Tree::LIVE,
            of: Subject::File(NodeId::ROOT, key),
        };
        inodes.keep_name(key, &name);
        let number = inodes.hold(view);
        inodes.hold(view);
        assert_eq!(inodes.name(key), Some(name));
        inodes.release(number, 2);
        assert_eq!(inodes.name(key), None);
    }

    #[test]
    fn two_views_of_one_hash_get_two_numbers() {
        let inodes = Inodes::default();
        let (first, second) = (past(1, 2), past(3, 4));
        let number = inodes.number(second);
        let squatter = Held {
            view: first,
            count: 1,
            parent: 0,
        };
        inodes.table.lock().views.insert(number, squatter);
        let other = inodes.hold(second);
        assert_ne!(other, number);
        inodes.release(number, 1);
        assert_eq!(inodes.hold(second), other, "it keeps its number");
        inodes.release(other, 2);
        assert_eq!((inodes.held(), inodes.number(second)), (0, number));
    }
}
