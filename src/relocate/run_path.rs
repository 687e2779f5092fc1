//! Decides which directories of the tree a program or library must search.

use std::collections::BTreeSet;

use crate::elf::{Led, Object, Survey, origin_directory};
use crate::model::{RelPath, is_among};

/// What glibc loads by itself, without `DT_NEEDED`, when a thread ends.
pub(super) const LIBGCC: &str = "libgcc_s.so.1";

/// What a program or library loads of the tree.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// The directories that hold it: those of its own run path first, as far as the tree has them.
    pub(super) directories: Vec<String>,
    /// The libraries, by their positions in the survey, itself included.
    pub(super) objects: BTreeSet<usize>,
    /// Whether any of them can load libraries that it does not name.
    pub(super) is_open: bool,
}

/// What the object at `index` needs, directly or through others.
pub(super) fn reach(survey: &Survey, index: usize, host_libraries: &[String]) -> Reach {
    let Some(object) = survey.objects.get(index) else { return Reach::default() };
    if object.linkage.needed.is_empty() {
        return Reach::default();
    }
    let own = own_directories(survey, object);
    let mut found = own.clone();
    let mut objects = BTreeSet::from([index]);
    let mut is_open = false;
    let mut ahead = vec![object];
    while let Some(object) = ahead.pop() {
        is_open |= object.linkage.may_load_others;
        let mut preferred = own_directories(survey, object);
        preferred.extend_from_slice(&own);
        let needed = object.linkage.needed.iter().map(String::as_str);
        let libgcc = object.linkage.may_load_libgcc.then_some(LIBGCC);
        let bundled = needed
            .chain(libgcc)
            .filter(|name| !name.contains('/') && !is_among(host_libraries, name))
            .filter_map(|name| survey.provider(name, &preferred));
        for (directory, index) in bundled {
            found.push(directory);
            if objects.insert(index) {
                ahead.extend(survey.objects.get(index));
            }
        }
    }
    Reach { directories: unique(found), objects, is_open }
}

/// The `DT_RPATH` that leads from every one of `locations` to `directories`; `None` when there
/// are none.
pub(super) fn rpath(locations: &[RelPath], directories: &[String]) -> Option<String> {
    let entries = locations.iter().flat_map(|location| {
        let origin = location.parent().map_or(String::new(), String::from);
        directories.iter().map(move |directory| from_origin(&origin, directory))
    });
    let entries = unique(entries.collect());
    (!entries.is_empty()).then(|| entries.join(":"))
}

/// The directories that the run path of `object` means in the tree. `/usr/lib64/x` is where
/// packages say it is: in `lib64/x`.
pub(super) fn own_directories(survey: &Survey, object: &Object) -> Vec<String> {
    let origin = object.path().parent().map_or(String::new(), String::from);
    let linkage = &object.linkage;
    let entries = linkage.runpath.as_deref().or(linkage.rpath.as_deref()).unwrap_or_default();
    let in_tree = |entry: &str| match entry.strip_prefix('/') {
        Some(absolute) => Some(absolute.to_owned()),
        None => origin_directory(entry, &origin),
    };
    let real = |directory: String| match survey.places.real(&directory) {
        Led::To(path) => Some(String::from(path)),
        Led::Nowhere | Led::Out => None,
    };
    unique(entries.split(':').filter_map(in_tree).filter_map(real).collect())
}

/// `directories` without repetitions and without those that cannot stand in a run path.
pub(super) fn unique(directories: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let fits = |directory: &String| {
        let inside = directory.strip_prefix("$ORIGIN").unwrap_or(directory);
        !inside.contains([':', ';', '$'])
    };
    let new = |directory: &String| fits(directory) && seen.insert(directory.clone());
    directories.into_iter().filter(new).collect()
}

/// The entry of a run path that leads from a file in `origin` to `directory`.
pub(super) fn from_origin(origin: &str, directory: &str) -> String {
    let parts = |path: &str| -> Vec<String> {
        path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let (here, there) = (parts(origin), parts(directory));
    let common = here.iter().zip(&there).take_while(|(a, b)| a == b).count();
    let up = here.iter().skip(common).map(|_| "..");
    let down = there.iter().skip(common).map(String::as_str);
    std::iter::once("$ORIGIN").chain(up).chain(down).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    #[test]
    fn run_paths_lead_from_the_file_to_its_libraries() {
        let lib64 = ["lib64".to_owned()];
        assert_eq!(rpath(&[path("bin/x")], &lib64).as_deref(), Some("$ORIGIN/../lib64"));
        assert_eq!(
            rpath(&[path("libexec/apptainer/bin/x")], &lib64).as_deref(),
            Some("$ORIGIN/../../../lib64")
        );
        assert_eq!(rpath(&[path("lib64/x.so")], &lib64).as_deref(), Some("$ORIGIN"));
        assert_eq!(
            rpath(&[path("lib64/x")], &["lib64/y".to_owned()]).as_deref(),
            Some("$ORIGIN/y")
        );
        assert_eq!(rpath(&[path("bin/x")], &[]), None);
    }

    #[test]
    fn hard_links_in_different_places_share_one_run_path() {
        let locations = [path("bin/x"), path("libexec/a/x"), path("bin/y")];
        assert_eq!(
            rpath(&locations, &["lib64".to_owned()]).as_deref(),
            Some("$ORIGIN/../lib64:$ORIGIN/../../lib64")
        );
    }
}
