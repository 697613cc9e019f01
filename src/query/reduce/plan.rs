//! Decides which files make which columns, and which are computed together.

use super::aggregate::Aggregate;
use super::compute::Computing;
use super::section::{Part, Sections};
use crate::query::keep::Keep;
use crate::query::series::{self, Member};
use crate::query::width::Width;
use crate::query::{QueryError, schema, time};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// Files that form one series: among files with common columns, a row can replace another file's
/// row.
pub struct Scope {
    /// Prefix of the names of its columns; empty for none.
    pub prefix: String,
    /// The files.
    pub members: Vec<Member>,
}

/// Parameters of a reduction.
pub struct Reduction {
    /// The files, by scope.
    pub scopes: Vec<Scope>,
    /// Patterns of columns in which `*` stands for any text; `None` for all numbers.
    pub columns: Option<Vec<String>>,
    /// Aggregates of each column.
    pub aggregates: Vec<Aggregate>,
    /// Whether all rows count, and not only the last of each time.
    pub all_rows: bool,
    /// Width of the buckets that are computed from rows. It must divide `width`.
    pub base: Width,
    /// Width of the buckets of the result.
    pub width: Width,
}

/// Files of one scope that share columns.
pub(super) struct Group {
    /// The time, then the columns by their names in the files, with types that hold all values.
    pub(super) schema: SchemaRef,
    pub(super) members: Vec<GroupMember>,
}

/// A file of a group.
pub(super) struct GroupMember {
    pub(super) member: Member,
    /// Indices of its selected columns.
    pub(super) columns: Vec<usize>,
}

impl Reduction {
    /// Returns the reduced rows, in sections of time.
    pub fn sections(&self, keep: &Arc<dyn Keep>) -> Result<Sections, QueryError> {
        let mut groups: Vec<(Group, Vec<Field>)> = Vec::new();
        for scope in &self.scopes {
            for group in self.groups(scope)? {
                let columns = self.columns_of(&group, &scope.prefix);
                groups.push((group, columns));
            }
        }
        let Some((first, _)) = groups.first() else {
            return Err(QueryError::Recipe(
                "no file has any column to reduce".into(),
            ));
        };
        // All files share one time column, called as in the first.
        let times = Field::new(first.schema.field(0).name(), time::KIND, false);
        let all = groups.iter().flat_map(|(_, columns)| columns.clone());
        let schema = Schema::new(
            std::iter::once(times.clone())
                .chain(all)
                .collect::<Vec<_>>(),
        );
        schema::distinct("the result", &schema)?;
        let mut parts = Vec::new();
        for (group, columns) in groups {
            let fields = [vec![times.clone()], columns].concat();
            let computing = Computing::new(group, self, keep)?;
            parts.push(Part::new(Schema::new(fields), computing));
        }
        let schema = Arc::new(schema);
        Ok(Sections::new(schema, &self.aggregates, self.width, parts))
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

    /// Returns whether a column is reduced.
    fn wants(&self, field: &Field) -> bool {
        match &self.columns {
            Some(patterns) => patterns
                .iter()
                .any(|pattern| schema::column_matches(pattern, field.name())),
            None => field.data_type().is_numeric() || field.data_type() == &DataType::Null,
        }
    }

    /// Returns the files of a scope in groups with common columns.
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
        // In the order of the files.
        sets.sort();
        sets.retain(|(_, names)| !names.is_empty());
        sets.into_iter()
            .map(|(members, names)| group(scope, &members, &names, &wanted))
            .collect()
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
        // There is one time column, called as in the first file.
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
