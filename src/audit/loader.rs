//! Loads a program in thought, as glibc's `ld.so` does (`elf/dl-load.c`, `_dl_map_object`).

use std::collections::{BTreeMap, BTreeSet};

use super::Gap;
use crate::elf::{Linkage, Object, Survey, origin_directory};
use crate::model::{Aided, RelPath, is_among};

/// Loads programs, and collects what they lack.
pub(super) struct Loader<'a> {
    survey: &'a Survey<'a>,
    host_libraries: &'a [String],
    gaps: &'a mut BTreeSet<Gap>,
    seen: BTreeSet<usize>,
}

/// One file in the memory of a process.
struct Loaded<'a> {
    object: &'a Object,
    /// Where it was found: what `$ORIGIN` means.
    origin: String,
    /// Whether `$ORIGIN` means nothing.
    is_lost: bool,
    /// By whom it was loaded.
    parent: Option<usize>,
}

/// Where a soname was found.
#[derive(Clone, Copy)]
enum Found {
    /// In the tree: the index among what is loaded.
    Tree(usize),
    Host,
    Nowhere,
}

impl<'a> Loader<'a> {
    /// A loader of the files of `survey`.
    pub(super) fn new(
        survey: &'a Survey<'a>,
        host_libraries: &'a [String],
        gaps: &'a mut BTreeSet<Gap>,
    ) -> Self {
        Self { survey, host_libraries, gaps, seen: BTreeSet::new() }
    }

    /// Whether something loaded the object at `index` already.
    pub(super) fn was_loaded(&self, index: usize) -> bool {
        self.seen.contains(&index)
    }

    /// Loads the object at `index` under its name `location`; where it is `aided`, with that library
    /// path as `LD_LIBRARY_PATH`.
    pub(super) fn load(&mut self, index: usize, location: &RelPath, aided: Option<&Aided>) {
        let Some(object) = self.survey.objects.get(index) else { return };
        let is_lost = aided.is_some_and(Aided::is_in_memory);
        let library_path = aided.map_or(&[][..], |aided| &aided.library_path);
        self.seen.insert(index);
        let origin = location.parent().map_or(String::new(), String::from);
        let mut loaded = vec![Loaded { object, origin, is_lost, parent: None }];
        let mut names = BTreeMap::new();
        names.extend(object.linkage.soname.clone().map(|name| (name, Found::Tree(0))));
        let mut current = 0;
        while let Some(user) = loaded.get(current).map(|it| it.object) {
            for name in &user.linkage.needed {
                let found = match names.get(name) {
                    Some(found) => *found,
                    None => self.search(&mut loaded, current, name, library_path),
                };
                names.insert(name.clone(), found);
                // The loader knows what it has by its own name too.
                if let Found::Tree(place) = found {
                    let soname = loaded.get(place).and_then(|it| it.object.linkage.soname.clone());
                    names.extend(soname.map(|soname| (soname, found)));
                }
                self.judge(&loaded, user, name, found);
            }
            current += 1;
        }
    }

    /// Looks for `name`, which the file at `user` needs, and loads it.
    fn search(
        &mut self,
        loaded: &mut Vec<Loaded<'a>>,
        user: usize,
        name: &str,
        library_path: &[RelPath],
    ) -> Found {
        // A path is a place, and nothing is searched.
        let (directories, file_name) = match name.rsplit_once('/') {
            Some((place, file_name)) => {
                let user = loaded.get(user).filter(|it| !it.is_lost);
                let directory = user.and_then(|it| origin_directory(place, &it.origin));
                (directory.into_iter().collect(), file_name)
            }
            None => (search_directories(loaded, user, library_path), name),
        };
        let hit = directories
            .into_iter()
            .find_map(|directory| Some((self.survey.find(&directory, file_name)?, directory)));
        let hit =
            hit.and_then(|(index, origin)| Some((index, self.survey.objects.get(index)?, origin)));
        let Some((index, object, origin)) = hit else {
            return if is_among(self.host_libraries, name) { Found::Host } else { Found::Nowhere };
        };
        self.seen.insert(index);
        let is_same = |other: &Loaded| std::ptr::eq(other.object, object);
        let place = loaded.iter().position(is_same).unwrap_or_else(|| {
            loaded.push(Loaded { object, origin, is_lost: false, parent: Some(user) });
            loaded.len() - 1
        });
        Found::Tree(place)
    }

    /// Whether what was found for `name` serves `user`.
    fn judge(&mut self, loaded: &[Loaded], user: &Object, name: &str, found: Found) {
        let name = name.rsplit('/').next().unwrap_or(name);
        let (path, library) = (user.path().clone(), name.to_owned());
        let provider = match found {
            Found::Tree(place) => loaded.get(place),
            Found::Host => return,
            Found::Nowhere => {
                let versions = versions(&user.linkage, name).map(str::to_owned).collect();
                let bundled = self.survey.provider(name, &[]);
                let bundled = bundled.and_then(|(_, index)| self.survey.objects.get(index));
                self.gaps.insert(match bundled.map(|object| object.path().clone()) {
                    Some(provider) => Gap::Unfound { path, library, provider },
                    None => Gap::Missing { path, library, versions },
                });
                return;
            }
        };
        let Some(provider) = provider.map(|it| it.object) else { return };
        if is_among(self.host_libraries, name) {
            let provider = provider.path().clone();
            self.gaps.insert(Gap::Shadowed { path, library, provider });
            return;
        }
        let defined = &provider.linkage.provided;
        // ld.so only warns about a library that defines no versions at all.
        let missing = versions(&user.linkage, name)
            .filter(|version| !defined.is_empty() && !defined.iter().any(|it| it == version));
        for version in missing {
            self.gaps.insert(Gap::NoVersion {
                path: path.clone(),
                library: library.clone(),
                version: version.to_owned(),
                provider: provider.path().clone(),
            });
        }
    }
}

/// The versions that `linkage` asks of the library `name` and cannot do without.
fn versions<'l>(linkage: &'l Linkage, name: &str) -> impl Iterator<Item = &'l str> {
    let required = linkage.required.iter();
    required
        .filter(move |required| required.library == name && !required.weak)
        .map(|required| required.version.as_str())
}

/// The directories of the tree that are searched for what the file at `user` needs, in order.
fn search_directories(loaded: &[Loaded], user: usize, library_path: &[RelPath]) -> Vec<String> {
    let mut directories = Vec::new();
    let own_runpath = loaded.get(user).and_then(|it| it.object.linkage.runpath.as_deref());
    if own_runpath.is_none() {
        let mut ancestor = loaded.get(user);
        while let Some(it) = ancestor {
            let linkage = &it.object.linkage;
            let rpath = linkage.rpath.as_deref().filter(|_| linkage.runpath.is_none());
            directories.extend(entries(it, rpath));
            ancestor = it.parent.and_then(|parent| loaded.get(parent));
        }
    }
    directories.extend(library_path.iter().map(|path| path.as_str().to_owned()));
    directories.extend(loaded.get(user).into_iter().flat_map(|it| entries(it, own_runpath)));
    directories
}

/// The directories of the tree that `run_path` means for a loaded file. Absolute ones lie on the
/// host.
fn entries<'l>(
    loaded: &'l Loaded,
    run_path: Option<&'l str>,
) -> impl Iterator<Item = String> + use<'l> {
    let run_path = run_path.filter(|_| !loaded.is_lost).unwrap_or_default();
    run_path.split(':').filter_map(|entry| origin_directory(entry, &loaded.origin))
}
