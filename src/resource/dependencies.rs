//! Which resources read which: cycles are refused, and the others have an order.
//!
//! The patterns of a resource alone decide what it depends on. Invariant: after [`break_cycles`]
//! no resource that has a document depends on itself. Cost: both searches visit each dependency a
//! constant number of times, without recursion, so that no set of resources exhausts the stack.

use super::ResourceError;
use super::pattern::{Pattern, reaches};
use super::registry::Resource;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;
use std::collections::hash_map::Entry;

/// Greatest number of resources that an error of a cycle names.
const MAX_NAMED: usize = 16;

/// For each resource, those that it depends on.
pub(super) struct Needs(Vec<Vec<usize>>);

/// Refuses resources that depend on themselves.
pub(super) fn break_cycles(resources: &mut [Resource]) {
    let needs = Needs::of(resources);
    let cycles = needs.cycles();
    let paths: Vec<String> = resources.iter().map(Resource::path).collect();
    for (n, cycle) in cycles {
        let names = cycle.iter().map(|step| match step {
            Some(n) => paths.get(*n).map_or("", String::as_str),
            None => "…",
        });
        let names: Vec<&str> = names.collect();
        let why = format!("it would be made of itself: {}", names.join(" takes from "));
        if let Some(resource) = resources.get_mut(n) {
            resource.document = Err(ResourceError::new(why));
        }
    }
}

impl Needs {
    pub(super) fn of(resources: &[Resource]) -> Needs {
        let places: Vec<Vec<Vec<String>>> = resources.iter().map(Resource::places).collect();
        let needs = |resource: &Resource| {
            let Ok(document) = &resource.document else {
                return Vec::new();
            };
            let patterns = document.spec.patterns();
            let patterns: Vec<Pattern> = patterns
                .iter()
                .filter_map(|p| Pattern::new(p).ok())
                .collect();
            let needed = |places: &Vec<Vec<String>>| {
                let reached = |place: &Vec<String>| patterns.iter().any(|p| reaches(p, place));
                places.iter().any(reached)
            };
            let all = places.iter().enumerate();
            all.filter(|(_, places)| needed(places))
                .map(|(n, _)| n)
                .collect()
        };
        Needs(resources.iter().map(needs).collect())
    }

    fn of_one(&self, n: usize) -> &[usize] {
        self.0.get(n).map_or(&[], Vec::as_slice)
    }

    /// Returns all resources, each behind those that it depends on.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.0.len());
        let mut seen = vec![false; self.0.len()];
        for root in 0..self.0.len() {
            // Each step is a resource and how many of its dependencies were visited.
            let mut steps = visit(&mut seen, root).into_iter().collect::<Vec<_>>();
            while let Some((n, visited)) = steps.last_mut() {
                match self.of_one(*n).get(*visited) {
                    Some(next) => {
                        *visited += 1;
                        steps.extend(visit(&mut seen, *next));
                    }
                    None => {
                        order.push(*n);
                        steps.pop();
                    }
                }
            }
        }
        order
    }

    /// Returns the resources that depend on themselves, each with a way back to itself. `None` in a
    /// way stands for resources that are left out because there are many.
    fn cycles(&self) -> Vec<(usize, Vec<Option<usize>>)> {
        let mut cycles = Vec::new();
        for group in self.groups() {
            let ways = Ways::new(self, &group);
            let cyclic = group
                .iter()
                .filter(|n| group.len() > 1 || self.of_one(**n).contains(n));
            cycles.extend(cyclic.map(|n| (*n, ways.around(*n))));
        }
        cycles.sort_by_key(|(n, _)| *n);
        cycles
    }

    /// Returns the strongly connected components: all members of one depend on each other.
    /// Kosaraju's algorithm: a search in reverse order along reversed dependencies.
    fn groups(&self) -> Vec<Vec<usize>> {
        let needed_by = self.reversed();
        let mut seen = vec![false; self.0.len()];
        let mut groups = Vec::new();
        for root in self.order().into_iter().rev() {
            let mut group = Vec::new();
            let mut open: Vec<usize> = visit(&mut seen, root).map(|(n, _)| n).into_iter().collect();
            while let Some(n) = open.pop() {
                group.push(n);
                for next in needed_by.of_one(n) {
                    open.extend(visit(&mut seen, *next).map(|(n, _)| n));
                }
            }
            if !group.is_empty() {
                groups.push(group);
            }
        }
        groups
    }

    fn reversed(&self) -> Needs {
        let mut reversed = vec![Vec::new(); self.0.len()];
        for (n, needs) in self.0.iter().enumerate() {
            for needed in needs {
                if let Some(by) = reversed.get_mut(*needed) {
                    by.push(n);
                }
            }
        }
        Needs(reversed)
    }
}

/// Marks a resource as seen. Returns it with the count 0, or `None` if it was seen before.
fn visit(seen: &mut [bool], n: usize) -> Option<(usize, usize)> {
    let seen = seen.get_mut(n).filter(|seen| !**seen)?;
    *seen = true;
    Some((n, 0))
}

/// Dependencies within a group.
type Edges = FxHashMap<usize, Vec<usize>>;

/// Shortest ways between one member of a group, its root, and the others.
struct Ways {
    root: usize,
    /// For each member the next one on its way to the root.
    to_root: FxHashMap<usize, usize>,
    /// For each member the one before it on the way from the root.
    from_root: FxHashMap<usize, usize>,
}

impl Ways {
    fn new(needs: &Needs, group: &[usize]) -> Ways {
        let root = group.iter().min().copied().unwrap_or_default();
        let inside: FxHashSet<usize> = group.iter().copied().collect();
        let (mut needed, mut needed_by) = (Edges::default(), Edges::default());
        for n in group {
            for other in needs.of_one(*n).iter().filter(|n| inside.contains(n)) {
                needed.entry(*n).or_default().push(*other);
                needed_by.entry(*other).or_default().push(*n);
            }
        }
        Ways {
            root,
            to_root: tree(root, &needed_by),
            from_root: tree(root, &needed),
        }
    }

    /// Returns a way from a member to itself.
    fn around(&self, n: usize) -> Vec<Option<usize>> {
        let half = MAX_NAMED / 2;
        let (mut way, mut at) = (vec![Some(n)], n);
        while let Some(next) = self.to_root.get(&at).filter(|_| way.len() < half) {
            at = *next;
            way.push(Some(at));
            if at == self.root {
                break;
            }
        }
        if n == self.root {
            // The way to the root was the whole cycle, unless it was cut.
            if at != n {
                way.extend([None, Some(n)]);
            }
            return way;
        }
        let (mut back, mut before) = (vec![Some(n)], n);
        while let Some(last) = self.from_root.get(&before).filter(|_| back.len() < half) {
            before = *last;
            if before == self.root {
                break;
            }
            back.push(Some(before));
        }
        if at != self.root || before != self.root {
            way.push(None);
        }
        way.extend(back.into_iter().rev());
        way
    }
}

/// Searches in breadth from a root. Returns for each resource that is reached the one before it;
/// for the root, the one that closes the shortest cycle.
fn tree(root: usize, edges: &Edges) -> FxHashMap<usize, usize> {
    let mut before = FxHashMap::default();
    let mut open = VecDeque::from([root]);
    while let Some(n) = open.pop_front() {
        for to in edges.get(&n).into_iter().flatten() {
            if let Entry::Vacant(entry) = before.entry(*to) {
                entry.insert(n);
                if *to != root {
                    open.push_back(*to);
                }
            }
        }
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(needs: Vec<Vec<usize>>) -> Vec<(usize, Vec<usize>)> {
        let cycles = Needs(needs).cycles();
        let whole =
            |(n, way): (usize, Vec<Option<usize>>)| (n, way.into_iter().flatten().collect());
        cycles.into_iter().map(whole).collect()
    }

    #[test]
    fn cycles_are_found_with_their_way() {
        let needs = vec![vec![1], vec![2], vec![0], vec![0], vec![4]];
        let cycles = ways(needs);
        let expected = [
            (0, vec![0, 1, 2, 0]),
            (1, vec![1, 2, 0, 1]),
            (2, vec![2, 0, 1, 2]),
            (4, vec![4, 4]),
        ];
        assert_eq!(cycles, expected);
        assert_eq!(ways(vec![vec![2], vec![], vec![1]]), []);
    }

    #[test]
    fn needed_resources_come_first() {
        assert_eq!(Needs(vec![vec![2], vec![], vec![1]]).order(), [1, 2, 0]);
    }

    #[test]
    fn a_long_cycle_is_named_in_part() {
        let count = 100_000;
        let ring: Vec<Vec<usize>> = (0..count).map(|n| vec![(n + 1) % count]).collect();
        let cycles = Needs(ring).cycles();
        assert_eq!(cycles.len(), count);
        for (n, way) in cycles {
            assert!(way.len() <= MAX_NAMED + 1 && way.contains(&None), "{way:?}");
            assert_eq!((way[0], way[way.len() - 1]), (Some(n), Some(n)));
        }
    }

    #[test]
    fn a_long_chain_has_an_order() {
        let count = 100_000;
        let mut chain: Vec<Vec<usize>> = (1..count).map(|n| vec![n]).collect();
        chain.push(Vec::new());
        let order = Needs(chain).order();
        assert_eq!((order[0], order[count - 1]), (count - 1, 0));
    }
}
