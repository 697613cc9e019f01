//! What resources show: of each kind, which files there are, and how they are made. Nothing is read for it but
//! names.

use super::DeriveError;
use super::node::{DerivedFile, Dir, Group, Node, Owner, Recipe};
use super::registry::Resource;
use super::spec::{self, Spec};
use super::view::{Entries, Finder, Found};
use crate::query::{Format, Width};
use crate::tinyfs::{self, Name, Time};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The file that says why a resource shows nothing else.
pub(super) const ERROR: &[u8] = b"ERROR";

/// All patterns of a spec.
pub(super) fn patterns(spec: &Spec) -> Vec<&str> {
    match spec {
        Spec::Derive(of) => of.collections.iter().map(|c| &c.pattern[..]).collect(),
        Spec::Combine(of) => {
            let series = of.scopes.iter().flat_map(|scope| &scope.series);
            series.map(|series| &series.pattern[..]).collect()
        }
        Spec::Reduce(of) => {
            let datasets = of.collections.iter().flat_map(|c| &c.datasets);
            datasets.map(|dataset| &dataset.in_pattern[..]).collect()
        }
        Spec::Pivot(of) => of.collections.iter().map(|c| &c.pattern[..]).collect(),
        Spec::Rename(of) => of.collections.iter().map(|c| &c.pattern[..]).collect(),
        Spec::Sql(of) => {
            let inputs = of.queries.iter().flat_map(|query| query.inputs.values());
            inputs.map(|pattern| &pattern[..]).collect()
        }
        Spec::Template(of) => of.collections.iter().map(|c| &c.in_pattern[..]).collect(),
        Spec::Chart(of) => of.charts.iter().map(|c| &c.in_pattern[..]).collect(),
        Spec::Concat(of) => of.files.iter().map(|file| &file.pattern[..]).collect(),
        Spec::DynamicDir(of) => of
            .entries
            .iter()
            .flat_map(|entry| patterns(&entry.spec))
            .collect(),
        Spec::Synthetic(_) => Vec::new(),
        Spec::HydroVu(_) | Spec::Backup(_) | Spec::Copy(_) | Spec::Scribble(_) | Spec::Inbox(_) => {
            Vec::new()
        }
    }
}

/// The directory of a resource; of one that cannot be made, a file that says why.
pub(super) fn directory(finder: &Finder<'_>, resource: &Resource) -> Dir {
    let builder = Builder {
        finder,
        owner: resource.owner,
    };
    let path = resource.path().into_bytes();
    let made = match &resource.document {
        Ok(document) => builder.kind(&path, &document.spec),
        Err(error) => Err(error.clone()),
    };
    made.unwrap_or_else(|error| builder.error(path, &error))
}

/// Why a directory shows nothing else, if it does not.
pub(super) fn told(dir: &Dir) -> Option<String> {
    match dir.entries.first_key_value() {
        Some((name, Node::File(file))) if name.as_bytes() == ERROR => match &*file.recipe {
            Recipe::Text(why) => Some(why.trim_end().to_owned()),
            _ => None,
        },
        _ => None,
    }
}

struct Builder<'b> {
    finder: &'b Finder<'b>,
    owner: Owner,
}

/// Files that become one, each with what it takes from its inputs.
type Made = Result<Dir, DeriveError>;

impl Builder<'_> {
    fn kind(&self, path: &[u8], spec: &Spec) -> Made {
        match spec {
            Spec::Derive(spec) => self.derive(path, spec),
            Spec::Combine(spec) => self.combine(path, spec),
            Spec::Reduce(spec) => self.reduce(path, spec),
            Spec::Pivot(spec) => self.pivot(path, spec),
            Spec::Rename(spec) => self.rename(path, spec),
            Spec::Sql(spec) => self.sql(path, spec),
            Spec::Synthetic(spec) => self.synthetic(path, spec),
            Spec::Template(spec) => self.template(path, spec),
            Spec::Chart(spec) => self.chart(path, spec),
            Spec::Concat(spec) => self.concat(path, spec),
            Spec::DynamicDir(spec) => self.dynamic(path, spec),
            Spec::HydroVu(_)
            | Spec::Backup(_)
            | Spec::Copy(_)
            | Spec::Scribble(_)
            | Spec::Inbox(_) => Err(DeriveError::new("resources of this kind show no directory")),
        }
    }

    fn error(&self, path: Vec<u8>, error: &DeriveError) -> Dir {
        let mut dir = Listing::new(self, path);
        let recipe = Recipe::Text(format!("{error}\n"));
        // The name is one.
        let _ = dir.file(&String::from_utf8_lossy(ERROR), recipe, None, None);
        dir.end()
    }

    fn derive(&self, path: &[u8], spec: &spec::Derive) -> Made {
        let mut dir = Listing::new(self, path.to_vec());
        for collection in &spec.collections {
            let mut files = dir.below(&collection.name)?;
            for found in self.finder.find(&collection.pattern)? {
                let recipe = Recipe::Query {
                    query: collection.query.clone(),
                    tables: BTreeMap::new(),
                    file: Some(found.input.clone()),
                };
                files.table(&found.name, recipe, &[&found])?;
            }
            dir.add(&collection.name, Node::Dir(Arc::new(files.end())))?;
        }
        Ok(dir.end())
    }

    fn combine(&self, path: &[u8], spec: &spec::Combine) -> Made {
        let mut dir = Listing::new(self, path.to_vec());
        for scope in &spec.scopes {
            let (mut groups, mut all) = (Vec::new(), Vec::new());
            for series in &scope.series {
                let found = self.finder.find(&series.pattern)?;
                groups.push(Group {
                    prefix: series.scope.clone().unwrap_or_default(),
                    inputs: found.iter().map(|found| found.input.clone()).collect(),
                });
                all.extend(found);
            }
            let mut files = dir.below(&scope.name)?;
            if !all.is_empty() {
                let recipe = Recipe::Join {
                    groups,
                    columns: scope.columns.clone(),
                    sorted: true,
                };
                files.table("combine", recipe, &all.iter().collect::<Vec<_>>())?;
            }
            dir.add(&scope.name, Node::Dir(Arc::new(files.end())))?;
        }
        Ok(dir.end())
    }

    fn pivot(&self, path: &[u8], spec: &spec::Pivot) -> Made {
        let mut dir = Listing::new(self, path.to_vec());
        for collection in &spec.collections {
            let found = self.finder.find(&collection.pattern)?;
            let mut groups: BTreeMap<String, Group> = BTreeMap::new();
            for found in &found {
                let stem = Format::of_name(&found.name).map_or(&found.name[..], |(_, stem)| stem);
                let alias = found.captures.first().map_or(stem, |capture| &capture[..]);
                let group = groups.entry(alias.to_owned());
                let group = group.or_insert_with(|| Group {
                    prefix: alias.to_owned(),
                    inputs: Vec::new(),
                });
                group.inputs.push(found.input.clone());
            }
            if groups.is_empty() {
                continue;
            }
            let recipe = Recipe::Join {
                groups: groups.into_values().collect(),
                columns: collection.columns.clone(),
                sorted: false,
            };
            dir.parquet(&collection.name, recipe, &found.iter().collect::<Vec<_>>())?;
        }
        Ok(dir.end())
    }

    fn reduce(&self, path: &[u8], spec: &spec::Reduce) -> Made {
        let mut dir = Listing::new(self, path.to_vec());
        for collection in &spec.collections {
            let widths: Vec<Width> = collection.resolutions.iter().map(|r| r.width()).collect();
            let mut results = dir.below(&collection.name)?;
            for dataset in &collection.datasets {
                let mut outputs: BTreeMap<String, Vec<Found>> = BTreeMap::new();
                for found in self.finder.find(&dataset.in_pattern)? {
                    let name = renamed(&dataset.out_pattern, &found)?;
                    outputs.entry(name).or_default().push(found);
                }
                for (name, found) in outputs {
                    let groups = scopes(&found);
                    let mut files = results.below(&name)?;
                    for resolution in &collection.resolutions {
                        let width = resolution.width();
                        let recipe = Recipe::Reduce {
                            groups: groups.clone(),
                            columns: dataset.columns.clone(),
                            aggregates: dataset.aggregates.clone(),
                            all_rows: dataset.duplicates == spec::Duplicates::All,
                            base: finest(&widths, &width),
                            width,
                        };
                        let file = format!("res={}", resolution.as_str());
                        files.table(&file, recipe, &found.iter().collect::<Vec<_>>())?;
                    }
                    results.add(&name, Node::Dir(Arc::new(files.end())))?;
                }
            }
            dir.add(&collection.name, Node::Dir(Arc::new(results.end())))?;
        }
        Ok(dir.end())
    }

    fn rename(&self, path: &[u8], spec: &spec::Rename) -> Made {
        let mut dir = Listing::new(self, path.to_vec());
        for collection in &spec.collections {
            let mut files = dir.below(&collection.name)?;
            for found in self.finder.find(&collection.pattern)? {
                let recipe = Recipe::Rename {
                    input: found.input.clone(),
                    rules: collection.rules.clone(),
                };
                files.table(&found.name, recipe, &[&found])?;
            }
            dir.add(&collection.name, Node::Dir(Arc::new(files.end())))?;
        }
        Ok(dir.end())
    }

    fn sql(&self, path: &[u8], spec: &spec::Sql) -> Made {
        let mut dir = Listing::new(self, path.to_vec());
        for query in &spec.queries {
            let (mut tables, mut all) = (BTreeMap::new(), Vec::new());
            for (alias, pattern) in &query.inputs {
                let found = self.finder.find(pattern)?;
                let inputs: Vec<_> = found.iter().map(|found| found.input.clone()).collect();
                tables.insert(alias.clone(), inputs);
                all.extend(found);
            }
            let recipe = Recipe::Query {
                query: query.query.clone(),
                tables,
                file: None,
            };
            dir.parquet(&query.name, recipe, &all.iter().collect::<Vec<_>>())?;
        }
        Ok(dir.end())
    }

    fn synthetic(&self, path: &[u8], spec: &spec::Synthetic) -> Made {
        let mut dir = Listing::new(self, path.to_vec());
        for series in &spec.series {
            dir.parquet(&series.name, Recipe::Synthetic(series.clone()), &[])?;
        }
        Ok(dir.end())
    }

    fn template(&self, path: &[u8], spec: &spec::Template) -> Made {
        let mut dir = Listing::new(self, path.to_vec());
        for collection in &spec.collections {
            let Some(spec::Body::Inline(text)) = collection.body() else {
                let why = "template_file is read when a document is applied; apply it with `pondmount apply`";
                return Err(DeriveError::new(why));
            };
            let mut files = dir.below(&collection.name)?;
            let beside = beside(&collection.in_pattern);
            let exports: Vec<_> = self.finder.find(&beside)?;
            let exports: Vec<_> = exports.into_iter().map(|f| (f.captures, f.input)).collect();
            for found in self.finder.find(&collection.in_pattern)? {
                let name = renamed(&collection.out_pattern, &found)?;
                let stem = name.rsplit_once('.').map_or(&name[..], |(stem, _)| stem);
                let args = std::iter::once(stem.to_owned()).chain(found.captures.iter().cloned());
                let recipe = Recipe::Template {
                    text: text.to_owned(),
                    args: args.collect(),
                    input: found.input.clone(),
                    exports: exports.clone(),
                };
                files.file(&name, recipe, None, Some(found.modified))?;
            }
            dir.add(&collection.name, Node::Dir(Arc::new(files.end())))?;
        }
        Ok(dir.end())
    }

    fn chart(&self, path: &[u8], spec: &spec::Chart) -> Made {
        let mut dir = Listing::new(self, path.to_vec());
        for chart in &spec.charts {
            let mut outputs: BTreeMap<String, Vec<Found>> = BTreeMap::new();
            for found in self.finder.find(&chart.in_pattern)? {
                let name = renamed(&chart.out_pattern, &found)?;
                outputs.entry(name).or_default().push(found);
            }
            let mut files = dir.below(&chart.name)?;
            for (name, found) in outputs {
                for format in &chart.formats {
                    let (png, ending) = match format {
                        spec::Format::Svg => (false, "svg"),
                        spec::Format::Png => (true, "png"),
                    };
                    let recipe = Recipe::Chart {
                        spec: chart.clone(),
                        title: chart.title.clone().unwrap_or_else(|| name.clone()),
                        png,
                        inputs: found.iter().map(|found| found.input.clone()).collect(),
                    };
                    let modified = newest(&found.iter().collect::<Vec<_>>());
                    files.file(&format!("{name}.{ending}"), recipe, None, modified)?;
                }
            }
            dir.add(&chart.name, Node::Dir(Arc::new(files.end())))?;
        }
        Ok(dir.end())
    }

    fn concat(&self, path: &[u8], spec: &spec::Concat) -> Made {
        let mut dir = Listing::new(self, path.to_vec());
        for file in &spec.files {
            let found = self.finder.find(&file.pattern)?;
            let recipe = Recipe::Concat {
                inputs: found.iter().map(|found| found.input.clone()).collect(),
                header_once: file.header == spec::Header::Once,
                separator: file.separator.clone(),
            };
            let modified = newest(&found.iter().collect::<Vec<_>>());
            dir.file(&file.name, recipe, None, modified)?;
        }
        Ok(dir.end())
    }

    fn dynamic(&self, path: &[u8], spec: &spec::DynamicDir) -> Made {
        let mut dir = Listing::new(self, path.to_vec());
        for entry in &spec.entries {
            let path = [path, b"/", entry.name.as_bytes()].concat();
            let made = self.kind(&path, &entry.spec);
            let made = made.map_err(|error| error.about(&entry.name))?;
            dir.add(&entry.name, Node::Dir(Arc::new(made)))?;
        }
        Ok(dir.end())
    }
}

/// The finest of the widths that buckets of `width` can be made of.
fn finest(widths: &[Width], width: &Width) -> Width {
    let first = |w: &&Width| w.start_of(0).abs_diff(w.next(w.start_of(0)));
    let fitting = widths.iter().filter(|of| of.divides(width));
    *fitting.min_by_key(first).unwrap_or(width)
}

/// Files of the same scope together; what stands for a scope is told only where there are several.
fn scopes(found: &[Found]) -> Vec<Group> {
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for found in found {
        let group = groups.entry(&found.scope).or_insert_with(|| Group {
            prefix: found.scope.clone(),
            inputs: Vec::new(),
        });
        group.inputs.push(found.input.clone());
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    if let [only] = &mut groups[..] {
        only.prefix.clear();
    }
    groups
}

/// The name of a result.
fn renamed(out: &str, found: &Found) -> Result<String, DeriveError> {
    let captures: Vec<Vec<u8>> = found
        .captures
        .iter()
        .map(|c| c.clone().into_bytes())
        .collect();
    let name = tinyfs::substitute(out.as_bytes(), &captures);
    let name = name.ok().and_then(|name| String::from_utf8(name).ok());
    name.ok_or_else(|| {
        DeriveError::new(format!(
            "{out:?} has more `$N` than the pattern has wildcards"
        ))
    })
}

/// The pattern of all files beside those that a pattern finds.
fn beside(pattern: &str) -> String {
    let pattern = pattern.trim_end_matches('/');
    match pattern.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/*"),
        None => "*".into(),
    }
}

fn newest(found: &[&Found]) -> Option<Time> {
    found.iter().map(|found| found.modified).max()
}

/// A directory that is being listed.
struct Listing<'b> {
    builder: &'b Builder<'b>,
    path: Vec<u8>,
    entries: Entries,
    modified: Time,
}

impl<'b> Listing<'b> {
    fn new(builder: &'b Builder<'b>, path: Vec<u8>) -> Listing<'b> {
        Listing {
            builder,
            path,
            entries: BTreeMap::new(),
            modified: builder.owner.modified,
        }
    }

    fn path_of(&self, name: &str) -> Vec<u8> {
        [&self.path[..], b"/", name.as_bytes()].concat()
    }

    /// A directory in this one.
    fn below(&self, name: &str) -> Result<Listing<'b>, DeriveError> {
        Ok(Listing::new(self.builder, self.path_of(name)))
    }

    fn add(&mut self, name: &str, node: Node) -> Result<(), DeriveError> {
        let shown = Name::new(name.as_bytes());
        let shown =
            shown.map_err(|_| DeriveError::new(format!("{name:?} is no name of a file")))?;
        let modified = match &node {
            Node::Dir(dir) => dir.owner.modified,
            Node::File(file) => file.owner.modified,
        };
        self.modified = self.modified.max(modified);
        match self.entries.insert(shown, node) {
            None => Ok(()),
            Some(_) => {
                let folder = String::from_utf8_lossy(&self.path).into_owned();
                Err(DeriveError::new(format!(
                    "two results are called {folder}/{name}"
                )))
            }
        }
    }

    fn file(
        &mut self,
        name: &str,
        recipe: Recipe,
        format: Option<Format>,
        modified: Option<Time>,
    ) -> Result<(), DeriveError> {
        let own = self.builder.owner;
        let file = DerivedFile {
            path: self.path_of(name),
            at: self.builder.finder.view.at,
            recipe: Arc::new(recipe),
            format,
            owner: Owner {
                modified: modified.map_or(own.modified, |time| time.max(own.modified)),
                ..own
            },
            key: Mutex::new(None),
            instead: std::sync::OnceLock::new(),
        };
        self.add(name, Node::File(Arc::new(file)))
    }

    /// A file of rows, in the format that its name tells, or as Parquet.
    fn table(&mut self, name: &str, recipe: Recipe, of: &[&Found]) -> Result<(), DeriveError> {
        let packed = name
            .strip_suffix(".gz")
            .or_else(|| name.strip_suffix(".zst"));
        let name = packed.unwrap_or(name);
        let format = Format::of_name(name).map_or(Format::Parquet, |(format, _)| format);
        self.file(name, recipe, Some(format), newest(of))
    }

    /// A file of rows that is called so, and `.parquet` where that tells no format.
    fn parquet(&mut self, name: &str, recipe: Recipe, of: &[&Found]) -> Result<(), DeriveError> {
        match Format::of_name(name) {
            Some(_) => self.table(name, recipe, of),
            None => self.table(&format!("{name}.parquet"), recipe, of),
        }
    }

    fn end(self) -> Dir {
        Dir {
            path: self.path,
            entries: self.entries,
            owner: Owner {
                modified: self.modified,
                ..self.builder.owner
            },
        }
    }
}
