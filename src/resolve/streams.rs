//! Which module streams are active: those that the runtimes' definitions name, the defaults of
//! other modules, and what these need. Of a module one stream is active, and of that one context:
//! the entries that need the same. Choices fall as libdnf's do.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::model::{ModuleStream, Modules};

use super::{ResolveError, Target};

/// The module that stands for the distribution: no list has it.
const PLATFORM: &str = "platform";
/// Longest chain of streams of which each needs the next.
const DEEPEST: usize = 16;
/// How many contexts of streams are tried in all, and names of streams looked at.
const MAX_WORK: usize = 1_000_000;

/// The positions of the entries of a stream in all lists that need the same. Their versions count
/// alike: those of the packages decide.
type Context = Rc<[usize]>;

/// The positions of the active streams in the lists.
///
/// # Errors
/// When two runtimes want different streams of one module.
pub(super) fn active(modules: &Modules, target: &Target) -> Result<BTreeSet<usize>, ResolveError> {
    let mut search = Search::new(modules);
    let wanted = wanted(target)?;
    search.activate_all(wanted.iter().map(|(module, stream)| (*module, *stream)));
    for (module, stream) in wanted {
        if !search.chosen.contains_key(module) {
            // What is asked for by name counts even where what it needs is not there.
            let first = search.contexts(module, stream).first().cloned();
            search.chosen.insert(module, (stream, first.unwrap_or_default()));
        }
    }
    search.activate_all(modules.defaults.keys().filter_map(|module| {
        let stream = modules.default_of(module)?;
        Some((module.as_str(), stream))
    }));
    let chosen = search.chosen.into_values();
    Ok(chosen.flat_map(|(_, context)| context.iter().copied().collect::<Vec<_>>()).collect())
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
    /// Module and stream → its contexts, in the order in which they are tried.
    streams: BTreeMap<(&'a str, &'a str), Rc<[Context]>>,
    /// Module → its active stream, and the context that counts.
    chosen: BTreeMap<&'a str, (&'a str, Context)>,
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
        let streams = positions.into_iter().map(|(key, all)| (key, contexts(modules, &all)));
        let streams = streams.collect();
        Self { modules, streams, chosen: BTreeMap::new(), trail: Vec::new(), work: 0 }
    }

    /// Makes streams active as far as that can be: first those that leave no choice.
    fn activate_all(&mut self, streams: impl Iterator<Item = (&'a str, &'a str)> + Clone) {
        for leaves_choice in [false, true] {
            for (module, stream) in streams.clone() {
                if (self.contexts(module, stream).len() > 1) == leaves_choice {
                    self.activate(module, stream, 0);
                }
            }
        }
    }

    /// The contexts of a stream, in the order in which they are tried.
    fn contexts(&self, module: &str, stream: &str) -> Rc<[Context]> {
        self.streams.get(&(module, stream)).cloned().unwrap_or_default()
    }

    /// Makes a stream active, and what it needs. False where that cannot be: then nothing changed.
    fn activate(&mut self, module: &'a str, stream: &'a str, depth: usize) -> bool {
        if let Some((chosen, _)) = self.chosen.get(module) {
            return *chosen == stream;
        }
        let trail = self.trail.len();
        for context in self.contexts(module, stream).iter() {
            self.work += 1;
            if depth > DEEPEST || self.work > MAX_WORK {
                return false;
            }
            let first = context.first().and_then(|&first| self.modules.streams.get(first));
            let Some(ModuleStream { requires, .. }) = first else { continue };
            self.chosen.insert(module, (stream, Rc::clone(context)));
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

/// The contexts of a stream whose entries are these, in the order of what they need.
fn contexts(modules: &Modules, positions: &[usize]) -> Rc<[Context]> {
    let mut contexts: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for &position in positions {
        if let Some(entry) = modules.streams.get(position) {
            contexts.entry(needs(entry)).or_default().push(position);
        }
    }
    contexts.into_values().map(Rc::from).collect()
}

/// What an entry needs, in the words by which libdnf tells contexts apart and sorts them.
fn needs(entry: &ModuleStream) -> String {
    let module = |(module, streams): &(String, Vec<String>)| {
        let mut streams: Vec<&str> = streams.iter().map(String::as_str).collect();
        streams.sort_unstable();
        match streams.as_slice() {
            [] => module.clone(),
            streams => format!("{module}:[{}]", streams.join(",")),
        }
    };
    let all = entry.requires.iter().filter(|(module, _)| module != PLATFORM);
    let mut all: Vec<String> = all.map(module).collect();
    all.sort_unstable();
    if all.is_empty() { "NoRequires".to_owned() } else { all.join(";") }
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
