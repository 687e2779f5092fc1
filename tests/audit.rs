//! The audit, on small real programs. Needs a C compiler.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here should stop the test")]

mod relocation;

use std::fs;
use std::path::Path;

use elsewhere::stages::audit::{Audit, Gap, audit};
use elsewhere::stages::model::{Aided, GlibcVersion, Loading, RelPath};
use relocation::{Scratch, host_libraries, list, native, relocated, runtime};

const MAIN: &str = "int x(void); int main(void) { return x(); }";

fn audited(tree: &Path, loading: &Loading, target: Option<GlibcVersion>) -> Audit {
    audit(tree, native(), &list(tree), &host_libraries(), loading, target).unwrap()
}

/// `bin/program` needs `lib64/libx.so.1`, which defines the symbol versions `versions`.
fn tree(name: &str, versions: &str) -> Scratch {
    let scratch = Scratch::new(name);
    library(&scratch, versions);
    let library = scratch.path("t/lib64/libx.so.1").display().to_string();
    scratch.compile("t/bin/program", MAIN, &[&library]);
    scratch
}

fn library(scratch: &Scratch, versions: &str) {
    let script = scratch.write("versions", versions, 0o644).display().to_string();
    let script = format!("-Wl,--version-script={script}");
    let flags = ["-shared", "-fPIC", "-Wl,-soname,libx.so.1", &script];
    scratch.compile("t/lib64/libx.so.1", "int x(void) { return 0; }", &flags);
}

fn lines(audit: &Audit) -> Vec<String> {
    audit.gaps.iter().map(Gap::to_string).collect()
}

const NONE: [&str; 0] = [];

#[test]
fn a_relocated_tree_has_no_gaps() {
    let scratch = tree("whole", "X_1 { x; };");
    relocated(&scratch.path("t"), &[]);
    let audit = audited(&scratch.path("t"), &Loading::default(), None);
    assert_eq!(lines(&audit), NONE);
    assert!(audit.glibc_needed.is_some_and(|version| version.major == 2));
    assert!(audit.glibc_needed_by.is_some());
}

#[test]
fn an_unrelocated_program_misses_its_library() {
    let scratch = tree("unrelocated", "X_1 { x; };");
    let expected =
        ["bin/program needs libx.so.1: the tree has lib64/libx.so.1, which it does not find"];
    assert_eq!(lines(&audited(&scratch.path("t"), &Loading::default(), None)), expected);
}

#[test]
fn a_missing_library_is_a_gap() {
    let scratch = tree("missing", "X_1 { x; };");
    relocated(&scratch.path("t"), &[]);
    fs::remove_file(scratch.path("t/lib64/libx.so.1")).unwrap();
    let expected = ["bin/program needs libx.so.1 (X_1): in neither tree nor host"];
    assert_eq!(lines(&audited(&scratch.path("t"), &Loading::default(), None)), expected);
}

#[test]
fn a_missing_symbol_version_is_a_gap() {
    let scratch = tree("old", "X_1 { }; X_2 { x; } X_1;");
    library(&scratch, "X_1 { x; };");
    relocated(&scratch.path("t"), &[]);
    let expected = ["bin/program needs X_2 of libx.so.1: lib64/libx.so.1 does not define it"];
    assert_eq!(lines(&audited(&scratch.path("t"), &Loading::default(), None)), expected);
}

#[test]
fn a_library_of_another_architecture_does_not_count() {
    let scratch = tree("foreign", "X_1 { x; };");
    relocated(&scratch.path("t"), &[]);
    let path = scratch.path("t/lib64/libx.so.1");
    let mut bytes = fs::read(&path).unwrap();
    bytes[18] ^= 0xff; // e_machine
    fs::write(&path, bytes).unwrap();
    assert_eq!(lines(&audited(&scratch.path("t"), &Loading::default(), None)).len(), 1);
}

#[test]
fn a_newer_glibc_than_the_targets_is_a_gap() {
    let scratch = tree("glibc", "X_1 { x; };");
    relocated(&scratch.path("t"), &[]);
    let needed = audited(&scratch.path("t"), &Loading::default(), None).glibc_needed.unwrap();
    assert_eq!(lines(&audited(&scratch.path("t"), &Loading::default(), Some(needed))), NONE);
    let older = GlibcVersion { major: 2, minor: needed.minor - 1 };
    let audit = audited(&scratch.path("t"), &Loading::default(), Some(older));
    let expected =
        format!("bin/program needs GLIBC_{needed} of libc.so.6: the target has glibc {older}");
    assert_eq!(lines(&audit), [expected]);
}

#[test]
fn run_paths_are_inherited_unless_a_runpath_cuts_them_off() {
    for (dtags, gaps) in [("--disable-new-dtags", 0), ("--enable-new-dtags", 1)] {
        let scratch = Scratch::new("inherit");
        let shared = ["-shared", "-fPIC", "-Wl,-soname,liby.so.1"];
        scratch.compile("t/lib64/deep/liby.so.1", "int y(void) { return 0; }", &shared);
        let deep = scratch.path("t/lib64/deep/liby.so.1").display().to_string();
        let tags = format!("-Wl,{dtags}");
        let flags = ["-shared", "-fPIC", "-Wl,-soname,libx.so.1", &tags, "-Wl,-rpath,/none", &deep];
        scratch.compile("t/lib64/libx.so.1", "int y(void); int x(void) { return y(); }", &flags);
        let library = scratch.path("t/lib64/libx.so.1").display().to_string();
        let link = format!("-Wl,-rpath-link,{}", scratch.path("t/lib64/deep").display());
        let rpath = "-Wl,-rpath,$ORIGIN/../lib64:$ORIGIN/../lib64/deep";
        let flags = [library.as_str(), &link, "-Wl,--disable-new-dtags", rpath];
        let program = scratch.compile("t/bin/program", MAIN, &flags);
        let audit = audited(&scratch.path("t"), &Loading::default(), None);
        assert_eq!(audit.gaps.len(), gaps, "{dtags}: {:?}", lines(&audit));
        // The audit agrees with the loader.
        assert_eq!(relocation::run(&program, &[]).status.success(), gaps == 0);
    }
}

#[test]
fn programs_from_memory_need_a_library_path() {
    let scratch = tree("memory", "X_1 { x; };");
    let path = |text| RelPath::new(text).unwrap();
    let loading = |path: RelPath, library_path| {
        let aided = Aided { path, launcher: None, library_path, because: None };
        Loading { aided: vec![aided], ..Loading::default() }
    };
    relocated(&scratch.path("t"), &[]);
    assert_eq!(audited(&scratch.path("t"), &Loading::default(), None).gaps.len(), 0);
    let lost = loading(path("bin/program"), vec![]);
    assert_eq!(audited(&scratch.path("t"), &lost, None).gaps.len(), 1);

    let scratch = tree("launched", "X_1 { x; };");
    let (done, _) = relocated(&scratch.path("t"), &[&runtime("library_path = ['bin/program']")]);
    assert_eq!(lines(&audited(&scratch.path("t"), &done.loading, None)), NONE);
    // What relocation says counts, and nothing else.
    let place = path("libexec/elsewhere/bin/program");
    assert_eq!(audited(&scratch.path("t"), &Loading::default(), None).gaps.len(), 1);
    let wrong = loading(place, vec![path("lib32")]);
    assert_eq!(audited(&scratch.path("t"), &wrong, None).gaps.len(), 1);
}

#[test]
fn a_bundled_libc_is_a_gap() {
    let scratch = tree("libc", "X_1 { x; };");
    // Where the loader searches.
    let searching = relocation::runtime("container_facing = ['p']");
    relocated(&scratch.path("t"), &[&searching]);
    fs::copy(scratch.path("t/lib64/libx.so.1"), scratch.path("t/lib64/libc.so.6")).unwrap();
    let audit = audited(&scratch.path("t"), &Loading::default(), None);
    let expected = "bin/program would find lib64/libc.so.6, but libc.so.6 must be the host's";
    assert_eq!(lines(&audit), [expected]);
}

#[test]
fn a_cut_off_program_is_a_gap() {
    let scratch = tree("cut", "X_1 { x; };");
    let path = scratch.path("t/bin/program");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..200]).unwrap();
    let audit = audited(&scratch.path("t"), &Loading::default(), None);
    assert!(matches!(audit.gaps[..], [Gap::Unreadable { .. }]), "{:?}", lines(&audit));
}

#[test]
fn what_needs_nothing_lacks_nothing() {
    let scratch = Scratch::new("static");
    scratch.compile("t/bin/static", "int main(void) { return 0; }", &["-static"]);
    scratch.write("t/bin/script", "#!/bin/sh\n", 0o755);
    let audit =
        audited(&scratch.path("t"), &Loading::default(), Some(GlibcVersion { major: 2, minor: 0 }));
    assert_eq!((audit.glibc_needed, lines(&audit)), (None, vec![]));
}
