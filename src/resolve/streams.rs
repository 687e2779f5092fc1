//! Which module streams are active: those that the runtimes' definitions name, the defaults of
//! other modules, and what these need. Of a module one stream is active, and of that one version.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ModuleStream, Modules};

use super::{ResolveError, Target};

/// The module that stands for the distribution: no list has it.
const PLATFORM: &str = "platform";
/// Longest chain of streams of which each needs the next.
const DEEPEST: usize = 16;
/// How many versions of streams are tried in all.
const MAX_WORK: usize = 100_000;

/// The positions of the active streams in the lists.
///
/// # Errors
/// When two runtimes want different streams of one module.
pub(super) fn active(modules: &Modules, target: &Target) -> Result<BTreeSet<usize>, ResolveError> {
    let mut search = Search::new(modules);
    for (module, stream) in wanted(target)? {
        if !search.activate(module, stream, 0) {
            // What is asked for by name counts even where what it needs is not there.
            let newest = search.versions(module, stream).into_iter().next();
            search.chosen.insert(module, (stream, newest.unwrap_or_default()));
        }
    }
    for module in modules.defaults.keys() {
        if let Some(stream) = modules.default_of(module) {
            search.activate(module, stream, 0);
        }
    }
    Ok(search.chosen.into_values().flat_map(|(_, positions)| positions).collect())
}

/// The streams that the runtimes' definitions name: module → stream.
fn wanted<'a>(target: &Target<'a>) -> Result<BTreeMap<&'a str, &'a str>, ResolveError> {
    let mut wanted: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for runtime in target.runtimes.iter().map(|wanted| wanted.runtime) {
        for (module, stream) in &runtime.streams {
            let &mut (other, by) = wanted.entry(module).or_insert((stream, &runtime.name));
            if other != stream {
                return Err(ResolveError::Streams {
                    module: module.as_str().into(),
                    first: (by.to_owned(), other.to_owned()),
                    second: (runtime.name.clone(), stream.clone()),
                });
            }
        }
    }
    Ok(wanted.into_iter().map(|(module, (stream, _))| (module, stream)).collect())
}

/// The streams that are active so far, and the means to find more.
struct Search<'a> {
    modules: &'a Modules,
    /// Module and stream → the positions of its versions.
    streams: BTreeMap<(&'a str, &'a str), Vec<usize>>,
    /// Module → its active stream, and the positions of the version that counts.
    chosen: BTreeMap<&'a str, (&'a str, Vec<usize>)>,
    /// The modules in `chosen`, in the order in which they came there.
    trail: Vec<&'a str>,
    work: usize,
}

impl<'a> Search<'a> {
    fn new(modules: &'a Modules) -> Self {
        let mut streams: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (position, ModuleStream { module, stream, .. }) in modules.streams.iter().enumerate() {
            streams.entry((module.as_str(), stream.as_str())).or_default().push(position);
        }
        Self { modules, streams, chosen: BTreeMap::new(), trail: Vec::new(), work: 0 }
    }

    /// The versions of a stream, newest first: the positions of all lists' entries that say the same
    /// of what it needs.
    fn versions(&self, module: &str, stream: &str) -> Vec<Vec<usize>> {
        let key = |position: usize| {
            let entry = self.modules.streams.get(position);
            entry.map(|stream| (Reverse(stream.version), &stream.requires))
        };
        let mut positions = self.streams.get(&(module, stream)).cloned().unwrap_or_default();
        positions.sort_by_key(|&position| key(position));
        let groups = positions.chunk_by(|&left, &right| key(left) == key(right));
        groups.map(<[usize]>::to_vec).collect()
    }

    /// Makes a stream active, and what it needs. False where that cannot be: then nothing changed.
    fn activate(&mut self, module: &'a str, stream: &'a str, depth: usize) -> bool {
        if let Some((chosen, _)) = self.chosen.get(module) {
            return *chosen == stream;
        }
        let trail = self.trail.len();
        for version in self.versions(module, stream) {
            self.work += 1;
            if depth > DEEPEST || self.work > MAX_WORK {
                return false;
            }
            let first = version.first().and_then(|&first| self.modules.streams.get(first));
            let Some(ModuleStream { requires, .. }) = first else { continue };
            self.chosen.insert(module, (stream, version));
            self.trail.push(module);
            if requires.iter().all(|(module, streams)| self.fulfil(module, streams, depth + 1)) {
                return true;
            }
            for module in self.trail.drain(trail..) {
                self.chosen.remove(module);
            }
        }
        false
    }

    /// Sees to it that one of these streams of a module is active: the default one if it will do, else
    /// the first by name.
    fn fulfil(&mut self, module: &'a str, streams: &'a [String], depth: usize) -> bool {
        let names_any = streams.iter().any(|stream| !stream.starts_with('-'));
        let will_do = |stream: &str| {
            let is_refused = |it: &String| it.strip_prefix('-') == Some(stream);
            match names_any {
                true => streams.iter().any(|it| it == stream),
                false => !streams.iter().any(is_refused),
            }
        };
        if module == PLATFORM {
            return true;
        }
        if let Some((chosen, _)) = self.chosen.get(module) {
            return will_do(chosen);
        }
        let default = self.modules.default_of(module);
        let all = self.streams.range((module, "")..).take_while(|((name, _), _)| *name == module);
        let others = all.map(|((_, stream), _)| *stream).filter(|it| Some(*it) != default);
        let candidates: Vec<&str> = default.into_iter().chain(others).collect();
        candidates.into_iter().filter(|it| will_do(it)).any(|it| self.activate(module, it, depth))
    }
}
