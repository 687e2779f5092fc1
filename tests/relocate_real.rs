//! Relocation of real programs: Debian's, for every architecture, moved and run. What the
//! programs need lies nowhere but in the tree.
//!
//! Needs Debian's apt with a mirror, dpkg, binutils, patchelf, qemu-user, util-linux.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a failure here should stop the test"
)]

mod relocation;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use elsewhere::stages::audit::{Gap, audit};
use elsewhere::stages::model::{Arch, FileKind};
use relocation::{Scratch, host_libraries, list, runtime, text, try_relocate};

const PROGRAMS: [&str; 6] =
    ["squashfuse", "squashfs-tools", "fakeroot", "libfakeroot", "fuse-overlayfs", "crun"];
const LIBRARIES: [&str; 13] = [
    "libfuse3-3",
    "libzstd1",
    "liblzma5",
    "liblzo2-2",
    "liblz4-1",
    "zlib1g",
    "libgcc-s1",
    "libcap2",
    "libseccomp2",
    "libyajl2",
    "libsystemd0",
    "libgcrypt20",
    "libgpg-error0",
];

fn debian_name(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "amd64",
        Arch::Aarch64 => "arm64",
        Arch::Ppc64le => "ppc64el",
        Arch::S390x => "s390x",
    }
}

/// Runs a tool; `package` is where Debian has it.
fn tool(package: &str, command: &mut Command) -> Output {
    let name = command.get_program().to_owned();
    let missing = |error| panic!("{name:?}: {error}: install Debian's {package}");
    let output = command.output().unwrap_or_else(missing);
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    output
}

/// apt with lists of its own: the machine's configuration stays as it is.
fn apt(words: &[&str], directory: &Path) -> Command {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("apt");
    for inner in ["state/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(place.join(inner)).unwrap();
    }
    let status = place.join("status");
    if !status.exists() {
        fs::write(&status, "").unwrap();
    }
    let mut command = Command::new("apt-get");
    command.current_dir(directory).arg("-qq");
    for (key, value) in [("Dir::State", "state"), ("Dir::Cache", "cache")] {
        command.arg("-o").arg(format!("{key}={}", place.join(value).display()));
    }
    command.arg("-o").arg(format!("Dir::State::status={}", status.display()));
    command.args(["-o", "APT::Architectures=amd64,arm64,ppc64el,s390x"]);
    command.args(["-o", "APT::Sandbox::User=root"]).args(words);
    command
}

/// The directory with the packages of `arch`, fetched once.
fn packages(arch: Arch) -> PathBuf {
    static LISTS: std::sync::Mutex<bool> = std::sync::Mutex::new(false);
    let name = debian_name(arch);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("debs-{name}"));
    let complete = directory.join("complete");
    let mut updated = LISTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !complete.exists() {
        fs::create_dir_all(&directory).unwrap();
        if !*updated {
            // One list of many may fail, while a mirror changes: the download shows whether it matters.
            let output = apt(&["update"], &directory).output().expect("install Debian's apt");
            println!("{}", text(&output.stderr));
            *updated = true;
        }
        let names = PROGRAMS.iter().chain(&LIBRARIES).chain(&["libc6"]);
        let names: Vec<String> = names.map(|package| format!("{package}:{name}")).collect();
        let mut words = vec!["download"];
        words.extend(names.iter().map(String::as_str));
        tool("apt", &mut apt(&words, &directory));
        fs::write(complete, "").unwrap();
    }
    directory
}

/// A tree of the packages of `arch` in `t`, and its glibc in `sysroot`.
fn tree(arch: Arch) -> Scratch {
    let scratch = Scratch::new(debian_name(arch));
    for entry in fs::read_dir(packages(arch)).unwrap() {
        let package = entry.unwrap().path();
        let name = package.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(".deb") {
            continue;
        }
        let to = scratch.path(if name.starts_with("libc6_") { "sysroot" } else { "packed" });
        tool("dpkg", Command::new("dpkg-deb").arg("-x").arg(&package).arg(&to));
    }
    let loader = scratch.path("sysroot/lib64/ld64.so.2");
    if let Ok(target) = fs::read_link(&loader) {
        fs::remove_file(&loader).unwrap();
        scratch.link("sysroot/lib64/ld64.so.2", &format!("..{}", target.display()));
    }
    fs::create_dir_all(scratch.path("t/lib")).unwrap();
    for (from, to) in [("packed/usr/.", "t"), ("packed/lib/.", "t/lib")] {
        let mut cp = Command::new("cp");
        tool("coreutils", cp.arg("-a").arg(scratch.path(from)).arg(scratch.path(to)));
    }
    scratch
}

/// A command that runs `program` of `arch`, where the libraries of the tree are hidden.
fn runner(scratch: &Scratch, arch: Arch, program: &Path) -> Command {
    if arch != relocation::native() {
        let name = arch.as_str();
        let mut command = Command::new(format!("qemu-{name}"));
        command.arg("-L").arg(scratch.path("sysroot")).arg(program);
        return command;
    }
    let names = fs::read_dir(scratch.path("packed/usr/lib/x86_64-linux-gnu")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let libraries: Vec<String> = names.filter(|name| name.contains(".so.")).collect();
    let hide = format!(
        r#"for name in {} libgcc_s.so.1 liblzma.so.5 libz.so.1; do
            for file in /lib/*/$name /usr/lib/*/$name; do
                [ -f "$file" ] && mount --bind /dev/null "$file"
            done
        done
        exec "$@""#,
        libraries.join(" ")
    );
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "/bin/dash", "-c", &hide, "hide"]).arg(program);
    command
}

fn output(scratch: &Scratch, arch: Arch, program: &Path, arguments: &[&str]) -> Output {
    let poison = scratch.path("poison");
    let mut command = runner(scratch, arch, program);
    if arch == relocation::native() {
        command.env("LD_LIBRARY_PATH", &poison);
    } else {
        command.env("QEMU_SET_ENV", format!("LD_LIBRARY_PATH={}", poison.display()));
    }
    let output = command.args(arguments).output();
    output.unwrap_or_else(|error| panic!("{command:?}: {error}: install qemu-user, util-linux"))
}

/// Garbage under the names of the tree's libraries.
fn poison(scratch: &Scratch, tree: &Path) {
    for file in list(tree).iter().filter(|file| file.path.file_name().contains(".so.")) {
        scratch.write(&format!("poison/{}", file.path.file_name()), "poison", 0o755);
    }
}

fn works(arch: Arch) {
    let scratch = tree(arch);
    let staged = scratch.path("t");
    let control = output(&scratch, arch, &staged.join("bin/mksquashfs"), &["-version"]);
    assert!(!control.status.success(), "{arch}: the control runs: {}", text(&control.stdout));
    assert!(text(&control.stderr).contains("shared libraries"), "{}", text(&control.stderr));
    let notes = build_ids(&staged);

    let crun = runtime("library_path = ['bin/crun']");
    let start = Instant::now();
    let (done, files) = try_relocate(&staged, arch, &[&crun]).unwrap();
    let took = start.elapsed();
    let sizes = files.iter().filter_map(|file| match &file.kind {
        FileKind::File { size, packaged: Some(_), .. } => Some(*size),
        _ => None,
    });
    let size: u64 = sizes.sum();
    println!(
        "{arch}: {} files, {size} bytes, grew by {}, {took:?}; {:?}",
        done.rewritten, done.growth, done.warnings
    );
    assert!(done.warnings.iter().all(|warning| warning.contains("does not have")));
    assert_eq!(done.loading.launched().count(), 1);
    assert_eq!(notes, build_ids(&staged), "a build-id changed");
    let audit = audit(&staged, arch, &files, &host_libraries(), &done.loading, None).unwrap();
    let gaps: Vec<String> = audit.gaps.iter().map(Gap::to_string).collect();
    assert!(gaps.is_empty(), "{gaps:?}");
    println!("{arch}: needs glibc {:?} by {:?}", audit.glibc_needed, audit.glibc_needed_by);

    poison(&scratch, &staged);
    inspect(&files, &staged);
    let place = scratch.path("moved to here");
    fs::rename(&staged, &place).unwrap();
    run_all(&scratch, arch, &place);
    if matches!(arch, Arch::X86_64 | Arch::Aarch64) {
        // Tools that rewrite the file again still find one that makes sense.
        strip_all(arch, &place, &files);
        run_all(&scratch, arch, &place);
    }
}

/// What `readelf -n` says of each file, but for where it lies.
fn build_ids(tree: &Path) -> Vec<String> {
    let mut ids = Vec::new();
    for name in ["bin/mksquashfs", "bin/squashfuse", "bin/fuse-overlayfs"] {
        let output = tool("binutils", Command::new("readelf").arg("-n").arg(tree.join(name)));
        let said = text(&output.stdout);
        let id = said.lines().find(|line| line.contains("Build ID")).unwrap_or_default();
        assert!(!id.is_empty(), "{name} has no build-id: {said}");
        ids.push(id.to_owned());
    }
    ids
}

/// Looks at every rewritten file with other tools.
fn inspect(files: &[elsewhere::stages::model::ReceiptFile], tree: &Path) {
    for file in files {
        let FileKind::File { packaged: Some(_), .. } = &file.kind else { continue };
        let path = tree.join(&file.path);
        let output = tool("binutils", Command::new("readelf").arg("-aW").arg(&path));
        let said = text(&output.stdout);
        assert_eq!(text(&output.stderr), "", "{}", file.path);
        assert!(!said.contains("(RUNPATH)"), "{}", file.path);
        let output = tool("patchelf", Command::new("patchelf").arg("--print-rpath").arg(&path));
        let rpath = text(&output.stdout);
        let output = tool("patchelf", Command::new("patchelf").arg("--print-needed").arg(&path));
        let needed = text(&output.stdout);
        let is_launched = file.path.as_str().starts_with("libexec/elsewhere/");
        let is_led = needed.contains("$ORIGIN/") || rpath.starts_with("$ORIGIN");
        assert!(is_led || is_launched, "{}: {rpath} {needed}", file.path);
    }
}

fn strip_all(arch: Arch, tree: &Path, files: &[elsewhere::stages::model::ReceiptFile]) {
    for file in files {
        let FileKind::File { packaged: Some(_), .. } = &file.kind else { continue };
        let path = tree.join(&file.path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let strip = match arch {
            Arch::X86_64 => "strip",
            _ => "aarch64-linux-gnu-strip",
        };
        tool("binutils-aarch64-linux-gnu", Command::new(strip).arg(&path));
    }
}

fn run_all(scratch: &Scratch, arch: Arch, tree: &Path) {
    let run = |program: &str, arguments: &[&str]| {
        let output = output(scratch, arch, &tree.join(program), arguments);
        let said = text(&output.stdout) + &text(&output.stderr);
        (output.status.code(), said)
    };
    let (code, said) = run("bin/fuse-overlayfs", &["--version"]);
    assert!(code == Some(0) && said.contains("fuse-overlayfs"), "{arch}: {code:?} {said}");
    for program in ["bin/squashfuse", "bin/squashfuse_ll"] {
        let (_, said) = run(program, &["--help"]);
        assert!(said.contains("Usage"), "{arch}: {program}: {said}");
    }
    scratch.write("content/file", "content of a file", 0o644);
    let image = scratch.path("image").display().to_string();
    let content = scratch.path("content").display().to_string();
    for compression in ["gzip", "xz", "zstd", "lzo", "lz4"] {
        let words =
            [content.as_str(), &image, "-noappend", "-quiet", "-no-progress", "-comp", compression];
        let (code, said) = run("bin/mksquashfs", &words);
        assert_eq!(code, Some(0), "{arch}: {said}");
        let (code, said) = run("bin/unsquashfs", &["-cat", &image, "file"]);
        assert!(code == Some(0) && said.contains("content of a file"), "{arch}: {said}");
    }
    if arch == relocation::native() {
        let (code, said) = run("bin/crun", &["--version"]);
        assert!(code == Some(0) && said.contains("crun version"), "{code:?} {said}");
    }
}

#[test]
fn programs_of_x86_64() {
    works(Arch::X86_64);
}

#[test]
fn programs_of_aarch64() {
    works(Arch::Aarch64);
}

#[test]
fn programs_of_ppc64le() {
    works(Arch::Ppc64le);
}

#[test]
fn programs_of_s390x() {
    works(Arch::S390x);
}
