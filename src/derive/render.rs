//! Renders derived files, single-flight: concurrent requests for one result share one rendering.

use super::DeriveError;
use super::cache::{Cache, Cached};
use super::error::HIDDEN;
use super::lease;
use super::mark::{label, mark};
use super::memory::Results;
use super::node::{DerivedFile, Input};
use super::recipes::{Making, Opened, Wrong};
use super::stored::{Identities, StoredFile, is_stale};
use super::view::{View, find_file, may_list};
use crate::pond::Pond;
use crate::query::{Before, Blob, Engine, Format, Hash, Keep, QueryError, Source, key};
use crate::resource::{DocumentCache, Kinds};
use crate::tinyfs::ops::Caller;
use crate::tinyfs::{FsError, FsResult, NodeId, Version};
use parking_lot::{Condvar, Mutex};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// The folder of the cache in the pond's folder.
const FOLDER: &str = "cache";

/// Renders the resources of a pond.
pub struct Derive {
    pond: Arc<Pond>,
    documents: DocumentCache,
    views: Mutex<Vec<Arc<View>>>,
    works: OnceLock<Result<Works, DeriveError>>,
    identities: Arc<Identities>,
    flights: Mutex<FxHashMap<Hash, Arc<Flight>>>,
    failures: Mutex<FxHashMap<Hash, (Instant, DeriveError)>>,
    /// Results that were read last, held open.
    open: Mutex<Vec<(Hash, Arc<Cached>)>>,
    /// The last result of each file that is written in sections, by path.
    last: Mutex<FxHashMap<Vec<u8>, Arc<Cached>>>,
    free: Mutex<usize>,
    freed: Condvar,
}

/// The parts that any rendering needs; created on first use.
pub(super) struct Works {
    cache: Arc<Cache>,
    pub(super) keep: Arc<dyn Keep>,
    pub(super) engine: Arc<Engine>,
    /// Keeps the folder of spilled query data from being swept.
    _spill: File,
}

/// A rendering in progress.
#[derive(Default)]
struct Flight {
    done: Mutex<Option<Result<Arc<Cached>, DeriveError>>>,
    landed: Condvar,
}

/// The inputs and the cost of a rendering.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Lineage {
    /// The number of rows, if it is a table.
    pub rows: Option<u64>,
    /// The time it took, in ms.
    pub took: u64,
    /// The keys of its sections and the number of row groups of each, if it was written in
    /// sections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) sections: Vec<(Hash, usize)>,
    /// The inputs' paths.
    #[serde(skip)]
    pub inputs: Vec<String>,
    /// The version of the inputs; `None` for the present.
    #[serde(skip)]
    pub version: Option<u64>,
}

impl Derive {
    /// Creates the renderer of a pond. Reads and renders nothing.
    pub fn new(pond: Arc<Pond>, kinds: Kinds) -> Derive {
        Derive {
            pond,
            documents: DocumentCache::new(kinds),
            views: Mutex::default(),
            works: OnceLock::new(),
            identities: Arc::default(),
            flights: Mutex::default(),
            failures: Mutex::default(),
            open: Mutex::default(),
            last: Mutex::default(),
            free: Mutex::new(std::thread::available_parallelism().map_or(1, |n| n.get())),
            freed: Condvar::new(),
        }
    }

    /// Returns all kinds of resources.
    pub fn kinds(&self) -> Kinds {
        self.documents.kinds()
    }

    /// Returns the derived tree at a version, or of the present.
    pub fn view(&self, at: Version) -> FsResult<Arc<View>> {
        let known = |view: &&Arc<View>| view.at == at && view.is_current();
        if let Some(view) = self.views.lock().iter().find(known) {
            return Ok(view.clone());
        }
        let view = Arc::new(View::load(&self.pond, at, &self.documents)?);
        let mut views = self.views.lock();
        views.retain(|view| view.at != at);
        views.truncate(self.pond.limits().past_views.saturating_sub(1));
        views.insert(0, view.clone());
        Ok(view)
    }

    fn works(&self) -> Result<&Works, DeriveError> {
        let made = self.works.get_or_init(|| {
            let folder = self.pond.access_path(FOLDER);
            let limits = self.pond.limits();
            let memory = usize::try_from(limits.query_memory).unwrap_or(usize::MAX);
            let cache = Arc::new(Cache::open(&folder.join("results"), limits.result_cache)?);
            let keep: Arc<dyn Keep> = Arc::new(Results::new(cache.clone()));
            let spill = folder.join("spill");
            std::fs::create_dir_all(&spill)?;
            lease::sweep(&spill, |_| true)?;
            let (spill, lease) = lease::claim_folder(&spill)?;
            let engine = Arc::new(Engine::new(memory, &spill)?);
            Ok(Works {
                cache,
                keep,
                engine,
                _spill: lease,
            })
        });
        made.as_ref().map_err(DeriveError::clone)
    }

    /// Returns the key of a file: equal recipes and inputs have equal keys.
    pub fn key(&self, file: &DerivedFile) -> FsResult<Hash> {
        Ok(self.known_key(file).map_err(named(file))?)
    }

    fn known_key(&self, file: &DerivedFile) -> Result<Hash, DeriveError> {
        if let Some(known) = &*file.key.lock() {
            return known.clone();
        }
        let key = self.fresh_key(file);
        *file.key.lock() = Some(key.clone());
        key
    }

    /// Returns the key by the present inputs.
    fn fresh_key(&self, file: &DerivedFile) -> Result<Hash, DeriveError> {
        let inputs = file.recipe.inputs().into_iter().enumerate();
        let inputs = inputs.map(|(n, input)| self.identity_of(n, input, file.at));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        Ok(file.recipe.key(file.format, &inputs))
    }

    /// Returns the identity of input `n`.
    fn identity_of(&self, n: usize, input: &Input, at: Version) -> Result<Hash, DeriveError> {
        match input {
            Input::Stored { path, id } => identity_as(n, path, &self.stored(at, *id)?),
            Input::Derived(file) => self.fresh_key(file).map_err(|error| error.within(n)),
        }
    }

    fn stored(&self, at: Version, id: NodeId) -> Result<StoredFile, DeriveError> {
        match StoredFile::open(&self.pond, &self.works()?.keep, &self.identities, at, id) {
            Ok(file) => Ok(file),
            Err(FsError::Posix(_)) => Err(DeriveError::stale()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the cached result of a file, if there is one.
    pub fn made(&self, file: &DerivedFile) -> FsResult<Option<Arc<Cached>>> {
        let made = || {
            let key = self.known_key(file)?;
            self.find(file.instead.get().unwrap_or(&key))
        };
        Ok(made().map_err(named(file))?)
    }

    fn find(&self, key: &Hash) -> Result<Option<Arc<Cached>>, DeriveError> {
        if let Some(open) = self.opened(key) {
            return Ok(Some(open));
        }
        let found = self.works()?.cache.find(key).map(Arc::new);
        if let Some(found) = &found {
            let mut open = self.open.lock();
            open.truncate(self.pond.limits().open_results.saturating_sub(1));
            open.insert(0, (*key, found.clone()));
        }
        Ok(found)
    }

    /// Returns an open result, and marks it as the last one read.
    fn opened(&self, key: &Hash) -> Option<Arc<Cached>> {
        let mut open = self.open.lock();
        let place = open.iter().position(|(of, _)| of == key)?;
        open.get_mut(..=place)?.rotate_right(1);
        open.first().map(|(_, made)| made.clone())
    }

    /// Returns the result of a file, if it is available without blocking.
    pub fn at_hand(&self, file: &DerivedFile) -> Option<(Hash, Arc<Cached>)> {
        let key = file.key.try_lock()?.clone()?.ok()?;
        let key = *file.instead.get().unwrap_or(&key);
        Some((key, self.opened(&key)?))
    }

    /// Returns the derived tree at a version, if it is already loaded.
    pub fn view_at_hand(&self, at: Version) -> Option<Arc<View>> {
        let views = self.views.lock();
        let view = views.iter().find(|view| view.at == at && view.is_current());
        view.cloned()
    }

    /// Returns the bytes of a file, after rendering them if needed. If its inputs change meanwhile,
    /// returns the same file of a version.
    pub fn render(&self, file: &DerivedFile) -> Result<Arc<Cached>, DeriveError> {
        self.render_marked(file).map_err(named(file))
    }

    /// Returns why a file cannot be rendered, with the inputs that `asker` may list.
    pub fn failure(&self, file: &DerivedFile, asker: &Caller) -> Option<DeriveError> {
        let error = self.render_marked(file).err()?;
        let sees = |input: &Input| may_list(&self.pond, file.at, input, asker);
        Some(error.named(&*file.recipe, &sees))
    }

    /// Returns the bytes of a file; an error has marks in place of paths.
    fn render_marked(&self, file: &DerivedFile) -> Result<Arc<Cached>, DeriveError> {
        let key = self.known_key(file)?;
        if let Some(made) = self.find(file.instead.get().unwrap_or(&key))? {
            return Ok(made);
        }
        let made = loop {
            let (made, by_us) = self.render_once(file, key);
            // Another thread's rendering may have failed by a change that concerns only its own
            // file.
            if made.is_ok() || by_us || file.at == Version::NOW {
                break made;
            }
        };
        if made.is_ok() || self.stands(file, &key) {
            return made;
        }
        let version = self.pond.sync().map_err(DeriveError::new)?;
        let view = self.view(version)?;
        let standing = find_file(&view, &file.path).ok_or_else(DeriveError::stale)?;
        let made = self.render_marked(&standing)?;
        let other = self.known_key(&standing)?;
        file.instead.get_or_init(|| other);
        Ok(made)
    }

    /// Returns whether the inputs of a file still have its key.
    fn stands(&self, file: &DerivedFile, key: &Hash) -> bool {
        file.at != Version::NOW || self.fresh_key(file).ok() == Some(*key)
    }

    /// Renders the result of a key once for all concurrent requests. Also returns whether this call
    /// did.
    fn render_once(
        &self,
        file: &DerivedFile,
        key: Hash,
    ) -> (Result<Arc<Cached>, DeriveError>, bool) {
        if let Some((when, error)) = self.failures.lock().get(&key)
            && when.elapsed() < self.pond.limits().failure
        {
            return (Err(error.clone()), true);
        }
        let (flight, first) = {
            let mut flights = self.flights.lock();
            match flights.get(&key) {
                Some(flight) => (flight.clone(), false),
                None => {
                    let flight = Arc::new(Flight::default());
                    flights.insert(key, flight.clone());
                    (flight, true)
                }
            }
        };
        if first {
            let landing = Landing {
                derive: self,
                flight: &flight,
                key,
            };
            let made = self.try_to_make(file, &key);
            if let Err(error) = &made
                && self.stands(file, &key)
            {
                let mut failures = self.failures.lock();
                failures.retain(|_, (when, _)| when.elapsed() < self.pond.limits().failure);
                failures.insert(key, (Instant::now(), error.clone()));
            }
            landing.with(made);
        }
        let mut done = flight.done.lock();
        while done.is_none() {
            flight.landed.wait(&mut done);
        }
        let made = done.clone();
        let missing = || Err(DeriveError::new("it was not made"));
        (made.unwrap_or_else(missing), first)
    }

    /// Renders a file from inputs that must not change meanwhile.
    fn try_to_make(&self, file: &DerivedFile, key: &Hash) -> Result<Arc<Cached>, DeriveError> {
        let recipe = &*file.recipe;
        // Inputs first: a rendering that waits for its inputs must not occupy a turn that they
        // need.
        let (mut opened, mut identities) = (Opened::default(), Vec::new());
        let inputs = recipe.inputs();
        for (n, input) in inputs.iter().enumerate() {
            let (blob, identity) = self.blob(n, input, file.at)?;
            opened.blobs.push((mark(n), blob));
            identities.push(identity);
        }
        // An open input cannot change without failing its reads; so the result has these
        // identities.
        if recipe.key(file.format, &identities) != *key {
            return Err(DeriveError::stale());
        }
        let _turn = self.turn();
        let began = Instant::now();
        let works = self.works()?;
        if recipe.reads_rows() {
            for (n, ((_, blob), input)) in opened.blobs.iter().zip(&inputs).enumerate() {
                let format = Format::of_file(&input.path(), blob.as_ref());
                let format = format.map_err(|error| unreadable(n, &error))?;
                let (name, blob) = (label(n, format), blob.clone());
                let source = Source::open(&name, format, blob, works.keep.as_ref())?;
                opened.sources.push(Arc::new(source));
            }
        }
        loop {
            let mut draft = works.cache.draft()?;
            let mut making = Making {
                works,
                format: file.format.unwrap_or(Format::Parquet),
                before: self.before(file),
                draft: &mut draft,
            };
            match recipe.write(&opened, &mut making) {
                Ok(written) => {
                    let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                    let lineage = Lineage {
                        rows: written.rows,
                        took,
                        sections: written.sections,
                        ..Lineage::default()
                    };
                    let note = serde_json::to_vec(&lineage).map_err(DeriveError::new)?;
                    let made = Arc::new(draft.finish(key, &note)?);
                    self.note_last(file, &lineage, &made);
                    return Ok(made);
                }
                Err(Wrong::Query(QueryError::Mistyped { name, why })) => {
                    let source = opened.sources.iter().find(|source| source.name() == name);
                    let learned = match source {
                        Some(source) => source.learn(works.keep.as_ref())?,
                        None => false,
                    };
                    if !learned {
                        return Err(QueryError::Input { name, why }.into());
                    }
                }
                Err(Wrong::Query(error)) => {
                    let error = DeriveError::from(error);
                    return Err(match (recipe.told_path(), opened.sources.last()) {
                        (Some(path), Some(source)) => error.marked(&path, source.name()),
                        _ => error,
                    });
                }
                Err(Wrong::Else(error)) => return Err(error),
            }
        }
    }

    /// Returns the previous result of a file, if its sections are known.
    fn before(&self, file: &DerivedFile) -> Option<Before> {
        let last = self.last.lock().get(&file.path).cloned()?;
        let told: Lineage = serde_json::from_slice(&last.note).ok()?;
        // Copied sections get a new hash, so a damaged source must be detected here.
        last.is_sound().then(|| Before {
            sections: told.sections,
            file: last,
        })
    }

    /// Remembers the last result of a file.
    fn note_last(&self, file: &DerivedFile, lineage: &Lineage, made: &Arc<Cached>) {
        if lineage.sections.is_empty() {
            return;
        }
        let mut last = self.last.lock();
        if last.len() >= self.pond.limits().last_results {
            last.clear();
        }
        last.insert(file.path.clone(), made.clone());
    }

    /// Returns input `n`, and the identity of its content.
    fn blob(
        &self,
        n: usize,
        input: &Input,
        at: Version,
    ) -> Result<(Arc<dyn Blob>, Hash), DeriveError> {
        match input {
            Input::Stored { path, id } => {
                let file = self.stored(at, *id)?;
                let identity = identity_as(n, path, &file)?;
                Ok((Arc::new(file), identity))
            }
            Input::Derived(file) => {
                let within = |error: DeriveError| error.within(n);
                let made = self.render_marked(file).map_err(within)?;
                let key = self.known_key(file).map_err(within)?;
                match file.instead.get().is_some() {
                    // Its inputs differ from those of its key.
                    true => Err(DeriveError::stale()),
                    false => Ok((made, key)),
                }
            }
        }
    }

    /// Waits for a turn; there are as many as processors.
    fn turn(&self) -> Turn<'_> {
        let mut free = self.free.lock();
        while *free == 0 {
            self.freed.wait(&mut free);
        }
        *free -= 1;
        Turn(self)
    }

    /// Returns the lineage of a rendered file, with the inputs that `asker` may list.
    pub fn lineage(&self, file: &DerivedFile, asker: &Caller) -> FsResult<Option<Lineage>> {
        let Some(made) = self.made(file)? else {
            return Ok(None);
        };
        let told: Lineage = serde_json::from_slice(&made.note).map_err(FsError::store)?;
        let path = |input: &Input| match may_list(&self.pond, file.at, input, asker) {
            true => input.path(),
            false => HIDDEN.to_owned(),
        };
        Ok(Some(Lineage {
            inputs: file.recipe.inputs().into_iter().map(path).collect(),
            version: (file.at != Version::NOW).then_some(file.at.0),
            ..told
        }))
    }
}

/// Names all inputs in an error of a file, for the daemon and its log.
fn named(file: &DerivedFile) -> impl Fn(DeriveError) -> DeriveError {
    |error| error.named(&*file.recipe, &|_| true)
}

/// Returns the error for an input `n` that cannot be read.
fn unreadable(n: usize, error: &std::io::Error) -> DeriveError {
    match is_stale(error) {
        true => DeriveError::stale(),
        false => DeriveError::new(format!("{}: {error}", mark(n))),
    }
}

/// Returns the identity of stored input `n`: a hash of its content and the format of its name.
fn identity_as(n: usize, path: &str, file: &StoredFile) -> Result<Hash, DeriveError> {
    let of = || -> std::io::Result<Hash> {
        let format = format!("{:?}", Format::of_file(path, file)?);
        Ok(key("input", &[&file.identity()?, format.as_bytes()]))
    };
    of().map_err(|error| unreadable(n, &error))
}

/// Wakes the waiting threads when a rendering ends, even by a panic.
struct Landing<'l> {
    derive: &'l Derive,
    flight: &'l Flight,
    key: Hash,
}

impl Landing<'_> {
    fn with(self, made: Result<Arc<Cached>, DeriveError>) {
        *self.flight.done.lock() = Some(made);
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let mut done = self.flight.done.lock();
        done.get_or_insert_with(|| Err(DeriveError::new("the thread that made it died")));
        self.derive.flights.lock().remove(&self.key);
        self.flight.landed.notify_all();
    }
}

/// A turn to render.
struct Turn<'t>(&'t Derive);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock() += 1;
        self.0.freed.notify_one();
    }
}
