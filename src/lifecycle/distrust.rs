//! Whether what is installed may be run by somebody who only wants to know about it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::model::{RECEIPT_NAME, ReceiptFile, RelPath};
use crate::report::Reporter;
use crate::verify::{self, Expectation};
use crate::workshop::MadeTree;

/// What others than a file's owner may not do with it.
const WRITING: u32 = 0o022;

/// Why the libraries in these directories of `tree` may not be loaded, nor the `program` there be run, by
/// the user with this id; nothing where they are as the receipt says, and only the user, or root, can have
/// written it and them.
pub(crate) fn distrust(
    tree: &MadeTree,
    directories: &[String],
    program: &str,
    user_id: u32,
    reporter: &dyn Reporter,
) -> Option<String> {
    let is_own = |path: &Path| {
        fs::symlink_metadata(path).is_ok_and(|about| {
            let is_shared = !about.is_symlink() && about.mode() & WRITING != 0;
            [user_id, 0].contains(&about.uid()) && !is_shared
        })
    };
    let files = tree.receipt.all_files();
    let paths = directories.iter().map(String::as_str).chain([program]);
    let concerned: BTreeSet<&Path> = paths.flat_map(|path| Path::new(path).ancestors()).collect();
    let there = files.iter().filter(|file| {
        let path = file.path.as_path();
        let is_within = directories.iter().any(|directory| path.starts_with(directory));
        is_within || concerned.contains(path)
    });
    let there: Vec<ReceiptFile> = there.cloned().collect();
    let own = [tree.path.clone(), tree.path.join(RECEIPT_NAME)].into_iter();
    let mut own = own.chain(there.iter().map(|file| tree.path.join(&file.path)));
    if !own.all(|path| is_own(&path)) {
        return Some("others than you and root can change it".to_owned());
    }
    let is_listed = |path: &str| files.iter().any(|file| file.path.as_str() == path);
    let program_path = tree.path.join(program);
    let is_foreign = fs::symlink_metadata(program_path).is_ok() && !is_listed(program);
    let is_as_made =
        verify::check_files(&tree.path, &there, reporter).is_ok_and(|findings| findings.is_empty());
    let is_whole =
        directories.iter().all(|directory| holds_only(tree, directory, &there, reporter));
    let stays = there.iter().filter(|file| file.is_symlink()).all(|file| {
        let target: Option<PathBuf> = fs::canonicalize(tree.path.join(&file.path)).ok();
        let root = fs::canonicalize(&tree.path).ok();
        // Where it leads nowhere, nothing is loaded.
        target.zip(root).is_none_or(|(target, root)| {
            let place = target.strip_prefix(root).ok();
            place.is_some_and(|place| there.iter().any(|file| file.path.as_path() == place))
        })
    });
    (is_foreign || !is_as_made || !is_whole || !stays)
        .then(|| "it is not as its receipt says (elsewhere verify names what is not)".to_owned())
}

/// Whether a directory of the tree has nothing but what is listed in it.
fn holds_only(
    tree: &MadeTree,
    directory: &str,
    files: &[ReceiptFile],
    reporter: &dyn Reporter,
) -> bool {
    let within = |file: &ReceiptFile| {
        let place = file.path.as_path().strip_prefix(directory).ok()?;
        Some(ReceiptFile { path: RelPath::new(place.to_str()?).ok()?, ..file.clone() })
    };
    let files: Vec<ReceiptFile> = files.iter().filter_map(within).collect();
    let path = tree.path.join(directory);
    if !path.exists() {
        return true;
    }
    let expectation = Expectation {
        tree: &path,
        files: &files,
        set: &[],
        own_names: &[],
        plugin_directories: &[],
    };
    verify::check(&expectation, reporter).is_ok_and(|findings| findings.is_empty())
}
