//! What each recipe makes of its inputs: rows in a format, or bytes.

use super::cache::Draft;
use super::node::{DerivedFile, Group, Input, Recipe};
use super::render::Works;
use super::template::{self, Export, Given};
use super::{DeriveError, picture, spec, wave};
use crate::query::{
    self, Before, Blob, Format, Hash, Member, QueryError, Reduction, Renamed, Rows, Scope, Series,
    Source, computed, renamed,
};
use regex::Regex;
use std::io::Write;
use std::sync::Arc;

/// The inputs of a recipe, in its order.
#[derive(Default)]
pub(super) struct Opened {
    /// Each with its mark.
    pub(super) blobs: Vec<(String, Arc<dyn Blob>)>,
    pub(super) sources: Vec<Arc<Source>>,
}

/// What was written.
#[derive(Default)]
pub(super) struct Written {
    /// How many rows, where it is made of rows.
    pub(super) rows: Option<u64>,
    /// The keys of its sections, where it was written in sections, with how many row groups each has.
    pub(super) sections: Vec<(Hash, usize)>,
}

impl Opened {
    /// Writes what a recipe makes. What was made of it before, of other inputs, may save some of the work.
    pub(super) fn write(
        &self,
        works: &Works,
        file: &DerivedFile,
        before: Option<Before>,
        draft: &mut Draft<'_>,
    ) -> Result<Written, Wrong> {
        let format = file.format.unwrap_or(Format::Parquet);
        let recipe = &*file.recipe;
        let (schema, rows): (_, Rows) = match recipe {
            Recipe::Query {
                query,
                tables,
                file,
            } => {
                let mut sources = self.sources.iter().cloned();
                let mut named = std::collections::BTreeMap::new();
                for (name, inputs) in tables {
                    if inputs.is_empty() {
                        let why = format!("no file matches the pattern of {name:?}");
                        return Err(DeriveError::new(why).into());
                    }
                    named.insert(name.clone(), sources.by_ref().take(inputs.len()).collect());
                }
                let called = file.as_ref().map(|input| input.path());
                let called = called.filter(|path| recipe.told_path().as_ref() == Some(path));
                let called = |source: &Source| called.clone().unwrap_or(source.name().into());
                let files: Vec<_> = sources.map(|source| (called(&source), source)).collect();
                let query = match files.first() {
                    Some((called, _)) => query.replace("$1", &called.replace('\'', "''")),
                    None => query.clone(),
                };
                works.engine.query(&query, &named, &files)?
            }
            Recipe::Join {
                groups,
                columns,
                sorted,
            } => {
                let sets = self.sets(groups);
                let slices: Vec<&[Member]> = sets.iter().map(Vec::as_slice).collect();
                Series::distinct(&slices)?;
                let mut series = Series::new(sets.concat())?;
                if let Some(columns) = columns {
                    series = series.only(columns);
                }
                if *sorted {
                    series = series.sorted();
                }
                (series.schema()?, series.rows(works.keep.as_ref())?)
            }
            Recipe::Reduce {
                groups,
                columns,
                aggregates,
                all_rows,
                base,
                width,
            } => {
                let sets = self.sets(groups).into_iter().zip(groups);
                let scope = |(members, group): (Vec<Member>, &Group)| Scope {
                    prefix: group.prefix.clone(),
                    members,
                };
                let reduction = Reduction {
                    scopes: sets.map(scope).collect(),
                    columns: columns.clone(),
                    aggregates: aggregates.clone(),
                    all_rows: *all_rows,
                    base: *base,
                    width: *width,
                };
                let sections = reduction.sections(&works.keep)?;
                let spliced = query::write_sections(sections, format, before, draft)?;
                return Ok(Written {
                    rows: Some(spliced.rows),
                    sections: spliced.sections,
                });
            }
            Recipe::Rename { rules, .. } => {
                let source = self.only()?;
                let rules = compiled(rules)?;
                renamed(source, &|name| rename(&rules, name))?
            }
            Recipe::Synthetic(series) => {
                let names: Vec<String> = series.columns.iter().map(|c| c.name.clone()).collect();
                let columns = series.columns.clone();
                let (start, end) = (series.start.micros(), series.end.micros());
                let every = series.every.micros();
                let times = std::iter::successors(Some(start), move |time| time.checked_add(every));
                let times = times.take_while(move |time| *time < end);
                let compute = move |n: usize, time: i64| {
                    columns
                        .get(n)
                        .map_or(f64::NAN, |column| wave::value(column, time - start))
                };
                computed(&names, times, compute)
            }
            Recipe::Template {
                text,
                args,
                exports,
                ..
            } => {
                let columns = self.only()?.columns();
                // Behind the input come the exports, if the template asks for their times.
                let mut sources = self.sources.iter().skip(1);
                let export = |(captures, input): &(Vec<String>, Input)| {
                    let span = match sources.next() {
                        Some(source) => query::span(source, works.keep.as_ref())?,
                        None => None,
                    };
                    Ok(Export {
                        captures: captures.clone(),
                        path: input.path(),
                        span,
                    })
                };
                let exports: Result<Vec<_>, Wrong> = exports.iter().map(export).collect();
                let exports = exports?;
                let given = Given {
                    args,
                    columns: &columns,
                    exports: &exports,
                };
                let text = template::render(text, &given)?;
                draft.write_all(text.as_bytes())?;
                return Ok(Written::default());
            }
            Recipe::Chart {
                spec, title, png, ..
            } => {
                let members = self.sources.iter().map(alone).collect();
                let series = Series::new(members)?;
                let rows = series.rows(works.keep.as_ref())?;
                let bytes = picture::draw(spec, title, *png, &series.schema()?, rows)?;
                draft.write_all(&bytes)?;
                return Ok(Written::default());
            }
            Recipe::Concat {
                header_once,
                separator,
                ..
            } => {
                concat(&self.blobs, *header_once, separator, draft)?;
                return Ok(Written::default());
            }
            Recipe::Text(text) => {
                draft.write_all(text.as_bytes())?;
                return Ok(Written::default());
            }
        };
        Ok(Written {
            rows: Some(query::write(&schema, rows, format, draft)?),
            sections: Vec::new(),
        })
    }

    fn only(&self) -> Result<Arc<Source>, DeriveError> {
        let first = self.sources.first().cloned();
        first.ok_or_else(|| DeriveError::new("it has no input"))
    }

    /// The files of groups, group by group.
    fn sets(&self, groups: &[Group]) -> Vec<Vec<Member>> {
        let mut sources = self.sources.iter();
        let mut set = |group: &Group| -> Vec<Member> {
            let some = sources.by_ref().take(group.inputs.len());
            let member = |source: &Arc<Source>| Member {
                source: source.clone(),
                prefix: group.prefix.clone(),
            };
            some.map(member).collect()
        };
        groups.iter().map(&mut set).collect()
    }
}

fn alone(source: &Arc<Source>) -> Member {
    Member {
        source: source.clone(),
        prefix: String::new(),
    }
}

/// What can go wrong: a question about rows may be put again.
pub(super) enum Wrong {
    Query(QueryError),
    Else(DeriveError),
}

impl From<QueryError> for Wrong {
    fn from(error: QueryError) -> Wrong {
        Wrong::Query(error)
    }
}

impl From<picture::Drawing> for Wrong {
    fn from(error: picture::Drawing) -> Wrong {
        match error {
            picture::Drawing::Rows(error) => Wrong::Query(error),
            picture::Drawing::Chart(error) => Wrong::Else(error),
        }
    }
}

impl From<DeriveError> for Wrong {
    fn from(error: DeriveError) -> Wrong {
        Wrong::Else(error)
    }
}

impl From<std::io::Error> for Wrong {
    fn from(error: std::io::Error) -> Wrong {
        Wrong::Else(error.into())
    }
}

/// A rule that is ready to use.
enum Rule<'r> {
    Direct(&'r str, &'r str, bool),
    Pattern(Regex, &'r str),
}

fn compiled(rules: &[spec::Rule]) -> Result<Vec<Rule<'_>>, DeriveError> {
    let rule = |rule| match rule {
        &spec::Rule::Direct {
            ref from,
            ref to,
            cast,
        } => Ok(Rule::Direct(from, to, cast.is_some())),
        spec::Rule::Pattern {
            pattern,
            replacement,
        } => Ok(Rule::Pattern(
            Regex::new(pattern).map_err(DeriveError::new)?,
            replacement,
        )),
    };
    rules.iter().map(rule).collect()
}

/// The new name of a column, by the first rule that fits.
fn rename(rules: &[Rule<'_>], name: &str) -> Renamed {
    for rule in rules {
        match rule {
            Rule::Direct(from, to, as_time) if *from == name => {
                return Renamed {
                    name: (*to).to_owned(),
                    as_time: *as_time,
                };
            }
            Rule::Pattern(pattern, replacement) if pattern.is_match(name) => {
                return Renamed {
                    name: pattern.replace(name, *replacement).into_owned(),
                    as_time: false,
                };
            }
            _ => {}
        }
    }
    Renamed {
        name: name.to_owned(),
        as_time: false,
    }
}

/// Writes files one after the other; with `header_once` the first line of all but the first is left out, which must
/// be the same.
fn concat(
    blobs: &[(String, Arc<dyn Blob>)],
    header_once: bool,
    separator: &str,
    to: &mut Draft<'_>,
) -> Result<(), DeriveError> {
    const PIECE: u64 = 1 << 20;
    let mut header: Option<Vec<u8>> = None;
    for (n, (path, blob)) in blobs.iter().enumerate() {
        if n > 0 {
            to.write_all(separator.as_bytes())?;
        }
        let mut from = 0;
        if header_once {
            let head = blob.read(0..blob.len().min(PIECE))?;
            let end = head
                .iter()
                .position(|byte| *byte == b'\n')
                .map_or(head.len(), |at| at + 1);
            let line = head.slice(..end);
            match &header {
                None => header = Some(line.to_vec()),
                Some(first) if first.trim_ascii_end() == line.trim_ascii_end() => from = end as u64,
                Some(_) => {
                    let why = format!("{path}: its header is not that of the files before it");
                    return Err(DeriveError::new(why));
                }
            }
        }
        while from < blob.len() {
            let end = blob.len().min(from + PIECE);
            to.write_all(&blob.read(from..end)?)?;
            from = end;
        }
    }
    Ok(())
}
