//! Computes and caches the partial results of the pieces of a group.
//!
//! [`Sections`](super::Sections) asks for sets of pieces in time order, and for the partial
//! result of each set. A row can replace another only within a set. Equal sets have equal partial
//! results, whatever else the group contains; so they are cached by the identity of the set.

use super::partial::Partial;
use super::plan::{Group, GroupMember, Reduction};
use crate::query::keep::{Keep, key};
use crate::query::merge::{Merge, one_a_time};
use crate::query::series::{self, Facts};
use crate::query::source::{Piece, Rows};
use crate::query::width::Width;
use crate::query::{Hash, QueryError};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rolling up this many buckets takes less time than caching the result.
const FEW: usize = 1_024;

/// A piece of a group, and the summary of its times.
struct Known {
    member: usize,
    piece: Piece,
    facts: Facts,
}

/// Pieces that are computed together.
pub(super) struct Set {
    /// Its first and its last time.
    pub(super) span: (i64, i64),
    /// Identity of its partial result.
    pub(super) id: Hash,
    /// Indices of its pieces, in the order of the inputs.
    pub(super) pieces: Vec<usize>,
}

/// The pieces of a group, and the parameters of their partial results.
pub(super) struct Computing {
    pub(super) group: Group,
    base: Width,
    width: Width,
    values: bool,
    all_rows: bool,
    /// For each file, what distinguishes partial results of the same content.
    recipes: Vec<Vec<u8>>,
    keep: Arc<dyn Keep>,
    known: Vec<Known>,
}

impl Computing {
    /// Summarises the pieces of a group. Pieces whose summary is not cached are computed, by as
    /// many threads as there are processors.
    pub(super) fn new(
        group: Group,
        of: &Reduction,
        keep: &Arc<dyn Keep>,
    ) -> Result<Computing, QueryError> {
        let mut pieces: Vec<(usize, Piece)> = Vec::new();
        for (n, member) in group.members.iter().enumerate() {
            let of_member = member.member.source.pieces(keep.as_ref())?;
            pieces.extend(of_member.into_iter().map(|piece| (n, piece)));
        }
        let values = of
            .aggregates
            .iter()
            .any(|aggregate| aggregate.needs_values());
        let columns = group.schema.fields().iter();
        let columns = columns.map(|field| format!("{}:{}", field.name(), field.data_type()));
        let columns: Vec<String> = columns.collect();
        let recipe = format!("1 {:?} {values} {} {columns:?}", of.base, of.all_rows);
        let recipe_of = |member: &GroupMember| {
            let own = member.member.source.schema();
            let columns = member.columns.iter();
            let columns = columns.map(|column| own.field(*column).to_string());
            let columns: Vec<String> = columns.collect();
            format!("{recipe} {columns:?}").into_bytes()
        };
        let mut computing = Computing {
            recipes: group.members.iter().map(recipe_of).collect(),
            group,
            base: of.base,
            width: of.width,
            values,
            all_rows: of.all_rows,
            keep: keep.clone(),
            known: Vec::new(),
        };
        computing.known = computing.know(pieces)?;
        Ok(computing)
    }

    fn know(&self, pieces: Vec<(usize, Piece)>) -> Result<Vec<Known>, QueryError> {
        let mut found: BTreeMap<usize, Facts> = BTreeMap::new();
        let mut unknown = Vec::new();
        for (n, (member, piece)) in pieces.iter().enumerate() {
            match self.kept_facts(*member, piece) {
                Some(facts) => drop(found.insert(n, facts)),
                None => unknown.push((n, *member, piece)),
            }
        }
        let (next, found) = (AtomicUsize::new(0), Mutex::new(found));
        let work = || -> Result<(), QueryError> {
            loop {
                let next = next.fetch_add(1, Ordering::Relaxed);
                let Some((n, member, piece)) = unknown.get(next) else {
                    return Ok(());
                };
                let facts = self.facts(*member, piece)?;
                found.lock().insert(*n, facts);
            }
        };
        let threads = match unknown.len() {
            0 | 1 => 1,
            some => std::thread::available_parallelism().map_or(1, |n| n.get().min(some)),
        };
        let done: Vec<Result<(), QueryError>> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut done = vec![work()];
            for other in others {
                let died = || QueryError::Recipe("a thread that computed a part died".into());
                done.push(other.join().unwrap_or_else(|_| Err(died())));
            }
            done
        });
        done.into_iter().collect::<Result<(), _>>()?;
        let found = found.into_inner();
        let known = pieces
            .into_iter()
            .enumerate()
            .filter_map(|(n, (member, piece))| {
                let facts = *found.get(&n)?;
                Some(Known {
                    member,
                    piece,
                    facts,
                })
            });
        Ok(known.collect())
    }

    /// Returns the pieces that have rows, in sets by first time. Pieces that overlap are in one
    /// set, unless all rows count.
    pub(super) fn sets(&self) -> Vec<Set> {
        let mut order: Vec<(usize, (i64, i64))> = Vec::new();
        for (n, piece) in self.known.iter().enumerate() {
            order.extend(piece.facts.span.map(|span| (n, span)));
        }
        order.sort_by_key(|(n, (first, _))| (*first, *n));
        let mut sets: Vec<Set> = Vec::new();
        for (n, span) in order {
            match sets.last_mut() {
                Some(set) if span.0 <= set.span.1 && !self.all_rows => {
                    set.span.1 = set.span.1.max(span.1);
                    set.pieces.push(n);
                }
                _ => sets.push(Set {
                    span,
                    id: Hash::default(),
                    pieces: vec![n],
                }),
            }
        }
        for set in &mut sets {
            set.pieces.sort_unstable();
            set.id = self.id(&set.pieces);
        }
        sets
    }

    fn id(&self, pieces: &[usize]) -> Hash {
        let pieces: Vec<&Known> = pieces.iter().filter_map(|n| self.known.get(*n)).collect();
        if let [one] = pieces[..] {
            return self.piece_key("partial", one.member, &one.piece);
        }
        let recipes = pieces.iter().map(|one| self.recipe(one.member));
        let recipes: Vec<&[u8]> = recipes.collect();
        let ids = series::together(pieces.iter().map(|known| &known.piece.id));
        key("cluster", &[&ids, &recipes.concat()])
    }

    fn piece_key(&self, word: &str, member: usize, piece: &Piece) -> Hash {
        key(word, &[&piece.id, self.recipe(member)])
    }

    fn recipe(&self, member: usize) -> &[u8] {
        self.recipes.get(member).map_or(&[], Vec::as_slice)
    }

    /// Returns the cached summary of a piece.
    fn kept_facts(&self, member: usize, piece: &Piece) -> Option<Facts> {
        let kept = self.keep.get(&self.piece_key("piece", member, piece))?;
        serde_json::from_slice(&kept).ok()
    }

    /// Returns the summary of a piece. Computes and caches its partial result for that.
    fn facts(&self, member: usize, piece: &Piece) -> Result<Facts, QueryError> {
        let key = self.piece_key("piece", member, piece);
        let partial = self.piece(member, piece)?;
        if let Ok(text) = serde_json::to_vec(&partial.facts) {
            self.keep.put(&key, text.into());
        }
        Ok(partial.facts)
    }

    /// Returns the partial result of a set, in buckets of the final width or, if all values are
    /// needed, in buckets of the base.
    pub(super) fn partial(&self, set: &Set) -> Result<Partial, QueryError> {
        if self.values || self.width == self.base {
            return self.at_base(set);
        }
        // Cached, because otherwise an append to decades of minutes would read all minutes.
        let key = key("rolled", &[&set.id, format!("{:?}", self.width).as_bytes()]);
        let kept = self.keep.get(&key);
        if let Some(partial) = kept.and_then(|kept| Partial::decode(&kept)) {
            return Ok(partial);
        }
        let base = self.at_base(set)?;
        let rolled = base.rolled(&self.width);
        if base.starts.len() > FEW && is_small(&rolled) {
            self.keep.put(&key, rolled.encode());
        }
        Ok(rolled)
    }

    fn at_base(&self, set: &Set) -> Result<Partial, QueryError> {
        let pieces = || set.pieces.iter().filter_map(|n| self.known.get(*n));
        if let [n] = set.pieces[..]
            && let Some(one) = self.known.get(n)
        {
            return self.piece(one.member, &one.piece);
        }
        self.kept(&set.id, || {
            let runs = pieces().filter_map(|known| {
                let member = self.group.members.get(known.member)?;
                let (schema, columns) = (self.group.schema.clone(), Some(member.columns.clone()));
                let run = series::run(&member.member, &known.piece, known.facts, schema, columns);
                Some(run)
            });
            let merged = Merge::new(self.group.schema.clone(), runs.collect());
            self.add(Box::new(merged))
        })
    }

    /// Returns the partial result of one piece, with the columns of the group.
    fn piece(&self, member: usize, piece: &Piece) -> Result<Partial, QueryError> {
        self.kept(&self.piece_key("partial", member, piece), || {
            let partial = self.add(self.rows(member, piece)?)?;
            if partial.facts.strict || self.all_rows {
                return Ok(partial);
            }
            // Rows of this piece replace other rows of it.
            let rows = series::sorted(self.rows(member, piece)?, &self.group.schema)?;
            let once = rows.map(|batch| one_a_time(&self.group.schema, &[batch?]));
            let facts = partial.facts;
            let partial = self.add(Box::new(once.collect::<Vec<_>>().into_iter()))?;
            Ok(Partial { facts, ..partial })
        })
    }

    fn rows(&self, member: usize, piece: &Piece) -> Result<Rows, QueryError> {
        let member = self.group.members.get(member);
        let member = member.ok_or_else(|| QueryError::Recipe("no such file".into()))?;
        let columns = Some(member.columns.clone());
        series::timed(&member.member, piece, self.group.schema.clone(), columns)
    }

    fn add(&self, rows: Rows) -> Result<Partial, QueryError> {
        let mut partial = Partial::empty(self.group.schema.fields().len() - 1, self.values);
        for batch in rows {
            partial.add(&batch?, &self.base)?;
        }
        Ok(partial)
    }

    /// Returns the result that is cached under `key`, or computes it. It is cached if it is much
    /// smaller than its input.
    fn kept(
        &self,
        key: &Hash,
        compute: impl FnOnce() -> Result<Partial, QueryError>,
    ) -> Result<Partial, QueryError> {
        if let Some(partial) = self.keep.get(key).and_then(|kept| Partial::decode(&kept)) {
            return Ok(partial);
        }
        let partial = compute()?;
        if is_small(&partial) {
            self.keep.put(key, partial.encode());
        }
        Ok(partial)
    }
}

/// Returns whether a result is much smaller than its input.
fn is_small(partial: &Partial) -> bool {
    partial.starts.len() as u64 <= (partial.facts.rows / 4).max(FEW as u64)
}
