//! Where the symlinks of a tree lead, found in the list of its files, without touching the disk.

use std::collections::{BTreeMap, VecDeque};

use crate::model::{FileKind, ReceiptFile, RelPath};

/// What the kernel allows (`MAXSYMLINKS`).
const MOST_HOPS: usize = 40;

/// The places of a tree.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    places: BTreeMap<&'a str, Held<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held<'a> {
    Directory,
    File,
    Link(&'a str),
}

/// Where a way leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Led {
    /// To a file or directory of the tree, with no symlink left in its path.
    To(RelPath),
    /// To a place that the tree does not have, or round in a circle.
    Nowhere,
    /// To the tree's root or above it.
    Out,
}

impl<'a> Places<'a> {
    /// The places that `files` lists, and the directories that they lie in.
    pub(crate) fn of(files: impl IntoIterator<Item = &'a ReceiptFile>) -> Self {
        let mut places = BTreeMap::new();
        for file in files {
            let path = file.path.as_str();
            for (end, _) in path.match_indices('/') {
                places.entry(path.get(..end).unwrap_or_default()).or_insert(Held::Directory);
            }
            let place = match &file.kind {
                FileKind::Directory => Held::Directory,
                FileKind::File { .. } => Held::File,
                FileKind::Symlink { target } => Held::Link(target),
            };
            places.insert(path, place);
        }
        Self { places }
    }

    /// Whether the tree lists `path` itself, be it a dangling link.
    pub(crate) fn has(&self, path: &RelPath) -> bool {
        self.places.contains_key(path.as_str())
    }

    /// Where a symlink at `link` with `text` leads. Absolute texts are rooted at the tree, and
    /// `usr` in the root is the root.
    pub(crate) fn follow(&self, link: &RelPath, text: &str) -> Led {
        let start = link.parent().map_or(String::new(), String::from);
        self.walk(&start, text)
    }

    /// The real path of `path`.
    pub(crate) fn real(&self, path: &str) -> Led {
        self.walk("", path)
    }

    fn walk(&self, start: &str, text: &str) -> Led {
        let mut at = start.to_owned();
        let mut ahead = VecDeque::new();
        push_front(&mut ahead, &mut at, text);
        let mut hops = 0;
        while let Some(part) = ahead.pop_front() {
            if part == ".." {
                let Some((parent, _)) = split_last(&at) else { return Led::Out };
                at.truncate(parent.len());
                continue;
            }
            if at.is_empty() && part == "usr" {
                continue;
            }
            let next = join(&at, part);
            match self.places.get(next.as_str()) {
                Some(Held::Directory) => at = next,
                Some(Held::File) if ahead.is_empty() => at = next,
                Some(Held::Link(text)) if hops < MOST_HOPS => {
                    hops += 1;
                    push_front(&mut ahead, &mut at, text);
                }
                _ => return self.lost(&next, &ahead),
            }
        }
        RelPath::new(&at).map_or(Led::Out, Led::To)
    }

    /// A way that ends at `at`, where nothing is: it may yet be one that climbs out.
    fn lost(&self, at: &str, ahead: &VecDeque<&str>) -> Led {
        let mut depth = at.split('/').count();
        for part in ahead {
            match *part {
                ".." if depth == 0 => return Led::Out,
                ".." => depth -= 1,
                _ => depth += 1,
            }
        }
        Led::Nowhere
    }
}

/// Puts the components of `text` in front of what is ahead; an absolute text starts again at the
/// root.
fn push_front<'t>(ahead: &mut VecDeque<&'t str>, at: &mut String, text: &'t str) {
    if text.starts_with('/') {
        at.clear();
    }
    for part in text.rsplit('/').filter(|part| !part.is_empty() && *part != ".") {
        ahead.push_front(part);
    }
}

/// The directory and the name of a path; the root has none.
fn split_last(path: &str) -> Option<(&str, &str)> {
    match path {
        "" => None,
        path => Some(path.rsplit_once('/').unwrap_or(("", path))),
    }
}

/// `name` in `directory`; the root is empty.
pub(crate) fn join(directory: &str, name: &str) -> String {
    match directory {
        "" => name.to_owned(),
        directory => format!("{directory}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(path: &str, target: &str) -> ReceiptFile {
        let kind = FileKind::Symlink { target: target.to_owned() };
        ReceiptFile {
            path: RelPath::new(path).unwrap(),
            kind,
            mode: 0o777,
            package: None,
            config: false,
        }
    }

    fn directory(path: &str) -> ReceiptFile {
        ReceiptFile { kind: FileKind::Directory, mode: 0o755, ..link(path, "") }
    }

    #[test]
    fn ways_are_walked_as_the_kernel_walks_them() {
        let files = [
            directory("lib64/real/deep"),
            link("lib64/a", "b"),
            link("lib64/b", "/usr/lib64/real"),
            link("lib64/loop", "loop"),
            link("shallow/up", "../lib64/real/deep"),
        ];
        let places = Places::of(&files);
        let to = |path: &str| Led::To(RelPath::new(path).unwrap());
        assert_eq!(places.real("lib64/a"), to("lib64/real"));
        assert_eq!(places.real("usr/lib64/a/deep"), to("lib64/real/deep"));
        assert_eq!(places.real("lib64/loop"), Led::Nowhere);
        assert_eq!(places.real("lib64/none/../../x"), Led::Nowhere);
        assert_eq!(places.real("lib64/none/../../../x"), Led::Out);
        let at = RelPath::new("bin/x").unwrap();
        assert_eq!(places.follow(&at, "../lib64/b/deep"), to("lib64/real/deep"));
        assert_eq!(places.follow(&at, "../../lib64"), Led::Out);
        // The parent of where the link leads, not of the link.
        assert_eq!(places.real("shallow/up/.."), to("lib64/real"));
    }
}
