//! Smoke tests on small real trees: programs and libraries that a C compiler made.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use elsewhere::stages::model::{Arch, Checksum, FileKind, Loading, ReceiptFile, RelPath, Runtime};
use elsewhere::stages::report::{Event, Reporter, Silent};
use elsewhere::stages::smoke::{
    self, HostJudge, Obstacle, SmokeError, SmokeReport, Trial, Unjudged,
};

/// A tree and a scratch directory, removed at the end. One at a time: a file that is being written
/// in one thread cannot be executed while another thread's fresh child still holds it open.
struct Tree(PathBuf, #[allow(dead_code)] MutexGuard<'static, ()>);

impl Tree {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static SERIAL: Mutex<()> = Mutex::new(());
        let guard = SERIAL.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("smoke-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        for directory in ["tree/bin", "tree/lib64", "scratch"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        Self(root, guard)
    }

    fn path(&self) -> PathBuf {
        self.0.join("tree")
    }

    /// A script in the tree.
    fn script(&self, path: &str, text: &str) -> &Self {
        let file = self.path().join(path);
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// `bin/program`, which needs `lib64/libit.so` beside it.
    fn compile(&self) -> &Self {
        let tree = self.path();
        fs::write(tree.join("it.c"), "int it(void) { return 0; }").unwrap();
        fs::write(tree.join("program.c"), "int it(void); int main(void) { return it(); }").unwrap();
        let cc = |arguments: &[&str]| {
            let status = Command::new("cc").args(arguments).current_dir(&tree).status();
            assert!(status.expect("cc: install gcc").success());
        };
        cc(&["-shared", "-fPIC", "-o", "lib64/libit.so", "it.c"]);
        let rpath = "-Wl,-rpath,$ORIGIN/../lib64,--disable-new-dtags";
        cc(&["-o", "bin/program", "program.c", "-Llib64", "-lit", rpath]);
        self
    }

    fn files(&self, paths: &[&str]) -> Vec<ReceiptFile> {
        let file = |path: &&str| ReceiptFile {
            path: RelPath::new(path).unwrap(),
            kind: FileKind::File { size: 0, checksum: Checksum::of(b""), packaged: None },
            mode: 0o755,
            package: None,
            config: false,
        };
        paths.iter().map(file).collect()
    }

    fn run(&self, smoke: &str, reporter: &dyn Reporter) -> Result<SmokeReport, SmokeError> {
        self.judged(smoke, &Unjudged, reporter)
    }

    fn judged(
        &self,
        smoke: &str,
        judge: &dyn HostJudge,
        reporter: &dyn Reporter,
    ) -> Result<SmokeReport, SmokeError> {
        let runtime = runtime(smoke);
        let trial = Trial {
            tree: &self.path(),
            arch: host_arch(),
            files: &self.files(&[]),
            loading: &Loading::default(),
            host_libraries: &[],
            runtimes: &[(&runtime, "1.4.5")],
            scratch: &self.0.join("scratch"),
            judge,
        };
        smoke::run(&trial, true, reporter)
    }

    fn load(&self, paths: &[&str]) -> Result<SmokeReport, SmokeError> {
        let trial = Trial {
            tree: &self.path(),
            arch: host_arch(),
            files: &self.files(paths),
            loading: &Loading::default(),
            host_libraries: &[],
            runtimes: &[],
            scratch: &self.0.join("scratch"),
            judge: &Unjudged,
        };
        smoke::run(&trial, true, &Silent::default())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn host_arch() -> Arch {
    match std::env::consts::ARCH {
        "powerpc64" => Arch::Ppc64le,
        arch => arch.parse().unwrap(),
    }
}

/// A runtime with one command and these smoke tests.
fn runtime(smoke: &str) -> Runtime {
    let head = "name = \"r\"\ntitle = \"R\"\npackage = \"r\"\nlibrary_path = [\"bin/memfd\"]\n";
    let command = "[[command]]\nname = \"r\"\npath = \"bin/r\"\n";
    let (fields, smoke) = smoke.split_at(smoke.find("[[").unwrap_or(0));
    toml::from_str(&format!("{head}{fields}{command}{smoke}")).unwrap()
}

/// Remembers notes.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Reporter for Notes {
    fn event(&self, event: Event) {
        if let Event::Note { message } = event {
            self.0.lock().unwrap().push(message);
        }
    }
}

#[test]
fn every_dynamic_file_is_loaded_and_others_are_not() {
    let tree = Tree::new();
    tree.compile().script("bin/script", "exit 1");
    let report = tree.load(&["bin/program", "lib64/libit.so", "bin/script", "it.c"]).unwrap();
    assert_eq!(report.loaded, 2);
}

#[test]
fn a_missing_library_is_named() {
    let tree = Tree::new();
    tree.compile();
    fs::remove_file(tree.path().join("lib64/libit.so")).unwrap();
    let error = tree.load(&["bin/program"]).unwrap_err();
    // Old loaders say `libit.so => not found`, newer ones name it in a sentence.
    let text = error.to_string();
    assert!(text.starts_with("bin/program cannot be loaded on this machine:\n    "), "{text}");
    assert!(text.contains("libit.so"), "{text}");
    assert!(error.hint().unwrap().starts_with("no package of the tree brings libit.so"));
}

/// What is wrong with the tree is not blamed on this machine.
#[test]
fn a_bundled_library_that_is_not_found_is_the_trees_fault() {
    let tree = Tree::new();
    tree.compile();
    fs::create_dir(tree.path().join("lib64/deep")).unwrap();
    fs::rename(tree.path().join("lib64/libit.so"), tree.path().join("lib64/deep/libit.so"))
        .unwrap();
    let error = tree.load(&["bin/program", "lib64/deep/libit.so"]).unwrap_err();
    assert!(error.hint().unwrap().starts_with("the tree has lib64/deep/libit.so"), "{error}");
}

/// That this machine has what the tree brings proves nothing of others.
#[test]
fn a_bundled_library_that_is_found_on_the_host_is_a_fault() {
    let tree = Tree::new();
    let source = tree.path().join("program.c");
    fs::write(
        &source,
        "#include <math.h>\nint main(int c, char **v) { return !(fmod(c, 3) + 1); }",
    )
    .unwrap();
    let program = tree.path().join("bin/program");
    let mut compiler = Command::new("cc");
    compiler.arg("-o").arg(&program).arg(&source).args(["-fno-builtin", "-lm"]);
    assert!(compiler.status().expect("cc: install gcc").success());
    assert_eq!(tree.load(&["bin/program"]).unwrap().loaded, 1);
    fs::write(tree.path().join("lib64/libm.so.6"), "").unwrap();
    let error = tree.load(&["bin/program", "lib64/libm.so.6"]).unwrap_err();
    assert!(error.to_string().contains("libm.so.6 => /"), "{error}");
    assert!(error.hint().unwrap().starts_with("the tree has lib64/libm.so.6"), "{error}");
}

#[test]
fn a_damaged_program_is_named() {
    let tree = Tree::new();
    tree.compile();
    let program = tree.path().join("bin/program");
    let bytes = fs::read(&program).unwrap();
    fs::write(&program, &bytes[..1500]).unwrap();
    let error = tree.load(&["bin/program"]).unwrap_err();
    assert!(matches!(error, SmokeError::Unloadable { .. }), "{error}");
    for length in [64, 70] {
        fs::write(&program, &bytes[..length]).unwrap();
        let error = tree.load(&["bin/program"]).unwrap_err();
        assert!(matches!(error, SmokeError::Unloadable { .. }), "{error}");
    }
    for length in [0, 3] {
        fs::write(&program, &bytes[..length]).unwrap();
        assert_eq!(tree.load(&["bin/program"]).unwrap().loaded, 0);
    }
}

#[test]
fn a_test_runs_with_nothing_but_its_own_places() {
    let tree = Tree::new();
    tree.script("bin/r", "env; ls -A $1; echo got $1 $2; cat; pwd >&2");
    let arguments = "arguments = [\"{tmp}\", \"{tree}/x\"]\n";
    let smoke = format!("[[smoke]]\npath = \"bin/r\"\n{arguments}expect = \"no such text\"\n");
    let error = tree.run(&smoke, &Silent::default()).unwrap_err();
    let SmokeError::Unexpected { command, output, .. } = error else { panic!("{error}") };
    assert_eq!(command, "bin/r {tmp} {tree}/x");
    let mut lines: Vec<&str> = output.lines().collect();
    let last = lines.pop().unwrap();
    assert!(last.contains("/scratch/") && last.ends_with("/home"), "{output}");
    assert!(lines.pop().unwrap().ends_with("/tree/x"), "{output}");
    let mut names: Vec<&str> = lines.iter().map(|line| line.split('=').next().unwrap()).collect();
    names.sort_unstable();
    // PWD is the shell's.
    assert_eq!(names, ["HOME", "PATH", "PWD", "TMPDIR", "USER"], "{output}");
}

#[test]
fn the_version_is_expected() {
    let tree = Tree::new();
    tree.script("bin/r", "echo r version 1.4.5-1");
    let smoke = "[[smoke]]\npath = \"bin/r\"\nexpect = \"version {version}\"\n";
    assert_eq!(tree.run(smoke, &Silent::default()).unwrap().ran, 1);
}

#[test]
fn a_failing_test_shows_its_last_words_escaped() {
    let tree = Tree::new();
    tree.script("bin/r", "seq 1 40; printf 'no \\033[31mway\\n' >&2; exit 3");
    let error = tree.run("[[smoke]]\npath = \"bin/r\"\n", &Silent::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("`bin/r` failed (exit status: 3):\n    32\n"), "{text}");
    assert!(text.ends_with("\n    no \\u{1b}[31mway"), "{text}");
}

#[test]
fn a_missing_program_says_which() {
    let tree = Tree::new();
    let error = tree.run("[[smoke]]\npath = \"bin/r\"\n", &Silent::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot start `bin/r`");
}

#[test]
fn nothing_survives_a_test() {
    let tree = Tree::new();
    let number = tree.0.join("number");
    // In the same process group, and holding the pipe.
    tree.script("bin/r", &format!("sleep 60 & echo $! > '{}'; echo done", number.display()));
    let started = Instant::now();
    tree.run("[[smoke]]\npath = \"bin/r\"\n", &Silent::default()).unwrap();
    let number = fs::read_to_string(number).unwrap();
    let state = format!("/proc/{}/stat", number.trim());
    // Whose parent ended is waited for by somebody else: until then there is a trace of it.
    let runs = || fs::read_to_string(&state).is_ok_and(|it| !it.contains(") Z "));
    while runs() {
        assert!(started.elapsed() < Duration::from_secs(30), "process {number} goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn endless_output_is_bounded_and_cancelling_ends_it() {
    let tree = Tree::new();
    tree.script("bin/r", "exec yes");
    let cancel = Silent::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            cancel.cancelled.store(true, Ordering::Relaxed);
        });
        let error = tree.run("[[smoke]]\npath = \"bin/r\"\n", &cancel).unwrap_err();
        assert!(matches!(error, SmokeError::Cancelled));
    });
}

#[test]
fn launchers_are_tried_with_the_same_tests() {
    let tree = Tree::new();
    let runtime = runtime("[[smoke]]\npath = \"bin/r\"\nexpect = \"{version}\"\n");
    let bin = tree.0.join("bin");
    fs::create_dir(&bin).unwrap();
    tree.script("../bin/r", "echo 1.4.5");
    let tree_path = tree.path();
    let scratch = tree.0.join("scratch");
    let runtimes = [(&runtime, "1.4.5")];
    let trial = Trial {
        tree: &tree_path,
        arch: host_arch(),
        files: &[],
        loading: &Loading::default(),
        host_libraries: &[],
        runtimes: &runtimes,
        scratch: &scratch,
        judge: &Unjudged,
    };
    assert_eq!(smoke::run_launchers(&trial, &bin, &Silent::default()).unwrap().ran, 1);
    tree.script("../bin/r", "echo r: no tree >&2; exit 127");
    let error = smoke::run_launchers(&trial, &bin, &Silent::default()).unwrap_err();
    assert!(error.to_string().contains("exit status: 127"), "{error}");
}

#[test]
fn another_architecture_is_not_run_and_that_is_said_once() {
    let tree = Tree::new();
    let runtime = runtime("[[smoke]]\npath = \"bin/r\"\n");
    let trial = Trial {
        tree: &tree.path(),
        arch: Arch::S390x,
        files: &[],
        loading: &Loading::default(),
        host_libraries: &[],
        runtimes: &[(&runtime, "1")],
        scratch: &tree.0,
        judge: &Unjudged,
    };
    let notes = Notes::default();
    assert_eq!(smoke::run(&trial, false, &notes).unwrap(), SmokeReport::default());
    assert_eq!(
        *notes.0.lock().unwrap(),
        ["the s390x tree was not run: this machine cannot run s390x"]
    );
}

/// A host on which something does not work: for elsewhere, for the tree's programs, or for both.
#[derive(Clone, Copy, Debug)]
struct Sick {
    elsewhere: bool,
    programs: bool,
}

impl Sick {
    fn found(is_sick: bool, checks: &[&str]) -> Vec<Obstacle> {
        let obstacle = Obstacle {
            check: "user-namespaces".to_owned(),
            evidence: "making one failed".to_owned(),
            helps: "Ask for it.".to_owned(),
            is_own: true,
        };
        let concerns = is_sick && checks.contains(&"user-namespaces");
        concerns.then_some(obstacle).into_iter().collect()
    }
}

impl HostJudge for Sick {
    fn obstacles(&self, checks: &[&str]) -> Vec<Obstacle> {
        Self::found(self.elsewhere, checks)
    }

    fn obstacles_at(&self, checks: &[&str], place: &RelPath, scratch: &Path) -> Vec<Obstacle> {
        assert_eq!(place.as_str(), "libexec/starter");
        assert!(scratch.is_dir());
        Self::found(self.programs, checks)
    }
}

/// What becomes of a test that ends as `script` does on such a host, and what is noted.
fn on(host: Sick, script: &str, needs: &str) -> (Result<usize, SmokeError>, String) {
    let tree = Tree::new();
    tree.script("bin/r", script);
    let smoke = format!(
        "namespace_programs = [\"libexec/starter\"]\n[[smoke]]\npath = \"bin/r\"\n{needs}\n"
    );
    let notes = Notes::default();
    let report = tree.judged(&smoke, &host, &notes);
    let told = notes.0.lock().unwrap().join("\n");
    (report.map(|report| report.ran), told)
}

#[test]
fn a_test_that_the_host_forbids_is_passed_over_with_what_helps() {
    let host = Sick { elsewhere: true, programs: true };
    for needs in ["needs_user_namespaces = true", "needs = [\"user-namespaces\"]"] {
        let (ran, told) = on(host, "echo cannot unshare; exit 1", needs);
        assert_eq!(ran.unwrap(), 0);
        assert_eq!(
            told,
            "passed over `bin/r`: user-namespaces does not work here (making one failed). Ask for it."
        );
    }
}

#[test]
fn what_elsewhere_may_and_the_programs_may_not_is_named() {
    let host = Sick { elsewhere: false, programs: true };
    let (ran, told) = on(host, "exit 1", "needs = [\"user-namespaces\"]");
    assert_eq!(ran.unwrap(), 0);
    let difference = "does not work here where libexec/starter lies, though elsewhere itself may";
    assert!(told.contains(difference), "{told}");
}

#[test]
fn what_the_programs_may_and_elsewhere_may_not_is_named() {
    let host = Sick { elsewhere: true, programs: false };
    let (ran, told) = on(host, "exit 0", "needs = [\"user-namespaces\"]");
    assert_eq!(ran.unwrap(), 1);
    assert!(told.contains("may not do it, and the tree's programs may"), "{told}");
}

#[test]
fn a_fault_of_the_trees_own_is_not_the_hosts() {
    let healthy = Sick { elsewhere: false, programs: false };
    let (ran, told) = on(healthy, "echo broken; exit 1", "needs = [\"user-namespaces\"]");
    assert!(ran.unwrap_err().to_string().contains("broken"));
    assert_eq!(told, "");
    // Nor is one of a test that needs nothing of what is sick.
    let sick = Sick { elsewhere: true, programs: true };
    for needs in ["", "needs = [\"localtime\"]"] {
        assert!(on(sick, "exit 1", needs).0.is_err(), "{needs}");
    }
    // Nor does a host that forbids something make a program crash.
    for signal in ["SEGV", "ILL", "BUS"] {
        let (ran, told) = on(sick, &format!("kill -{signal} $$"), "needs = [\"user-namespaces\"]");
        assert!(ran.is_err(), "{signal}: {told}");
    }
}

#[test]
fn a_directory_where_programs_run_is_told_from_one_where_they_do_not() {
    let tree = Tree::new();
    smoke::probe(&tree.path(), host_arch()).unwrap();
    let left = fs::read_dir(tree.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| name != "probe"));
    let other = if host_arch() == Arch::S390x { Arch::X86_64 } else { Arch::S390x };
    // A program that the kernel does not run, which qemu-user may.
    match smoke::probe(&tree.path(), other) {
        Ok(()) => {}
        Err(error @ SmokeError::NoExec { .. }) => assert!(error.hint().unwrap().contains("noexec")),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_test_without_its_commands_is_passed_over_aloud() {
    let tree = Tree::new();
    tree.script("bin/r", "echo ran");
    for (commands, ran, told) in [
        (
            "\"sh\", \"no such command\"",
            0,
            "passed over `bin/r`: this machine has no `no such command`",
        ),
        ("\"sh\"", 1, ""),
    ] {
        let notes = Notes::default();
        let smoke = format!("[[smoke]]\npath = \"bin/r\"\nneeds_commands = [{commands}]\n");
        assert_eq!(tree.run(&smoke, &notes).unwrap().ran, ran);
        assert_eq!(notes.0.lock().unwrap().join("\n"), told);
    }
}
