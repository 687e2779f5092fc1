//! A small prefix with a program that tells how it was started, and the ways of starting it. Shared
//! by `launcher.rs` (the machine's `sh`) and `launcher_shells.rs` (every shell).

// Shared: no test file uses all of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use elsewhere::stages::launcher;
use elsewhere::stages::model::Runtime;

/// One test at a time: a file that is being written in one thread cannot be executed while another
/// thread's fresh child still holds it open.
pub fn serial() -> MutexGuard<'static, ()> {
    static SERIAL: Mutex<()> = Mutex::new(());
    SERIAL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fresh directory, removed at the end of the test.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("l{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.join(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Apptainer's commands, as far as launchers go.
pub fn runtime() -> Runtime {
    toml::from_str(
        r#"
        name = "apptainer"
        title = "Apptainer"
        package = "apptainer"
        library_path = ["bin/crun"]
        [[command]]
        name = "apptainer"
        path = "bin/apptainer"
        [[command]]
        name = "run-singularity"
        path = "bin/apptainer"
        arguments = ["--quiet", "run", "it's $HOME; a\nb"]
        [[command]]
        name = "crun"
        path = "bin/crun"
        "#,
    )
    .unwrap()
}

/// The text of one of [`runtime`]'s launchers.
pub fn text(name: &str) -> String {
    text_of(&runtime(), name)
}

fn text_of(runtime: &Runtime, name: &str) -> String {
    let command = runtime.commands.iter().find(|command| command.name == name).unwrap();
    let own = launcher::LaunchedTrees::Own;
    launcher::text(&runtime.name, command, &runtime.environment, &runtime.places, own)
}

/// A runtime whose launchers set something: `host` is a directory in which they look for files.
pub fn setting(host: &Path) -> Runtime {
    let mut runtime = runtime();
    let environment: toml::Table = format!(
        r#"
        [[environment]]
        name = "SET"
        set = "{{tree}}/etc/it's a $file:{{tree}}"
        [[environment]]
        name = "PLAIN"
        set = "~ $HOME"
        [[environment]]
        name = "EMPTY"
        set = ""
        [[environment]]
        name = "UNLESS"
        set = "ours"
        unless_exists = ["{host}/a file", "$XDG_CONFIG_HOME/tool/file", "$HOME/.file"]
        [[environment]]
        name = "PATH"
        prepend = "{{tree}}/libexec/a b"
        [[environment]]
        name = "LIST"
        prepend = "x"
        unless_exists = ["{host}/a file"]
        "#,
        host = host.display()
    )
    .parse()
    .unwrap();
    runtime.environment = environment["environment"].clone().try_into().unwrap();
    runtime
}

/// This machine's architecture by RPM's name.
pub fn host_arch() -> &'static str {
    match std::env::consts::ARCH {
        "powerpc64" => "ppc64le",
        arch => arch,
    }
}

/// A C program that writes its arguments, `--`, its environment, `--` and its input to standard
/// output, each item ended by NUL, and exits with 42. A script would not do: its shell would change
/// the environment.
fn teller() -> &'static Path {
    static TELLER: OnceLock<PathBuf> = OnceLock::new();
    TELLER.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let source = directory.join(format!("teller-{}.c", std::process::id()));
        let program = source.with_extension("");
        fs::write(
            &source,
            r#"#include <stdio.h>
            extern char **environ;
            static void put(const char *s) { fputs(s, stdout); putchar(0); }
            int main(int argc, char **argv) {
                int c;
                for (; *argv; argv++) put(*argv);
                put("--");
                for (; *environ; environ++) put(*environ);
                put("--");
                while ((c = getchar()) != EOF) putchar(c);
                return 42;
            }"#,
        )
        .unwrap();
        let status = Command::new("cc").arg("-o").arg(&program).arg(&source).status();
        assert!(status.expect("cc: install gcc").success());
        fs::remove_file(source).unwrap();
        program
    })
}

/// What the program was told.
#[derive(Debug)]
pub struct Told {
    pub program: OsString,
    pub arguments: Vec<OsString>,
    pub environment: Vec<OsString>,
    pub input: Vec<u8>,
}

/// Reads what [`teller`] wrote.
pub fn told(output: &Output) -> Told {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(42), "{error}");
    assert!(output.stderr.is_empty(), "{output:?}");
    let mut items = output.stdout.split(|&byte| byte == 0).map(|item| item.to_vec());
    let mut until_dashes = || -> Vec<OsString> {
        items.by_ref().take_while(|item| item != b"--").map(OsString::from_vec).collect()
    };
    let mut arguments = until_dashes();
    let environment = until_dashes();
    let program = arguments.remove(0);
    Told { program, arguments, environment, input: items.next().unwrap() }
}

/// A prefix at `path` whose launchers run by `shell` (an interpreter's absolute path), with a tree
/// for this machine.
pub fn prefix_at(path: &Path, shell: &Path) {
    let tree = path.join(host_arch()).join("bin");
    fs::create_dir_all(&tree).unwrap();
    fs::create_dir_all(path.join("bin")).unwrap();
    for program in ["apptainer", "crun"] {
        fs::copy(teller(), tree.join(program)).unwrap();
    }
    for name in ["apptainer", "run-singularity", "crun"] {
        write_launcher(&path.join("bin").join(name), &text(name), shell);
    }
}

/// Writes a launcher that runs by `shell`.
pub fn write_launcher(path: &Path, text: &str, shell: &Path) {
    let interpreter = format!("#!{} -\n", shell.display());
    fs::write(path, text.replacen("#!/bin/sh -\n", &interpreter, 1)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Whether the program that ran is the one in the tree of the prefix at `prefix`.
pub fn is_from(told: &Told, cwd: &Path, prefix: &Path) -> bool {
    let ran = cwd.join(&told.program).canonicalize().unwrap();
    ran == prefix.canonicalize().unwrap().join(host_arch()).join("bin/apptainer")
}

fn run(cwd: &Path, program: &OsStr, path: &OsStr) -> Output {
    let mut command = Command::new("/usr/bin/env");
    // `env` looks the program up in the new PATH, as a shell would.
    command.arg("-i").arg([OsStr::new("PATH="), path].join(OsStr::new("")));
    command.args(["CDPATH=/:/usr", "IFS=/_-x"]);
    command.arg(program).args(["run", "", "a b", "c\nd", "-x"]);
    command.current_dir(cwd).stdin(Stdio::null()).output().unwrap()
}

/// Starts the launcher in every way that people and programs do, under awkward directory names.
pub fn every_way_of_starting(shell: &Path) {
    let names: [&[u8]; 6] = [b"p", b"a b", b"-n", b"new\nline\n", b"q'\"$`*\\", b"\xff\xfe"];
    // yash replaces arguments that are not valid in the locale by empty ones.
    let is_yash = shell.canonicalize().unwrap().ends_with("yash");
    for name in names.into_iter().filter(|name| !is_yash || name.is_ascii()) {
        let scratch = Scratch::new();
        let root = scratch.join("r");
        let prefix = root.join(OsStr::from_bytes(name));
        prefix_at(&prefix, shell);
        let name = OsStr::from_bytes(name);
        let bin = prefix.join("bin");
        let elsewhere = scratch.join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        symlink(bin.join("apptainer"), elsewhere.join("first")).unwrap();
        symlink("first", elsewhere.join("second")).unwrap();
        symlink("../elsewhere/second", elsewhere.join("apptainer")).unwrap();
        symlink(&bin, scratch.join("linked-bin")).unwrap();
        symlink(&prefix, scratch.join("linked-prefix")).unwrap();
        let system = OsString::from("/usr/bin:/bin");
        let with = |first: &OsStr| [first, &system].join(OsStr::new(":"));
        let relative = Path::new(name).join("bin");
        let ways: Vec<(&Path, OsString, OsString)> = vec![
            (&root, bin.join("apptainer").into(), system.clone()),
            (&root, relative.join("apptainer").into(), system.clone()),
            (&bin, "./apptainer".into(), system.clone()),
            (&bin, "../bin/apptainer".into(), system.clone()),
            (&root, elsewhere.join("apptainer").into(), system.clone()),
            (&elsewhere, "./apptainer".into(), system.clone()),
            (&elsewhere, "second".into(), with(OsStr::new("."))),
            (&root, scratch.join("linked-bin/apptainer").into(), system.clone()),
            (&root, scratch.join("linked-prefix/bin/apptainer").into(), system.clone()),
            (&root, "apptainer".into(), with(bin.as_os_str())),
            (&root, "apptainer".into(), with(relative.as_os_str())),
            (&bin, "apptainer".into(), with(OsStr::new("."))),
            (&bin, "apptainer".into(), with(OsStr::new(""))),
            (&root, "apptainer".into(), with(elsewhere.as_os_str())),
        ];
        for (cwd, program, path) in ways {
            let output = run(cwd, &program, &path);
            let told = told(&output);
            assert!(is_from(&told, cwd, &prefix), "{program:?} in {cwd:?}: {told:?}");
            assert_eq!(told.arguments, ["run", "", "a b", "c\nd", "-x"]);
        }
    }
}

/// `sh apptainer`, `sh ./apptainer`, `sh /abs/apptainer`.
pub fn run_by_the_shell_itself(shell: &Path) {
    let scratch = Scratch::new();
    let prefix = scratch.join("a b");
    prefix_at(&prefix, shell);
    let bin = prefix.join("bin");
    for file in [PathBuf::from("apptainer"), "./apptainer".into(), bin.join("apptainer")] {
        let output = Command::new(shell).arg(file).current_dir(&bin).output().unwrap();
        assert!(is_from(&told(&output), &bin, &prefix));
    }
}

/// Standard input, arguments before the user's, and the exit status.
pub fn input_and_first_arguments(shell: &Path) {
    let scratch = Scratch::new();
    prefix_at(&scratch.0, shell);
    fs::write(scratch.join("input"), "one\ntwo").unwrap();
    let output = Command::new(scratch.join("bin/run-singularity"))
        .arg("image")
        .stdin(fs::File::open(scratch.join("input")).unwrap())
        .output()
        .unwrap();
    let told = told(&output);
    assert_eq!(told.input, b"one\ntwo");
    assert_eq!(told.arguments, ["--quiet", "run", "it's $HOME; a\nb", "image"]);
}

/// The environment that the program gets when it is started with exactly `environment`, sorted.
pub fn environment_through(shell: &Path, environment: &[&str]) -> Vec<String> {
    let scratch = Scratch::new();
    prefix_at(&scratch.0, shell);
    let output = Command::new("/usr/bin/env")
        .arg("-i")
        .args(environment)
        .arg(scratch.join("bin/apptainer"))
        .current_dir("/")
        .output()
        .unwrap();
    let lossy = |item: OsString| item.to_string_lossy().into_owned();
    let mut environment: Vec<String> = told(&output).environment.into_iter().map(lossy).collect();
    environment.sort();
    environment
}

/// The text of a launcher that sets something.
pub fn text_that_sets(host: &Path) -> String {
    text_of(&setting(host), "apptainer")
}

/// What a launcher that sets something sets, however it is started, and what it leaves alone.
pub fn what_it_sets(shell: &Path) {
    for of_several in [false, true] {
        let scratch = Scratch::new();
        let (prefix, home) = (scratch.join("a 'b"), scratch.join("home"));
        prefix_at(&prefix, shell);
        fs::create_dir_all(home.join(".config/tool")).unwrap();
        let runtime = setting(&home);
        let text = match of_several {
            false => text_of(&runtime, "apptainer"),
            true => choosing_of(&runtime, &[("own", "2.17", 1)]),
        };
        let launcher = prefix.join("bin/apptainer");
        write_launcher(&launcher, &text, shell);
        symlink(&launcher, scratch.join("linked")).unwrap();
        let tree = |cwd: &Path, told: &str| {
            let place = cwd.join(told.strip_suffix("/libexec/a b").unwrap());
            assert!(Path::new(told).is_absolute(), "{told}");
            assert_eq!(place.canonicalize().unwrap(), prefix.join(host_arch()));
        };
        let start = |cwd: &Path, program: &Path, environment: &[&str]| {
            let mut command = Command::new("/usr/bin/env");
            command.arg("-i").arg(format!("HOME={}", home.display())).args(environment);
            let output = command.arg(program).current_dir(cwd).stdin(Stdio::null()).output();
            let told = told(&output.unwrap());
            let pair = |item: &OsString| {
                let item = item.to_str().unwrap();
                let (name, value) = item.split_once('=').unwrap();
                (name.to_owned(), value.to_owned())
            };
            told.environment.iter().map(pair).collect::<BTreeMap<String, String>>()
        };
        let usual = ["PATH=/usr/bin:/bin"];
        for (cwd, program) in [
            (&scratch.0, launcher.clone()),
            (&scratch.0, Path::new("a 'b/bin/apptainer").to_owned()),
            (&scratch.0, Path::new("./linked").to_owned()),
            (&prefix.join("bin"), Path::new("./apptainer").to_owned()),
        ] {
            let got = start(cwd, &program, &usual);
            let (first, rest) = got["PATH"].split_once(':').unwrap();
            tree(cwd, first);
            assert_eq!(rest, "/usr/bin:/bin");
            let place = first.strip_suffix("/libexec/a b").unwrap();
            assert_eq!(got["SET"], format!("{place}/etc/it's a $file:{place}"));
            assert_eq!((got["PLAIN"].as_str(), got["EMPTY"].as_str()), ("~ $HOME", ""));
            assert_eq!((got["UNLESS"].as_str(), got["LIST"].as_str()), ("ours", "x"));
            assert!(!got.keys().any(|name| name.starts_with("elsewhere_")), "{got:?}");
        }
        // What the user set stays, be it empty; and what stands in front is not put there again.
        let once = start(&scratch.0, &launcher, &usual)["PATH"].clone();
        let path = format!("PATH={once}");
        let got = start(&scratch.0, &launcher, &["SET=", "UNLESS=theirs", "LIST=x:y", &path]);
        assert_eq!((got["SET"].as_str(), got["UNLESS"].as_str()), ("", "theirs"));
        assert_eq!((got["LIST"].as_str(), &got["PATH"]), ("x:y", &once));
        assert_eq!(start(&scratch.0, &launcher, &["PATH=/bin", "LIST=y:x"])["LIST"], "x:y:x");
        // A file of the host's or the user's says it all.
        for (file, list) in [(".config/tool/file", true), (".file", true), ("a file", false)] {
            fs::write(home.join(file), "").unwrap();
            let got = start(&scratch.0, &launcher, &usual);
            assert_eq!(got.get("UNLESS"), None, "{file}");
            assert_eq!(got.contains_key("LIST"), list, "{file}");
            fs::remove_file(home.join(file)).unwrap();
        }
        let other = format!("XDG_CONFIG_HOME={}", scratch.join("other").display());
        fs::create_dir_all(scratch.join("other/tool")).unwrap();
        fs::write(scratch.join("other/tool/file"), "").unwrap();
        assert_eq!(start(&scratch.0, &launcher, &[usual[0], &other]).get("UNLESS"), None);
        assert!(start(&scratch.0, &launcher, &usual).contains_key("UNLESS"));
    }
}

/// `text` with the places where it looks for the machine's architecture moved under `root`.
pub fn looking_under(root: &Path, text: &str) -> String {
    let root = root.to_str().unwrap();
    text.replace(" /lib", &format!(" {root}/lib"))
        .replace(" /usr/lib", &format!(" {root}/usr/lib"))
        .replace("/proc/cpuinfo", &format!("{root}/cpuinfo"))
        .replace("/usr/bin/getconf", &format!("{root}/fake/getconf"))
        .replace("/proc/sys/kernel/arch", &format!("{root}/kernel-arch"))
}

/// How the architecture is chosen, and what is said when the prefix has no tree for it.
pub fn choice_of_architecture(shell: &Path) {
    let x86_64 = "lib64/ld-linux-x86-64.so.2";
    let aarch64 = "lib/ld-linux-aarch64.so.1";
    let cases: [(&[&str], Option<&str>, &str, &str); 7] = [
        (&[aarch64], Some("x86_64"), "ppc64le", "aarch64"),
        (&["lib64/ld64.so.2"], None, "x86_64", "ppc64le"),
        (&["lib/ld64.so.1"], None, "x86_64", "s390x"),
        (&[x86_64, aarch64], Some("aarch64"), "x86_64", "aarch64"),
        (&[x86_64, aarch64], None, "x86_64", "x86_64"),
        (&[], Some("s390x"), "x86_64", "s390x"),
        (&[], None, "", ""),
    ];
    for (loaders, kernel, uname, expected) in cases {
        let scratch = Scratch::new();
        let launcher = scratch.join("bin/apptainer");
        for arch in ["x86_64", "aarch64", "ppc64le", "s390x"] {
            let tree = scratch.join(arch).join("bin");
            fs::create_dir_all(&tree).unwrap();
            let program = tree.join("apptainer");
            fs::write(&program, format!("#!/bin/sh\necho {arch}")).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for directory in ["bin", "lib", "lib64", "fake"] {
            fs::create_dir_all(scratch.join(directory)).unwrap();
        }
        for loader in loaders {
            fs::write(scratch.join(loader), "").unwrap();
        }
        if let Some(kernel) = kernel {
            fs::write(scratch.join("kernel-arch"), format!("{kernel}\n")).unwrap();
        }
        let fake = scratch.join("fake/uname");
        fs::write(&fake, format!("#!/bin/sh\necho {uname}")).unwrap();
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
        write_launcher(&launcher, &looking_under(&scratch.0, &text("apptainer")), shell);
        let path = format!("{}:/usr/bin:/bin", scratch.join("fake").display());
        let output = Command::new(&launcher).env("PATH", path).output().unwrap();
        if expected.is_empty() {
            assert_eq!(output.status.code(), Some(127), "{output:?}");
            let error = String::from_utf8(output.stderr).unwrap();
            assert!(error.contains("apptainer for this machine"), "{error}");
        } else {
            assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), expected);
        }
    }
}

/// Processors of each level, as `/proc/cpuinfo` tells them.
const FIRST: &str = "fpu sse sse2 ht lm";
const SECOND: &str = "fpu cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3";
const THIRD: &str =
    "cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3 abm avx avx2 bmi1 bmi2 f16c fma movbe";

/// The launcher of a prefix of several dists.
pub fn choosing(trees: &[(&str, &str, u8)]) -> String {
    choosing_of(&runtime(), trees)
}

fn choosing_of(runtime: &Runtime, trees: &[(&str, &str, u8)]) -> String {
    let tree = |&(dist, glibc, level): &(&str, &str, u8)| launcher::Candidate {
        directory: if dist == "own" { String::new() } else { format!("dists/{dist}/") },
        dist: dist.to_owned(),
        glibc: glibc.parse().unwrap(),
        x86_64_level: level,
    };
    let trees: Vec<_> = trees.iter().map(tree).collect();
    let own = launcher::LaunchedTrees::Own;
    let command = &runtime.commands[0];
    let (environment, places) = (&runtime.environment, &runtime.places);
    launcher::choosing(&runtime.name, command, environment, places, own, &trees)
}

/// How one of several dists is chosen, on machines that are directories.
pub fn choice_of_dist(shell: &Path) {
    let all = [("el7", "2.17", 1), ("own", "2.28", 1), ("el10", "2.39", 3), ("el9", "2.34", 2)];
    let (red_hat, debian, arm) = ("lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu");
    // Where the C library lies, as which file beside libc.so.6, what getconf says, the processor.
    let cases: [(&str, &str, &str, &str, &str); 16] = [
        (red_hat, "libc-2.17.so", "", THIRD, "el7"),
        (red_hat, "libc-2.28.so", "", FIRST, "own"),
        (debian, "libc-2.31.so", "", THIRD, "own"),
        (debian, "libc-2.33.so", "", THIRD, "own"),
        ("usr/lib64", "libc-2.28.so", "", THIRD, "own"),
        ("usr/lib", "libc-2.26.so", "", THIRD, "el7"),
        (red_hat, "", "glibc 2.34", SECOND, "el9"),
        (red_hat, "", "glibc 2.34", THIRD, "el9"),
        (debian, "", "glibc 2.36", THIRD, "el9"),
        (debian, "", "glibc 2.41", SECOND, "el9"),
        (debian, "", "glibc 2.41", THIRD, "el10"),
        (debian, "", "glibc 2.39.9000", THIRD, "el10"),
        // What says nothing is taken for 2.34, and a processor that says nothing for the oldest.
        (debian, "", "", THIRD, "el9"),
        (debian, "", "what?", "", "own"),
        (arm, "", "glibc 2.41", "", "el10"),
        // A directory that is no C library's; getconf knows it then.
        ("opt", "", "glibc 2.28", THIRD, "own"),
    ];
    for case in cases {
        let (directory, file, getconf, processor, expected) = case;
        let arch = if directory == arm { "aarch64" } else { "x86_64" };
        let loader = if directory == arm {
            "lib/ld-linux-aarch64.so.1"
        } else {
            "lib64/ld-linux-x86-64.so.2"
        };
        let scratch = Scratch::new();
        let machine = Machine { scratch: &scratch, loader, directory, file, getconf, processor };
        let output = machine.run(shell, arch, &all);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            said.trim_end(),
            expected,
            "{case:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// A machine that is a directory.
struct Machine<'a> {
    scratch: &'a Scratch,
    loader: &'a str,
    directory: &'a str,
    file: &'a str,
    getconf: &'a str,
    processor: &'a str,
}

impl Machine<'_> {
    /// Runs the launcher of `trees` there, each of which says its dist's name.
    fn run(&self, shell: &Path, arch: &str, trees: &[(&str, &str, u8)]) -> Output {
        let script = |path: PathBuf, text: String| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        let prefix = self.scratch.join("a b");
        for (dist, ..) in trees {
            let directory = if *dist == "own" { String::new() } else { format!("dists/{dist}/") };
            let program = prefix.join(format!("{directory}{arch}/bin/apptainer"));
            script(program, format!("#!/bin/sh\necho {dist}"));
        }
        for name in [self.loader.to_owned(), format!("{}/libc.so.6", self.directory)]
            .into_iter()
            .chain((!self.file.is_empty()).then(|| format!("{}/{}", self.directory, self.file)))
        {
            let path = self.scratch.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let processor = format!(
            "processor\t: 0\nmodel name\t: a: b\nflags\t\t: {}\nbugs\t\t:\n",
            self.processor
        );
        fs::write(self.scratch.join("cpuinfo"), processor).unwrap();
        script(
            self.scratch.join("fake/getconf"),
            format!(
                "#!/bin/sh\n[ \"$1\" = GNU_LIBC_VERSION ] && [ -n '{0}' ] && echo '{0}'",
                self.getconf
            ),
        );
        let launcher = prefix.join("bin/apptainer");
        fs::create_dir_all(prefix.join("bin")).unwrap();
        write_launcher(&launcher, &looking_under(&self.scratch.0, &choosing(trees)), shell);
        let path = format!("{}:/usr/bin:/bin", self.scratch.join("fake").display());
        Command::new(&launcher).env("PATH", path).output().unwrap()
    }
}

/// What is said where none of several dists runs.
pub fn message_without_a_fitting_dist(shell: &Path) {
    let trees = [("el8", "2.28", 1), ("el10", "2.39", 3)];
    let loader = "lib64/ld-linux-x86-64.so.2";
    let cases = [
        ("lib64", "libc-2.17.so", "glibc 2.17", "x86_64 with glibc 2.17\nThere are trees for it;"),
        ("opt", "", "", "x86_64 with no glibc in its usual place\nThere are trees for it;"),
    ];
    for (directory, file, getconf, expected) in cases {
        let scratch = Scratch::new();
        let processor = THIRD;
        let machine = Machine { scratch: &scratch, loader, directory, file, getconf, processor };
        let output = machine.run(shell, "x86_64", &trees);
        assert_eq!(output.status.code(), Some(127), "{output:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(expected), "{error}");
        let needs = "they need: el10 glibc 2.39 and x86-64-v3, el8 glibc 2.28\n";
        assert!(error.contains(needs), "{error}");
        let advice = match directory {
            "opt" => "None runs with musl. With a glibc in another place: /",
            _ => "To add one: elsewhere install -d DIST -a x86_64 -r apptainer '/",
        };
        assert!(error.contains(advice), "{error}");
    }
    let scratch = Scratch::new();
    let (directory, file, getconf, processor) = ("lib64", "libc-2.28.so", "", THIRD);
    let machine = Machine { scratch: &scratch, loader, directory, file, getconf, processor };
    let output = machine.run(shell, "s390x", &trees);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("with glibc 2.28\nThere is none for it;"), "{error}");
    fs::write(scratch.join("a b/.elsewhere-version.json"), "{}").unwrap();
    let error = String::from_utf8(machine.run(shell, "s390x", &trees).stderr).unwrap();
    assert!(error.contains(PUBLISHED) && !error.contains("elsewhere install"), "{error}");
}

/// What is said when there is no tree for this machine.
pub fn message_without_a_tree(shell: &Path) {
    let scratch = Scratch::new();
    let prefix = scratch.join("a b");
    prefix_at(&prefix, shell);
    let other = if host_arch() == "s390x" { "ppc64le" } else { "s390x" };
    fs::rename(prefix.join(host_arch()), prefix.join(other)).unwrap();
    fs::create_dir_all(prefix.join("aarch64")).unwrap();
    let shown = prefix.canonicalize().unwrap();
    let (shown, arch) = (shown.display(), host_arch());
    let told = |advice: &str| {
        let output = Command::new("./apptainer").current_dir(prefix.join("bin")).output().unwrap();
        assert_eq!(output.status.code(), Some(127));
        assert!(output.stdout.is_empty());
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            format!(
                "apptainer: '{shown}' has no apptainer for {arch}; it has it for: {other}\n{advice}\n"
            )
        );
    };
    told(&format!("To add it: elsewhere install -a {arch} -r apptainer '{shown}'"));
    // Who reads a published version can add nothing there.
    fs::write(prefix.join(".elsewhere-version.json"), "{}").unwrap();
    told(PUBLISHED);
}

/// What is right to say in a published version.
const PUBLISHED: &str =
    "It was published and does not change: whoever publishes it can make a version that has more";

/// What is said when the program is there and must not be run, as on a file system that is mounted
/// noexec: by an ordinary launcher, and by one of several dists.
pub fn message_where_nothing_may_run(shell: &Path) {
    let scratch = Scratch::new();
    let prefix = scratch.join("a b");
    prefix_at(&prefix, shell);
    let program = prefix.join(host_arch()).join("bin/apptainer");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).unwrap();
    let several = choosing(&[("own", "2.17", 1)]);
    for text in [text("apptainer"), several] {
        write_launcher(&prefix.join("bin/apptainer"), &text, shell);
        let launcher = Command::new("./apptainer").current_dir(prefix.join("bin")).output();
        let output = launcher.unwrap();
        assert_eq!(output.status.code(), Some(126), "{output:?}");
        let shown = prefix.canonicalize().unwrap();
        let shown = shown.display();
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            format!(
                "apptainer: the programs in '{shown}' may not be run: the file system is mounted \
                 noexec, or you lack the permission\nWhat helps: elsewhere doctor '{shown}'\n"
            )
        );
    }
}
