//! One file that installs by itself: on every shell and without a network, proved as its origin is; damaged in
//! any way it says so, and whatever is killed while it is made, the old one stays whole.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::keys::TestKey;
use support::killing::{CHANGES, Killed, kill_at_each};
use support::program;
use support::site::{Outcome, Site, data, hello};
use support::small::World;
use support::tools::{files_below, need, run};

/// Where parts begin.
const BLOCK: usize = 4096;
/// Bytes of the head.
const HEAD: usize = 16 << 10;

/// A site, and the bundle that is made of it.
struct Packed {
    site: Site,
    bundle: PathBuf,
}

impl Packed {
    /// A site, before any bundle is made.
    fn new(name: &str) -> Self {
        let site = Site::new(name);
        let bundle = site.place("hello.run");
        program::standin(&site.place(""));
        Self { site, bundle }
    }

    /// A site with its bundle.
    fn made(name: &str) -> Self {
        let packed = Self::new(name);
        packed.make(&[]).ok();
        packed
    }

    /// `elsewhere bundle WORDS`, with what finds this site.
    fn command(&self, program: &mut Command, words: &[&str]) {
        let named = format!("x86_64={}", self.site.place("standin").display());
        program.args(["bundle", "--program", &named]).args(words);
        // The mirror that a test makes, and which has all.
        if !words.iter().any(|word| word.ends_with("/m")) {
            program.arg("--mirror").arg(self.site.mirror());
        }
        program.arg("--repos").arg(self.site.repos()).arg("--cache-dir").arg(self.site.cache());
        self.site.enter(program);
    }

    fn make_in(&self, file: &Path, words: &[&str]) -> Outcome {
        let mut command = program::elsewhere();
        let is_planned = words.contains(&"--lock") || words.contains(&"--from");
        let basic: &[&str] = match is_planned {
            true => &[],
            false => &["-d", "lab", "-r", "hello", "-a", "x86_64"],
        };
        self.command(&mut command, &[basic, words].concat());
        Outcome::of(command.arg("-o").arg(file).output().unwrap())
    }

    fn make(&self, words: &[&str]) -> Outcome {
        self.make_in(&self.bundle, words)
    }

    /// `elsewhere bundle WORDS FILE`.
    fn look(&self, words: &[&str]) -> Outcome {
        let mut command = self.site.elsewhere();
        command.arg("bundle").args(words).arg("--repos").arg(self.site.repos()).arg(&self.bundle);
        Outcome::of(command.output().unwrap())
    }

    fn verify(&self) -> Outcome {
        self.look(&["--verify"])
    }

    /// `sh FILE WORDS`, where there is no network.
    fn sh(&self, words: &str) -> Outcome {
        let script = format!("sh hello.run {words}");
        Outcome::of(without_network(&self.site, &script))
    }

    /// The same with `--repos`, into the site's prefix, which is not there before.
    fn install(&self) -> Outcome {
        let _ = fs::remove_dir_all(self.site.prefix());
        self.sh("--repos repos --cache-dir new-cache prefix")
    }

    /// What is in it: name, place, size.
    fn members(&self) -> Vec<(String, usize, usize)> {
        let told: Value = self.look(&["--list", "--json"]).ok().json();
        let member = |member: &Value| {
            let number = |name: &str| usize::try_from(member[name].as_u64().unwrap()).unwrap();
            (member["name"].as_str().unwrap().to_owned(), number("offset"), number("size"))
        };
        told["members"].as_array().unwrap().iter().map(member).collect()
    }

    /// Runs `attempt` while the byte at `at` is another one.
    fn flipped<T>(&self, at: usize, attempt: impl FnOnce() -> T) -> T {
        let mut bytes = fs::read(&self.bundle).unwrap();
        bytes[at] ^= 1;
        fs::write(&self.bundle, &bytes).unwrap();
        let result = attempt();
        bytes[at] ^= 1;
        fs::write(&self.bundle, &bytes).unwrap();
        result
    }

    /// What is installed says this version, and nothing was left where the program was unpacked.
    #[track_caller]
    fn works(&self, version: &str) {
        let told =
            Outcome::of(Command::new(self.site.prefix().join("bin/hello")).output().unwrap());
        assert_eq!(told.ok().out, format!("hello {version}\n"));
        assert_eq!(left(&self.site.place("")), Vec::<PathBuf>::new());
    }
}

/// What runs left in a directory that is only for a while.
fn left(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_left = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("elsewhere") || name.ends_with("-new")
    };
    entries.filter(is_left).collect()
}

/// A script where there is no network at all, run by a user who is not root even to himself.
fn command_without_network(site: &Site, script: &str) -> Command {
    let mut command = Command::new(need("unshare", "util-linux"));
    command.args(["--user", "--net", "sh", "-c", script]).current_dir(site.place(""));
    site.enter(&mut command).env("E", program::path());
    command
}

fn without_network(site: &Site, script: &str) -> Output {
    command_without_network(site, script).output().unwrap()
}

#[test]
fn what_is_bundled_is_installed_without_a_network_by_an_ordinary_user_and_any_shell() {
    let packed = Packed::made("bundle-install");
    let site = &packed.site;
    assert_eq!(fs::metadata(&packed.bundle).unwrap().permissions().mode() & 0o777, 0o755);
    fs::rename(site.mirror(), site.place("away")).unwrap();
    let tools = site.place("few");
    fs::create_dir(&tools).unwrap();
    let busybox = need("busybox", "busybox");
    for tool in ["dd", "uname", "chmod", "mkdir", "rm"] {
        std::os::unix::fs::symlink(&busybox, tools.join(tool)).unwrap();
    }
    let (dash, bash) = (need("dash", "dash"), need("bash", "bash"));
    let others = [("mksh", "mksh"), ("ksh93", "ksh93u+m"), ("yash", "yash"), ("zsh", "zsh")];
    let others =
        others.map(|(shell, package)| format!("{} hello.run", need(shell, package).display()));
    let shells = [
        format!("{} hello.run", dash.display()),
        format!("{} --posix ./hello.run", bash.display()),
        format!("{} sh hello.run", busybox.display()),
        format!("PATH=$PWD/few {} sh hello.run", busybox.display()),
        "./hello.run".to_owned(),
        "cd mirror-of-none && sh '../it is $HOME`x` \"here\".run'".to_owned(),
        "\"$E\" install --from hello.run".to_owned(),
    ];
    fs::create_dir(site.place("mirror-of-none")).unwrap();
    fs::hard_link(&packed.bundle, site.place("it is $HOME`x` \"here\".run")).unwrap();
    for shell in shells.into_iter().chain(others) {
        let root = site.place("");
        let root = root.display();
        let script =
            format!("{shell} --repos {root}repos --cache-dir {root}new-cache {root}prefix");
        Outcome::of(without_network(site, &script)).ok();
        packed.works("1.0");
        fs::remove_dir_all(site.prefix()).unwrap();
        let copied = files_below(&site.place("new-cache/objects"));
        assert_eq!(copied, Vec::<PathBuf>::new(), "packages are read where they lie");
    }
    packed.sh("-a aarch64 prefix").refused(2, "has nothing for aarch64: it has x86_64");
    packed.sh("-r hello -d lab prefix").refused(2, "installs its lock file");
    assert!(packed.sh("--help").ok().out.contains("Installs hello 1.0 (x86_64 of lab)"));
    packed.sh("").refused(2, "sh hello.run --list");
    packed.sh("--no-such-word prefix").refused(2, "--no-such-word");
    fs::remove_file(tools.join("uname")).unwrap();
    site.scratch.write("few/uname", "#!/bin/sh\necho riscv64\n");
    fs::set_permissions(tools.join("uname"), fs::Permissions::from_mode(0o755)).unwrap();
    let few = |script: &str| Outcome::of(without_network(site, &format!("PATH=$PWD/few {script}")));
    let told = few("/bin/sh hello.run prefix");
    told.refused(7, "no program for this machine (riscv64): it has some for x86_64");
    fs::remove_file(tools.join("dd")).unwrap();
    few("/bin/sh hello.run prefix").refused(7, "needs dd");
    assert_eq!(left(&site.place("")), Vec::<PathBuf>::new());
}

#[test]
fn shellcheck_has_no_complaint_about_a_head() {
    let packed = Packed::made("bundle-shellcheck");
    let head = fs::read(&packed.bundle).unwrap()[..HEAD].to_vec();
    let head = packed.site.scratch.write("head.sh", head);
    let output = Command::new(need("shellcheck", "shellcheck")).arg(head).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn what_is_in_a_bundle_is_listed_and_can_be_had_as_files() {
    let packed = Packed::made("bundle-extract");
    packed.verify().ok();
    assert_eq!(packed.sh("--verify --repos repos").ok().out, "");
    let names: Vec<String> = packed.members().into_iter().map(|(name, ..)| name).collect();
    for name in [
        "elsewhere-x86_64",
        "elsewhere.lock",
        "forged.example/base/Packages/hello-1.0-1.el9.x86_64.rpm",
        "forged.example/keys/key",
        "definitions/dists/lab.toml",
    ] {
        assert!(names.contains(&name.to_owned()), "{name}: {names:#?}");
    }
    assert!(!names.iter().any(|name| name.contains("repodata")), "{names:#?}");
    let list = packed.sh("--list").ok().out;
    assert!(names.iter().all(|name| list.contains(name)), "{list}");
    packed.sh("--extract files").ok();
    let origin = packed.site.mirror();
    for name in names.iter().filter(|name| name.starts_with("forged.example/")) {
        let there = fs::read(packed.site.place("files").join(name)).unwrap();
        assert!(there == fs::read(origin.join(name)).unwrap(), "{name}");
    }
    assert_eq!(files_below(&packed.site.place("files")).len(), names.len());
    let script = "\"$E\" install --from files --repos repos --cache-dir new-cache prefix";
    Outcome::of(without_network(&packed.site, script)).ok();
    packed.works("1.0");
    packed.sh("--extract files").refused(2, "no empty directory");
    fs::create_dir(packed.site.place("empty")).unwrap();
    packed.sh("--extract empty").ok();
}

#[test]
fn a_changed_byte_anywhere_is_refused_and_what_it_is_of_is_named() {
    let packed = Packed::made("bundle-flipped");
    let members = packed.members();
    let size = fs::read(&packed.bundle).unwrap().len();
    for (name, offset, size) in &members {
        let program = name == "elsewhere-x86_64";
        for at in [*offset, offset + size / 2, offset + size - 1] {
            packed.flipped(at, || {
                let told = packed.verify().refused(8, "is damaged: 1 finding");
                assert_eq!(told.out.trim_end(), format!("{name}: changed"), "{}", told.err);
                let word = if program { "program for x86_64 is damaged" } else { name.as_str() };
                packed.install().refused(8, word);
                assert!(!packed.site.prefix().exists());
            });
        }
        let filling = (offset + size).next_multiple_of(BLOCK) - (offset + size);
        if filling > 0 {
            packed.flipped(offset + size + filling / 2, || {
                let told = packed.verify().refused(8, "is damaged: 1 finding");
                assert!(
                    told.out.starts_with(&format!("{name}: changed: what fills")),
                    "{}",
                    told.out
                );
            });
        }
    }
    let (_, last, length) = members.last().unwrap();
    let index = (last + length).next_multiple_of(BLOCK);
    for (from, to, what) in [
        (32, HEAD, "its head"),
        (index, index + 1000, "its index"),
        (size - 256, size, "its trailer"),
    ] {
        for at in (from..to).step_by((to - from) / 16).chain([to - 1]) {
            packed.flipped(at, || {
                packed.verify().refused(8, &format!("{what} is not what was written"));
                // A head that was changed may be no script any more.
                let told = packed.install();
                assert!(told.status != 0 && !packed.site.prefix().exists(), "{at}: {told:?}");
                // Nor one that cleans up.
                let left = left(&packed.site.place("")).into_iter();
                left.filter(|_| what == "its head").for_each(|it| fs::remove_dir_all(it).unwrap());
            });
        }
    }
    assert_eq!(left(&packed.site.place("")), Vec::<PathBuf>::new());
    packed.verify().ok();
    packed.install().ok();
    packed.works("1.0");
}

#[test]
fn one_that_was_carried_badly_says_what_happened() {
    let packed = Packed::made("bundle-carried");
    let good = fs::read(&packed.bundle).unwrap();
    let write = |bytes: &[u8]| fs::write(&packed.bundle, bytes).unwrap();
    for length in [good.len() - 1, good.len() / 2, HEAD + 9, HEAD] {
        write(&good[..length]);
        packed.install().refused(8, "cut short");
        packed.verify().refused(8, &format!("it has {length} bytes of {}", good.len()));
    }
    write(&[&good[..], b"\n"].concat());
    packed.verify().refused(8, "where");
    packed.install().refused(8, "were written");
    let mut crlf = Vec::new();
    good.iter().for_each(|byte| match byte {
        b'\n' => crlf.extend_from_slice(b"\r\n"),
        byte => crlf.push(*byte),
    });
    write(&crlf);
    for shell in ["dash", "bash", "busybox sh"] {
        let script = format!("{shell} hello.run prefix");
        Outcome::of(without_network(&packed.site, &script)).refused(8, "line ends were changed");
    }
    packed.verify().refused(8, "line ends were changed");
    let text = String::from_utf8(good[..HEAD].to_vec()).unwrap();
    let lf: Vec<u8> = good.iter().copied().filter(|byte| *byte != b'\r').collect();
    assert!(lf.len() < good.len());
    write(&lf);
    packed.verify().refused(8, "cut short, or was changed on the way");
    packed.install().refused(8, "cut short, or was changed on the way");
    write(&good);
    let mut gzip = Command::new(need("gzip", "gzip"));
    let zipped = gzip.arg("-c").arg(&packed.bundle).stdout(Stdio::piped()).output().unwrap().stdout;
    write(&zipped);
    packed.verify().refused(2, "decompress it");
    write(b"#!/bin/sh\necho hello\n");
    packed.verify().refused(2, "no bundle");
    write(b"");
    packed.verify().refused(2, "no bundle");
    write(&good);
    for shell in ["dash", "bash", "busybox sh"] {
        for script in [
            format!("{shell} < hello.run"),
            format!("cat hello.run | {shell}"),
            format!("cat hello.run | {shell} -s -- prefix"),
        ] {
            let told = Outcome::of(without_network(&packed.site, &script));
            told.refused(2, "not come through a pipe: save it");
        }
    }
    assert!(text.lines().all(|line| line.len() < 200), "it is a text");
    packed.install().ok();
    packed.works("1.0");
}

/// What a bundle is called in the names of its parts.
fn part_set(bundle: &[u8]) -> String {
    let head = String::from_utf8(bundle[..HEAD].to_vec()).unwrap();
    head.lines().find_map(|line| line.strip_prefix("# parts: ")).unwrap().to_owned()
}

fn part(site: &Site, number: usize, set: &str) -> PathBuf {
    match number {
        1 => site.place("hello.run.001"),
        _ => site.place(&format!("hello.run.{number:03}-{set}")),
    }
}

#[test]
fn parts_that_lie_beside_each_other_are_one_bundle() {
    let packed = Packed::made("bundle-parts");
    let site = &packed.site;
    let whole = fs::read(&packed.bundle).unwrap();
    let first = packed.members().into_iter().find(|(name, ..)| !name.starts_with("elsewhere-"));
    let (_, first, _) = first.unwrap();
    fs::remove_file(&packed.bundle).unwrap();
    packed.make(&["--split", "16KiB"]).refused(2, "the first part has the programs: --split");
    let told: Value = {
        let size = (first + BLOCK + 9).to_string();
        packed.make(&["--split", "4MB"]).ok();
        assert!(fs::read(site.place("hello.run.001")).unwrap() == whole);
        let told = packed.make(&["--split", &size, "--json"]).ok();
        serde_json::from_str(told.out.lines().last().unwrap()).unwrap()
    };
    assert_eq!(told["files"].as_array().unwrap().len(), 3, "{told}");
    let set = part_set(&whole);
    let part = |number: usize| part(site, number, &set);
    let joined = [fs::read(part(1)).unwrap(), fs::read(part(2)).unwrap()].concat();
    assert!(joined == whole && !packed.bundle.exists());
    let sums = |words: &[&str]| {
        let mut sums = Command::new(need("sha256sum", "coreutils"));
        sums.args(["-c", "--strict", "--quiet"]).args(words).arg("hello.run.sum");
        sums.current_dir(site.place("")).output().unwrap().status.success()
    };
    assert!(sums(&["--ignore-missing"]) && !sums(&[]));
    let install = || {
        let _ = fs::remove_dir_all(site.prefix());
        let script = "sh hello.run.001 --repos repos --cache-dir new-cache prefix";
        Outcome::of(without_network(site, script))
    };
    install().ok();
    packed.works("1.0");
    std::os::unix::fs::symlink("hello.run.001", site.place("latest")).unwrap();
    fs::remove_dir_all(site.prefix()).unwrap();
    let script = "sh latest --repos repos --cache-dir new-cache prefix";
    Outcome::of(without_network(site, script)).ok();
    packed.works("1.0");
    fs::rename(part(2), site.place("away")).unwrap();
    install().refused(8, "is not beside it");
    fs::write(part(2), "").unwrap();
    install().refused(8, &format!("hello.run.002-{set} is empty"));
    let mut second = fs::read(site.place("away")).unwrap();
    fs::write(part(2), &second[..second.len() - 1]).unwrap();
    install().refused(8, &format!("hello.run.003-{set} is not beside it"));
    *second.last_mut().unwrap() ^= 1;
    fs::write(part(2), &second).unwrap();
    install().refused(8, "not what was written");
    assert!(!site.prefix().exists());
    fs::rename(site.place("away"), part(2)).unwrap();
    // Joined, they are what they would have been.
    fs::write(&packed.bundle, &joined).unwrap();
    assert!(sums(&[]));
    packed.install().ok();
    packed.works("1.0");
    // Fewer parts leave none of the old ones.
    packed.make(&["--split", "4MB"]).ok();
    assert!(part(1).exists() && !part(2).exists());
}

#[test]
fn nothing_that_a_bundle_brings_gives_trust() {
    let packed = Packed::made("bundle-trust");
    let site = &packed.site;
    // Somebody makes one of his own repositories, which he signs himself.
    let forger = TestKey::new();
    let forged = site.place("forged-repos");
    run(Command::new("cp").arg("-a").args([site.repos(), forged.clone()]));
    let dist = forged.join("dists/lab.toml");
    let (text, pinned) = (fs::read_to_string(&dist).unwrap(), site.key.fingerprint());
    fs::write(&dist, text.replace(pinned.as_str(), forger.fingerprint().as_str())).unwrap();
    site.write("keys/key", forger.public_file());
    let signed = |package: support::rpms::Package| {
        let bytes = package.signed(&forger);
        site.forged(package, bytes)
    };
    let listed = [signed(hello("1.0")), signed(data())];
    let repomd = site.publish_in("base", 2000, &listed);
    site.write("base/repodata/repomd.xml.asc", forger.sign_detached(&repomd));
    let mut command = program::elsewhere();
    let named = format!("x86_64={}", site.place("standin").display());
    command.args(["bundle", "-d", "lab", "-r", "hello", "-a", "x86_64", "--program", &named]);
    command.arg("--mirror").arg(site.mirror()).arg("--repos").arg(&forged);
    command.arg("--cache-dir").arg(site.place("forged-cache")).arg("-o").arg(&packed.bundle);
    Outcome::of(site.enter(&mut command).output().unwrap()).ok();
    packed.install().refused(4, "a lock file gives no trust");
    packed.verify().refused(4, "a lock file gives no trust");
    assert!(!site.prefix().join("bin").exists());
    // Whoever names these definitions believes them.
    packed.sh("--repos forged-repos --cache-dir new-cache prefix").ok();
    packed.works("1.0");
}

#[test]
fn two_bundles_of_the_same_are_the_same() {
    let packed = Packed::made("bundle-equal");
    let site = &packed.site;
    let good = fs::read(&packed.bundle).unwrap();
    fs::remove_dir_all(site.cache()).unwrap();
    let other = site.place("other-place/of another name");
    packed.make_in(&other, &[]).ok();
    assert!(fs::read(&other).unwrap() == good);
    // Of its lock file, and of a mirror without the origin, too.
    packed.sh("--extract files").ok();
    let lock = site.place("files/elsewhere.lock");
    packed.make_in(&other, &["--lock", lock.to_str().unwrap()]).ok();
    assert!(fs::read(&other).unwrap() == good);
    let mirror = site.place("m");
    let mut command = site.elsewhere();
    command.args(["mirror", "-d", "lab", "-r", "hello", "-a", "x86_64", "--mirror"]);
    command.arg(site.mirror()).arg("--repos").arg(site.repos()).arg("--cache-dir");
    Outcome::of(command.arg(site.cache()).arg(&mirror).output().unwrap()).ok();
    fs::rename(site.mirror(), site.place("away")).unwrap();
    fs::remove_dir_all(site.cache()).unwrap();
    let told = packed.make_in(&other, &["--from", mirror.to_str().unwrap(), "--json"]).ok();
    assert!(fs::read(&other).unwrap() == good);
    let words = ["--from", mirror.to_str().unwrap(), "--mirror", "x"];
    packed.make_in(&other, &words).refused(2, "all is in what --from names");
    let told: Value = serde_json::from_str(told.out.lines().last().unwrap()).unwrap();
    assert_eq!((&told["packages"], &told["size"]), (&2.into(), &good.len().into()), "{told}");
    assert!(told["digest"].as_str().unwrap().starts_with("sha256:"), "{told}");
}

#[test]
fn what_is_installed_is_bundled_in_the_versions_that_it_has() {
    let packed = Packed::new("bundle-prefix");
    let site = &packed.site;
    packed.make_in(&site.place("new.run"), &["--from", "nowhere"]).refused(6, "nowhere");
    site.install(&[]).ok();
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    let from = site.prefix();
    packed.make(&["--from", from.to_str().unwrap()]).ok();
    let tree = site.in_tree("");
    packed.make_in(&site.place("tree.run"), &["--from", tree.to_str().unwrap()]).ok();
    let bytes = |name: &str| fs::read(site.place(name)).unwrap();
    assert!(bytes("hello.run") == bytes("tree.run"));
    packed.verify().ok();
    packed.install().ok();
    packed.works("1.0");
    packed
        .make(&["--from", from.to_str().unwrap(), "-a", "aarch64"])
        .refused(2, "nothing of what is asked for is installed in");
    // What nobody has any more is named.
    fs::remove_file(site.file("base/Packages/hello-1.0-1.el9.x86_64.rpm")).unwrap();
    fs::remove_dir_all(site.cache()).unwrap();
    let told = packed.make(&["--from", from.to_str().unwrap()]).refused(3, "hello-1.0");
    assert!(told.err.contains("hello-1.0-1.el9.x86_64.rpm"), "{}", told.err);
    packed.verify().ok();
}

#[test]
fn what_is_no_bundle_is_not_replaced_and_what_is_linked_dynamically_not_bundled() {
    let packed = Packed::new("bundle-refused");
    fs::write(&packed.bundle, "a thesis\n").unwrap();
    packed.make(&[]).refused(2, "is there, and no bundle");
    assert_eq!(fs::read(&packed.bundle).unwrap(), b"a thesis\n");
    fs::remove_file(&packed.bundle).unwrap();
    let named = |program: &Path| format!("x86_64={}", program.display());
    for (program, why) in [
        (need("bash", "bash"), "it is linked dynamically"),
        (packed.site.place("repos/dists/lab.toml"), "it is no program"),
    ] {
        packed.make(&["--program", &named(&program)]).refused(2, why);
    }
    let foreign = format!("aarch64={}", packed.site.place("standin").display());
    packed.make(&["--program", &foreign]).refused(2, "it is for another architecture");
    packed.make(&["--program", "sparc=x"]).refused(2, "sparc is no architecture");
    assert!(!packed.bundle.exists());
    assert_eq!(left(&packed.site.place("")), Vec::<PathBuf>::new());
}

/// What makes the bundle anew.
fn making<'a>(packed: &'a Packed, words: &'a [&'a str]) -> impl Fn(&mut Command) + 'a {
    move |command: &mut Command| {
        packed.command(command, &[&["-d", "lab", "-r", "hello", "-a", "x86_64"], words].concat());
        command.arg("-o").arg(&packed.bundle);
    }
}

#[test]
fn a_run_that_is_killed_leaves_the_old_bundle_whole() {
    let packed = Packed::made("bundle-killed");
    let site = &packed.site;
    let old = fs::read(&packed.bundle).unwrap();
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    // What is fetched is not written again each time.
    packed.make_in(&site.place("new.run"), &[]).ok();
    let new = fs::read(site.place("new.run")).unwrap();
    assert!(old != new);
    let mut kept = 0;
    let tries = kill_at_each(CHANGES, &[], &making(&packed, &[]), |killed| {
        let there = fs::read(&packed.bundle).unwrap();
        assert!(there == old || there == new, "{killed:?}");
        kept += u32::from(there == old);
        fs::write(&packed.bundle, &old).unwrap();
    });
    assert!(tries > 20 && kept > 20, "{tries} tries, {kept} before the change");
    packed.make(&[]).ok();
    assert!(fs::read(&packed.bundle).unwrap() == new);
    assert_eq!(left(&site.place("")), Vec::<PathBuf>::new());
    packed.install().ok();
    packed.works("2.0");
}

/// Failed before: parts were renamed one after the other over those of the old bundle.
#[test]
fn a_run_that_is_killed_leaves_the_old_parts_or_the_new_ones_whole() {
    let packed = Packed::made("bundle-killed-parts");
    let site = &packed.site;
    let first = packed.members().into_iter().find(|(name, ..)| !name.starts_with("elsewhere-"));
    let size = first.unwrap().1 + BLOCK;
    let split = ["--split", &size.to_string()];
    let old = fs::read(&packed.bundle).unwrap();
    fs::remove_file(&packed.bundle).unwrap();
    packed.make(&split).ok();
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    packed.make_in(&site.place("new.run"), &[]).ok();
    let new = fs::read(site.place("new.run")).unwrap();
    let (mut kept, mut changed) = (0, 0);
    let put_back = |bytes: &[u8]| {
        let set = part_set(bytes);
        for entry in fs::read_dir(site.place("")).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with("hello.run.") {
                fs::remove_file(path).unwrap();
            }
        }
        for (at, bytes) in bytes.chunks(size).enumerate() {
            fs::write(part(site, at + 1, &set), bytes).unwrap();
        }
    };
    let check = |killed: &Killed| {
        let first = fs::read(part(site, 1, "")).unwrap();
        let is_old = first[..HEAD] == old[..HEAD];
        let whole = if is_old { &old } else { &new };
        let set = part_set(whole);
        let bytes =
            (1..=whole.len().div_ceil(size)).flat_map(|it| fs::read(part(site, it, &set)).unwrap());
        assert!(bytes.collect::<Vec<_>>() == *whole, "{killed:?}");
        // The sums that are there are of what is there.
        if site.place("hello.run.sum").exists() {
            let mut sums = Command::new(need("sha256sum", "coreutils"));
            sums.args(["-c", "--quiet", "--ignore-missing", "hello.run.sum"]);
            let told = sums.current_dir(site.place("")).output().unwrap();
            assert!(told.status.success(), "{killed:?}: {told:?}");
        }
        match is_old {
            true => kept += 1,
            false => {
                changed += 1;
                put_back(&old);
            }
        }
    };
    // Those of the bundle's own names by themselves: other threads make more renames before.
    let first = site.place("hello.run.001").display().to_string();
    let sum = site.place("hello.run.sum").display().to_string();
    let own = ["-P", &first, "-P", &sum];
    let mut check = check;
    let tries = kill_at_each(CHANGES, &[], &making(&packed, &split), &mut check)
        + kill_at_each(&["rename", "unlink"], &own, &making(&packed, &split), &mut check);
    assert!(tries > 20 && kept > 20 && changed > 1, "{tries} tries, {kept} before the change");
    // Nothing of the other ones is left in the end.
    packed.make(&split).ok();
    let names = fs::read_dir(site.place("")).unwrap().map(|it| it.unwrap().file_name());
    let parts = names.filter(|it| it.to_str().unwrap().starts_with("hello.run.")).count();
    assert_eq!(parts, new.len().div_ceil(size) + 1);
    let script = "sh hello.run.001 --repos repos --cache-dir new-cache prefix";
    let _ = fs::remove_dir_all(site.prefix());
    Outcome::of(without_network(site, script)).ok();
    packed.works("2.0");
}

/// What `sh FILE --run` says, of programs that another run may make at the same time.
fn run_it(site: &Site, words: &str) -> Outcome {
    // Whatever the umask, its cache is for this user alone.
    let script = format!("umask 000; sh hello.run --run --repos repos {words}");
    let mut command = command_without_network(site, &script);
    Outcome::of(command.env("XDG_CACHE_HOME", site.place("user-cache")).output().unwrap())
}

#[test]
fn what_is_bundled_runs_from_a_cache_that_many_starts_make_once() {
    let packed = Packed::new("bundle-run");
    let site = &packed.site;
    // A program that says what it was told, and from where.
    let script = b"#!/bin/sh\nread -r line\necho \"$0 $line $#: $*\"\nexit 42\n";
    let program = support::rpms::File::program("/usr/bin/hello", script);
    let package = support::rpms::Package::new(vec![program]).compressor("xz");
    let package = support::rpms::Package { version: "1.0".into(), ..package };
    site.publish(2000, &[site.good(package), site.good(data())]);
    packed.make(&[]).ok();
    let kept = site.place("user-cache/elsewhere/bundles");
    let entries = || -> Vec<String> {
        let entries = fs::read_dir(&kept).unwrap();
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
    };
    let start = |number: usize| {
        let script = "sh hello.run --run --repos repos -- 'a b' --list -- \"$N\"";
        let mut command = command_without_network(site, script);
        command.env("XDG_CACHE_HOME", site.place("user-cache")).env("N", number.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"from outside\n").unwrap();
        child
    };
    let told = |output: Output, number: usize| {
        let told = Outcome::of(output);
        assert_eq!(told.status, 42, "{}{}", told.out, told.err);
        let (place, rest) = told.out.split_once(' ').unwrap();
        assert_eq!(rest, format!("from outside 4: a b --list -- {number}\n"), "{}", told.err);
        assert!(place.starts_with(kept.to_str().unwrap()) && !place.contains(".new"), "{place}");
        assert!(!told.err.contains(".new"), "a path that is gone: {}", told.err);
    };
    let children: Vec<_> = (0..6).map(start).collect();
    for (number, child) in children.into_iter().enumerate() {
        told(child.wait_with_output().unwrap(), number);
    }
    let (locks, made): (Vec<_>, Vec<_>) =
        entries().into_iter().partition(|it| it.ends_with(".lock"));
    assert_eq!((locks.len(), made.len()), (1, 1), "{locks:?} {made:?}");
    let prefix = kept.join(&made[0]);
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
    let before = inode(&prefix);
    told(start(7).wait_with_output().unwrap(), 7);
    assert_eq!(inode(&prefix), before, "it is made once");
    // What a killed run left goes when the next one makes it anew, and only then.
    let dead = kept.join(format!(".{}.new.1.1", made[0]));
    fs::create_dir_all(dead.join("bin")).unwrap();
    told(start(8).wait_with_output().unwrap(), 8);
    assert!(dead.exists());
    fs::rename(&prefix, site.place("moved")).unwrap();
    told(start(9).wait_with_output().unwrap(), 9);
    assert!(!dead.exists() && prefix.exists());
    // It is a prefix as others are, and proved as such.
    let look = || {
        let mut verify = site.elsewhere();
        verify.args(["verify", "--repos"]).arg(site.repos()).arg(&prefix);
        Outcome::of(verify.output().unwrap())
    };
    look().ok();
    let text = prefix.join("x86_64/bin/hello");
    let good = fs::read(&text).unwrap();
    fs::write(&text, [&good[..], b"#\n"].concat()).unwrap();
    look().refused(8, "is damaged");
    fs::write(&text, good).unwrap();
    look().ok();
    let script = "sh hello.run --run=bye --repos repos -- x";
    let mut other = command_without_network(site, script);
    let other = other.env("XDG_CACHE_HOME", site.place("user-cache")).output().unwrap();
    Outcome::of(other).refused(2, "bye is no program of this bundle");
    // Nobody else may have prepared what is run.
    fs::set_permissions(&prefix, fs::Permissions::from_mode(0o777)).unwrap();
    let told = run_it(site, "-- x </dev/null");
    assert!(told.status != 42 && told.err.contains("can be written by others"), "{told:?}");
    assert_eq!(left(&site.place("")), Vec::<PathBuf>::new());
}

#[test]
fn a_start_that_is_killed_is_made_good_by_the_next() {
    let packed = Packed::made("bundle-start");
    let site = &packed.site;
    let calls = "?rename,?renameat,?renameat2,?mkdir,?mkdirat,?linkat,?symlinkat,?fchmod,?unlinkat";
    let (mut number, mut tries) = (1, 0);
    loop {
        let kept = site.place("user-cache/elsewhere/bundles");
        let _ = fs::remove_dir_all(&kept);
        let mut strace = Command::new(need("strace", "strace"));
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e"]);
        strace.arg(format!("inject={calls}:signal=KILL:when={number}"));
        strace.args(["sh", "hello.run", "--run", "--repos", "repos"]);
        strace.current_dir(site.place(""));
        site.enter(&mut strace).env("XDG_CACHE_HOME", site.place("user-cache"));
        let first = strace.output().unwrap();
        let told = run_it(site, "").ok();
        assert_eq!(told.out, "hello 1.0\n", "call {number}: {}", told.err);
        let entries = fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().file_name());
        let made: Vec<_> = entries.filter(|it| !it.to_str().unwrap().contains(".lock")).collect();
        assert_eq!(made.len(), 1, "call {number}: {made:?}");
        if first.status.success() {
            break;
        }
        (number, tries) = (number * 4 / 3 + 1, tries + 1);
        left(&site.place("")).iter().for_each(|left| fs::remove_dir_all(left).unwrap());
    }
    assert!(tries > 5, "{tries} tries");
}

/// A script as root of a user namespace, so that it may mount, without a network.
fn with_mounts(site: &Site, script: &str) -> Outcome {
    let mut command = Command::new(need("unshare", "util-linux"));
    command.args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", script]);
    command.current_dir(site.place(""));
    Outcome::of(site.enter(&mut command).env("E", program::path()).output().unwrap())
}

#[test]
fn a_medium_that_is_read_only_or_noexec_does_not_matter_and_places_that_were_tried_are_named() {
    let packed = Packed::made("bundle-media");
    let site = &packed.site;
    fs::create_dir(site.place("medium")).unwrap();
    let words = "--repos repos --cache-dir new-cache prefix";
    let medium = "mount -t tmpfs -o noexec none medium && cp hello.run medium/";
    let read_only = "mount -o remount,bind,ro,noexec medium";
    for script in [
        format!("{medium} && {read_only} && sh medium/hello.run {words}"),
        format!("{medium} && mkdir medium/tmp && TMPDIR=$PWD/medium/tmp sh hello.run {words}"),
        format!("{medium} && {read_only} && TMPDIR=$PWD/medium sh hello.run {words}"),
    ] {
        with_mounts(site, &script).ok();
        packed.works("1.0");
        fs::remove_dir_all(site.prefix()).unwrap();
    }
    let nowhere =
        "for place in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o noexec none $place; done";
    let script = format!(
        "{medium} && {nowhere} && cp standin medium/ && cd medium && mkdir home &&
         HOME=$PWD/home TMPDIR=/nowhere sh hello.run prefix"
    );
    let told = with_mounts(site, &script).refused(7, "Name another one in TMPDIR");
    for place in ["/tmp", "/var/tmp", "/dev/shm", "/medium/home", "/medium/."] {
        let named = format!("{place} (programs may not be run?)");
        assert!(told.err.contains(&named), "{named}: {}", told.err);
    }
    assert!(!told.err.contains("/nowhere"), "{}", told.err);
    // What is there under the name of its directory is another run's. `exec` keeps the number.
    let there =
        "mkdir -p tmp/elsewhere-bundle.$$ && echo theirs > tmp/elsewhere-bundle.$$/elsewhere";
    let script = format!("{there} && TMPDIR=$PWD/tmp exec sh hello.run {words}");
    with_mounts(site, &script).ok();
    let theirs = left(&site.place("tmp"));
    assert_eq!(fs::read_to_string(theirs[0].join("elsewhere")).unwrap(), "theirs\n");
    packed.works("1.0");
    fs::remove_dir_all(site.prefix()).unwrap();
    // The prefix's own file system runs programs, or nothing can be installed there.
    let script = format!(
        "{medium} && {nowhere} && cd medium && mkdir home && HOME=$PWD/home TMPDIR=$PWD/home \
         sh hello.run --repos ../repos --cache-dir ../new-cache ../prefix"
    );
    with_mounts(site, &script).ok();
    packed.works("1.0");
    fs::remove_dir_all(site.prefix()).unwrap();
    // Where there is no room for it, nothing is left.
    let named = "bundle -o full/x.run -d lab -r hello -a x86_64 --program x86_64=standin";
    let script = format!(
        "mkdir full && mount -t tmpfs -o size=300k none full && ! \"$E\" {named} --mirror mirror \
         --repos repos --cache-dir cache && ls -A full"
    );
    let told = with_mounts(site, &script).ok();
    assert!(told.out.is_empty() && told.err.contains("No space left"), "{told:?}");
    // A full one is passed over for the next.
    let full = "mount -t tmpfs -o size=64k none medium && cd medium";
    let script = format!(
        "{full} && TMPDIR=$PWD sh ../hello.run --repos ../repos --cache-dir ../new-cache ../prefix"
    );
    with_mounts(site, &script).ok();
    packed.works("1.0");
}

#[test]
fn several_architectures_dists_and_runtimes_are_in_one_file() {
    let world = World::new("bundle-several");
    for (dist, glibc) in [("old", "2.17"), ("mid", "2.28")] {
        world.define(dist, glibc, 1, "");
    }
    let standin = program::standin(&world.place(""));
    // A program for another architecture by its header alone (e_machine).
    let mut other = fs::read(&standin).unwrap();
    other[18] = 0xb7;
    world.scratch.write("other", other);
    let elsewhere = |words: &[&str]| {
        let mut command = world.elsewhere();
        command.args(words).args(["--repos", "repos"]).current_dir(world.scratch.path());
        Outcome::of(command.output().unwrap())
    };
    let program = format!("x86_64={}", standin.display());
    let bundle = |words: &[&str]| {
        let basic = ["bundle", "-r", "tool,gadget", "--mirror", "mirror", "--cache-dir", "cache"];
        elsewhere(&[&basic[..], &["-o", "all.run", "--program", &program], words].concat())
    };
    let both = ["-a", "x86_64,aarch64"];
    let told = bundle(&[&both[..], &["-d", "old,mid"]].concat()).ok();
    assert!(told.err.contains("it will have no program for aarch64"), "{}", told.err);
    bundle(&[&both[..], &["-d", "old,mid", "--program", "aarch64=other"]].concat()).ok();
    world.set_online(false);
    let sh = |words: &str| {
        let script = format!("{words} sh all.run --repos repos --cache-dir new");
        let mut command = Command::new(need("sh", "dash"));
        command.args(["-c", &format!("{script} $WORDS")]).current_dir(world.scratch.path());
        command
    };
    let install = |words: &str| {
        let mut command = sh("");
        Outcome::of(world.enter(&mut command).env("WORDS", words).output().unwrap())
    };
    install("-a x86_64,aarch64 all").ok();
    install("here").ok();
    for (prefix, arches) in [("all", &["x86_64", "aarch64"][..]), ("here", &["x86_64"])] {
        for dist in ["old", "mid"] {
            let root = world.prefix(prefix).join("dists").join(dist);
            let there = ["x86_64", "aarch64"].map(|arch| root.join(arch).exists());
            assert_eq!(there, ["x86_64", "aarch64"].map(|arch| arches.contains(&arch)), "{dist}");
        }
        assert!(world.prefix(prefix).join("bin/gadget").exists());
    }
    world.scratch.write("few/uname", "#!/bin/sh\necho arm64\n");
    let uname = world.place("few/uname");
    fs::set_permissions(uname, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = sh("PATH=few:$PATH");
    let told = Outcome::of(world.enter(&mut command).env("WORDS", "p").output().unwrap());
    told.refused(7, "its program cannot be run from any of these directories");
    assert!(
        elsewhere(&["bundle", "--list", "all.run"]).ok().out.contains("aarch64  elsewhere-aarch64")
    );
}

/// The bundle with a member before all others that has only zeros, and a digest that is not compared where it
/// is for another architecture.
fn with_hole(packed: &Packed, size: u64) {
    use std::os::unix::fs::FileExt;
    let old = fs::read(&packed.bundle).unwrap();
    let members = packed.members();
    let (_, last, length) = members.last().unwrap();
    let index_at = (last + length).next_multiple_of(BLOCK);
    let trailer = String::from_utf8(old[old.len() - 256..].to_vec()).unwrap();
    let words: Vec<&str> = trailer.split_whitespace().collect();
    let index_length: usize = words[8].parse().unwrap();
    let mut index: Value = serde_json::from_slice(&old[index_at..index_at + index_length]).unwrap();
    let (_, first, _) = members.iter().find(|it| !it.0.starts_with("elsewhere-")).unwrap().clone();
    let added = size.next_multiple_of(BLOCK as u64);
    let list = index["members"].as_array_mut().unwrap();
    list.iter_mut().for_each(|it| it["offset"] = (it["offset"].as_u64().unwrap() + added).into());
    let mut hole = list[0].clone();
    (hole["name"], hole["arch"]) = ("a/hole".into(), "aarch64".into());
    (hole["offset"], hole["size"]) = (first.into(), size.into());
    list.insert(0, hole);
    // The fields as the program writes them.
    let digest = |bytes: &[u8]| elsewhere::stages::model::Checksum::of(bytes);
    let text = |head: &[u8], index: &Value| {
        let list = |name: &str| {
            let one = |it: &Value| {
                format!(
                    "    {{\n      \"name\": {},\n      \"arch\": {},\n      \"offset\": {},\n      \
                     \"size\": {},\n      \"checksum\": {}\n    }}",
                    it["name"], it["arch"], it["offset"], it["size"], it["checksum"]
                )
            };
            index[name].as_array().unwrap().iter().map(one).collect::<Vec<_>>().join(",\n")
        };
        let (head, programs, members) = (digest(head), list("programs"), list("members"));
        format!(
            "{{\n  \"format\": 1,\n  \"head\": \"{head}\",\n  \"programs\": [\n{programs}\n  ],\n  \
             \"members\": [\n{members}\n  ]\n}}\n"
        )
    };
    let index_at = index_at as u64 + added;
    let index_size = text(&old[..HEAD], &index).len() as u64;
    let end = (index_at + index_size).next_multiple_of(BLOCK as u64);
    let total = end + 256;
    let head = String::from_utf8(old[..HEAD].to_vec()).unwrap();
    let block = (old.len() - 256) / BLOCK;
    let head = head.replace(&old.len().to_string(), &total.to_string());
    let head = head.replace(&format!("skip={block} "), &format!("skip={} ", end / BLOCK as u64));
    let mut head = head.into_bytes();
    head.truncate(HEAD);
    *head.last_mut().unwrap() = b'\n';
    let index = text(&head, &index);
    let said = format!(
        "elsewhere bundle 1 end\nbytes {total}\nindex {index_at} {index_size} {}\n",
        digest(index.as_bytes()).hex()
    );
    let trailer =
        format!("{:<252}\r\n\x1a\n", format!("{said}sha256 {}\n", digest(said.as_bytes()).hex()));
    let file = fs::File::create(&packed.bundle).unwrap();
    file.write_all_at(&old[..first], 0).unwrap();
    file.write_all_at(&head, 0).unwrap();
    file.write_all_at(&old[first..last + length], first as u64 + added).unwrap();
    file.write_all_at(index.as_bytes(), index_at).unwrap();
    file.write_all_at(trailer.as_bytes(), end).unwrap();
}

#[test]
fn more_than_four_gibibytes_are_no_matter_to_any_shell() {
    let packed = Packed::made("bundle-large");
    with_hole(&packed, (5 << 30) + 77);
    let size = fs::metadata(&packed.bundle).unwrap().len();
    assert!(size > 5 << 30);
    assert!(packed.sh("--list").ok().out.contains("a/hole"));
    for shell in ["dash", "bash", "busybox sh"] {
        let _ = fs::remove_dir_all(packed.site.prefix());
        let script = format!("{shell} hello.run --repos repos --cache-dir new-cache prefix");
        Outcome::of(without_network(&packed.site, &script)).ok();
        packed.works("1.0");
    }
    let file = fs::File::options().write(true).open(&packed.bundle).unwrap();
    file.set_len(size - 1).unwrap();
    packed.install().refused(8, "cut short");
}
