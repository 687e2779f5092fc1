//! Which module streams are active: those that the runtimes' definitions name, the defaults of
//! other modules, and what these need. Of a module one stream is active, and of that one version.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::model::{ModuleStream, Modules};

use super::{ResolveError, Target};

/// The module that stands for the distribution: no list has it.
const PLATFORM: &str = "platform";
/// Longest chain of streams of which each needs the next.
const DEEPEST: usize = 16;
/// How many versions of streams are tried in all, and names of streams looked at.
const MAX_WORK: usize = 1_000_000;

/// The positions of the entries of all lists that are one version of a stream: those that say the
/// same of what it needs.
type Version = Rc<[usize]>;

/// The positions of the active streams in the lists.
///
/// # Errors
/// When two runtimes want different streams of one module.
pub(super) fn active(modules: &Modules, target: &Target) -> Result<BTreeSet<usize>, ResolveError> {
    let mut search = Search::new(modules);
    for (module, stream) in wanted(target)? {
        if !search.activate(module, stream, 0) {
            // What is asked for by name counts even where what it needs is not there.
            let newest = search.versions(module, stream).first().cloned();
            search.chosen.insert(module, (stream, newest.unwrap_or_default()));
        }
    }
    for module in modules.defaults.keys() {
        if let Some(stream) = modules.default_of(module) {
            search.activate(module, stream, 0);
        }
    }
    let chosen = search.chosen.into_values();
    Ok(chosen.flat_map(|(_, version)| version.iter().copied().collect::<Vec<_>>()).collect())
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
    /// Module and stream → its versions, newest first.
    streams: BTreeMap<(&'a str, &'a str), Rc<[Version]>>,
    /// Module → its active stream, and the version that counts.
    chosen: BTreeMap<&'a str, (&'a str, Version)>,
    /// The modules in `chosen`, in the order in which they came there.
    trail: Vec<&'a str>,
    work: usize,
}

impl<'a> Search<'a> {
    fn new(modules: &'a Modules) -> Self {
        let mut positions: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (position, ModuleStream { module, stream, .. }) in modules.streams.iter().enumerate() {
            positions.entry((module.as_str(), stream.as_str())).or_default().push(position);
        }
        let streams = positions.into_iter().map(|(key, all)| (key, versions(modules, all)));
        let streams = streams.collect();
        Self { modules, streams, chosen: BTreeMap::new(), trail: Vec::new(), work: 0 }
    }

    /// The versions of a stream, newest first.
    fn versions(&self, module: &str, stream: &str) -> Rc<[Version]> {
        self.streams.get(&(module, stream)).cloned().unwrap_or_default()
    }

    /// Makes a stream active, and what it needs. False where that cannot be: then nothing changed.
    fn activate(&mut self, module: &'a str, stream: &'a str, depth: usize) -> bool {
        if let Some((chosen, _)) = self.chosen.get(module) {
            return *chosen == stream;
        }
        let trail = self.trail.len();
        for version in self.versions(module, stream).iter() {
            self.work += 1;
            if depth > DEEPEST || self.work > MAX_WORK {
                return false;
            }
            let first = version.first().and_then(|&first| self.modules.streams.get(first));
            let Some(ModuleStream { requires, .. }) = first else { continue };
            self.chosen.insert(module, (stream, Rc::clone(version)));
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
        if module == PLATFORM {
            return true;
        }
        let (refused, named) = split(streams);
        let will_do = |stream: &str| match named.is_empty() {
            true => !refused.contains(stream),
            false => named.contains(stream),
        };
        if let Some((chosen, _)) = self.chosen.get(module) {
            return will_do(chosen);
        }
        let default = self.modules.default_of(module);
        let others: Vec<&str> = if named.is_empty() {
            let all = self.streams.range((module, "")..);
            all.take_while(|((name, _), _)| *name == module).map(|((_, it), _)| *it).collect()
        } else {
            named.iter().copied().collect()
        };
        self.work += streams.len() + others.len();
        let others = others.into_iter().filter(|it| Some(*it) != default);
        let mut candidates = default.into_iter().chain(others).filter(|it| will_do(it));
        candidates.any(|it| self.activate(module, it, depth))
    }
}

/// The versions of a stream whose entries are these, newest first.
fn versions(modules: &Modules, mut positions: Vec<usize>) -> Rc<[Version]> {
    let key = |position: usize| {
        let entry = modules.streams.get(position);
        entry.map(|stream| (Reverse(stream.version), &stream.requires))
    };
    positions.sort_by_key(|&position| key(position));
    positions.chunk_by(|&left, &right| key(left) == key(right)).map(Rc::from).collect()
}

/// The streams that will not do, and those of which one must.
fn split(streams: &[String]) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let (refused, named): (Vec<_>, Vec<_>) =
        streams.iter().map(String::as_str).partition(|stream| stream.starts_with('-'));
    let refused = refused.into_iter().filter_map(|stream| stream.strip_prefix('-'));
    (refused.collect(), named.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::model::DefaultStream;

    fn stream(module: String, requires: Vec<(String, Vec<String>)>) -> ModuleStream {
        let (stream, version) = ("s".to_owned(), 1);
        ModuleStream { module, stream, version, requires, ..ModuleStream::default() }
    }

    /// Lists of modules, all of which need `shared`: these streams of it.
    fn needing(shared: &str, streams: &[String], count: usize) -> Modules {
        let mut modules = Modules::default();
        for number in 0..count {
            let (module, needs) = (format!("m{number}"), (shared.to_owned(), streams.to_vec()));
            let stream_name = Some("s".to_owned());
            let default = DefaultStream { stream: stream_name, ..DefaultStream::default() };
            modules.defaults.insert(module.clone(), default);
            modules.streams.push(stream(module, vec![needs]));
        }
        modules
    }

    /// How many modules are active by default.
    fn active_by_default(modules: &Modules) -> usize {
        let (mut search, start) = (Search::new(modules), Instant::now());
        modules.defaults.keys().filter(|module| search.activate(module, "s", 0)).count();
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        search.chosen.len()
    }

    #[test]
    fn lists_made_to_take_long_do_not() {
        // One that cannot be active, with many entries, which all others need.
        let mut modules = needing("shared", &["s".to_owned()], 20_000);
        let never = ("absent".to_owned(), vec!["s".to_owned()]);
        let entries = (0..20_000).map(|_| stream("shared".to_owned(), vec![never.clone()]));
        modules.streams.extend(entries);
        assert_eq!(active_by_default(&modules), 0);
        // One with many streams, none of which is among the many that will do.
        let wanted: Vec<String> = (0..100).map(|number| format!("x{number}")).collect();
        let mut modules = needing("shared", &wanted, 20_000);
        for number in 0..20_000 {
            let one = stream("shared".to_owned(), Vec::new());
            modules.streams.push(ModuleStream { stream: number.to_string(), ..one });
        }
        assert_eq!(active_by_default(&modules), 0);
    }
}
