//! Programs that name their libraries by their places: the loader opens each library once, searches for
//! none, and comes to them in the order that it would have come to them. Needs a C compiler and strace.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here should stop the test")]

mod relocation;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use elsewhere::stages::model::{Linking, Loading};
use elsewhere::stages::relocate::Relocated;
use relocation::{Scratch, list, native, printed, relocated, run, runtime, text, try_relocate};

/// As packages have them: symbols with versions, which refer to libraries by their sonames.
const VERSIONS: &str = "V1 { global: *; };";

/// A library whose constructor tells its name, and which needs others.
fn library(scratch: &Scratch, directory: &str, name: &str, needs: &[&str], flags: &[&str]) {
    let short = name.trim_start_matches("lib").split('.').next().unwrap().to_owned();
    let callees: Vec<String> = needs
        .iter()
        .filter_map(|need| need.rsplit('/').next()?.strip_prefix("lib"))
        .map(|need| need.split('.').next().unwrap().to_owned())
        .filter(|callee| callee.len() == 1)
        .collect();
    let declared: String =
        callees.iter().map(|callee| format!("int {callee}_f(void);\n")).collect();
    let called: String = callees.iter().map(|callee| format!(" + {callee}_f()")).collect();
    let source = format!(
        "#include <unistd.h>\n{declared}\
         __attribute__((constructor)) static void begin(void) {{ (void)!write(1, \"{short}\", 1); }}\n\
         int {short}_f(void) {{ return 1{called}; }}\n"
    );
    let script = scratch.write("versions", VERSIONS, 0o644);
    let mut all = vec!["-shared".to_owned(), "-fPIC".to_owned(), format!("-Wl,-soname,{name}")];
    all.push(format!("-Wl,--version-script,{}", script.display()));
    all.push("-Wl,--no-as-needed".to_owned());
    all.extend(links(scratch, needs));
    all.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    scratch.compile(&format!("t/{directory}/{name}"), &source, &all);
}

/// What links with `needs`: files of the tree, or flags.
fn links(scratch: &Scratch, needs: &[&str]) -> Vec<String> {
    let tree = scratch.path("t");
    let link = |need: &&str| match need.starts_with('-') {
        true => (*need).to_owned(),
        false => tree.join(need).display().to_string(),
    };
    let mut links: Vec<String> = needs.iter().map(link).collect();
    for directory in ["lib64", "lib64/deep"] {
        links.push(format!("-Wl,-rpath-link,{}", tree.join(directory).display()));
    }
    links
}

/// `bin/program` needs `a`, the host's `libm`, and `b`; `a` needs `c` and `b`; `b` needs `d`, in another
/// directory. It begins with run paths that lead everywhere, as the loader of the control finds all by them.
fn tree(name: &str, source: &str) -> Scratch {
    let scratch = Scratch::new(name);
    let rpath = "-Wl,--disable-new-dtags,-rpath,$ORIGIN:$ORIGIN/deep";
    library(&scratch, "lib64/deep", "libd.so.1", &[], &[]);
    library(&scratch, "lib64", "libb.so.1", &["lib64/deep/libd.so.1"], &[rpath]);
    library(&scratch, "lib64", "libc.so.1", &["-lm"], &[]);
    library(&scratch, "lib64", "liba.so.1", &["lib64/libc.so.1", "lib64/libb.so.1"], &[rpath]);
    program(&scratch, "bin/program", source, &["lib64/liba.so.1", "-lm", "lib64/libb.so.1"]);
    scratch
}

fn program(scratch: &Scratch, path: &str, source: &str, needs: &[&str]) {
    let mut flags = vec![
        "-Wl,--no-as-needed".to_owned(),
        "-Wl,--disable-new-dtags,-rpath,$ORIGIN/../lib64:$ORIGIN/../lib64/deep".to_owned(),
    ];
    flags.extend(links(scratch, needs));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    scratch.compile(&format!("t/{path}"), source, &flags);
}

const MAIN: &str = "#include <stdio.h>
int a_f(void); int b_f(void);
int main(void) { printf(\" %d\\n\", a_f() + b_f()); return 0; }";

/// What the file at `path` asks of the loader, as binutils read it: `DT_NEEDED`, and a run path.
fn asks(path: &Path) -> Linking {
    let output = Command::new("readelf").arg("-dW").arg(path).output();
    let said = text(&output.expect("install Debian's binutils").stdout);
    let value = |line: &str| line.split_once('[').unwrap().1.trim_end_matches(']').to_owned();
    let of =
        |tag: &str| said.lines().filter(|line| line.contains(tag)).map(value).collect::<Vec<_>>();
    Linking { needed: of("(NEEDED)"), rpath: of("(RPATH)").pop(), runpath: of("(RUNPATH)").pop() }
}

/// The libraries in the order in which symbols are looked up in them, by their file names.
fn scope(program: &Path) -> Vec<String> {
    let said = text(&run(program, &[("LD_DEBUG", "scopes")]).stderr);
    let main = said.split("Initial object scopes").nth(1).unwrap();
    let line = main.lines().find(|line| line.contains("scope 0:")).unwrap();
    // The program by its name alone, so that blanks in its path tear nothing apart.
    let tree = program.parent().unwrap().parent().unwrap();
    let line = line.replace(&format!("{}/", tree.display()), "");
    let names = line.split("scope 0:").nth(1).unwrap().split_whitespace();
    names.map(|name| name.rsplit('/').next().unwrap().to_owned()).collect()
}

/// The calls of `program` that name the tree or a library, by strace.
fn calls(scratch: &Scratch, program: &Path) -> Vec<String> {
    let log = scratch.path("log");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=%file", "-o"]).arg(&log).arg(program).env_clear();
    let output = strace.output().expect("install Debian's strace");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let tree = program.parent().unwrap().parent().unwrap().display().to_string();
    let lines = fs::read_to_string(log).unwrap();
    lines.lines().filter(|line| line.contains(&tree)).map(str::to_owned).collect()
}

/// The tree under another path, with a blank in it.
fn moved(scratch: &Scratch) -> PathBuf {
    let place = scratch.path("moved to here");
    fs::rename(scratch.path("t"), &place).unwrap();
    place
}

#[test]
fn each_library_is_opened_once_and_none_is_searched() {
    let scratch = tree("direct", MAIN);
    let program = scratch.path("t/bin/program");
    let (before, order) = (printed(&program, &[]), scope(&program));
    assert_eq!(before.len(), "abcd 6\n".len(), "{before}");
    let searching = calls(&scratch, &program);
    assert!(searching.iter().any(|call| call.contains("ENOENT")), "{searching:?}");
    let (done, _) = relocated(&scratch.path("t"), &[]);
    assert_eq!(done.warnings, Vec::<String>::new());
    let mut asked = asks(&program);
    // The loader has another name on each architecture. What the C library needs comes before libd.
    let loader = asked.needed.iter().position(|name| name.starts_with("ld")).unwrap();
    asked.needed.remove(loader);
    assert_eq!(loader, 8);
    let needed = [
        "$ORIGIN/../lib64/liba.so.1",
        "liba.so.1",
        "libm.so.6",
        "$ORIGIN/../lib64/libb.so.1",
        "libb.so.1",
        "libc.so.6",
        "$ORIGIN/../lib64/libc.so.1",
        "libc.so.1",
        "$ORIGIN/../lib64/deep/libd.so.1",
        "libd.so.1",
    ];
    assert_eq!(asked, Linking { needed: needed.map(str::to_owned).to_vec(), ..Linking::default() });
    let packaged = ["liba.so.1", "libm.so.6", "libb.so.1", "libc.so.6"].map(str::to_owned);
    let program_path = elsewhere::stages::model::RelPath::new("bin/program").unwrap();
    assert_eq!(done.asked[&program_path].needed, packaged);

    let place = moved(&scratch);
    let program = place.join("bin/program");
    assert_eq!(printed(&program, &[]), before, "constructors run in another order");
    assert_eq!(scope(&program), order, "symbols are looked up in another order");
    let calls = calls(&scratch, &program);
    let opens: Vec<&String> = calls.iter().filter(|call| call.contains("open")).collect();
    assert!(!calls.iter().any(|call| call.contains("= -1")), "{calls:#?}");
    assert_eq!(opens.len(), 4, "{calls:#?}");
    // Started, its own path asked for where the C library does that, and four libraries.
    assert!(calls.len() <= 6, "{calls:#?}");
}

#[test]
fn what_is_loaded_when_a_thread_ends_comes_last() {
    let main = "#include <pthread.h>
#include <stdio.h>
int a_f(void);
static void *end(void *it) { pthread_exit(it); }
int main(void) { pthread_t t; pthread_create(&t, 0, end, 0); pthread_join(t, 0);
    printf(\" %d\\n\", a_f()); return 0; }";
    let scratch = tree("direct-libgcc", main);
    let libgcc = Command::new("cc").arg("-print-file-name=libgcc_s.so.1").output().unwrap();
    let libgcc = text(&libgcc.stdout);
    fs::copy(fs::canonicalize(libgcc.trim()).unwrap(), scratch.path("t/lib64/libgcc_s.so.1"))
        .unwrap();
    relocated(&scratch.path("t"), &[]);
    let program = moved(&scratch).join("bin/program");
    let needed = asks(&program).needed;
    assert_eq!(needed[needed.len() - 2..], ["$ORIGIN/../lib64/libgcc_s.so.1", "libgcc_s.so.1"]);
    printed(&program, &[]);
    let calls = calls(&scratch, &program);
    assert!(!calls.iter().any(|call| call.contains("= -1")), "{calls:#?}");
}

/// The run path of `bin/program` when it is relocated with these lines in the definition.
fn run_path(scratch: &Scratch, lines: &str) -> (Option<String>, Relocated) {
    let runtime = runtime(lines);
    let (done, _) = relocated(&scratch.path("t"), &[&runtime]);
    (asks(&scratch.path("t/bin/program")).rpath, done)
}

#[test]
fn what_opens_libraries_by_name_keeps_a_run_path() {
    let opens = "#include <dlfcn.h>
#include <stdio.h>
int a_f(void);
int main(void) { printf(\" %d %d\\n\", a_f(), dlopen(\"libe.so.1\", RTLD_NOW) != 0); return 0; }";
    let make = |name: &str| {
        let scratch = tree(name, opens);
        library(&scratch, "lib64", "libe.so.1", &[], &[]);
        scratch
    };
    let scratch = make("direct-opens");
    let (rpath, _) = run_path(&scratch, "");
    assert_eq!(rpath.as_deref(), Some("$ORIGIN/../lib64:$ORIGIN/../lib64/deep"));
    let program = moved(&scratch).join("bin/program");
    assert!(asks(&program).needed[0].starts_with("$ORIGIN/"));
    assert!(
        printed(&program, &[]).ends_with(" 1\n"),
        "a library of the tree was not found by name"
    );
    // A definition knows better.
    let scratch = make("direct-opens-not");
    assert_eq!(run_path(&scratch, "opens_by_path = ['bin/program']").0, None);
    let program = moved(&scratch).join("bin/program");
    assert!(printed(&program, &[]).ends_with(" 0\n"));
}

#[test]
fn a_library_that_opens_others_finds_them() {
    let opens = "#include <dlfcn.h>
int e_f(void) { return dlopen(\"libd.so.1\", RTLD_NOW) ? 1 : 0; }";
    let main = "#include <stdio.h>
int e_f(void);
int main(void) { printf(\"%d\\n\", e_f()); return 0; }";
    // One needs a library of the tree; the other has nothing to look for but what it opens, where programs
    // that load it look.
    for needs in [&["lib64/libb.so.1"][..], &[]] {
        let scratch = tree("direct-library-opens", MAIN);
        let mut flags = vec!["-shared".to_owned(), "-fPIC".to_owned(), "-Wl,--no-as-needed".into()];
        flags.extend(["-Wl,-soname,libe.so.1".to_owned()]);
        flags.extend(links(&scratch, needs));
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        scratch.compile("t/lib64/libe.so.1", opens, &flags);
        program(&scratch, "bin/program", main, &["lib64/libe.so.1"]);
        assert_eq!(run_path(&scratch, "").0, None, "{needs:?}");
        assert_eq!(
            asks(&scratch.path("t/lib64/libe.so.1")).rpath.as_deref(),
            Some("$ORIGIN:$ORIGIN/deep"),
            "{needs:?}"
        );
        let program = moved(&scratch).join("bin/program");
        assert!(printed(&program, &[]).ends_with("1\n"), "{needs:?}");
    }
}

#[test]
fn what_containers_get_alone_may_find_their_libraries() {
    let scratch = tree("direct-container", MAIN);
    // The lists of these tests say that everything is of the package `p`.
    let (rpath, _) = run_path(&scratch, "container_facing = ['p']");
    assert!(rpath.is_some());
    assert!(!asks(&scratch.path("t/bin/program")).needed[0].contains('/'));
}

#[test]
fn a_library_with_another_name_is_searched_as_before() {
    let scratch = tree("direct-soname", MAIN);
    // A name that the loader would not know it by: the soname is another one.
    fs::rename(scratch.path("t/lib64/deep/libd.so.1"), scratch.path("t/lib64/deep/libd.so.2"))
        .unwrap();
    scratch.link("t/lib64/deep/libd.so.1", "libd.so.2");
    library(&scratch, "lib64", "libx.so.1", &[], &[]);
    let other = ["-Wl,-soname,libother.so.1", "-shared", "-fPIC"];
    scratch.compile("t/lib64/libplain.so", "int plain(void) { return 1; }", &other[1..]);
    let needs = ["lib64/liba.so.1", "lib64/libb.so.1", "-L", "-l:libplain.so"];
    let directory = format!("-L{}", scratch.path("t/lib64").display());
    program(&scratch, "bin/program", MAIN, &[needs[0], needs[1], &directory, needs[3]]);
    let (rpath, done) = run_path(&scratch, "");
    assert!(rpath.is_some(), "{done:?}");
    assert_eq!(done.loading.aided, Loading::default().aided);
    let said = printed(&moved(&scratch).join("bin/program"), &[]);
    assert!(said.ends_with(" 6\n"), "{said}");
}

#[test]
fn a_program_with_names_in_several_directories_searches_where_these_differ() {
    let scratch = tree("direct-links", MAIN);
    let first = scratch.path("t/bin/program");
    fs::create_dir_all(scratch.path("t/sbin")).unwrap();
    fs::hard_link(&first, scratch.path("t/sbin/program")).unwrap();
    relocated(&scratch.path("t"), &[]);
    assert_eq!(asks(&first).rpath, None, "from both it is ../lib64");
    let scratch = tree("direct-far-links", MAIN);
    let first = scratch.path("t/bin/program");
    fs::create_dir_all(scratch.path("t/libexec/far")).unwrap();
    fs::hard_link(&first, scratch.path("t/libexec/far/program")).unwrap();
    relocated(&scratch.path("t"), &[]);
    assert!(asks(&first).rpath.is_some() && !asks(&first).needed[0].contains('/'));
}

#[test]
fn the_audit_follows_places() {
    let scratch = tree("direct-audit", MAIN);
    let (done, files) = try_relocate(&scratch.path("t"), native(), &[]).unwrap();
    let audit = |files: &[elsewhere::stages::model::ReceiptFile]| {
        let host = relocation::host_libraries();
        let tree = scratch.path("t");
        elsewhere::stages::audit::audit(&tree, native(), files, &host, &done.loading, None).unwrap()
    };
    assert!(audit(&files).gaps.is_empty());
    fs::remove_file(scratch.path("t/lib64/deep/libd.so.1")).unwrap();
    let gaps = audit(&list(&scratch.path("t"))).gaps;
    let gaps: Vec<String> = gaps.iter().map(ToString::to_string).collect();
    assert!(
        gaps.iter().any(|gap| gap.contains("bin/program") && gap.contains("libd.so.1")),
        "{gaps:?}"
    );
}
