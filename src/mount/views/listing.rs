//! Open directories: the listing of each, and positions in it.
//!
//! A listing is taken when the directory is read from the start, and stays the same until the next
//! such read. A position is made of the entry itself (the node that it leads to, and its name), not
//! of a count: so it stays valid in a listing that is taken later, which the kernel reads after it
//! served the beginning from its own cache.

use crate::mount::views::inodes::{Own, Subject, Tree, View};
use crate::mount::views::past::{Contents, LATEST};
use crate::tinyfs::{Dentry, Kind, Name, NodeId, Time};
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of bits of a position that come from the name.
const NAME_BITS: u32 = 22;
/// The last possible position: the kernel counts in signed numbers.
const LAST: u64 = i64::MAX as u64;

/// The first position of tags in a listing of versions, and of derived entries elsewhere: behind
/// all nodes.
const TAGS: u64 = 1 << 61;

/// One entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mount) struct Item {
    pub(in crate::mount) name: Box<[u8]>,
    pub(in crate::mount) view: View,
    pub(in crate::mount) kind: Kind,
    /// The position behind this entry.
    pub(in crate::mount) position: u64,
}

impl Item {
    /// Creates a derived entry, which has no node id for its position.
    pub(in crate::mount) fn derived(name: &Name, view: View, kind: Kind) -> Item {
        Item {
            name: name.as_bytes().into(),
            view,
            kind,
            position: TAGS + (hash(name.as_bytes()) >> 3),
        }
    }
}

/// The entries of a directory in the order of their positions.
#[derive(Debug, Default)]
pub(in crate::mount) struct Listing {
    pub(in crate::mount) items: Vec<Item>,
    /// The mtime of a live directory when it was listed.
    pub(in crate::mount) changed: Option<Time>,
}

impl Listing {
    /// Creates a listing of a directory: itself, its parent, and its entries in `tree`.
    pub(in crate::mount) fn of_nodes(
        tree: Tree,
        itself: View,
        parent: View,
        entries: Vec<(Name, Dentry)>,
        derived: Vec<Item>,
        changed: Option<Time>,
    ) -> Listing {
        let mut items: Vec<Item> = entries
            .into_iter()
            .map(|(name, dentry)| Item {
                name: name.as_bytes().into(),
                view: View::Node {
                    tree,
                    id: dentry.child,
                },
                kind: dentry.kind,
                position: place_of(dentry.child, name.as_bytes()),
            })
            .chain(derived)
            .collect();
        items.sort_by(|a, b| (a.position, &a.name).cmp(&(b.position, &b.name)));
        Listing::with_dots(itself, parent, items, changed)
    }

    /// Creates a listing of a derived directory.
    pub(in crate::mount) fn of_derived(itself: View, mut items: Vec<Item>) -> Listing {
        items.sort_by(|a, b| (a.position, &a.name).cmp(&(b.position, &b.name)));
        Listing::with_dots(itself, itself, items, None)
    }

    /// Creates a listing of `@version`: numbers, then tags, then `latest`.
    pub(in crate::mount) fn of_versions(
        itself: View,
        (tree, of): (Tree, Subject),
        contents: Contents,
    ) -> Listing {
        let Contents {
            edits,
            tags,
            extension,
        } = contents;
        let named = |name: &[u8]| [name, &extension].concat().into_boxed_slice();
        let kind = match of {
            Subject::Dir(_) => Kind::Directory,
            Subject::File(..) => Kind::File,
        };
        let latest = edits.last().map(|edit| Item {
            name: named(LATEST),
            view: View::Ref {
                tree,
                of,
                target: edit.version,
            },
            kind: Kind::Symlink,
            position: LAST,
        });
        let numbers = edits.into_iter().map(|edit| Item {
            name: named(edit.version.to_string().as_bytes()),
            view: View::Node {
                tree: tree.past(of.dir(), edit.version),
                id: edit.node,
            },
            kind,
            position: edit.version.0.saturating_add(3),
        });
        let mut links: Vec<Item> = tags
            .into_iter()
            .map(|tag| Item {
                name: named(tag.name.as_bytes()),
                view: View::Ref {
                    tree,
                    of,
                    target: tag.version,
                },
                kind: Kind::Symlink,
                position: TAGS + (hash(tag.name.as_bytes()) >> 3),
            })
            .collect();
        links.sort_by(|a, b| (a.position, &a.name).cmp(&(b.position, &b.name)));
        let parent = View::Node { tree, id: of.dir() };
        let items = numbers.chain(links).chain(latest).collect();
        Listing::with_dots(itself, parent, items, None)
    }

    /// Creates a listing of `.pond`.
    pub(in crate::mount) fn of_own(itself: View) -> Listing {
        let item = |(n, own): (u64, Own)| Item {
            name: own.name().into(),
            view: View::Own(own),
            kind: Kind::File,
            position: n,
        };
        let items = (3..).zip(Own::FILES).map(item).collect();
        Listing::with_dots(itself, View::live(NodeId::ROOT), items, None)
    }

    fn with_dots(
        itself: View,
        parent: View,
        mut rest: Vec<Item>,
        changed: Option<Time>,
    ) -> Listing {
        let dot = |name: &[u8], view, position| Item {
            name: name.into(),
            view,
            kind: Kind::Directory,
            position,
        };
        let mut items = vec![dot(b".", itself, 1), dot(b"..", parent, 2)];
        items.append(&mut rest);
        // Two names with one position (nearly always two links to one file): the later one is moved
        // on.
        let mut before = 0;
        for item in &mut items {
            item.position = item.position.max(before + 1).min(LAST);
            before = item.position;
        }
        Listing { items, changed }
    }

    /// Returns the entries behind `position`.
    pub(in crate::mount) fn behind(&self, position: u64) -> &[Item] {
        let from = self.items.partition_point(|item| item.position <= position);
        self.items.get(from..).unwrap_or_default()
    }
}

/// Returns the position of an entry: in creation order of the nodes, in which the index finds them
/// fastest.
fn place_of(child: NodeId, name: &[u8]) -> u64 {
    (child.0 << NAME_BITS | hash(name) >> (64 - NAME_BITS)) & LAST
}

fn hash(name: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(name);
    hasher.finish()
}

/// The open directories.
#[derive(Debug, Default)]
pub(in crate::mount) struct Handles {
    open: Mutex<FxHashMap<u64, Handle>>,
    next: AtomicU64,
}

/// One open directory, with its listing once it was read.
pub(in crate::mount) type Handle = Arc<Mutex<Option<Listing>>>;

impl Handles {
    pub(in crate::mount) fn open(&self) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.lock().insert(number, Handle::default());
        number
    }

    pub(in crate::mount) fn get(&self, number: u64) -> Option<Handle> {
        self.open.lock().get(&number).cloned()
    }

    pub(in crate::mount) fn close(&self, number: u64) {
        self.open.lock().remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pond::{Edit, Tag};
    use crate::tinyfs::Version;

    fn listing(entries: &[(&str, u64)]) -> Listing {
        let entries = entries
            .iter()
            .map(|(name, id)| {
                let dentry = Dentry {
                    child: NodeId(*id),
                    kind: Kind::File,
                };
                (Name::new(name.as_bytes()).expect("a name"), dentry)
            })
            .collect();
        Listing::of_nodes(
            Tree::LIVE,
            View::ROOT,
            View::ROOT,
            entries,
            Vec::new(),
            None,
        )
    }

    fn names(items: &[Item]) -> Vec<String> {
        let text = |item: &Item| String::from_utf8_lossy(&item.name).into_owned();
        items.iter().map(text).collect()
    }

    #[test]
    fn dots_come_first_and_then_what_was_made_first() {
        let listing = listing(&[("a", 9), ("b", 3), ("c", 5)]);
        assert_eq!(names(listing.behind(0)), [".", "..", "b", "c", "a"]);
        assert_eq!(names(listing.behind(2)), ["b", "c", "a"]);
    }

    #[test]
    fn a_position_outlives_its_listing() {
        let before = listing(&[("a", 9), ("b", 3), ("c", 5), ("d", 7)]);
        let behind_c = before.items[3].position;
        assert_eq!(names(before.behind(behind_c)), ["d", "a"]);
        // The entry at the position is removed, and another one added.
        let after = listing(&[("a", 9), ("d", 7), ("e", 11)]);
        assert_eq!(names(after.behind(behind_c)), ["d", "a", "e"]);
    }

    #[test]
    fn links_to_one_node_are_all_listed_once() {
        let many: Vec<(String, u64)> = (0..1000).map(|n| (format!("l{n}"), 4)).collect();
        let many: Vec<(&str, u64)> = many.iter().map(|(n, id)| (n.as_str(), *id)).collect();
        let listing = listing(&many);
        let (mut position, mut seen) = (0, 0);
        while let Some(item) = listing.behind(position).first() {
            assert!(item.position > position);
            position = item.position;
            seen += 1;
        }
        assert_eq!(seen, 1002);
    }

    #[test]
    fn versions_stand_in_their_order_and_latest_at_the_end() {
        let (tree, of) = (Tree::LIVE, Subject::Dir(NodeId(1)));
        let edit = |version| Edit {
            version: Version(version),
            node: NodeId(1),
        };
        let tag = |name: &str| Tag {
            name: name.into(),
            version: Version(2),
            given: Time::default(),
            message: String::new(),
        };
        let contents = Contents {
            edits: [0, 2, 11].map(edit).into(),
            tags: ["one", "two"].map(tag).into(),
            extension: [].into(),
        };
        let listing = Listing::of_versions(View::Versions { tree, of }, (tree, of), contents);
        let names = names(listing.behind(2));
        assert_eq!(
            (&names[..3], &names[5]),
            (&["0", "2", "11"].map(String::from)[..], &"latest".into())
        );
        assert!(names.contains(&"one".into()) && names.contains(&"two".into()));
        assert!(listing.behind(LAST).is_empty());
    }
}
