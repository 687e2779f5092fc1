//! Relocation, proved by running what was relocated. Needs a C compiler.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here should stop the test")]

mod relocation;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use elsewhere::stages::model::FileKind;
use elsewhere::stages::relocate::RelocateError;
use relocation::{Scratch, native, printed, relocated, run, runtime, text, try_relocate};

/// By which programs get a run path: the tests' files are of the package `p`.
const SEARCHING: &str = "container_facing = ['p']";

const INNER: &str = "int inner(void) { return 40; }";
const OUTER: &str = "int inner(void); int outer(void) { return inner() + 2; }";
const MAIN: &str = "#include <stdio.h>
int outer(void);
int main(void) { printf(\"%d\\n\", outer()); return 0; }";

/// A program in `bin` that needs `lib64/libouter.so.1`, which needs `lib64/private/libinner.so.1`
/// by a run path as packages have it.
fn tree(name: &str, program_flags: &[&str], library_flags: &[&str]) -> Scratch {
    let scratch = Scratch::new(name);
    let inner = ["-shared", "-fPIC", "-Wl,-soname,libinner.so.1"];
    scratch.compile("t/lib64/private/libinner.so.1", INNER, &[&inner, library_flags].concat());
    let private = scratch.path("t/lib64/private").display().to_string();
    let inner = format!("{private}/libinner.so.1");
    let outer = [
        "-shared",
        "-fPIC",
        "-Wl,-soname,libouter.so.1",
        "-Wl,--enable-new-dtags",
        "-Wl,-rpath,/usr/lib64/private",
        &inner,
    ];
    scratch.compile("t/lib64/libouter.so.1.0", OUTER, &[&outer, library_flags].concat());
    scratch.link("t/lib64/libouter.so.1", "/usr/lib64/libouter.so.1.0");
    let outer = scratch.path("t/lib64/libouter.so.1.0").display().to_string();
    let link = format!("-Wl,-rpath-link,{private}");
    scratch.compile("t/bin/program", MAIN, &[&[&outer, &*link], program_flags].concat());
    scratch
}

/// The tree of `scratch` under another path, with a space in it.
fn moved(scratch: &Scratch) -> PathBuf {
    let place = scratch.path("moved to here");
    fs::rename(scratch.path("t"), &place).unwrap();
    place
}

/// A directory with files that are no libraries, under the names of those that are needed.
fn poison(scratch: &Scratch) -> String {
    for name in ["libouter.so.1", "libinner.so.1"] {
        scratch.write(&format!("poison/{name}"), "poison", 0o755);
    }
    scratch.path("poison").display().to_string()
}

#[test]
fn programs_of_every_shape_run_from_anywhere() {
    let shapes: &[&[&str]] = &[
        &[],
        &["-no-pie"],
        &["-Wl,-z,separate-code"],
        &["-Wl,-z,noseparate-code"],
        &["-Wl,-z,noseparate-code", "-no-pie"],
        &["-Wl,--enable-new-dtags", "-Wl,-rpath,/nowhere"],
        &["-Wl,--disable-new-dtags", "-Wl,-rpath,/nowhere"],
        &["-Wl,-z,max-page-size=65536"],
        &["-Wl,-z,max-page-size=0x200000"],
        &["-Wl,--hash-style=sysv"],
        &["-Wl,--hash-style=both", "-Wl,-z,norelro"],
        &["-Wl,--build-id=none"],
        &["-Wl,--spare-dynamic-tags=1", "-pie"],
        &["-Wl,-z,now"],
        &["-Wl,-z,pack-relative-relocs"],
        &["-s"],
    ];
    // The program names its libraries by their places, or searches for them by a run path.
    let searching = runtime(SEARCHING);
    for (shape, runtimes) in
        shapes.iter().flat_map(|shape| [(shape, vec![]), (shape, vec![&searching])])
    {
        let scratch = tree("shapes", shape, &[]);
        let (done, _) = relocated(&scratch.path("t"), &runtimes);
        assert_eq!((done.rewritten, done.warnings), (2, vec![]), "{shape:?}");
        assert!(done.growth < 3000, "{shape:?}: {}", done.growth);
        let poison = poison(&scratch);
        let program = moved(&scratch).join("bin/program");
        assert_eq!(printed(&program, &[("LD_LIBRARY_PATH", &poison)]), "42\n", "{shape:?}");
    }
}

#[test]
fn libraries_of_every_shape_are_found() {
    let shapes: &[&[&str]] = &[
        &[],
        &["-Wl,--build-id=none"],
        &["-Wl,--build-id=none", "-Wl,--hash-style=sysv"],
        &["-Wl,--build-id=none", "-Wl,--spare-dynamic-tags=1"],
        &["-Wl,-z,noseparate-code"],
        &["-Wl,-z,max-page-size=0x200000"],
        &["-s"],
    ];
    for shape in shapes {
        let scratch = tree("libraries", &[], shape);
        let (done, _) = relocated(&scratch.path("t"), &[]);
        assert_eq!((done.rewritten, done.warnings), (2, vec![]), "{shape:?}");
        assert_eq!(printed(&moved(&scratch).join("bin/program"), &[]), "42\n", "{shape:?}");
    }
}

#[test]
fn an_old_run_path_gives_its_room_unless_others_use_it() {
    let long = "-Wl,-rpath,/nowhere/in/all/the/world/is/there/a/directory/by/that";
    // Linkers let the name of a symbol be the end of another string.
    for (name, is_free) in [("name", true), ("outer", false)] {
        for dtags in ["-Wl,--enable-new-dtags", "-Wl,--disable-new-dtags"] {
            let flags = [&format!("{long}/{name}"), dtags, "-Wl,--spare-dynamic-tags=0", "-O2"];
            let scratch = tree("room", &flags, &[]);
            let size = |place: &Path| fs::metadata(place.join("bin/program")).unwrap().len();
            let before = size(&scratch.path("t"));
            let (done, _) = relocated(&scratch.path("t"), &[&runtime(SEARCHING)]);
            assert_eq!((done.rewritten, done.warnings), (2, vec![]), "{flags:?}");
            let place = moved(&scratch);
            assert_eq!(size(&place) == before, is_free, "{flags:?}");
            assert_eq!(printed(&place.join("bin/program"), &[]), "42\n", "{flags:?}");
        }
    }
}

/// The control of every test here: without relocation nothing is found.
#[test]
fn an_unrelocated_program_finds_nothing() {
    let scratch = tree("control", &[], &[]);
    let output = run(&moved(&scratch).join("bin/program"), &[]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("libouter.so.1"), "{}", text(&output.stderr));
}

/// The control of the poison: a `DT_RUNPATH` would lose against it.
#[test]
fn a_runpath_loses_against_the_users_library_path() {
    let flags = ["-Wl,--enable-new-dtags", "-Wl,-rpath,$ORIGIN/../lib64:$ORIGIN/../lib64/private"];
    let scratch = tree("runpath", &flags, &[]);
    let poison = poison(&scratch);
    let program = scratch.path("t/bin/program");
    assert!(!run(&program, &[("LD_LIBRARY_PATH", &poison)]).status.success());
    relocated(&scratch.path("t"), &[]);
    assert_eq!(printed(&program, &[("LD_LIBRARY_PATH", &poison)]), "42\n");
}

#[test]
fn files_without_section_headers_are_relocated() {
    let scratch = tree("sections", &[], &[]);
    let path = scratch.path("t/bin/program");
    let mut bytes = fs::read(&path).unwrap();
    bytes[40..48].fill(0); // e_shoff
    bytes[60..64].fill(0); // e_shnum, e_shstrndx
    fs::write(&path, bytes).unwrap();
    let (done, _) = relocated(&scratch.path("t"), &[]);
    assert_eq!((done.rewritten, done.warnings), (2, vec![]));
    assert_eq!(printed(&moved(&scratch).join("bin/program"), &[]), "42\n");
}

#[test]
fn a_second_relocation_changes_nothing() {
    let scratch = tree("twice", &[], &[]);
    let (_, files) = relocated(&scratch.path("t"), &[]);
    let (done, again) = relocated(&scratch.path("t"), &[]);
    assert_eq!(done.rewritten, 0);
    let digests = |files: &[elsewhere::stages::model::ReceiptFile]| -> Vec<_> {
        files
            .iter()
            .filter_map(|file| match &file.kind {
                FileKind::File { checksum, .. } => Some(checksum.clone()),
                _ => None,
            })
            .collect()
    };
    assert_eq!(digests(&files), digests(&again));
}

#[test]
fn equal_trees_become_equal() {
    let scratch = tree("equal", &[], &[]);
    let copy = |to: &str| {
        let mut cp = Command::new("cp");
        assert!(
            cp.arg("-a").args([scratch.path("t"), scratch.path(to)]).status().unwrap().success()
        );
    };
    copy("a");
    copy("b");
    assert_eq!(relocated(&scratch.path("a"), &[]).1, relocated(&scratch.path("b"), &[]).1);
}

#[test]
fn programs_that_need_only_the_host_keep_their_bytes() {
    let scratch = tree("untouched", &[], &[]);
    let main = "int main(void) { return 0; }";
    scratch.compile("t/bin/plain", main, &[]);
    scratch.compile("t/bin/static", main, &["-static"]);
    scratch.compile("t/bin/static-pie", main, &["-static-pie"]);
    scratch.write("t/bin/script", "#!/usr/bin/python3\n", 0o755);
    let names = ["plain", "static", "static-pie", "script"];
    let read = || names.map(|name| fs::read(scratch.path(&format!("t/bin/{name}"))).unwrap());
    let before = read();
    relocated(&scratch.path("t"), &[]);
    assert!(before == read());
}

#[test]
fn a_run_path_that_leads_nowhere_goes_away() {
    let scratch = tree("away", &[], &[]);
    let main = "int main(void) { return 0; }";
    let old = b"/opt/nowhere";
    scratch.compile("t/bin/old", main, &["-Wl,--enable-new-dtags", "-Wl,-rpath,/opt/nowhere"]);
    let size = fs::metadata(scratch.path("t/bin/old")).unwrap().len();
    let (done, _) = relocated(&scratch.path("t"), &[]);
    assert_eq!(done.rewritten, 3);
    let bytes = fs::read(scratch.path("t/bin/old")).unwrap();
    assert!(bytes.windows(old.len()).any(|window| window == old), "strings stay");
    assert_eq!(bytes.len() as u64, size);
    let dynamic = Command::new(scratch.path("t/bin/old")).env("LD_DEBUG", "libs").output().unwrap();
    assert!(!text(&dynamic.stderr).contains("/opt/nowhere"));
}

#[test]
fn hard_links_stay_one_file_and_run_in_both_places() {
    let scratch = tree("hard", &[], &[]);
    let (first, second) =
        (scratch.path("t/bin/program"), scratch.path("t/libexec/deep/er/program"));
    fs::create_dir_all(second.parent().unwrap()).unwrap();
    fs::hard_link(&first, &second).unwrap();
    let (done, files) = relocated(&scratch.path("t"), &[]);
    assert_eq!(done.rewritten, 2);
    assert_eq!(fs::metadata(&first).unwrap().ino(), fs::metadata(&second).unwrap().ino());
    let packaged =
        files.iter().filter(|file| matches!(&file.kind, FileKind::File { packaged: Some(_), .. }));
    assert_eq!(packaged.count(), 3);
    let place = moved(&scratch);
    assert_eq!(printed(&place.join("bin/program"), &[]), "42\n");
    assert_eq!(printed(&place.join("libexec/deep/er/program"), &[]), "42\n");
}

#[test]
fn modes_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = tree("modes", &[], &[]);
    let set = |inner: &str, mode| {
        fs::set_permissions(scratch.path(inner), fs::Permissions::from_mode(mode)).unwrap();
    };
    set("t/bin/program", 0o555);
    set("t/lib64", 0o555);
    set("t/bin", 0o555);
    let runtime = runtime("directories = ['var/x']\nlibrary_path = ['bin/program']");
    relocated(&scratch.path("t"), &[&runtime]);
    let mode = |inner: &str| fs::metadata(scratch.path(inner)).unwrap().mode() & 0o7777;
    assert_eq!(mode("t/libexec/elsewhere/bin/program"), 0o555);
    assert_eq!(mode("t/bin/program"), 0o555);
    assert_eq!((mode("t/bin"), mode("t/lib64")), (0o555, 0o555));
    assert_eq!((mode("t/var"), mode("t/var/x")), (0o755, 0o755));
    assert_eq!(printed(&scratch.path("t/bin/program"), &[]), "42\n");
    set("t/bin", 0o755);
    set("t/lib64", 0o755);
}

/// Starts itself again from memory.
const REEXEC: &str = concat!(
    include_str!("support/again.h"),
    r#"int outer(void);
int main(int argc, char **argv) {
    again(argv);
    for (int i = 1; i < argc; i++) printf("<%s>", argv[i]);
    printf("%d\n", outer());
    return 7;
}"#
);

fn reexec_tree(name: &str) -> Scratch {
    let scratch = tree(name, &[], &[]);
    let outer = scratch.path("t/lib64/libouter.so.1.0").display().to_string();
    let link = format!("-Wl,-rpath-link,{}", scratch.path("t/lib64/private").display());
    scratch.compile("t/bin/again", REEXEC, &[&outer, &link]);
    scratch
}

#[test]
fn a_program_that_starts_again_from_memory_gets_a_launcher() {
    let scratch = reexec_tree("memory");
    let runtime = runtime("library_path = ['bin/again', 'bin/none']");
    let (done, files) = relocated(&scratch.path("t"), &[&runtime]);
    let [aided] = &done.loading.aided[..] else { panic!("{:?}", done.loading) };
    assert_eq!(aided.path.as_str(), "libexec/elsewhere/bin/again");
    assert_eq!(aided.launcher.as_ref().unwrap().as_str(), "bin/again");
    assert!(aided.is_in_memory());
    assert_eq!(aided.library_path.len(), 2, "{aided:?}");
    assert!(files.iter().any(|file| file.path == aided.path && file.package.is_some()));
    let place = moved(&scratch);
    let poison = poison(&scratch);
    std::os::unix::fs::symlink(place.join("bin/again"), scratch.path("absolute")).unwrap();
    std::os::unix::fs::symlink("moved to here/bin", scratch.path("directory")).unwrap();
    std::os::unix::fs::symlink("directory/again", scratch.path("relative")).unwrap();
    let calls = [
        place.join("bin/again").display().to_string(),
        "./moved to here/bin/again".to_owned(),
        scratch.path("absolute").display().to_string(),
        "./relative".to_owned(),
        "directory/../bin/again".to_owned(),
        "again".to_owned(),
    ];
    for call in calls {
        let mut command = Command::new(&call);
        command.current_dir(&scratch.0).args(["a b", "*"]).env_clear();
        let path = format!("{}:/usr/bin:/bin", scratch.path("directory").display());
        let output = command.env("LD_LIBRARY_PATH", &poison).env("PATH", path).output();
        let output = output.unwrap_or_else(|error| panic!("{call}: {error}"));
        let seen = (text(&output.stdout), output.status.code());
        assert_eq!(seen, ("<a b><*>42\n".into(), Some(7)), "{call}: {}", text(&output.stderr));
    }
    let mut command = Command::new("sh");
    let output = command.arg("again").current_dir(place.join("bin")).output().unwrap();
    assert_eq!(text(&output.stdout), "42\n", "{}", text(&output.stderr));
}

/// The control: a run path does not survive the second start.
#[test]
fn from_memory_a_run_path_finds_nothing() {
    let scratch = reexec_tree("lost");
    relocated(&scratch.path("t"), &[]);
    let output = run(&scratch.path("t/bin/again"), &[]);
    assert_eq!(output.status.code(), Some(127), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("libouter.so.1"));
}

#[test]
fn a_program_without_room_gets_a_launcher() {
    // Above this there are no addresses for one more segment.
    let scratch = tree("full", &["-Wl,-Ttext-segment=0x500000000000"], &[]);
    let (done, _) = relocated(&scratch.path("t"), &[]);
    assert_eq!(done.loading.launched().count(), 1, "{:?}", done.warnings);
    assert!(!done.loading.aided[0].is_in_memory());
    assert!(done.warnings[0].contains("bin/program"), "{:?}", done.warnings);
    let poison = poison(&scratch);
    let program = moved(&scratch).join("bin/program");
    assert_eq!(printed(&program, &[("LD_LIBRARY_PATH", &poison), ("PATH", "/bin")]), "42\n");
}

#[test]
fn what_the_definition_declares_is_made() {
    let scratch = Scratch::new("declared");
    scratch.write("t/bin/tool", "#!/bin/sh\nPREFIX=/usr\necho $PREFIX\n", 0o555);
    scratch.write("t/bin/own", "own", 0o755);
    scratch.link("t/bin/dangling", "/etc/alternatives/dangling");
    scratch.link("t/bin/shell", "/usr/bin/tool");
    scratch.link("t/bin/climbs", "../../../etc/passwd");
    scratch.link("t/lib/.build-id/ab/cdef", "../../../../usr/bin/tool");
    let runtime = runtime(
        "directories = ['var/lib/a/mnt']
[[link]]
path = 'libexec/r/bin/tool'
target = 'bin/tool'
[[link]]
path = 'bin/own'
target = 'bin/tool'
[[link]]
path = 'bin/dangling'
target = 'bin/tool'
[[link]]
path = 'bin/missing'
target = 'bin/none'
[[edit]]
path = 'bin/shell'
line_starts_with = 'PREFIX='
becomes = 'PREFIX=here'
[[edit]]
path = 'bin/nothing'
line_starts_with = 'x'
becomes = 'y'",
    );
    let (done, files) = relocated(&scratch.path("t"), &[&runtime, &runtime]);
    let link = |inner: &str| fs::read_link(scratch.path(inner)).unwrap();
    assert_eq!(link("t/libexec/r/bin/tool"), Path::new("../../../bin/tool"));
    assert_eq!(link("t/bin/dangling"), Path::new("tool"));
    assert_eq!(link("t/bin/shell"), Path::new("tool"));
    assert_eq!(fs::read(scratch.path("t/bin/own")).unwrap(), b"own");
    assert!(!scratch.path("t/bin/missing").exists());
    assert!(!scratch.path("t/lib/.build-id").exists());
    assert!(fs::symlink_metadata(scratch.path("t/bin/climbs")).is_err());
    assert_eq!(done.warnings.len(), 1, "{:?}", done.warnings);
    assert!(done.warnings[0].contains("bin/climbs"));
    assert!(scratch.path("t/var/lib/a/mnt").is_dir());
    assert_eq!(printed(&scratch.path("t/bin/tool"), &[]), "here\n");
    let tool = files.iter().find(|file| file.path.as_str() == "bin/tool").unwrap();
    assert!(matches!(&tool.kind, FileKind::File { packaged: Some(_), .. }));
    assert_eq!(tool.mode, 0o555);
}

#[test]
fn an_edit_that_fits_no_line_is_an_error() {
    let scratch = Scratch::new("edit");
    scratch.write("t/bin/tool", "#!/bin/sh\n", 0o755);
    let edit = "[[edit]]\npath = 'bin/tool'\nline_starts_with = 'PREFIX='\nbecomes = ''";
    let error = try_relocate(&scratch.path("t"), native(), &[&runtime(edit)]).unwrap_err();
    assert!(matches!(error, RelocateError::NoSuchLine { .. }));
    let expected = "bin/tool has no line that starts with `PREFIX=`, which must be changed";
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().is_some());
}

#[test]
fn nothing_outside_the_tree_is_touched() {
    let scratch = tree("outside", &[], &[]);
    fs::rename(scratch.path("t/bin"), scratch.path("outside")).unwrap();
    let before = fs::read(scratch.path("outside/program")).unwrap();
    let mut files = relocation::list(&scratch.path("t"));
    let mut program = files[0].clone();
    program.path = elsewhere::stages::model::RelPath::new("bin/program").unwrap();
    program.kind = FileKind::File {
        size: 1,
        checksum: elsewhere::stages::model::Checksum::of(b""),
        packaged: None,
    };
    files.push(program);
    scratch.link("t/bin", "../outside");
    let silent = elsewhere::stages::report::Silent::default();
    let globs = relocation::host_libraries();
    let result = elsewhere::stages::relocate::relocate(
        &scratch.path("t"),
        native(),
        &mut files,
        &[],
        &globs,
        &silent,
    );
    assert!(matches!(result, Err(RelocateError::File { .. })), "{result:?}");
    assert!(before == fs::read(scratch.path("outside/program")).unwrap());
}

#[test]
fn a_cancelled_run_stops() {
    let scratch = tree("cancelled", &[], &[]);
    let silent = elsewhere::stages::report::Silent { cancelled: true.into() };
    let mut files = relocation::list(&scratch.path("t"));
    let result = elsewhere::stages::relocate::relocate(
        &scratch.path("t"),
        native(),
        &mut files,
        &[],
        &[],
        &silent,
    );
    assert!(matches!(result, Err(RelocateError::Cancelled)));
}
