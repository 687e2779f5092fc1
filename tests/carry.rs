//! Installs where there is no network: a mirror has all that one needs, is proved as its origin is, and is
//! the old one or the new one, whole, whatever is killed.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use elsewhere::stages::model::Checksum;
use support::keys::TestKey;
use support::killing::{CHANGES, kill_at_each};
use support::program;
use support::server::Server;
use support::site::{Outcome, Site, data, hello};
use support::small::World;
use support::tools::{files_below, need, run};

/// A site, and the mirror that is made of it.
struct Carried {
    site: Site,
    mirror: PathBuf,
}

impl Carried {
    /// A site with a metalink, before any mirror is made.
    fn new(name: &str) -> Self {
        let site = Site::new(name);
        let definition = site.repos().join("dists/lab.toml");
        let text = fs::read_to_string(&definition).unwrap();
        let link = "id = \"other\"\nmetalink = \"https://forged.example/link?repo=other&arch=$basearch\"\n";
        fs::write(&definition, text.replace("id = \"other\"\n", link)).unwrap();
        let repomd = Checksum::of(&fs::read(site.file("other/repodata/repomd.xml")).unwrap());
        site.write(
            "link?repo=other&arch=x86_64",
            format!(
                "<metalink><files><file name=\"repomd.xml\"><verification><hash type=\"sha256\">{}</hash>\
                 </verification><resources><url>https://near.example/other/repodata/repomd.xml</url>\
                 </resources></file></files></metalink>",
                repomd.hex()
            ),
        );
        let mirror = site.place("carried");
        Self { site, mirror }
    }

    /// A site with its mirror.
    fn made(name: &str) -> Self {
        let carried = Self::new(name);
        carried.make(&[]).ok();
        carried
    }

    /// `elsewhere mirror WORDS`, with what finds this site.
    fn command(&self, program: &mut Command, words: &[&str]) {
        program.arg("mirror").args(words).arg("--mirror").arg(self.site.mirror());
        program.arg("--repos").arg(self.site.repos()).arg("--cache-dir").arg(self.site.cache());
        self.site.enter(program);
    }

    fn make_in(&self, directory: &Path, words: &[&str]) -> Outcome {
        let mut command = program::elsewhere();
        let basic: &[&str] = match words.contains(&"--lock") {
            true => &[],
            false => &["-d", "lab", "-r", "hello", "-a", "x86_64"],
        };
        self.command(&mut command, &[basic, words].concat());
        Outcome::of(command.arg(directory).output().unwrap())
    }

    fn make(&self, words: &[&str]) -> Outcome {
        self.make_in(&self.mirror, words)
    }

    fn verify(&self) -> Outcome {
        let mut command = self.site.elsewhere();
        command.args(["mirror", "--verify", "--repos"]).arg(self.site.repos()).arg(&self.mirror);
        Outcome::of(command.output().unwrap())
    }

    /// `elsewhere install --from`, with a cache that is new.
    fn install(&self, words: &[&str]) -> Outcome {
        let _ = fs::remove_dir_all(self.site.place("new-cache"));
        let mut command = self.site.elsewhere();
        command.arg("install").args(words).arg("--from").arg(&self.mirror).arg("--repos");
        command.arg(self.site.repos()).arg("--cache-dir").arg(self.site.place("new-cache"));
        Outcome::of(command.arg(self.site.prefix()).output().unwrap())
    }

    fn package(&self, version: &str) -> PathBuf {
        self.mirror.join(format!("forged.example/base/Packages/hello-{version}-1.el9.x86_64.rpm"))
    }

    /// Every file of the mirror, by its path there.
    fn files(&self) -> BTreeMap<String, PathBuf> {
        files(&self.mirror)
    }
}

fn files(root: &Path) -> BTreeMap<String, PathBuf> {
    let name = |path: &Path| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    files_below(root).into_iter().map(|path| (name(&path), path)).collect()
}

#[test]
fn a_mirror_has_what_its_origin_has_byte_for_byte_and_serves_in_its_place() {
    let carried = Carried::made("carry-same");
    let origin = carried.site.mirror();
    let files = carried.files();
    let mut count = 0;
    for (name, path) in files.iter().filter(|(name, _)| name.starts_with("forged.example/")) {
        assert!(fs::read(path).unwrap() == fs::read(origin.join(name)).unwrap(), "{name}");
        count += 1;
    }
    for name in [
        "base/repodata/repomd.xml",
        "base/repodata/repomd.xml.asc",
        "other/repodata/repomd.xml",
        "link?repo=other&arch=x86_64",
        "base/Packages/hello-1.0-1.el9.x86_64.rpm",
        "base/Packages/hello-data-1.0-1.el9.x86_64.rpm",
        "keys/key",
    ] {
        assert!(files.contains_key(&format!("forged.example/{name}")), "{name}: {files:#?}");
    }
    assert!(count >= 10, "{files:#?}");
    carried.verify().ok();
    // In the place of all hosts, from its directory and from a server, with its own definitions.
    let server = Server::start(&carried.mirror);
    let url = format!("file:{}", carried.mirror.display());
    let definitions = carried.mirror.join("definitions");
    for mirror in [url, server.url()] {
        let mut install = carried.site.elsewhere();
        install.args(["install", "-d", "lab", "-r", "hello", "-a", "x86_64", "--mirror", &mirror]);
        install
            .arg("--repos")
            .arg(&definitions)
            .arg("--cache-dir")
            .arg(carried.site.place("third"));
        Outcome::of(install.arg(carried.site.prefix()).output().unwrap()).ok();
        for gone in [carried.site.prefix(), carried.site.place("third")] {
            fs::remove_dir_all(gone).unwrap();
        }
    }
    // By a lock file, the same.
    let lock = carried.mirror.join("elsewhere.lock");
    let again = carried.site.place("again");
    carried.make_in(&again, &["--lock", lock.to_str().unwrap()]).ok();
    assert!(fs::read(again.join("elsewhere.lock")).unwrap() == fs::read(lock).unwrap());
}

/// Runs a script where there is no network at all, as a user who is not root even to himself.
fn without_network(site: &Site, script: &str) -> Output {
    let mut command = Command::new(need("unshare", "util-linux"));
    command.args(["--user", "--net", "sh", "-c", script]).current_dir(site.place(""));
    site.enter(&mut command).env("E", program::path()).output().unwrap()
}

#[test]
fn what_is_carried_is_installed_without_a_network_by_an_ordinary_user() {
    let carried = Carried::made("carry-install");
    let site = &carried.site;
    fs::rename(site.mirror(), site.place("away")).unwrap();
    let installs = [
        "\"$E\" install --from carried --repos repos --cache-dir c1 prefix",
        "sh carried/install.sh --from carried --repos repos prefix",
        "\"$E\" install --from carried -r hello -d lab -a x86_64 --repos repos --cache-dir c2 prefix",
    ];
    for script in installs {
        let whole = format!("mkdir -p tmp && export TMPDIR=$PWD/tmp && {script}");
        Outcome::of(without_network(site, &whole)).ok();
        let told =
            Outcome::of(Command::new(site.prefix().join("bin/hello")).output().unwrap()).ok();
        assert_eq!(told.out, "hello 1.0\n", "{script}");
        fs::remove_dir_all(site.prefix()).unwrap();
    }
    carried.install(&["-a", "aarch64"]).refused(2, "has nothing for aarch64: it has x86_64");
}

#[test]
fn a_mirror_may_lie_in_any_directory() {
    let mut carried = Carried::made("carry-anywhere");
    let there = carried.site.place("a b%41 c#d?e+f");
    fs::rename(&carried.mirror, &there).unwrap();
    carried.mirror = there;
    carried.verify().ok();
    carried.install(&[]).ok();
    fs::remove_dir_all(carried.site.prefix()).unwrap();
    carried.install(&["-d", "lab", "-r", "hello", "-a", "x86_64"]).ok();
    carried.make(&[]).ok();
}

#[test]
fn one_flipped_byte_anywhere_in_a_mirror_is_named() {
    let carried = Carried::made("carry-flipped");
    for (name, path) in carried.files() {
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        fs::write(&path, &bad).unwrap();
        let told = carried.verify().refused(8, "is damaged: 1 finding");
        assert_eq!(told.out.trim_end(), format!("{name}: changed"), "{}", told.err);
        if name.ends_with(".rpm") {
            let file = name.rsplit('/').next().unwrap();
            let package = file.strip_suffix(".rpm").unwrap();
            carried.install(&[]).refused(4, package);
            assert!(!carried.site.prefix().join("bin").exists());
        }
        fs::write(&path, &good).unwrap();
    }
    // What is missing, what does not belong there, and what is something else.
    let (name, path) =
        carried.files().into_iter().find(|(name, _)| name.ends_with(".rpm")).unwrap();
    fs::rename(&path, carried.site.place("kept.rpm")).unwrap();
    assert_eq!(carried.verify().refused(8, "damaged").out.trim_end(), format!("{name}: missing"));
    std::os::unix::fs::symlink(carried.site.place("kept.rpm"), &path).unwrap();
    assert_eq!(carried.verify().refused(8, "damaged").out.trim_end(), format!("{name}: changed"));
    fs::remove_file(&path).unwrap();
    fs::rename(carried.site.place("kept.rpm"), &path).unwrap();
    fs::write(carried.mirror.join("dnf/extra"), "").unwrap();
    assert_eq!(carried.verify().refused(8, "damaged").out.trim_end(), "dnf/extra: foreign");
    fs::remove_file(carried.mirror.join("dnf/extra")).unwrap();
    carried.verify().ok();
}

/// A FIFO would be waited for, and a link to what has no end would fill the memory.
#[test]
fn what_is_no_file_of_a_mirror_is_not_waited_for() {
    let carried = Carried::made("carry-fifo");
    let site = &carried.site;
    let mut names: Vec<PathBuf> = carried.files().into_values().collect();
    names.push(site.place(".carried.mirror-new"));
    for path in names {
        let good = fs::read(&path).ok();
        for endless in [false, true] {
            let _ = fs::remove_file(&path);
            match endless {
                true => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
                false => drop(run(Command::new(need("mkfifo", "coreutils")).arg(&path))),
            }
            for words in [&["mirror", "--verify"][..], &["install", "--from"]] {
                let mut command = Command::new(need("timeout", "coreutils"));
                command
                    .args(["-k", "1", "60"])
                    .arg(program::path())
                    .args(words)
                    .arg(&carried.mirror);
                command.arg("--repos").arg(site.repos()).arg("--cache-dir").arg(site.cache());
                if words[0] == "install" {
                    command.arg(site.prefix());
                }
                let status = site.enter(&mut command).output().unwrap().status.code();
                assert!(
                    status.is_some_and(|status| status < 100),
                    "{words:?} {}: {status:?}",
                    path.display()
                );
            }
        }
        fs::remove_file(&path).unwrap();
        good.into_iter().for_each(|good| fs::write(&path, good).unwrap());
    }
    std::os::unix::fs::symlink("/dev/zero", site.place(".carried.mirror-new")).unwrap();
    carried.make(&[]).ok();
    carried.verify().ok();
}

/// Writes the manifest anew, as somebody could who changed other files.
fn rewrite_manifest(carried: &Carried) {
    let mut text = "elsewhere mirror 1\n".to_owned();
    for (name, path) in carried.files().into_iter().filter(|(name, _)| name != "elsewhere.files") {
        let bytes = fs::read(path).unwrap();
        text += &format!("{} {} {name}\n", Checksum::of(&bytes).hex(), bytes.len());
    }
    let end = format!("end {}\n", Checksum::of(text.as_bytes()).hex());
    fs::write(carried.mirror.join("elsewhere.files"), text + &end).unwrap();
}

#[test]
fn nothing_that_a_mirror_brings_gives_trust() {
    let carried = Carried::made("carry-trust");
    let package = carried.package("1.0");
    let (good, forger) = (fs::read(&package).unwrap(), TestKey::new());
    let trojan = hello("1.0").signed(&forger);
    fs::write(&package, &trojan).unwrap();
    let lock = carried.mirror.join("elsewhere.lock");
    let text = fs::read_to_string(&lock).unwrap();
    let forged = text
        .replace(&Checksum::of(&good).hex(), &Checksum::of(&trojan).hex())
        .replace(&format!("size = {}\n", good.len()), &format!("size = {}\n", trojan.len()));
    fs::write(&lock, &forged).unwrap();
    rewrite_manifest(&carried);
    carried.install(&[]).refused(4, "hello-1.0-1.el9.x86_64");
    let told = carried.verify().refused(8, "damaged");
    assert!(told.out.contains("Packages/hello-1.0-1.el9.x86_64.rpm: unproved"), "{}", told.out);
    // With the forger's key, wherever a mirror could bring one.
    let print = forger.fingerprint();
    let pinned = carried.site.key.fingerprint();
    let forged = forged.replace(pinned.as_str(), print.as_str());
    fs::write(&lock, forged).unwrap();
    fs::write(carried.mirror.join("forged.example/keys/key"), forger.public_file()).unwrap();
    fs::write(carried.mirror.join(format!("definitions/keys/{print}.asc")), forger.public_file())
        .unwrap();
    let dist = carried.mirror.join("definitions/dists/lab.toml");
    let definition = fs::read_to_string(&dist).unwrap().replace(pinned.as_str(), print.as_str());
    fs::write(dist, definition).unwrap();
    rewrite_manifest(&carried);
    carried.install(&[]).refused(4, "a lock file gives no trust");
    carried.verify().refused(4, "a lock file gives no trust");
    assert!(!carried.site.prefix().join("bin").exists());
}

#[test]
fn two_mirrors_of_the_same_are_the_same() {
    let carried = Carried::made("carry-equal");
    let other = carried.site.place("other-place/of another name");
    fs::remove_dir_all(carried.site.cache()).unwrap();
    carried.make_in(&other, &[]).ok();
    let (one, two) = (carried.files(), files(&other));
    assert!(one.keys().eq(two.keys()), "{one:#?}\n{two:#?}");
    for ((name, one), two) in one.iter().zip(two.values()) {
        assert!(fs::read(one).unwrap() == fs::read(two).unwrap(), "{name}");
        let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(one), mode(two), "{name}");
    }
    // Nor does making it again change a byte.
    let before = fs::read(carried.mirror.join("elsewhere.files")).unwrap();
    carried.make(&["--keep-old", "3"]).ok();
    assert_eq!(fs::read(carried.mirror.join("elsewhere.files")).unwrap(), before);
}

#[test]
fn an_update_takes_over_what_stays_and_drops_what_nothing_needs() {
    let carried = Carried::made("carry-update");
    let site = &carried.site;
    let data_file =
        carried.mirror.join("forged.example/base/Packages/hello-data-1.0-1.el9.x86_64.rpm");
    let inode = fs::metadata(&data_file).unwrap().ino();
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    carried.make(&["--keep-old", "1"]).ok();
    assert_eq!(fs::metadata(&data_file).unwrap().ino(), inode, "it is the same file");
    assert!(carried.package("1.0").exists() && carried.package("2.0").exists());
    assert!(fs::read_to_string(carried.mirror.join("older/1.lock")).unwrap().contains("hello-1.0"));
    carried.verify().ok();
    site.publish(3000, &[site.good(hello("3.0")), site.good(data())]);
    carried.make(&["--keep-old", "1"]).ok();
    assert!(!carried.package("1.0").exists() && carried.package("2.0").exists());
    carried.verify().ok();
    let told = carried.make(&["--json"]).ok();
    let result: serde_json::Value = serde_json::from_str(told.out.lines().last().unwrap()).unwrap();
    assert_eq!((&result["event"], &result["packages"]), (&"result".into(), &2.into()), "{result}");
    assert!(
        result["dropped"].as_u64().unwrap() >= 2 && result["kept"].as_u64().unwrap() >= 3,
        "{result}"
    );
    assert!(!carried.package("2.0").exists() && !carried.mirror.join("older").exists());
    carried.verify().ok();
    carried.install(&[]).ok();
    // What is no mirror is not replaced by one.
    fs::create_dir(site.place("mine")).unwrap();
    fs::write(site.place("mine/thesis"), "").unwrap();
    carried.make_in(&site.place("mine"), &[]).refused(2, "is no mirror, and not empty");
    // A damaged file is not taken over.
    let package = carried.package("3.0");
    let good = fs::read(&package).unwrap();
    fs::write(&package, vec![0; good.len()]).unwrap();
    carried.make(&[]).ok();
    assert!(fs::read(&package).unwrap() == good);
    carried.verify().ok();
}

/// What is in a mirror, byte for byte.
fn content(root: &Path) -> BTreeMap<String, Vec<u8>> {
    files(root).into_iter().map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}

/// A site whose mirror is old, what that has, and what the next run makes of it.
fn outdated(name: &str) -> (Carried, [BTreeMap<String, Vec<u8>>; 2]) {
    let carried = Carried::made(name);
    let site = &carried.site;
    let old = content(&carried.mirror);
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    let next = site.place("next");
    carried.make_in(&next, &[]).ok();
    let new = content(&next);
    assert!(old != new);
    (carried, [old, new])
}

/// What brings the mirror up to date.
fn updating(carried: &Carried) -> impl Fn(&mut Command) {
    |command: &mut Command| {
        carried.command(command, &["-d", "lab", "-r", "hello", "-a", "x86_64"]);
        command.arg(&carried.mirror);
    }
}

/// What runs left beside a mirror.
fn left_beside(carried: &Carried) -> Vec<std::ffi::OsString> {
    let beside = fs::read_dir(carried.site.place("")).unwrap();
    let names = beside.map(|entry| entry.unwrap().file_name());
    names.filter(|it| it.to_string_lossy().contains(".mirror-")).collect()
}

#[test]
fn a_run_that_is_killed_leaves_the_old_mirror_whole() {
    let (carried, [old, new]) = outdated("carry-killed");
    let template = carried.site.place("template");
    run(Command::new("cp").arg("-a").args([&carried.mirror, &template]));
    let (mut kept, mut changed) = (0, 0);
    let tries = kill_at_each(CHANGES, &[], &updating(&carried), |killed| {
        let there = content(&carried.mirror);
        assert!(there == old || there == new, "{killed:?}");
        if there == old {
            kept += 1;
            return;
        }
        changed += 1;
        carried.verify().ok();
        fs::remove_dir_all(&carried.mirror).unwrap();
        run(Command::new("cp").arg("-a").args([&template, &carried.mirror]));
    });
    assert!(tries > 50 && kept > 40 && changed > 5, "{tries} tries, {kept} before the change");
    carried.verify().ok();
    carried.install(&[]).ok();
    fs::remove_dir_all(carried.site.prefix()).unwrap();
    carried.make(&[]).ok();
    assert!(content(&carried.mirror) == new);
    carried.install(&[]).ok();
    assert_eq!(left_beside(&carried), [""; 0]);
}

/// As NFS: what exchanges two names is refused (`EINVAL`).
#[test]
fn where_directories_cannot_be_exchanged_the_old_mirror_is_found_until_the_new_one_is_there() {
    let (carried, [old, new]) = outdated("carry-no-exchange");
    let template = carried.site.place("template");
    run(Command::new("cp").arg("-a").args([&carried.mirror, &template]));
    let last = carried.site.place(".carried.mirror-last");
    let exchange = ["-e", "inject=?renameat2:error=EINVAL"];
    let places = ["carried", ".carried.mirror-new", ".carried.mirror-last"];
    let places = places.map(|name| carried.site.place(name).display().to_string());
    let mut more = exchange.to_vec();
    places.iter().for_each(|place| more.extend(["-P", place]));
    let (mut kept, mut between) = (0, 0);
    let calls = ["rename", "rmdir", "unlinkat", "mkdir"];
    let tries = kill_at_each(&calls, &more, &updating(&carried), |killed| {
        if carried.mirror.exists() {
            let there = content(&carried.mirror);
            assert!(there == old || there == new, "{killed:?}");
            kept += usize::from(there == old);
            if there == old {
                return;
            }
        } else {
            between += 1;
            assert!(content(&last) == old, "{killed:?}");
            // Who installs finds the old one, and who looks at it too.
            carried.verify().ok();
            carried.install(&[]).ok();
            assert!(carried.site.in_tree("share/hello/text").exists());
            fs::remove_dir_all(carried.site.prefix()).unwrap();
            // The next run makes it good.
            carried.make(&[]).ok();
            assert!(content(&carried.mirror) == new && !last.exists());
        }
        fs::remove_dir_all(&carried.mirror).unwrap();
        run(Command::new("cp").arg("-a").args([&template, &carried.mirror]));
    });
    assert!(kept > 1 && between == 1, "{tries} tries, {kept} before the change, {between} between");
    // Nobody is killed: it is changed, and nothing is left.
    let mut strace = Command::new(need("strace", "strace"));
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2"]).args(exchange);
    strace.arg(program::path());
    carried.command(&mut strace, &["-d", "lab", "-r", "hello", "-a", "x86_64"]);
    assert!(strace.arg(&carried.mirror).output().unwrap().status.success());
    assert!(content(&carried.mirror) == new);
    assert_eq!(left_beside(&carried), [""; 0]);
    // Where none is at all, that is said.
    fs::remove_dir_all(&carried.mirror).unwrap();
    carried.install(&[]).refused(6, "carried");
}

#[test]
fn dnf_lists_and_downloads_what_a_mirror_has() {
    let carried = Carried::made("carry-dnf");
    let server = Server::start(&carried.mirror);
    let root = carried.site.place("dnf");
    fs::create_dir(&root).unwrap();
    let place = root.display();
    let configuration = format!(
        "[main]\nreposdir={place}\ncachedir={place}/cache\nlogdir={place}\npersistdir={place}\nkeepcache=1\n\
         [carried]\nname=carried\nbaseurl={}/dnf/lab/x86_64\n",
        server.url()
    );
    fs::write(root.join("dnf.conf"), configuration).unwrap();
    let dnf = |words: &[&str]| {
        let mut command = Command::new(need("dnf", "dnf"));
        command.arg("-c").arg(root.join("dnf.conf"));
        command.arg(format!("--installroot={}", root.join("root").display()));
        command.args(["--releasever=9", "--forcearch=x86_64", "--nogpgcheck", "-y"]).args(words);
        Outcome::of(carried.site.enter(&mut command).output().unwrap()).ok()
    };
    let list = dnf(&["repoquery", "--whatprovides", "/usr/share/hello/text"]).out;
    assert!(list.contains("hello-0:1.0-1.el9.x86_64"), "{list}");
    let list = dnf(&["list", "--available"]).out;
    assert!(list.contains("hello.x86_64") && list.contains("hello-data.x86_64"), "{list}");
    dnf(&["install", "--downloadonly", "hello", "hello-data"]);
    let downloaded = files(&root);
    let name = "hello-1.0-1.el9.x86_64.rpm";
    let package = downloaded.iter().find(|(path, _)| path.ends_with(name));
    let package = package.unwrap_or_else(|| panic!("{downloaded:#?}")).1;
    assert!(fs::read(package).unwrap() == fs::read(carried.package("1.0")).unwrap());
}

#[test]
fn of_several_architectures_and_runtimes_all_is_carried() {
    let world = World::new("carry-several");
    let elsewhere = |words: &[&str]| {
        let mut command = world.elsewhere();
        command.args(words).args(["--repos", "repos"]).current_dir(world.scratch.path());
        Outcome::of(command.output().unwrap())
    };
    let both = [
        "mirror",
        "-a",
        "x86_64,aarch64",
        "-d",
        "small",
        "-r",
        "tool,gadget",
        "--mirror",
        "mirror",
    ];
    elsewhere(&[&both[..], &["--cache-dir", "cache", "m"]].concat()).ok();
    elsewhere(&["mirror", "--verify", "m"]).ok();
    world.set_online(false);
    let install = |words: &[&str]| {
        elsewhere(&[&["install", "--from", "m", "--cache-dir", "new"], words].concat()).ok()
    };
    install(&["all", "-a", "x86_64,aarch64"]);
    install(&["here"]);
    install(&["part", "-r", "gadget", "-d", "small"]);
    let arches =
        |prefix: &str| ["x86_64", "aarch64"].map(|arch| world.prefix(prefix).join(arch).exists());
    assert_eq!((arches("all"), arches("here").iter().filter(|it| **it).count()), ([true, true], 1));
    assert!(world.prefix("here/bin/tool").exists() && !world.prefix("part/bin/tool").exists());
    // One run at a time.
    let stage = world.prefix(".m.mirror-new");
    fs::create_dir(&stage).unwrap();
    let held = fs::File::open(&stage).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    world.set_online(true);
    elsewhere(&[&both[..], &["--cache-dir", "cache", "m"]].concat())
        .refused(9, "another run is at");
    drop(held);
    elsewhere(&[&both[..], &["--cache-dir", "cache", "m"]].concat()).ok();
    assert!(!stage.exists());
    elsewhere(&["mirror", "--verify", "m"]).ok();
}
