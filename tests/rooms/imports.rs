//! Which source file names what of which other, told from `use` trees and from the paths in the code.
//!
//! A name that a file only hands on (`pub use`) counts as its real file's, and handing on what its own
//! modules have is not importing. What is not seen: methods, which need no name of a file.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::tokens;

/// A module by its path below the crate; the crate itself is empty.
type Module = Vec<String>;

/// What a file says.
#[derive(Default)]
struct Source {
    /// Its name, for people.
    path: String,
    /// Whatever it imports for itself, by whole path.
    imported: Vec<Module>,
    /// Local name → what it stands for: of all that it imports or hands on.
    names: BTreeMap<String, Module>,
    /// What it hands on, by its local name.
    handed_on: BTreeMap<String, Module>,
    /// Paths in the code, as they stand there.
    paths: Vec<Vec<String>>,
    /// Single words in the code.
    words: BTreeSet<String>,
}

/// Every file, and what it names of others.
pub(crate) struct Imports {
    sources: BTreeMap<Module, Source>,
    /// What `pub use` makes of a path.
    handed_on: BTreeMap<Module, Module>,
}

/// One name in a `use` tree.
struct Leaf {
    path: Vec<String>,
    /// What it is called here; none for `*`.
    name: Option<String>,
}

impl Imports {
    /// Reads files: `(path below src/, text)`.
    pub(crate) fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let files: Vec<(&str, &str)> = files.into_iter().collect();
        let modules: BTreeSet<Module> = files.iter().map(|(path, _)| module(path)).collect();
        let sources: BTreeMap<Module, Source> = files
            .into_iter()
            .map(|(path, text)| (module(path), Source::read(path, text, &modules)))
            .collect();
        let handed_on = sources.iter().flat_map(|(module, source)| {
            source.handed_on.iter().map(|(name, to)| (below(module, name), to.clone()))
        });
        let handed_on = handed_on.collect();
        Self { sources, handed_on }
    }

    /// Of each file, the rooms that it names, its own left out.
    pub(crate) fn rooms(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let rooms = |(module, source): &(&Module, &Source)| -> BTreeSet<&str> {
            let handed_on = source.handed_on.values();
            let named = source.imported.iter().chain(handed_on).chain(source.names.values());
            let in_code = source.paths.iter().filter_map(|path| self.absolute(module, path));
            let rooms = named.cloned().chain(in_code).filter_map(|path| {
                let room = self.sources.keys().find(|it| it.first() == path.first())?;
                self.sources.get_key_value(room)?.0.first().map(String::as_str)
            });
            rooms.filter(|room| Some(*room) != module.first().map(String::as_str)).collect()
        };
        self.sources.iter().map(|file| (file.1.path.as_str(), rooms(&file))).collect()
    }

    /// Of each file, the files that it names.
    pub(crate) fn files(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let of = |module: &Module, source: &Source| -> BTreeSet<&str> {
            let used = source.handed_on.iter().filter(|(name, _)| source.words.contains(*name));
            // Handing on what one's own modules have is not importing it.
            let foreign = source.handed_on.iter().filter(|(_, to)| !to.starts_with(module));
            let handed_on = used.chain(foreign).map(|(_, to)| to.clone());
            let in_code = source.paths.iter().filter_map(|path| self.absolute(module, path));
            let all = source.imported.iter().cloned().chain(handed_on).chain(in_code);
            all.filter_map(|path| self.home(path)).filter(|path| *path != source.path).collect()
        };
        let files = self.sources.iter();
        files.map(|(module, source)| (source.path.as_str(), of(module, source))).collect()
    }

    /// What a path in the code of `module` stands for; `None` for what is not of this crate.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
        let source = self.sources.get(module)?;
        let (first, rest) = path.split_first()?;
        rooted(module, path, &|child| self.sources.contains_key(child)).or_else(|| {
            let named = source.names.get(first)?;
            Some(named.iter().chain(rest).cloned().collect())
        })
    }

    /// The file in which what `path` names really is. A whole module is nothing that is named: what is
    /// used of it counts where it is used.
    fn home(&self, mut path: Module) -> Option<&str> {
        // Enough for names that are handed on from room to room.
        for _ in 0..10 {
            let handed_on = (1..=path.len()).rev().find_map(|length| {
                let (front, rest) = path.split_at(length);
                let to = self.handed_on.get(front).filter(|_| !self.sources.contains_key(front))?;
                Some(to.iter().chain(rest).cloned().collect())
            });
            match handed_on {
                Some(to) => path = to,
                None => break,
            }
        }
        let length =
            (1..=path.len()).rev().find(|&length| self.sources.contains_key(&path[..length]))?;
        self.sources.get(&path[..length]).filter(|_| length < path.len()).map(|it| it.path.as_str())
    }
}

impl Source {
    fn read(path: &str, text: &str, modules: &BTreeSet<Module>) -> Self {
        let module = module(path);
        let tokens = tokens(text);
        let mut source = Self { path: path.to_owned(), ..Self::default() };
        let mut at = 0;
        while at < tokens.len() {
            at = match tokens[at].as_str() {
                // Not `use<'a>`, which is about lifetimes.
                "use" if tokens.get(at + 1).is_some_and(|next| next != "<") => {
                    let is_public = is_public(&tokens[..at]);
                    let mut leaves = Vec::new();
                    let end = use_tree(&tokens, at + 1, &[], &mut leaves);
                    for leaf in leaves {
                        source.import(&module, leaf, is_public, modules);
                    }
                    end
                }
                "mod" => at + 2,
                word if is_word(word) => source.take_path(&tokens, at),
                _ => at + 1,
            };
        }
        source
    }

    fn import(&mut self, module: &Module, leaf: Leaf, is_public: bool, modules: &BTreeSet<Module>) {
        let is_module = |path: &[String]| modules.contains(path);
        let named = || {
            let (first, rest) = leaf.path.split_first()?;
            Some(self.names.get(first)?.iter().chain(rest).cloned().collect())
        };
        let Some(mut path) = rooted(module, &leaf.path, &is_module).or_else(named) else { return };
        if let Some(name) = leaf.name {
            self.names.insert(name.clone(), path.clone());
            if is_public {
                self.handed_on.insert(name, path);
                return;
            }
        } else {
            path.push("*".to_owned());
        }
        self.imported.push(path);
    }

    /// Takes the path that begins at a word, and returns where it ends.
    fn take_path(&mut self, tokens: &[String], start: usize) -> usize {
        let mut path = vec![tokens[start].clone()];
        let mut at = start + 1;
        while let [sign, word, ..] = &tokens[at..]
            && sign == "::"
            && is_word(word)
        {
            path.push(word.clone());
            at += 2;
        }
        let before = start.checked_sub(1).map_or("", |before| tokens[before].as_str());
        // What follows a dot is a method or a field; what follows `::`, the end of a longer path.
        match (path.len(), before) {
            (_, "." | "::") => {}
            (1, _) => drop(self.words.insert(path.swap_remove(0))),
            _ => self.paths.push(path),
        }
        at
    }
}

/// Reads the names of the `use` tree at `at`, which is below `prefix`. Returns where it ends.
fn use_tree(tokens: &[String], mut at: usize, prefix: &[String], leaves: &mut Vec<Leaf>) -> usize {
    let mut path = prefix.to_vec();
    let next = |at: usize| tokens.get(at).map_or("", String::as_str);
    loop {
        match next(at) {
            "{" => {
                at += 1;
                while !matches!(next(at), "}" | "") {
                    at = use_tree(tokens, at, &path, leaves);
                    at += usize::from(next(at) == ",");
                }
                return at + 1;
            }
            "*" => {
                leaves.push(Leaf { path, name: None });
                return at + 1;
            }
            "self" if !path.is_empty() => {}
            word => path.push(word.to_owned()),
        }
        at += 1;
        match next(at) {
            "::" => at += 1,
            "as" => {
                leaves.push(Leaf { path, name: Some(next(at + 1).to_owned()) });
                return at + 2;
            }
            _ => {
                let name = path.last().cloned();
                leaves.push(Leaf { path, name });
                return at;
            }
        }
    }
}

/// Whether these tokens end in `pub` or `pub(…)`.
fn is_public(before: &[String]) -> bool {
    let open = before.iter().rposition(|token| token == "(").unwrap_or_default();
    match before.last().map(String::as_str) {
        Some("pub") => true,
        Some(")") => open > 0 && before[open - 1] == "pub",
        _ => false,
    }
}

/// The whole path of one that begins with `crate`, `self`, `super` or a module of one's own.
fn rooted(
    module: &Module,
    path: &[String],
    is_module: &dyn Fn(&[String]) -> bool,
) -> Option<Module> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        // The binary calls the library by its name.
        "crate" | "elsewhere" => Some(rest.to_vec()),
        "self" => Some(module.iter().chain(rest).cloned().collect()),
        "super" => {
            let ups = path.iter().take_while(|part| *part == "super").count();
            let base = module.get(..module.len().checked_sub(ups)?)?;
            Some(base.iter().chain(&path[ups..]).cloned().collect())
        }
        _ if is_module(&below(module, first)) => Some(module.iter().chain(path).cloned().collect()),
        _ => None,
    }
}

/// The module of a file, by its path below `src/`.
fn module(path: &str) -> Module {
    let plain = path.strip_suffix(".rs").unwrap_or(path);
    let plain = plain.strip_suffix("/mod").unwrap_or(plain);
    match plain {
        "lib" => Module::new(),
        plain => plain.split('/').map(str::to_owned).collect(),
    }
}

fn below(module: &Module, name: &str) -> Module {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

fn is_word(token: &str) -> bool {
    token.starts_with(|sign: char| sign.is_alphabetic() || sign == '_')
}

/// The files that name each other, directly or by way of others, in groups.
pub(crate) fn circles<'a>(files: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<BTreeSet<&'a str>> {
    let reached = |from: &'a str| {
        let mut reached = BTreeSet::new();
        let mut open = vec![from];
        while let Some(file) = open.pop() {
            let named = files.get(file).into_iter().flatten().copied();
            open.extend(named.filter(|named| reached.insert(*named)));
        }
        reached
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        files.keys().map(|file| (*file, reached(file))).collect();
    let mut circles: Vec<BTreeSet<&str>> = Vec::new();
    for (file, others) in reached.iter().filter(|(file, others)| others.contains(*file)) {
        if !circles.iter().any(|circle| circle.contains(file)) {
            let is_back = |other: &&&str| reached.get(**other).is_some_and(|it| it.contains(file));
            circles.push(others.iter().filter(is_back).copied().collect());
        }
    }
    circles
}
