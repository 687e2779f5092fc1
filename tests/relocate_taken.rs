//! Relocating trees that took files over from another tree: the result is as if every file had come
//! from its package, and the other tree does not change. Needs a C compiler.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod relocation;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use elsewhere::stages::model::{FileKind, ReceiptFile, RelPath, Taken};
use elsewhere::stages::relocate::{RelocateError, Relocated, Relocation, relocate};
use elsewhere::stages::report::Silent;
use relocation::{Scratch, host_libraries, list, native};

/// A package's tree: a program that asks for `libone.so.1`, with a run path of its own, and a
/// library that asks for `libtwo.so.1`, which the tree may lack.
fn build(scratch: &Scratch) {
    let library = |name: &str| format!("-Wl,-soname,lib{name}.so.1");
    let shared = ["-shared", "-fPIC"];
    let two = scratch.compile(
        "extra/libtwo.so.1",
        "int two(void) { return 2; }",
        &[shared[0], shared[1], &library("two")],
    );
    let two = two.display().to_string();
    let source = "int two(void); int one(void) { return two() - 1; }";
    let one = scratch.compile(
        "t/lib64/libone.so.1",
        source,
        &[shared[0], shared[1], &library("one"), &two],
    );
    let one = one.display().to_string();
    let flags = [one.as_str(), "-Wl,--enable-new-dtags,-rpath,/usr/lib64/none", &two];
    scratch.compile("t/bin/program", "int one(void); int main(void) { return one() - 1; }", &flags);
}

/// A copy of the tree `from` in which `files` are hard links.
fn linked(from: &Path, to: PathBuf, files: &[&str]) -> PathBuf {
    for file in list(from) {
        let (old, new) = (from.join(&file.path), to.join(&file.path));
        match file.kind {
            FileKind::Directory => fs::create_dir_all(new).unwrap(),
            _ if files.contains(&file.path.as_str()) => fs::hard_link(old, new).unwrap(),
            _ => {
                fs::copy(old, new).unwrap();
            }
        }
    }
    to
}

fn try_with(
    taken: &Taken,
    tree: &Path,
    files: &mut Vec<ReceiptFile>,
) -> Result<Relocated, RelocateError> {
    let (host_libraries, reporter) = (&host_libraries()[..], &Silent::default());
    let (arch, runtimes, makes_declared) = (native(), &[][..], true);
    let program = None;
    let job =
        Relocation { tree, arch, runtimes, makes_declared, program, host_libraries, reporter };
    job.run(taken, files)
}

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

#[test]
fn a_rewritten_program_is_taken_as_it_is() {
    let scratch = Scratch::new("taken");
    build(&scratch);
    let old = scratch.path("t");
    let mut first = list(&old);
    let relocated =
        relocate(&old, native(), &mut first, &[], &host_libraries(), &Silent::default()).unwrap();
    let before = relocated.asked[&path("bin/program")].clone();
    assert_eq!(before.runpath.as_deref(), Some("/usr/lib64/none"));
    let new = linked(&old, scratch.path("n"), &["bin/program"]);
    let taken = Taken::from([(path("bin/program"), Some(before))]);
    let mut second = first.clone();
    let again = try_with(&taken, &new, &mut second).unwrap();
    assert_eq!(second, first);
    assert_eq!(again.asked[&path("bin/program")], relocated.asked[&path("bin/program")]);
    let inode = |tree: &Path| fs::metadata(tree.join("bin/program")).unwrap().ino();
    assert_eq!(inode(&new), inode(&old));
}

#[test]
fn a_program_whose_libraries_went_away_is_stale() {
    let scratch = Scratch::new("stale");
    build(&scratch);
    let old = scratch.path("t");
    let mut files = list(&old);
    let relocated =
        relocate(&old, native(), &mut files, &[], &host_libraries(), &Silent::default()).unwrap();
    let new = linked(&old, scratch.path("n"), &["bin/program"]);
    fs::remove_file(new.join("lib64/libone.so.1")).unwrap();
    files.retain(|file| file.path != path("lib64/libone.so.1"));
    let before = relocated.asked[&path("bin/program")].clone();
    let taken = Taken::from([(path("bin/program"), Some(before))]);
    let error = try_with(&taken, &new, &mut files).unwrap_err();
    assert!(matches!(error, RelocateError::Stale { .. }), "{error}");
}

#[test]
fn a_library_that_must_change_now_changes_in_the_new_tree_alone() {
    let scratch = Scratch::new("unshared");
    build(&scratch);
    // In the old tree nothing had what it asks for, so it kept its bytes.
    let old = scratch.path("t");
    let pristine = fs::read(old.join("lib64/libone.so.1")).unwrap();
    let new = linked(&old, scratch.path("n"), &["lib64/libone.so.1"]);
    fs::copy(scratch.path("extra/libtwo.so.1"), new.join("lib64/libtwo.so.1")).unwrap();
    let fresh = scratch.path("fresh");
    linked(&new, fresh.clone(), &[]);
    let taken = Taken::from([(path("lib64/libone.so.1"), None)]);
    let mut files = list(&new);
    try_with(&taken, &new, &mut files).unwrap();
    assert_eq!(fs::read(old.join("lib64/libone.so.1")).unwrap(), pristine);
    assert_ne!(fs::read(new.join("lib64/libone.so.1")).unwrap(), pristine);
    let mut expected = list(&fresh);
    try_with(&Taken::new(), &fresh, &mut expected).unwrap();
    assert_eq!(files, expected);
}
