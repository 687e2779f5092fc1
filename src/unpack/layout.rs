//! Where each file of a package goes, decided from its header before a byte of the payload is
//! read. `/usr` and `/` become one; `.build-id` is left out; what may not be written is refused.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::model::{Checksum, FileKind, ReceiptFile, RelPath, escape};
use crate::trust::{FileType, Header, HeaderFile};

use super::{FileProblem, UnpackError};

/// Links to debug information by build id: nothing reads them, and packages collide in them.
const BUILD_ID: &str = "lib/.build-id";

/// The files of a package and their places.
pub(super) struct Layout<'a> {
    /// The package's header.
    pub(super) header: &'a Header,
    /// The place of each of the header's files; `None` for what is not unpacked.
    pub(super) places: Vec<Option<Placement>>,
    /// Directories above the places that the package does not list itself.
    pub(super) implied: BTreeSet<RelPath>,
    /// The numbers of symlinks that give way to a directory, and have no place.
    pub(super) yielding: Vec<usize>,
    /// The number of each of the header's files, by its path without the first slash.
    numbers: HashMap<&'a str, usize>,
}

/// Something's place in the tree.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    /// Where.
    pub(super) path: RelPath,
    /// What.
    pub(super) thing: Thing,
    /// Whether it is this package that writes it, and not another that has the same.
    pub(super) is_ours: bool,
}

/// What a path of the tree is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    /// A directory. All have mode 0755.
    Directory,
    /// A regular file.
    File {
        /// Its digest.
        digest: Checksum,
        /// Its permissions in the tree.
        mode: u32,
    },
    /// A symlink with this text.
    Symlink(String),
}

impl Thing {
    /// What a receipt says that a package brought.
    pub(super) fn of(file: &ReceiptFile) -> Self {
        match &file.kind {
            FileKind::Directory => Self::Directory,
            FileKind::File { checksum, .. } => {
                Self::File { digest: checksum.clone(), mode: file.mode }
            }
            FileKind::Symlink { target } => Self::Symlink(target.clone()),
        }
    }
}

impl<'a> Layout<'a> {
    /// Lays out the files of `header`, or those of them that `only` names.
    pub(super) fn new(header: &'a Header, only: &[RelPath]) -> Result<Self, UnpackError> {
        let refuse = |file: &HeaderFile, problem| refusal(header, &file.path, problem);
        let wanted: HashSet<&RelPath> = only.iter().collect();
        let mut layout = Self {
            header,
            places: Vec::new(),
            implied: BTreeSet::new(),
            yielding: Vec::new(),
            numbers: HashMap::new(),
        };
        for (number, file) in header.files.iter().enumerate() {
            let name = file.path.trim_start_matches('/');
            if layout.numbers.insert(name, number).is_some() {
                return Err(refuse(file, FileProblem::ListedTwice));
            }
            let place = place(file).map_err(|problem| refuse(file, problem))?;
            let place = place.filter(|place| wanted.is_empty() || wanted.contains(&place.path));
            if place.is_some() && file.file_type() == FileType::Special {
                return Err(refuse(file, FileProblem::Special));
            }
            layout.places.push(place);
        }
        layout.yield_to_directories();
        layout.check_wanted(only)?;
        layout.imply_directories();
        Ok(layout)
    }

    /// The number of the file that the payload calls `name`.
    pub(super) fn number(&self, name: &[u8]) -> Option<usize> {
        let name = str::from_utf8(name).ok()?;
        let parts = name.split('/').filter(|part| !matches!(*part, "" | "."));
        self.numbers.get(parts.collect::<Vec<_>>().join("/").as_str()).copied()
    }

    /// Bytes of the regular files that have a place, each of equal ones once.
    pub(super) fn size(&self) -> u64 {
        let placed = self.header.files.iter().zip(&self.places);
        let size = |(file, place): (&HeaderFile, &Option<Placement>)| match &place.as_ref()?.thing {
            Thing::File { digest, .. } => Some((digest.hex(), file.size)),
            _ => None,
        };
        let sizes: HashMap<String, u64> = placed.filter_map(size).collect();
        crate::model::total(sizes.into_values())
    }

    /// What the tree's receipt says of this package: every path once, sorted.
    pub(super) fn receipt(&self) -> Vec<ReceiptFile> {
        let owner = || Some(self.header.nevra.name.clone());
        let implied = self.implied.iter().map(|path| ReceiptFile {
            path: path.clone(),
            kind: FileKind::Directory,
            mode: 0o755,
            package: owner(),
            config: false,
        });
        let placed = self.header.files.iter().zip(&self.places);
        let placed = placed.filter_map(|(file, place)| place.as_ref().map(|place| (file, place)));
        let mut receipt: Vec<ReceiptFile> =
            implied.chain(placed.map(|(file, place)| receipt_of(file, place, owner()))).collect();
        receipt.sort_by(|one, other| one.path.cmp(&other.path));
        receipt.dedup_by(|one, other| one.path == other.path);
        receipt
    }

    fn check_wanted(&self, only: &[RelPath]) -> Result<(), UnpackError> {
        let placed: HashSet<&RelPath> =
            self.places.iter().flatten().map(|place| &place.path).collect();
        match only.iter().find(|path| !placed.contains(path)) {
            None => Ok(()),
            Some(path) => Err(UnpackError::NotInPackage {
                package: self.header.nevra.to_string(),
                path: path.clone(),
            }),
        }
    }

    /// Takes their places from symlinks in `/usr` that the merge puts where a directory of `/` is, or
    /// the other way round: `/usr/tmp -> ../var/tmp` beside `/tmp`. Others put files in a directory.
    fn yield_to_directories(&mut self) {
        let in_usr = |file: &HeaderFile| file.path.starts_with("/usr/");
        let files = &self.header.files;
        if files.iter().all(in_usr) || !files.iter().any(in_usr) {
            return;
        }
        let mut directories: HashSet<(RelPath, bool)> = HashSet::new();
        for (file, place) in self.header.files.iter().zip(&self.places) {
            let Some(place) = place else { continue };
            let is_directory = place.thing == Thing::Directory;
            let mut next =
                if is_directory { Some(place.path.clone()) } else { place.path.parent() };
            while let Some(directory) = next {
                next = directory.parent();
                if !directories.insert((directory, in_usr(file))) {
                    break;
                }
            }
        }
        for (number, file) in self.header.files.iter().enumerate() {
            let Some(Some(Placement { path, thing: Thing::Symlink(_), .. })) =
                self.places.get(number)
            else {
                continue;
            };
            let is_there = |in_usr| directories.contains(&(path.clone(), in_usr));
            if is_there(!in_usr(file)) && !is_there(in_usr(file)) {
                self.places[number] = None;
                self.yielding.push(number);
            }
        }
    }

    fn imply_directories(&mut self) {
        let is_directory = |place: &&Placement| place.thing == Thing::Directory;
        let listed: HashSet<&RelPath> =
            self.places.iter().flatten().filter(is_directory).map(|place| &place.path).collect();
        for place in self.places.iter().flatten() {
            let mut above = place.path.parent();
            while let Some(directory) = above.take() {
                above = directory.parent();
                if !listed.contains(&directory) && !self.implied.insert(directory) {
                    break;
                }
            }
        }
    }
}

/// An error about the file that a package calls `path`.
pub(super) fn refusal(header: &Header, path: &str, problem: FileProblem) -> UnpackError {
    let (package, path) = (header.nevra.to_string(), escape(path).into_owned());
    UnpackError::File { package, path, problem }
}

/// The place of a file; `None` for what is not unpacked. Special files have one, to be refused.
fn place(file: &HeaderFile) -> Result<Option<Placement>, FileProblem> {
    let at_root = || match file.file_type() {
        FileType::Directory => Ok(None),
        _ => Err(FileProblem::Path),
    };
    let Some(path) = RelPath::in_tree(&file.path).map_err(|_| FileProblem::Path)? else {
        return at_root();
    };
    let is_build_id = path.as_str().strip_prefix(BUILD_ID).is_some_and(is_end_or_below);
    if file.flags.is_ghost() || is_build_id {
        return Ok(None);
    }
    let thing = match file.file_type() {
        FileType::Directory | FileType::Special => Thing::Directory,
        FileType::Regular => {
            let digest = file.digest.clone().ok_or(FileProblem::Missing)?;
            Thing::File { digest, mode: mode_in_tree(file.mode) }
        }
        FileType::Symlink => match link_text(file, &path)? {
            Some(text) => Thing::Symlink(text),
            None => return Ok(None),
        },
    };
    Ok(Some(Placement { path, thing, is_ours: true }))
}

fn is_end_or_below(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

/// Programs may be run, and all files read, by everyone; only the owner writes. Set-user-id and
/// the like are gone.
fn mode_in_tree(mode: u32) -> u32 {
    if mode & 0o111 == 0 { 0o644 } else { 0o755 }
}

/// The text of a symlink in the tree. Absolute texts stay as they are. A relative text stays
/// unless the merge of `/usr` makes it lead elsewhere: `/usr/bin/x -> ../../etc/y` is moved to
/// `bin/x` and leads to `../etc/y`. `None` stands for a link that the merge makes lead to itself
/// (`/lib -> usr/lib`).
fn link_text(file: &HeaderFile, path: &RelPath) -> Result<Option<String>, FileProblem> {
    let text = file.link_target.as_str();
    if text.is_empty() {
        return Err(FileProblem::LinkTarget);
    }
    let meant = RelPath::in_tree(&leads_to(&file.path, text)).map_err(|_| FileProblem::Path)?;
    if meant.as_ref() == Some(path) {
        return Ok(None);
    }
    if text.starts_with('/') || meant.is_some() && path.resolve_link(text) == meant {
        return Ok(Some(text.to_owned()));
    }
    Ok(Some(match meant {
        Some(target) => path.link_text_to(&target),
        None => {
            path.parent().map_or_else(|| ".".into(), |above| vec![".."; above.depth()].join("/"))
        }
    }))
}

/// The absolute path to which a symlink at `path` with this text leads. As for the kernel, what
/// is above the root is the root.
fn leads_to(path: &str, text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let start = if text.starts_with('/') { "" } else { directory };
    for part in start.split('/').chain(text.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn receipt_of(file: &HeaderFile, place: &Placement, package: Option<String>) -> ReceiptFile {
    let (kind, mode) = match &place.thing {
        Thing::Directory => (FileKind::Directory, 0o755),
        Thing::File { digest, mode } => {
            let checksum = digest.clone();
            (FileKind::File { size: file.size, checksum, packaged: None }, *mode)
        }
        Thing::Symlink(text) => (FileKind::Symlink { target: text.clone() }, 0o777),
    };
    let config = file.flags.is_config();
    ReceiptFile { path: place.path.clone(), kind, mode, package, config }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(path: &str, target: &str) -> Option<Thing> {
        let file = HeaderFile {
            path: path.to_owned(),
            mode: 0o120_777,
            size: target.len() as u64,
            mtime: 0,
            digest: None,
            link_target: target.to_owned(),
            flags: Default::default(),
            identity: None,
        };
        place(&file).unwrap().map(|place| place.thing)
    }

    fn text(text: &str) -> Option<Thing> {
        Some(Thing::Symlink(text.to_owned()))
    }

    #[test]
    fn links_survive_the_merge_of_usr() {
        assert_eq!(link("/usr/bin/a", "b"), text("b"));
        assert_eq!(link("/usr/bin/a", "../lib64/b"), text("../lib64/b"));
        assert_eq!(link("/usr/bin/a", "../../etc/b"), text("../etc/b"));
        assert_eq!(link("/etc/a", "../usr/share/b"), text("../share/b"));
        assert_eq!(link("/usr/lib64/a", "../../lib64/b"), text("b"));
        assert_eq!(link("/usr/lib/debug/usr", "../../.."), text("../.."));
        assert_eq!(link("/opt", "usr"), text("."));
    }

    #[test]
    fn absolute_links_are_left_to_relocation() {
        assert_eq!(link("/etc/a", "/etc/alternatives/a"), text("/etc/alternatives/a"));
    }

    #[test]
    fn a_link_can_climb_no_higher_than_the_tree() {
        assert_eq!(link("/usr/bin/a", "../../../../../../etc/passwd"), text("../etc/passwd"));
    }

    #[test]
    fn links_that_the_merge_makes_vain_are_left_out() {
        assert_eq!(link("/lib64", "usr/lib64"), None);
        assert_eq!(link("/bin", "/usr/bin"), None);
        assert_eq!(link("/usr/lib/.build-id/ab/cdef", "../../../bin/a"), None);
    }

    #[test]
    fn modes_let_everyone_read_and_nobody_else_write() {
        for (mode, expected) in
            [(0o4755, 0o755), (0o600, 0o644), (0o666, 0o644), (0o555, 0o755), (0o2711, 0o755)]
        {
            assert_eq!(mode_in_tree(0o100_000 | mode), expected, "{mode:o}");
        }
    }
}
