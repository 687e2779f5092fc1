//! Names a program's libraries by their places, so that the loader opens each of them and searches for none:
//! `$ORIGIN/../lib64/libx.so.1` in `DT_NEEDED`, which glibc expands (`elf/dl-deps.c`, since before 2.17).
//!
//! The program lists all that it loads of the tree, what its libraries need included, in the order in which
//! the loader would come to it: breadth first. So the order in which symbols are looked up, and that in
//! which constructors run, stays. Each place is followed by the plain soname. The loader knows by it the
//! library that it has loaded already; without it, none would have the name that symbol versions refer to,
//! and glibc gives up (`_dl_check_map_versions`).

use std::collections::BTreeSet;

use super::run_path::{LIBGCC, from_origin, own_directories};
use crate::elf::{Object, Survey};
use crate::model::is_among;

/// What every library of the host's needs, which are glibc's own: this one, and the loader.
const LIBC: &str = "libc.so.6";

/// The `DT_NEEDED` of the program at `index` with which nothing is searched in the tree; `None` where it needs
/// nothing of the tree, or where the loader would not take that for the same.
pub(super) fn direct(
    survey: &Survey,
    index: usize,
    host_libraries: &[String],
) -> Option<Vec<String>> {
    let program = survey.objects.get(index)?;
    let origin = Origin::of(program)?;
    let own = own_directories(survey, program);
    let loader = program.linkage.interpreter.as_deref()?.rsplit('/').next()?;
    let of_host = [LIBC.to_owned(), loader.to_owned()];
    let (names, needed) = (BTreeSet::new(), Vec::new());
    let mut list = List { survey, host_libraries, origin, names, needed };
    let mut order = vec![Listed::Tree(index)];
    let mut at = 0;
    let mut may_load_libgcc = false;
    while let Some(listed) = order.get(at) {
        at += 1;
        let (needed, preferred) = match listed {
            Listed::Host => (of_host.to_vec(), own.clone()),
            Listed::Tree(index) => {
                let user = survey.objects.get(*index)?;
                may_load_libgcc |= user.linkage.may_load_libgcc;
                let preferred = [own_directories(survey, user).as_slice(), &own].concat();
                (plain(&user.linkage.needed), preferred)
            }
        };
        for name in &needed {
            order.extend(list.add(name, &preferred)?);
        }
    }
    if !order.iter().skip(1).any(|listed| matches!(listed, Listed::Tree(_))) {
        return None;
    }
    if may_load_libgcc {
        // Loaded when a thread ends, if not now: behind all others.
        list.add_bundled(LIBGCC, &own)?;
    }
    Some(list.needed)
}

/// What was asked before the places of libraries were put before their names.
fn plain(needed: &[String]) -> Vec<String> {
    let is_place = |name: &str, next: Option<&String>| {
        let named = name.rsplit_once('/').map(|(_, name)| name);
        named.is_some() && named == next.map(String::as_str)
    };
    let nexts = needed.iter().skip(1).map(Some).chain([None]);
    let named = needed.iter().zip(nexts).filter(|(name, next)| !is_place(name, *next));
    named.map(|(name, _)| name.clone()).collect()
}

/// A library that stands in the list, or the program.
#[derive(Clone, Copy)]
enum Listed {
    Host,
    Tree(usize),
}

/// Where a program lies: its only place, as far as its libraries' places seen from it go.
struct Origin(Vec<String>);

impl Origin {
    fn of(program: &Object) -> Option<Self> {
        let mut directories: Vec<String> = program
            .locations
            .iter()
            .map(|location| location.parent().map_or(String::new(), String::from))
            .collect();
        directories.dedup();
        (!directories.is_empty()).then_some(Self(directories))
    }

    /// The place of the library `name` in `directory`, which must be the same from each of the program's names.
    fn place(&self, directory: &str, name: &str) -> Option<String> {
        let mut places = self.0.iter().map(|origin| from_origin(origin, directory));
        let place = places.next()?;
        let is_plain = !directory.contains('$') && !name.contains('$');
        (is_plain && places.all(|other| other == place)).then(|| format!("{place}/{name}"))
    }
}

/// The list while it is made.
struct List<'a> {
    survey: &'a Survey<'a>,
    host_libraries: &'a [String],
    origin: Origin,
    names: BTreeSet<String>,
    needed: Vec<String>,
}

impl List<'_> {
    /// Lists what `name` means to a file whose run path has `preferred`. Returns the library where it
    /// was not listed yet; `None` where it cannot be listed.
    fn add(&mut self, name: &str, preferred: &[String]) -> Option<Option<Listed>> {
        if name.contains(['/', '$']) {
            return None;
        }
        if self.names.contains(name) {
            return Some(None);
        }
        if is_among(self.host_libraries, name) || self.survey.provider(name, preferred).is_none() {
            self.names.insert(name.to_owned());
            self.needed.push(name.to_owned());
            return Some(Some(Listed::Host));
        }
        self.add_bundled(name, preferred)
    }

    /// Lists the library `name` of the tree, if it is there.
    fn add_bundled(&mut self, name: &str, preferred: &[String]) -> Option<Option<Listed>> {
        if is_among(self.host_libraries, name) || self.names.contains(name) {
            return Some(None);
        }
        let Some((directory, index)) = self.survey.provider(name, preferred) else {
            return Some(None);
        };
        let library = self.survey.objects.get(index)?;
        // The loader must know it by this name once it is there.
        if library.linkage.soname.as_deref() != Some(name) {
            return None;
        }
        self.names.insert(name.to_owned());
        self.needed.push(self.origin.place(&directory, name)?);
        self.needed.push(name.to_owned());
        Some(Some(Listed::Tree(index)))
    }
}
