//! What linkers make and what other tools made of it, on every architecture: rewritten or launched, and
//! run from another place with a library that no machine has. The tools are those of this machine's
//! `PATH`; what is missing is said and passed over.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here should stop the test")]
#![allow(clippy::print_stdout, reason = "a test says what it passes over")]

mod relocation;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use elsewhere::stages::model::Arch;
use relocation::{Scratch, native, text, try_relocate};
use support::deb::{Debs, Suite, multiarch};
use support::tools::{find, missing, output};

const MAIN: &str = "#include <stdio.h>
int middle(void);
int main(void) { printf(\"%d\\n\", middle()); return 0; }";
const MIDDLE: &str = "int made_up(void); int middle(void) { return made_up() + 2; }";
const MADE_UP: &str = "int made_up(void) { return 40; }";

/// Linkers, and what they are told.
const LINKS: [(&str, &[&str]); 16] = [
    ("bfd", &[]),
    ("bfd", &["-no-pie"]),
    ("bfd", &["-Wl,--spare-dynamic-tags=0"]),
    ("bfd", &["-no-pie", "-Wl,--spare-dynamic-tags=0"]),
    ("bfd", &["-Wl,-z,separate-code", "-Wl,-z,now"]),
    ("bfd", &["-Wl,-z,noseparate-code", "-Wl,--spare-dynamic-tags=0", "-s"]),
    ("bfd", &["-Wl,--build-id=none", "-Wl,-rpath,/usr/lib64/x"]),
    ("gold", &[]),
    ("gold", &["-no-pie"]),
    ("gold", &["-Wl,--spare-dynamic-tags=0"]),
    ("lld", &[]),
    ("lld", &["-no-pie"]),
    ("lld", &["-no-pie", "-Wl,-z,separate-code", "-Wl,-rpath,/usr/lib64/x"]),
    ("mold", &[]),
    ("mold", &["-no-pie"]),
    ("mold", &["-Wl,-z,separate-code", "-Wl,--spare-dynamic-tags=0"]),
];

/// Programs that change what was linked, and their arguments.
type Touch = &'static [(&'static str, &'static [&'static str])];

const LONG: &str =
    "/opt/some/where/else/lib64:/opt/another/quite/long/directory/for/libraries/lib64";
const PATCHELF: &[&str] = &["--set-rpath", LONG];
const PATCHELF_RPATH: &[&str] = &["--force-rpath", "--set-rpath", "$ORIGIN/../lib"];

const TOUCHES: [Touch; 9] = [
    &[],
    &[("patchelf", PATCHELF)],
    &[("patchelf", PATCHELF), ("patchelf", PATCHELF_RPATH)],
    &[("patchelf", PATCHELF_RPATH), ("patchelf", &["--remove-rpath"])],
    &[("patchelf-0.18", PATCHELF)],
    &[("patchelf-0.18", PATCHELF), ("patchelf-0.18", PATCHELF_RPATH)],
    &[("patchelf-0.18", PATCHELF_RPATH), ("patchelf-0.18", &["--remove-rpath"])],
    &[("chrpath", &["-r", "/lib"])],
    &[("strip", &[])],
];

/// What an architecture's programs are made and run with.
struct Machine {
    compiler: String,
    strip: String,
    runner: Vec<String>,
}

/// What there is here for programs of `arch`; what is missing is said.
fn machine(arch: Arch) -> Option<Machine> {
    let (triple, emulator) = match arch {
        Arch::X86_64 => ("x86_64-linux-gnu", "qemu-x86_64"),
        Arch::Aarch64 => ("aarch64-linux-gnu", "qemu-aarch64"),
        Arch::Ppc64le => ("powerpc64le-linux-gnu", "qemu-ppc64le"),
        Arch::S390x => ("s390x-linux-gnu", "qemu-s390x"),
    };
    let compiler = format!("{triple}-gcc");
    let runner = match arch == native() {
        true => vec![],
        false => vec![emulator.to_owned(), "-L".to_owned(), format!("/usr/{triple}")],
    };
    let needed = [Some(compiler.clone()), runner.first().cloned()];
    if let Some(missing_one) = needed.into_iter().flatten().find(|name| find(name).is_none()) {
        missing(&format!("linkers for {arch}: there is no {missing_one}"));
        return None;
    }
    let tools = TOUCHES.iter().flat_map(|touch| touch.iter().map(|(tool, _)| *tool));
    let linkers = LINKS.iter().map(|(linker, _)| *linker);
    let mut absent: Vec<&str> = tools.filter(|tool| started(tool).is_none()).collect();
    absent.extend(linkers.filter(|linker| find(&format!("ld.{linker}")).is_none()));
    absent.sort_unstable();
    absent.dedup();
    if !absent.is_empty() {
        missing(&format!("files for {arch} that {} make", absent.join(", ")));
    }
    Some(Machine { compiler, strip: format!("{triple}-strip"), runner })
}

/// The words that start a tool, where it is there.
fn started(tool: &str) -> Option<Vec<PathBuf>> {
    static NEWER_PATCHELF: OnceLock<Vec<PathBuf>> = OnceLock::new();
    match find(tool) {
        None if tool == "patchelf-0.18" && cfg!(feature = "real-tools") => {
            Some(NEWER_PATCHELF.get_or_init(newer_patchelf).clone())
        }
        found => found.map(|path| vec![path]),
    }
}

/// Debian 13's patchelf, with the C library that it needs: Debian 12 has older ones.
fn newer_patchelf() -> Vec<PathBuf> {
    let (arch, target) = (native(), concat!(env!("CARGO_MANIFEST_DIR"), "/target"));
    let debs = Debs::open(Path::new(target), Suite::Trixie);
    let libraries = ["libc6", "libgcc-s1", "libstdc++6"];
    debs.fetch(arch, &[&libraries[..], &["patchelf"]].concat());
    let place = |package: &str| debs.package(arch, package).root.join("usr");
    let path =
        libraries.map(|it| place(it).join("lib").join(multiarch(arch)).display().to_string());
    let loader = place("libc6").join(arch.loader().trim_start_matches('/'));
    let words = [loader, "--library-path".into(), path.join(":").into()];
    words.into_iter().chain([place("patchelf").join("bin/patchelf")]).collect()
}

impl Machine {
    fn compile(&self, to: &Path, source: &str, flags: &[&str]) -> Output {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let code = to.with_extension("c");
        fs::write(&code, source).unwrap();
        let mut command = Command::new(&self.compiler);
        let output = command.arg("-fPIC").arg("-o").arg(to).arg(&code).args(flags).output();
        fs::remove_file(code).unwrap();
        output.unwrap()
    }

    fn run(&self, program: &Path) -> Output {
        let mut words = self.runner.clone();
        words.push(program.display().to_string());
        let mut command = Command::new(&words[0]);
        output(command.args(&words[1..]).env_clear().env("PATH", "/usr/bin:/bin"))
    }

    /// `bin/program`, which needs `lib64/libmiddle.so.1`, which needs the library that no machine has;
    /// `None` where the tools do not make it, or make what does not run.
    fn tree(&self, scratch: &Scratch, link: (&str, &[&str]), touch: Touch) -> Option<PathBuf> {
        let tree = scratch.path("t");
        let made_up = tree.join("lib64/made-up/libelsewhere-made-up.so.1");
        let shared = ["-shared", "-Wl,-soname,libelsewhere-made-up.so.1"];
        assert!(self.compile(&made_up, MADE_UP, &shared).status.success());
        let linker = format!("-fuse-ld={}", link.0);
        let (library, program) = (tree.join("lib64/libmiddle.so.1"), tree.join("bin/program"));
        let plain = |flag: &&&str| !["-no-pie"].contains(*flag);
        let mut flags = vec!["-shared", "-Wl,-soname,libmiddle.so.1", &linker, made_up.to_str()?];
        flags.extend(link.1.iter().filter(plain));
        let made = self.compile(&library, MIDDLE, &flags);
        if !made.status.success() {
            return None;
        }
        let place = format!("-Wl,-rpath-link,{}", made_up.parent()?.display());
        let mut flags = vec![library.to_str()?, &linker, &place];
        flags.extend(link.1);
        if !self.compile(&program, MAIN, &flags).status.success() {
            return None;
        }
        if !self.touch(touch, &[&library, &program]) {
            return None;
        }
        // What these tools broke already is nobody's.
        let mut control = self.run_with(&program, &[library.parent()?, made_up.parent()?]);
        control.stdout.truncate(3);
        (control.stdout == b"42\n").then_some(tree)
    }

    /// Changes `files` by these tools; `false` where one is missing or refuses.
    fn touch(&self, touch: Touch, files: &[&Path]) -> bool {
        touch.iter().all(|(tool, arguments)| {
            let tool = if *tool == "strip" { &self.strip } else { *tool };
            let Some(words) = started(tool) else { return false };
            files.iter().all(|file| {
                let mut command = Command::new(&words[0]);
                let output = command.args(&words[1..]).args(*arguments).arg(file).output();
                output.is_ok_and(|output| output.status.success())
            })
        })
    }

    /// Runs a program that is told where its libraries are.
    fn run_with(&self, program: &Path, directories: &[&Path]) -> Output {
        let path: Vec<String> = directories.iter().map(|path| path.display().to_string()).collect();
        let path = format!("LD_LIBRARY_PATH={}", path.join(":"));
        let mut words = self.runner.clone();
        let mut command = match words.is_empty() {
            true => Command::new(program),
            false => {
                words.extend(["-E".to_owned(), path.clone()]);
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]).arg(program);
                command
            }
        };
        let (name, value) = path.split_once('=').unwrap();
        if self.runner.is_empty() {
            command.env(name, value);
        }
        command.output().unwrap()
    }
}

fn describe(link: (&str, &[&str]), touch: Touch) -> String {
    let touch: Vec<String> =
        touch.iter().map(|(tool, words)| format!("{tool} {}", words.join(" "))).collect();
    format!("{} {} | {}", link.0, link.1.join(" "), touch.join("; "))
}

/// Every linker's every file after every tool, rewritten and run.
fn everything_is_rewritten(arch: Arch) {
    let Some(machine) = machine(arch) else { return };
    let (mut rewritten, mut passed_over, mut wrong) = (0, 0, Vec::new());
    for link in LINKS {
        for touch in TOUCHES {
            let scratch = Scratch::new("linkers");
            let Some(tree) = machine.tree(&scratch, link, touch) else {
                passed_over += 1;
                continue;
            };
            let (done, _) = try_relocate(&tree, arch, &[]).unwrap();
            let place = scratch.path("moved to here");
            fs::rename(&tree, &place).unwrap();
            let output = machine.run(&place.join("bin/program"));
            let shown = describe(link, touch);
            match done.warnings.is_empty() && done.loading.aided.is_empty() {
                true => rewritten += 1,
                false => wrong.push(format!("{shown}: {:?}", done.warnings)),
            }
            if output.stdout != b"42\n" {
                wrong.push(format!("{shown}: it runs no more: {}", text(&output.stderr)));
            }
        }
    }
    println!(
        "{arch}: {rewritten} rewritten, {} not, {passed_over} cannot be made here",
        wrong.len()
    );
    assert!(wrong.is_empty() && rewritten > 0, "{}", wrong.join("\n"));
}

#[test]
fn what_linkers_and_tools_make_for_x86_64_is_rewritten() {
    everything_is_rewritten(Arch::X86_64);
}

#[test]
fn what_linkers_and_tools_make_for_aarch64_is_rewritten() {
    everything_is_rewritten(Arch::Aarch64);
}

#[test]
fn what_linkers_and_tools_make_for_ppc64le_is_rewritten() {
    everything_is_rewritten(Arch::Ppc64le);
}

#[test]
fn what_linkers_and_tools_make_for_s390x_is_rewritten() {
    everything_is_rewritten(Arch::S390x);
}

const GO: &str = "package main

/*
int made_up(void);
*/
import \"C\"
import \"fmt\"

func main() { fmt.Println(int(C.made_up()) + 2) }
";

/// Go's own linker lays files out in its own way, and without relocation of the read-only data.
#[test]
fn what_go_links_is_rewritten() {
    let (Some(go), Some(machine)) = (find("go"), machine(native())) else {
        missing("files that Go links: there is no go, or no compiler for it");
        return;
    };
    let scratch = Scratch::new("go");
    scratch.write("code/main.go", GO, 0o644);
    scratch.write("code/go.mod", "module made-up\n\ngo 1.19\n", 0o644);
    let made_up = scratch.path("libraries/libelsewhere-made-up.so.1");
    let shared = ["-shared", "-Wl,-soname,libelsewhere-made-up.so.1"];
    assert!(machine.compile(&made_up, MADE_UP, &shared).status.success());
    let flags = made_up.display().to_string();
    for link in ["-linkmode=internal", "-linkmode=external", "-s -w"] {
        let linked = scratch.path("linked");
        let output = Command::new(&go)
            .args(["build", "-buildvcs=false", "-ldflags", link, "-o"])
            .arg(&linked)
            .current_dir(scratch.path("code"))
            .env("CGO_LDFLAGS", &flags)
            .env("CGO_LDFLAGS_ALLOW", ".*")
            .env("GOCACHE", scratch.path("cache"))
            .env("GOTOOLCHAIN", "local")
            .env_remove("GOFLAGS")
            // What it notes of itself it notes there.
            .env("XDG_CONFIG_HOME", scratch.path("config"))
            .env("HOME", &scratch.0)
            .output()
            .unwrap();
        if !output.status.success() {
            missing(&format!("files that go links by {link}: {}", text(&output.stderr).trim_end()));
            continue;
        }
        for touch in TOUCHES {
            let tree = scratch.path("t");
            let program = tree.join("bin/program");
            fs::create_dir_all(program.parent().unwrap()).unwrap();
            fs::copy(&linked, &program).unwrap();
            let library = tree.join("lib64/made-up/libelsewhere-made-up.so.1");
            fs::create_dir_all(library.parent().unwrap()).unwrap();
            fs::copy(&made_up, &library).unwrap();
            if !machine.touch(touch, &[&program])
                || machine.run_with(&program, &[library.parent().unwrap()]).stdout != b"42\n"
            {
                println!("go {link}, {touch:?}: cannot be made here, or runs no more");
                fs::remove_dir_all(tree).unwrap();
                continue;
            }
            let (done, _) = try_relocate(&tree, native(), &[]).unwrap();
            assert_eq!(done.warnings, [""; 0], "go {link}, {touch:?}");
            let place = scratch.path("moved to here");
            fs::rename(&tree, &place).unwrap();
            let output = machine.run(&place.join("bin/program"));
            assert_eq!(
                text(&output.stdout),
                "42\n",
                "go {link}, {touch:?}: {}",
                text(&output.stderr)
            );
            fs::remove_dir_all(place).unwrap();
        }
    }
}
