//! Which files make which columns, and what of it is computed together.

use super::aggregate::Aggregate;
use super::partial::Partial;
use super::roll::{Cluster, Roll};
use crate::query::keep::{Keep, key};
use crate::query::merge::{Merge, Run};
use crate::query::series::{self, Facts, Member};
use crate::query::source::{Piece, Rows};
use crate::query::width::Width;
use crate::query::{Hash, QueryError, schema, time};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Files that are one series: where they have the same columns, a row of one can stand in for one of another.
pub struct Scope {
    /// What stands before the names of its columns.
    pub prefix: String,
    /// The files.
    pub members: Vec<Member>,
}

/// A series that is to be reduced.
pub struct Reduction {
    /// The files.
    pub scopes: Vec<Scope>,
    /// Which columns, by patterns in which `*` stands for anything; all numbers without it.
    pub columns: Option<Vec<String>>,
    /// What is told of each.
    pub aggregates: Vec<Aggregate>,
    /// Whether all rows count, and not only the last of each time.
    pub all_rows: bool,
    /// The width that is computed of rows; that of the result must be made of it.
    pub base: Width,
    /// How wide buckets are.
    pub width: Width,
}

/// Files of one scope that share columns.
pub(super) struct Group {
    /// The columns by their names in the files, after the times, with types that hold all values.
    pub(super) schema: SchemaRef,
    members: Vec<GroupMember>,
}

struct GroupMember {
    member: Member,
    /// Which of its columns are wanted.
    columns: Vec<usize>,
}

/// A piece of a group, with what is known of its times.
struct Known {
    member: usize,
    piece: Piece,
    facts: Facts,
}

impl Reduction {
    /// The reduced rows, times first.
    pub fn rows(&self, keep: &Arc<dyn Keep>) -> Result<(SchemaRef, Rows), QueryError> {
        let mut parts: Vec<(Arc<Group>, String)> = Vec::new();
        for scope in &self.scopes {
            for group in self.groups(scope)? {
                parts.push((Arc::new(group), scope.prefix.clone()));
            }
        }
        let schema = self.schema(&parts)?;
        let mut runs = Vec::new();
        for (group, prefix) in parts {
            let clusters = self.clusters(&group, keep)?;
            let Some(first) = clusters.first().map(|cluster| cluster.first) else {
                continue;
            };
            let (columns, all) = (self.columns_of(&group, &prefix), schema.clone());
            let fields = [vec![schema.field(0).clone()], columns].concat();
            let roll = Roll::new(
                Arc::new(Schema::new(fields)),
                &self.aggregates,
                self.width,
                clusters,
            );
            let rows = roll.map(move |batch| schema::adapt(&batch?, &all));
            runs.push(Run {
                first: self.width.start_of(first),
                strict: true,
                open: Box::new(move || Ok(Box::new(rows) as Rows)),
            });
        }
        Ok((schema.clone(), Box::new(Merge::new(schema, runs))))
    }

    /// The columns of the result.
    fn schema(&self, parts: &[(Arc<Group>, String)]) -> Result<SchemaRef, QueryError> {
        let Some((group, _)) = parts.first() else {
            return Err(QueryError::Recipe(
                "no file has any column to reduce".into(),
            ));
        };
        let mut fields = vec![group.schema.field(0).clone()];
        for (group, prefix) in parts {
            fields.extend(self.columns_of(group, prefix));
        }
        let schema = Schema::new(fields);
        schema::distinct("the result", &schema)?;
        Ok(Arc::new(schema))
    }

    fn columns_of(&self, group: &Group, prefix: &str) -> Vec<Field> {
        let mut fields = Vec::new();
        for field in group.schema.fields().iter().skip(1) {
            for aggregate in &self.aggregates {
                let name = match prefix {
                    "" => format!("{}.{aggregate}", field.name()),
                    _ => format!("{prefix}.{}.{aggregate}", field.name()),
                };
                let kind = match aggregate {
                    Aggregate::Count => DataType::Int64,
                    _ => DataType::Float64,
                };
                fields.push(Field::new(name, kind, true));
            }
        }
        fields
    }

    /// Whether a column is reduced.
    fn wants(&self, field: &Field) -> bool {
        match &self.columns {
            Some(patterns) => patterns
                .iter()
                .any(|pattern| schema::column_matches(pattern, field.name())),
            None => field.data_type().is_numeric() || field.data_type() == &DataType::Null,
        }
    }

    /// The files of a scope by what columns they share.
    fn groups(&self, scope: &Scope) -> Result<Vec<Group>, QueryError> {
        let mut sets: Vec<(Vec<usize>, Vec<String>)> = Vec::new();
        let mut wanted: Vec<Vec<usize>> = Vec::new();
        for (n, member) in scope.members.iter().enumerate() {
            let (own, times) = (member.source.schema(), series::time_of(&member.source)?);
            let mut columns = Vec::new();
            for (column, field) in own.fields().iter().enumerate() {
                if column == times || !self.wants(field) {
                    continue;
                }
                let kind = field.data_type();
                if !kind.is_numeric() && kind != &DataType::Null {
                    let why = format!(
                        "column {:?} is {kind}, and only numbers are reduced",
                        field.name()
                    );
                    return Err(QueryError::Input {
                        name: member.source.name().into(),
                        why,
                    });
                }
                columns.push(column);
            }
            let names = |column: &usize| own.field(*column).name().clone();
            let mut set = (vec![n], columns.iter().map(names).collect::<Vec<_>>());
            let shares = |(_, names): &(Vec<usize>, Vec<String>)| {
                names.iter().any(|name| set.1.contains(name))
            };
            let (mut joined, rest): (Vec<_>, Vec<_>) = sets.into_iter().partition(shares);
            sets = rest;
            joined.push(set);
            set = (Vec::new(), Vec::new());
            for (members, names) in joined {
                set.0.extend(members);
                for name in names {
                    if !set.1.contains(&name) {
                        set.1.push(name);
                    }
                }
            }
            sets.push(set);
            wanted.push(columns);
        }
        // As the files have them, from left to right.
        sets.sort();
        sets.retain(|(_, names)| !names.is_empty());
        sets.into_iter()
            .map(|(members, names)| group(scope, &members, &names, &wanted))
            .collect()
    }

    /// What distinguishes partial results of one content.
    fn recipe(&self, schema: &Schema) -> String {
        let values = self
            .aggregates
            .iter()
            .any(|aggregate| aggregate.needs_values());
        let columns = schema
            .fields()
            .iter()
            .map(|field| format!("{}:{}", field.name(), field.data_type()));
        let columns: Vec<String> = columns.collect();
        format!("1 {:?} {values} {} {columns:?}", self.base, self.all_rows)
    }

    /// The pieces of a group in the order of time, those together that overlap. What is not known of them yet is
    /// computed first, by as many threads as there are processors.
    fn clusters(
        &self,
        group: &Arc<Group>,
        keep: &Arc<dyn Keep>,
    ) -> Result<Vec<Cluster>, QueryError> {
        let mut pieces: Vec<(usize, Piece)> = Vec::new();
        for (n, member) in group.members.iter().enumerate() {
            let of_member = member.member.source.pieces(keep.as_ref())?;
            pieces.extend(of_member.into_iter().map(|piece| (n, piece)));
        }
        let known = self.known(group, keep, pieces)?;
        let mut order: Vec<(usize, i64, i64)> = Vec::new();
        for (n, piece) in known.iter().enumerate() {
            if let Some((first, last)) = piece.facts.span {
                order.push((n, first, last));
            }
        }
        order.sort_by_key(|(n, first, _)| (*first, *n));
        let mut sets: Vec<(i64, i64, Vec<usize>)> = Vec::new();
        for (n, first, last) in order {
            match sets.last_mut() {
                Some(set) if first <= set.1 => {
                    set.1 = set.1.max(last);
                    set.2.push(n);
                }
                _ => sets.push((first, last, vec![n])),
            }
        }
        let known = Arc::new(known);
        Ok(sets
            .into_iter()
            .map(|(first, _, mut pieces)| {
                pieces.sort_unstable();
                let job = Job {
                    group: group.clone(),
                    known: known.clone(),
                    pieces,
                    base: self.base,
                    values: self
                        .aggregates
                        .iter()
                        .any(|aggregate| aggregate.needs_values()),
                    all_rows: self.all_rows,
                    recipe: self.recipe(&group.schema),
                    keep: keep.clone(),
                };
                Cluster {
                    first,
                    partials: Box::new(move || job.partials()),
                }
            })
            .collect())
    }

    fn known(
        &self,
        group: &Arc<Group>,
        keep: &Arc<dyn Keep>,
        pieces: Vec<(usize, Piece)>,
    ) -> Result<Vec<Known>, QueryError> {
        let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        let recipe = self.recipe(&group.schema);
        let values = self
            .aggregates
            .iter()
            .any(|aggregate| aggregate.needs_values());
        let work = || -> Result<(), QueryError> {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let Some((member, piece)) = pieces.get(n) else {
                    return Ok(());
                };
                let computing = Computing {
                    group,
                    base: &self.base,
                    values,
                    all_rows: self.all_rows,
                    recipe: &recipe,
                    keep: keep.as_ref(),
                };
                let facts = computing.facts(*member, piece)?;
                found.lock().insert(n, facts);
            }
        };
        let threads =
            std::thread::available_parallelism().map_or(1, |n| n.get().min(pieces.len().max(1)));
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
        Ok(pieces
            .into_iter()
            .enumerate()
            .filter_map(|(n, (member, piece))| {
                let facts = *found.get(&n)?;
                Some(Known {
                    member,
                    piece,
                    facts,
                })
            })
            .collect())
    }
}

fn group(
    scope: &Scope,
    members: &[usize],
    names: &[String],
    wanted: &[Vec<usize>],
) -> Result<Group, QueryError> {
    let (mut all, mut parts): (Option<Schema>, Vec<GroupMember>) = (None, Vec::new());
    for n in members {
        let (Some(member), Some(columns)) = (scope.members.get(*n), wanted.get(*n)) else {
            continue;
        };
        let own = member.source.schema();
        let times = series::time_of(&member.source)?;
        let mut fields = vec![Field::new(own.field(times).name(), time::KIND, false)];
        fields.extend(
            columns
                .iter()
                .map(|column| own.field(*column).clone().with_nullable(true)),
        );
        // Times are one column, whatever each file calls them.
        if let (Some(all), Some(first)) = (&all, fields.first_mut()) {
            *first = all.field(0).clone();
        }
        let here = Schema::new(fields);
        all = Some(match all {
            Some(before) => schema::union(member.source.name(), &before, &here)?,
            None => here,
        });
        parts.push(GroupMember {
            member: Member {
                source: member.source.clone(),
                prefix: String::new(),
            },
            columns: columns.clone(),
        });
    }
    let all = all.ok_or_else(|| QueryError::Recipe("no file matches".into()))?;
    let mut fields = vec![all.field(0).clone()];
    for name in names {
        fields.push(all.field_with_name(name)?.clone());
    }
    Ok(Group {
        schema: Arc::new(Schema::new(fields)),
        members: parts,
    })
}

/// What it takes to compute a partial result.
struct Computing<'c> {
    group: &'c Arc<Group>,
    base: &'c Width,
    values: bool,
    all_rows: bool,
    recipe: &'c str,
    keep: &'c dyn Keep,
}

impl Computing<'_> {
    /// What is known of a piece's times. Its partial result is kept on the way.
    fn facts(&self, member: usize, piece: &Piece) -> Result<Facts, QueryError> {
        let key = key("piece", &[&piece.id, &self.member_recipe(member)]);
        let kept = self.keep.get(&key);
        if let Some(facts) = kept.and_then(|kept| serde_json::from_slice(&kept).ok()) {
            return Ok(facts);
        }
        let partial = self.piece(member, piece)?;
        if let Ok(text) = serde_json::to_vec(&partial.facts) {
            self.keep.put(&key, text.into());
        }
        Ok(partial.facts)
    }

    fn member_recipe(&self, member: usize) -> Vec<u8> {
        let columns = self.group.members.get(member).map(|member| {
            let own = member.member.source.schema();
            let name = |column: &usize| own.field(*column).to_string();
            member.columns.iter().map(name).collect::<Vec<_>>()
        });
        format!("{} {columns:?}", self.recipe).into_bytes()
    }

    /// The partial result of one piece, with the columns of the group.
    fn piece(&self, member: usize, piece: &Piece) -> Result<Partial, QueryError> {
        let key = key("partial", &[&piece.id, &self.member_recipe(member)]);
        if let Some(partial) = self.keep.get(&key).and_then(|kept| Partial::decode(&kept)) {
            return Ok(partial);
        }
        let rows = self.rows(member, piece)?;
        let mut partial = self.add(rows)?;
        if !partial.facts.strict && !self.all_rows {
            // In this piece itself rows stand in for others.
            let facts = partial.facts;
            let rows = series::sorted(self.rows(member, piece)?, &self.group.schema)?;
            let once =
                rows.map(|batch| crate::query::merge::one_a_time(&self.group.schema, &[batch?]));
            partial = self.add(Box::new(once.collect::<Vec<_>>().into_iter()))?;
            partial.facts = facts;
        }
        self.store(&key, &partial);
        Ok(partial)
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
            partial.add(&batch?, self.base)?;
        }
        Ok(partial)
    }

    /// Keeps a result that is much smaller than what it was made of.
    fn store(&self, key: &Hash, partial: &Partial) {
        if partial.starts.len() as u64 <= (partial.facts.rows / 4).max(1_024) {
            self.keep.put(key, partial.encode());
        }
    }
}

/// The computation of a cluster, when its turn comes.
struct Job {
    group: Arc<Group>,
    known: Arc<Vec<Known>>,
    pieces: Vec<usize>,
    base: Width,
    values: bool,
    all_rows: bool,
    recipe: String,
    keep: Arc<dyn Keep>,
}

impl Job {
    fn partials(&self) -> Result<Vec<Partial>, QueryError> {
        let computing = Computing {
            group: &self.group,
            base: &self.base,
            values: self.values,
            all_rows: self.all_rows,
            recipe: &self.recipe,
            keep: self.keep.as_ref(),
        };
        let pieces: Vec<&Known> = self
            .pieces
            .iter()
            .filter_map(|n| self.known.get(*n))
            .collect();
        if self.all_rows || pieces.len() == 1 {
            let partial = |known: &&Known| computing.piece(known.member, &known.piece);
            return pieces.iter().map(partial).collect();
        }
        // Rows stand in for each other only within the cluster.
        let recipes: Vec<Vec<u8>> = pieces
            .iter()
            .map(|p| computing.member_recipe(p.member))
            .collect();
        let ids = series::together(pieces.iter().map(|known| &known.piece.id));
        let key = key("cluster", &[&ids, &recipes.concat()]);
        if let Some(partial) = self.keep.get(&key).and_then(|kept| Partial::decode(&kept)) {
            return Ok(vec![partial]);
        }
        let runs = pieces.iter().filter_map(|known| {
            let member = self.group.members.get(known.member)?;
            let (schema, columns) = (self.group.schema.clone(), Some(member.columns.clone()));
            Some(series::run(
                &member.member,
                &known.piece,
                known.facts,
                schema,
                columns,
            ))
        });
        let merged = Merge::new(self.group.schema.clone(), runs.collect());
        let partial = computing.add(Box::new(merged))?;
        computing.store(&key, &partial);
        Ok(vec![partial])
    }
}
