//! Makes a shadow, or its next version: beside, whole, and then in one step what counts.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::error::{ShadowError, failed};
use super::original::Original;
use super::place::{link_text, live, lock, make_parents, making, own, parent, roots, unlink};
use super::record::{FORMAT, RECORD, RecordedTree, Shadow, ShadowRecord};
use super::state::{edits, holds, states};
use crate::model::{
    CONFIG_DIRECTORY, Checksum, FileKind, RECEIPT_NAME, RelPath, SHADOW_NAME, SHADOW_NOW,
    SHADOW_THEN,
};
use crate::owned::open_to_read;
use crate::report::Reporter;
use crate::tools::files;
use crate::tools::replacement::{Care, Replacement};
use crate::workshop::{ConfigReport, ConfigStates, Edited, read_receipt_bytes};

/// What a run makes, in its own directory.
const NEW: &str = "new";

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct MadeShadow {
    /// Whether anything was made: the shadow was of just this already.
    pub(crate) is_new: bool,
    /// The places of its trees, and what became of the user's configuration in each.
    pub(crate) trees: Vec<(RelPath, ConfigReport)>,
}

/// Makes the shadow `root` of `of`, which has these trees, with these launchers; of one that is there the next version,
/// with what the user edited in it.
///
/// # Errors
/// When there is something else, another run works on it, the prefix is damaged, or something cannot be read or written.
pub(crate) fn make(
    root: &Path,
    of: &Path,
    originals: &[Original],
    launchers: &BTreeMap<String, String>,
    reporter: &dyn Reporter,
) -> Result<MadeShadow, ShadowError> {
    let of_text = text(of)?;
    if originals.is_empty() {
        return Err(ShadowError::Empty { path: of.to_owned() });
    }
    check_place(root, of)?;
    let _lock = lock(root)?;
    let made = fill(root, of_text, originals, launchers, reporter);
    if made.is_err() {
        // What was there is there; where nothing was, nothing is.
        let _ = files::remove_tree(&making(root).join(NEW));
        if fs::symlink_metadata(live(&own(root))).is_err() {
            let _ = files::remove_tree(&own(root));
            let _ = fs::remove_dir(root);
        }
    }
    made
}

/// Makes what [`make`] makes, which holds `root`.
fn fill(
    root: &Path,
    of: String,
    originals: &[Original],
    launchers: &BTreeMap<String, String>,
    reporter: &dyn Reporter,
) -> Result<MadeShadow, ShadowError> {
    let earlier = Shadow::at(root)?;
    let has = |shadow: &Shadow| {
        shadow.record.of == of
            && shadow.record.trees.len() == originals.len()
            && shadow.record.trees.iter().zip(originals).all(|(recorded, original)| {
                recorded.place == original.place && original.is_what(recorded)
            })
            && has_launchers(&shadow.version(), launchers)
    };
    if earlier.as_ref().is_some_and(has) {
        return Ok(MadeShadow::default());
    }
    if let Some(earlier) = &earlier {
        check_edits(earlier, originals)?;
    }
    let making = making(root);
    let new = making.join(NEW);
    files::make_directory(&new, 0o755).map_err(failed("make the directory", &new))?;
    let mut record = ShadowRecord { format: FORMAT, of, trees: Vec::new() };
    let mut made = MadeShadow { is_new: true, ..MadeShadow::default() };
    for original in originals {
        let tree = new.join(&original.place);
        make_parents(&tree)?;
        let recorded = make_tree(&tree, original, reporter)?;
        let config = carry(earlier.as_ref(), &recorded, (&tree, &making), reporter)?;
        made.trees.push((original.place.clone(), config));
        record.trees.push(recorded);
    }
    write_launchers(&new, launchers)?;
    let json = serde_json::to_vec(&record).map_err(|error| failed("write", &new)(error.into()))?;
    write(&new.join(RECORD), &json, 0o644)?;
    put(root, earlier.as_ref(), &record, &new)?;
    Ok(made)
}

/// Refuses to go on where the user edited something in a tree that the prefix has none for any more: it would be lost.
fn check_edits(earlier: &Shadow, originals: &[Original]) -> Result<(), ShadowError> {
    let stays = |place: &RelPath| originals.iter().any(|original| original.place == *place);
    let files = edits(&states(earlier, originals)?, |place| !stays(place));
    match files.is_empty() {
        true => Ok(()),
        false => Err(ShadowError::Left { path: earlier.root.clone(), files }),
    }
}

/// Refuses places in which nothing of a shadow may be made.
fn check_place(root: &Path, of: &Path) -> Result<(), ShadowError> {
    let resolved = |path: &Path| {
        let there = path.ancestors().find_map(|path| path.canonicalize().ok());
        there.unwrap_or_else(|| path.to_owned())
    };
    if resolved(root).starts_with(resolved(of)) {
        return Err(ShadowError::Inside { path: root.to_owned(), of: of.to_owned() });
    }
    let mut entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed("read", root))?,
    };
    // One that a killed run had begun may have nothing but its own directory.
    match entries.next().is_none() || fs::symlink_metadata(own(root)).is_ok() {
        true => Ok(()),
        false => Err(ShadowError::Foreign { path: root.to_owned() }),
    }
}

/// Makes a tree of links to `original`, with the files that are its own.
fn make_tree(
    tree: &Path,
    original: &Original,
    reporter: &dyn Reporter,
) -> Result<RecordedTree, ShadowError> {
    let there = &original.tree.path;
    let read = read_receipt_bytes(there)?;
    let receipt = read.ok_or_else(|| ShadowError::Damaged { path: there.join(RECEIPT_NAME) })?;
    files::make_directory(tree, 0o755).map_err(failed("make the directory", tree))?;
    let mut work = Work { original, tree, copied: BTreeMap::new(), reporter };
    work.link("")?;
    let own = tree.join(SHADOW_NAME);
    files::make_directory(&own, 0o755).map_err(failed("make the directory", &own))?;
    link(&there.join(RECEIPT_NAME), &tree.join(SHADOW_THEN))?;
    link(&original.now.join(RECEIPT_NAME), &tree.join(SHADOW_NOW))?;
    let copies = work.copied;
    let mut skipped = Vec::new();
    let etc = ConfigStates::read(tree, &ConfigStates::default(), &mut skipped)?;
    Ok(RecordedTree {
        place: original.place.clone(),
        tree: text(there)?,
        receipt: Checksum::of(&receipt),
        runtimes: original.tree.receipt.runtimes.clone(),
        etc,
        copies,
    })
}

/// Brings what the user edited in the version before into the new tree.
fn carry(
    earlier: Option<&Shadow>,
    recorded: &RecordedTree,
    (tree, making): (&Path, &Path),
    reporter: &dyn Reporter,
) -> Result<ConfigReport, ShadowError> {
    let Some(shadow) = earlier else { return Ok(ConfigReport::default()) };
    let its = shadow.record.trees.iter().find(|it| it.place == recorded.place);
    let Some(before) = its else { return Ok(ConfigReport::default()) };
    reporter.detail(format!("{}: configuration is carried", recorded.place));
    let path = shadow.tree(&before.place);
    let edited = Edited { tree: &path, base: &before.etc, pristine: &before.etc };
    Ok(edited.carry(tree, making)?)
}

/// The making of one tree.
struct Work<'a> {
    original: &'a Original,
    tree: &'a Path,
    copied: BTreeMap<RelPath, Checksum>,
    reporter: &'a dyn Reporter,
}

impl Work<'_> {
    /// Fills the directory `inner` of the tree, which is there.
    fn link(&mut self, inner: &str) -> Result<(), ShadowError> {
        let from = self.original.tree.path.join(inner);
        for entry in fs::read_dir(&from).map_err(failed("read", &from))? {
            let entry = entry.map_err(failed("read", &from))?;
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| ShadowError::Name { path: entry.path() })?;
            let path = if inner.is_empty() { name.to_owned() } else { format!("{inner}/{name}") };
            let (from, to) = (entry.path(), self.tree.join(&path));
            let copies = &self.original.copies;
            if inner.is_empty() && name == CONFIG_DIRECTORY {
                self.copy_configuration(&from, &to)?;
            } else if inner.is_empty() && name.starts_with(RECEIPT_NAME) {
                // The receipt is that of a tree that holds what it says.
            } else if let Some(copy) = copies.iter().find(|copy| copy.as_str() == path) {
                self.copy(&copy.clone(), &from, &to)?;
            } else if copies.iter().any(|copy| copy.as_path().starts_with(&path)) {
                files::make_directory(&to, 0o755).map_err(failed("make the directory", &to))?;
                self.link(&path)?;
            } else {
                link(&from, &to)?;
            }
        }
        Ok(())
    }

    /// Copies a program, which must be what was installed; what is no file there is linked.
    fn copy(&mut self, path: &RelPath, from: &Path, to: &Path) -> Result<(), ShadowError> {
        let kind = self.original.tree.receipt.file(path).map(|file| &file.kind);
        let Some(FileKind::File { checksum, .. }) = kind else { return link(from, to) };
        let source = open_to_read(from).map_err(failed("read", from))?;
        files::copy(&source, |_| files::create(to, 0o755)).map_err(failed("write", to))?;
        files::set_mode_at(to, 0o755).map_err(failed("set the mode of", to))?;
        // What was copied is what is held against it.
        if !holds(to, checksum) {
            return Err(ShadowError::Damaged { path: from.to_owned() });
        }
        self.copied.insert(path.clone(), checksum.clone());
        Ok(())
    }

    /// Copies a directory of the configuration: files and symlinks as they are. What the user may not read, and what
    /// is neither, is told and left out.
    fn copy_configuration(&self, from: &Path, to: &Path) -> Result<(), ShadowError> {
        let about = fs::symlink_metadata(from).map_err(failed("read", from))?;
        if !about.is_dir() {
            return link(from, to);
        }
        files::make_directory(to, about.permissions().mode() & 0o777 | 0o700)
            .map_err(failed("make the directory", to))?;
        let entries = match fs::read_dir(from) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.leave_out(from);
                return Ok(());
            }
            entries => entries.map_err(failed("read", from))?,
        };
        for entry in entries {
            let entry = entry.map_err(failed("read", from))?;
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type().map_err(failed("read", &from))?;
            if kind.is_dir() {
                self.copy_configuration(&from, &to)?;
            } else if kind.is_symlink() {
                link(&fs::read_link(&from).map_err(failed("read", &from))?, &to)?;
            } else {
                match open_to_read(&from) {
                    Ok(source) => {
                        let make = |mode| files::create(&to, mode | 0o600);
                        let copied = files::copy(&source, make);
                        let copied = copied.and_then(|file| files::set_mode(&file, 0o644));
                        copied.map_err(failed("write", &to))?;
                    }
                    Err(_) => self.leave_out(&from),
                }
            }
        }
        Ok(())
    }

    fn leave_out(&self, path: &Path) {
        self.reporter.warning(format!("{} cannot be read, and is left out", path.display()));
    }
}

/// Writes the launchers of a version.
fn write_launchers(
    version: &Path,
    launchers: &BTreeMap<String, String>,
) -> Result<(), ShadowError> {
    let bin = version.join("bin");
    files::make_directory(&bin, 0o755).map_err(failed("make the directory", &bin))?;
    launchers.iter().try_for_each(|(name, text)| write(&bin.join(name), text.as_bytes(), 0o755))
}

/// Whether a version has just these launchers.
fn has_launchers(version: &Path, launchers: &BTreeMap<String, String>) -> bool {
    let bin = version.join("bin");
    let count = fs::read_dir(&bin).map_or(0, Iterator::count);
    count == launchers.len()
        && launchers.iter().all(|(name, text)| {
            fs::read(bin.join(name)).is_ok_and(|there| there == text.as_bytes())
        })
}

/// Makes `new` what counts, and removes what did before.
fn put(
    root: &Path,
    earlier: Option<&Shadow>,
    record: &ShadowRecord,
    new: &Path,
) -> Result<(), ShadowError> {
    let (own, making) = (own(root), making(root));
    let number = earlier.map_or(0, |shadow| shadow.number) + 1;
    let version = own.join(number.to_string());
    // A killed run's, that never counted.
    files::remove_tree(&version).map_err(failed("remove", &version))?;
    fs::rename(new, &version).map_err(failed("rename something to", &version))?;
    let turn = |text: &Path, path: &Path| {
        let new = Replacement::link(files::unique(&making, "link"), text);
        new.and_then(|new| new.put(path)).map_err(failed("write", path))
    };
    turn(Path::new(&number.to_string()), &live(&own))?;
    let names = roots(record.trees.iter().map(|tree| &tree.place));
    for name in &names {
        turn(&link_text(name), &root.join(name))?;
    }
    if let Some(earlier) = earlier {
        for name in roots(earlier.places()).difference(&names) {
            unlink(&root.join(name))?;
        }
    }
    files::sync_directory(&own)
        .and_then(|_| files::sync_directory(root))
        .map_err(failed("sync", root))?;
    // What counted before, and what killed runs left.
    for entry in fs::read_dir(&own).map_err(failed("read", &own))? {
        let entry = entry.map_err(failed("read", &own))?;
        let name = entry.file_name();
        let other = name.to_str().and_then(|name| name.parse::<u32>().ok());
        if other.is_some_and(|other| other != number) {
            let old = entry.path();
            files::remove_tree(&old).map_err(failed("remove", &old))?;
        }
    }
    Ok(())
}

fn link(text: &Path, path: &Path) -> Result<(), ShadowError> {
    symlink(text, path).map_err(failed("write", path))
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), ShadowError> {
    let fill = |file: &mut File| file.write_all(bytes);
    let new = Replacement::file(files::unique(parent(path), "file"), Care::Durable(mode), fill);
    new.and_then(|new| new.put(path)).map_err(failed("write", path))
}

fn text(path: &Path) -> Result<String, ShadowError> {
    path.to_str().map(str::to_owned).ok_or_else(|| ShadowError::Name { path: path.to_owned() })
}
