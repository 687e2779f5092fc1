//! What was unpacked before is taken from the cache: without packages, without decoding, and without being
//! believed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use elsewhere::stages::model::Checksum;
use serde_json::Value;
use support::rpms::File;
use support::small::{Small, World, launch, packages, problems, small};
use support::tools::{self, files_below};

/// What a run says that takes packages from there.
const TAKEN: &str = "packages that were unpacked before, and are not decoded again: ";

/// A world in which `tool` was installed once into `first`.
struct Kept {
    world: World,
}

impl Kept {
    fn new(name: &str) -> Self {
        let world = World::new(name);
        world.ok(&["install", "-r", "tool", "first"]);
        Self { world }
    }

    /// The mirror has lists of packages, and no package any more: nothing can be decoded.
    fn without_packages(&self) {
        let packages = files_below(&self.world.mirror());
        packages
            .iter()
            .filter(|path| path.extension().is_some_and(|it| it == "rpm"))
            .for_each(|path| fs::rename(path, path.with_extension("away")).unwrap());
    }

    fn with_packages(&self) {
        let packages = files_below(&self.world.mirror());
        packages
            .iter()
            .filter(|path| path.extension().is_some_and(|it| it == "away"))
            .for_each(|path| fs::rename(path, path.with_extension("rpm")).unwrap());
    }

    fn unpacked(&self) -> PathBuf {
        self.world.cache().join("unpacked")
    }

    /// Where a package is kept.
    fn package(&self, name: &str) -> PathBuf {
        let file = format!("small.test/{}/{name}-1-1.el8.noarch.rpm", tools::host_arch());
        let bytes = fs::read(self.world.mirror().join(file)).unwrap();
        self.unpacked().join("packages").join(Checksum::of(&bytes).hex())
    }

    /// Where a file of that is kept.
    fn file(&self, name: &str, content: &str) -> PathBuf {
        self.package(name).join(Checksum::of(content.as_bytes()).hex())
    }

    /// Installs `tool` once more, which must succeed whatever lies there. What it said.
    fn again(&self, what: &str) -> String {
        let _ = fs::remove_dir_all(self.world.place("again"));
        let output = self.world.run(&["install", "--verbose", "-r", "tool", "again"]);
        let said = support::small::text(&output);
        assert!(output.status.success(), "{what}: {said}");
        assert_eq!(problems(&self.world.place("again")), [""; 0], "{what}");
        assert_eq!(launch(&self.world.place("again"), "tool").as_deref(), Some("tool 1 part 1"));
        said
    }
}

/// The tree of a prefix: types, permissions, times, contents, and which files are one.
fn tree(prefix: &Path) -> BTreeMap<PathBuf, (u32, i64, Vec<u8>, usize)> {
    let root = prefix.join(tools::host_arch().as_str()).canonicalize().unwrap();
    let (mut found, mut inodes) = (BTreeMap::new(), BTreeMap::new());
    let mut paths = files_below(&root);
    paths.retain(|path| !path.ends_with(".elsewhere.json"));
    for path in paths {
        let about = fs::symlink_metadata(&path).unwrap();
        let count = inodes.len();
        let inode = *inodes.entry(about.ino()).or_insert(count);
        let content = match about.is_symlink() {
            true => fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
            false => fs::read(&path).unwrap(),
        };
        let name = path.strip_prefix(&root).unwrap().to_owned();
        found.insert(name, (about.mode(), about.mtime(), content, inode));
    }
    found
}

#[test]
fn a_second_prefix_needs_no_packages() {
    let kept = Kept::new("store-second");
    kept.without_packages();
    kept.world.fails(3, &["install", "--no-store", "-r", "tool", "none"]);
    let said = kept.again("from the store");
    assert!(said.contains(&format!("{TAKEN}2\n")), "{said}");
    assert!(!said.contains("packages are unpacked"), "something was decoded: {said}");
    assert_eq!(tree(&kept.world.place("again")), tree(&kept.world.place("first")));
    // What is not there comes as ever.
    kept.with_packages();
    let gadget = ["install", "--verbose", "-r", "gadget,tool", "both"];
    let said = kept.world.ok(&gadget);
    assert!(said.contains(&format!("{TAKEN}2\n")), "{said}");
    assert_eq!(problems(&kept.world.place("both")), [""; 0]);
    // Nothing is taken or kept where that is not wanted.
    let before = files_below(&kept.unpacked());
    for words in [&["--no-store"][..], &["--config", "off.toml"]] {
        kept.world.scratch.write("off.toml", "[cache]\nsize = 0\n");
        let _ = fs::remove_dir_all(kept.world.place("plain"));
        let all = [&["install", "--verbose", "-r", "tool"], words, &["plain"]].concat();
        assert!(!kept.world.ok(&all).contains(TAKEN));
    }
    assert_eq!(files_below(&kept.unpacked()), before);
}

/// The architectures' trees have the same packages: each is decoded once.
#[test]
fn what_two_architectures_share_is_decoded_once() {
    let world = World::new("kept-shared");
    let both = ["install", "--verbose", "-r", "tool", "-a", "x86_64,aarch64"];
    let said = world.ok(&[&both[..], &["both"]].concat());
    assert!(said.contains(&format!("{TAKEN}2")), "{said}");
    let trees = ["x86_64", "aarch64"].map(|arch| {
        let root = world.place("both").join(arch).canonicalize().unwrap();
        let data = fs::read(root.join("libexec/tool/data")).unwrap();
        (data, fs::symlink_metadata(root.join("libexec/tool/data")).unwrap().nlink())
    });
    assert_eq!(trees[0], trees[1]);
    assert_eq!(trees[0].1, 1, "they are copies");
    assert_eq!(problems(&world.place("both")), [""; 0]);
    // Where nothing is kept, both are unpacked.
    let said = world.ok(&[&both[..], &["--no-store", "apart"]].concat());
    assert!(!said.contains(TAKEN), "{said}");
}

#[test]
fn a_repair_needs_neither_packages_nor_the_network() {
    let kept = Kept::new("store-repair");
    kept.world.set_online(false);
    let data = kept.world.place(&format!("first/{}/libexec/tool/data", tools::host_arch()));
    fs::write(&data, "damaged\n").unwrap();
    kept.world.fails(3, &["verify", "--repair", "--no-store", "first"]);
    let said = kept.world.ok(&["verify", "--repair", "--verbose", "first"]);
    assert!(said.contains(&format!("{TAKEN}1\n")), "{said}");
    assert!(!said.contains("packages are unpacked"), "something was decoded: {said}");
    assert_eq!(fs::read_to_string(data).unwrap(), "data=1\n");
    // What is to prove the packages looks at packages.
    kept.world
        .fails(3, &["verify", "--deep", "--mirror", "mirror", "--cache-dir", "cache", "first"]);
}

#[test]
fn what_was_left_is_installed_again_without_packages() {
    let kept = Kept::new("store-back");
    kept.world.publish(&packages("2"), 2);
    kept.world.ok(&["update", "first"]);
    kept.world.ok(&["prune", "--keep", "0", "--force", "first"]);
    kept.world.publish(&packages("1"), 3);
    kept.without_packages();
    let back = ["install", "-r", "tool", "-v", "1", "--allow-downgrade", "--verbose", "first"];
    let said = kept.world.ok(&back);
    assert!(said.contains(&format!("{TAKEN}1\n")), "{said}");
    assert_eq!(launch(&kept.world.place("first"), "tool").as_deref(), Some("tool 1 part 1"));
}

/// Packages with all that makes one file of several names.
fn linked() -> Vec<Small> {
    let mut all = packages("1");
    let one = |path: &str| File::regular(path, b"one file\n").inode(7);
    let of_tool = &mut all[2].package.files;
    of_tool.extend([one("/usr/libexec/tool/a"), one("/usr/libexec/tool/b")]);
    of_tool.extend([one("/etc/tool.a").flags(17), one("/etc/tool.b").flags(17)]);
    of_tool.push(File::regular("/usr/libexec/tool/same", b"one file\n"));
    of_tool.push(File::regular("/usr/libexec/tool/empty", b""));
    of_tool.push(File::regular("/usr/libexec/shared", b"of both\n"));
    of_tool.push(File::symlink("/usr/libexec/tool/up", "../../../etc/part.conf"));
    of_tool.push(File::directory("/usr/libexec/tool/nothing"));
    all[0].package.files.push(File::regular("/usr/libexec/shared", b"of both\n"));
    all[0].package.files.push(File::regular("/var/log/part", b"").flags(64));
    all
}

#[test]
fn links_and_what_packages_share_come_back_as_they_were() {
    let world = World::new("store-links");
    world.publish(&linked(), 2);
    world.ok(&["install", "-r", "tool", "first"]);
    let kept = Kept { world };
    kept.without_packages();
    let said = kept.again("links");
    assert!(said.contains(&format!("{TAKEN}2\n")), "{said}");
    assert_eq!(tree(&kept.world.place("again")), tree(&kept.world.place("first")));
    let inode = |name: &str| {
        let path = format!("again/{}/{name}", tools::host_arch());
        fs::metadata(kept.world.place(&path)).unwrap().ino()
    };
    assert_eq!(inode("libexec/tool/a"), inode("libexec/tool/b"));
    assert_ne!(inode("libexec/tool/a"), inode("libexec/tool/same"));
    assert_ne!(inode("etc/tool.a"), inode("etc/tool.b"));
    let names = fs::read_dir(kept.world.place(&format!("again/{}/", tools::host_arch()))).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().starts_with(".aside")), "{names:?}");
}

#[test]
fn nothing_there_is_run_or_linked_to() {
    let kept = Kept::new("store-modes");
    kept.again("to be sure");
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o7777;
    let mut inodes = BTreeSet::new();
    for path in files_below(&kept.unpacked()) {
        let about = fs::symlink_metadata(&path).unwrap();
        assert_eq!((about.is_file(), about.nlink(), mode(&path)), (true, 1, 0o600), "{path:?}");
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        inodes.insert(about.ino());
    }
    assert!(inodes.len() == 7, "{inodes:?}");
    assert_eq!(fs::read_dir(kept.unpacked().join("new")).unwrap().count(), 0);
    for prefix in ["first", "again"] {
        let path = kept.world.place(prefix);
        assert!(
            files_below(&path).iter().all(|it| !inodes.contains(&fs::metadata(it).unwrap().ino()))
        );
    }
}

/// A way in which something is not what it was.
type Harm = Box<dyn Fn(&Path)>;

/// What a file can be instead.
fn harms(outside: &Path) -> Vec<(&'static str, Harm)> {
    let clear = |path: &Path| fs::remove_file(path).unwrap();
    let outside = outside.to_owned();
    let change = |change: fn(&mut Vec<u8>)| -> Harm {
        Box::new(move |path| {
            let mut bytes = fs::read(path).unwrap();
            change(&mut bytes);
            fs::write(path, bytes).unwrap();
        })
    };
    let to = |target: PathBuf| -> Harm {
        Box::new(move |path: &Path| {
            clear(path);
            symlink(&target, path).unwrap();
        })
    };
    let mut harms: Vec<(&str, Harm)> = vec![
        ("another byte", change(|bytes| *bytes.last_mut().unwrap() ^= 1)),
        ("fewer bytes", change(|bytes| bytes.truncate(bytes.len() - 1))),
        ("more bytes", change(|bytes| bytes.push(b'x'))),
        ("none", change(Vec::clear)),
        ("gone", Box::new(clear)),
        ("a link to a file", to(outside.join("file"))),
        ("a link to nowhere", to(outside.join("nothing"))),
        ("a device", to("/dev/zero".into())),
        (
            "a pipe",
            Box::new(move |path| {
                clear(path);
                tools::run(Command::new("mkfifo").arg(path));
            }),
        ),
        (
            "a directory",
            Box::new(move |path| {
                clear(path);
                fs::create_dir(path).unwrap();
            }),
        ),
        (
            "far more bytes",
            Box::new(|path| {
                fs::File::options().write(true).open(path).unwrap().set_len(1 << 40).unwrap()
            }),
        ),
    ];
    // The right bytes, but somewhere else.
    harms.push((
        "a link to the same",
        Box::new(move |path| {
            fs::copy(path, outside.join("same")).unwrap();
            clear(path);
            symlink(outside.join("same"), path).unwrap();
        }),
    ));
    harms
}

fn outside(world: &World) -> PathBuf {
    world.scratch.write("outside/file", "mine\n");
    world.place("outside")
}

#[test]
fn what_is_changed_in_the_store_is_unpacked_anew() {
    let kept = Kept::new("store-harm");
    let outside = outside(&kept.world);
    let tool = kept.package("tool");
    let places = [kept.file("tool", "data=1\n"), kept.file("part", "part=1\n"), tool.join("head")];
    for place in places {
        for (what, harm) in harms(&outside) {
            // A head is read up to its end, and may be longer.
            if place.ends_with("head") && ["more bytes", "far more bytes"].contains(&what) {
                continue;
            }
            harm(&place);
            let said = kept.again(what);
            assert!(said.contains("what was unpacked before is of no use"), "{what}: {said}");
            assert!(said.contains(&format!("{TAKEN}1\n")), "{what}: {said}");
            // And it is whole again, for the next harm.
            assert!(place.symlink_metadata().unwrap().is_file(), "{what}");
            assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "mine\n", "{what}");
        }
    }
    assert!(kept.again("all is well").contains(&format!("{TAKEN}2\n")));
    assert_eq!(fs::read_dir(kept.unpacked().join("new")).unwrap().count(), 0);
}

#[test]
fn a_head_that_is_cut_or_anothers_proves_nothing() {
    let kept = Kept::new("store-head");
    kept.world.ok(&["install", "-r", "gadget", "gadget"]);
    let head = kept.package("tool").join("head");
    let bytes = fs::read(&head).unwrap();
    let start = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let mut heads: Vec<Vec<u8>> =
        (0..bytes.len()).step_by(331).map(|it| bytes[..it].into()).collect();
    let flipped = (start..bytes.len()).step_by(409).map(|at| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 4;
        bytes
    });
    heads.extend(flipped.collect::<Vec<_>>());
    heads.push(fs::read(kept.package("gadget").join("head")).unwrap());
    heads.push([b"99999999999999999999999999\n", &bytes[start..]].concat());
    heads.push([b"-1\n", &bytes[start..]].concat());
    for other in heads {
        fs::write(&head, &other).unwrap();
        let said = kept.again("another head");
        // A bit that nothing covers (the lead's name, what the signature header says besides) proves as well.
        let is_taken = said.contains(&format!("{TAKEN}2\n"));
        assert!(is_taken || said.contains("of no use"), "{said}");
        if !is_taken {
            assert_eq!(fs::read(&head).unwrap(), bytes, "it is whole again");
        }
    }
}

#[test]
fn a_package_of_the_same_name_is_no_other() {
    // Signed by the same key, called the same, and something else: in the place of the one that was asked for.
    let kept = Kept::new("store-same-name");
    let tool = kept.package("tool");
    let mut all = packages("1");
    all[2].package.files.push(File::regular("/usr/libexec/tool/more", b"more\n"));
    kept.world.publish(&all, 2);
    kept.world.ok(&["install", "-r", "tool", "other"]);
    let other = kept.package("tool");
    assert_ne!(tool, other);
    assert!(tool.is_dir() && other.is_dir());
    // Files that the header does not name are nobody's.
    fs::write(other.join("extra"), "extra\n").unwrap();
    kept.again("with more");
    let more = format!("again/{}/libexec/tool/more", tools::host_arch());
    assert!(kept.world.place(&more).is_file());
    // A package that has the other one's files only lacks some.
    fs::copy(other.join("head"), tool.join("head")).unwrap();
    kept.world.publish(&packages("1"), 3);
    let said = kept.again("of another build");
    assert!(said.contains("of no use") && !kept.world.place(&more).exists(), "{said}");
}

#[test]
fn directories_in_its_place_are_not_used() {
    let kept = Kept::new("store-directories");
    let outside = outside(&kept.world);
    let tool = kept.package("tool");
    let copy = |from: &Path, to: &Path| {
        tools::run(Command::new("cp").arg("-a").args([from, to]));
    };
    let whole = kept.world.place("whole");
    copy(&tool, &whole);
    let harms: [(&str, &dyn Fn()); 4] = [
        ("a link to a directory", &|| symlink(&whole, &tool).unwrap()),
        ("a link to nowhere", &|| symlink(outside.join("nothing"), &tool).unwrap()),
        ("a file", &|| fs::write(&tool, "").unwrap()),
        ("a directory that others may write to", &|| {
            copy(&whole, &tool);
            fs::set_permissions(&tool, fs::Permissions::from_mode(0o777)).unwrap();
        }),
    ];
    for (what, harm) in harms {
        fs::remove_dir_all(&tool).unwrap();
        harm();
        assert!(kept.again(what).contains("of no use"), "{what}");
        assert!(kept.again(what).contains(&format!("{TAKEN}2\n")), "{what}");
        assert!(whole.join("head").is_file(), "{what}");
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn what_belongs_to_somebody_else_is_not_used() {
    if !rustix::process::geteuid().is_root() {
        return tools::missing("files of another user, which only root can make");
    }
    let kept = Kept::new("store-owner");
    let tool = kept.package("tool");
    let give = |path: &Path| std::os::unix::fs::chown(path, Some(54321), Some(54321)).unwrap();
    for path in [tool.clone(), tool.join("head")] {
        give(&path);
        assert!(kept.again("foreign").contains("of no use"), "{path:?}");
        assert!(kept.again("mended").contains(&format!("{TAKEN}2\n")), "{path:?}");
    }
    // Of a file its bytes are what counts.
    give(&kept.file("tool", "data=1\n"));
    assert!(kept.again("a file").contains(&format!("{TAKEN}2\n")));
    for place in ["", "packages", "new"] {
        give(&kept.unpacked().join(place));
        let said = kept.world.fails(6, &["install", "-r", "tool", "refused"]);
        assert!(said.contains("belongs to somebody else"), "{said}");
        std::os::unix::fs::chown(kept.unpacked().join(place), Some(0), Some(0)).unwrap();
    }
    kept.world
        .scratch
        .write("home/.config/elsewhere/config.toml", "trusted_owners = ['user:54321']\n");
    give(&tool);
    assert!(kept.again("of a friend").contains(&format!("{TAKEN}2\n")));
}

#[test]
fn what_nobody_signed_is_not_kept() {
    let world = World::new("store-unsigned");
    let arch = tools::host_arch();
    let package = &packages("1")[2].package;
    world.scratch.write("tool-1-1.el8.noarch.rpm", package.unsigned());
    // What the file needs is there: it does not say it.
    world.ok(&["install", "-r", "gadget", "one"]);
    world.ok(&["install", "-r", "gadget", "two"]);
    let before = files_below(&world.cache().join("unpacked")).len();
    for prefix in ["one", "two"] {
        let said = world.ok(&[
            "install",
            "--verbose",
            "-r",
            "tool",
            "-v",
            "tool-1-1.el8.noarch.rpm",
            "--allow-unsigned",
            prefix,
        ]);
        assert!(world.place(&format!("{prefix}/{arch}/libexec/tool/data")).is_file(), "{said}");
    }
    assert_eq!(files_below(&world.cache().join("unpacked")).len(), before);
}

/// What `elsewhere cache WORDS --json` gives.
fn cache(world: &World, words: &[&str]) -> Value {
    let cache = world.cache().display().to_string();
    let words = [&["cache"], words, &["--json", "--cache-dir", &cache]].concat();
    let output = world.run(&words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(text.lines().last().unwrap())
        .or_else(|_| serde_json::from_str(&text))
        .unwrap()
}

/// Packages of a few bytes, each for a runtime of its own.
fn sized(world: &World) {
    let names = ["one", "two", "three"];
    let package = |name: &&'static str| {
        let text = format!("#!/bin/sh\necho {name} 1\n");
        let data = vec![name.as_bytes()[0]; 10_000];
        let files = vec![
            File::program(&format!("/usr/bin/{name}"), text.as_bytes()),
            File::regular(&format!("/usr/share/{name}/data"), &data),
        ];
        small(name, "1", files, &[])
    };
    for name in names {
        let runtime = format!(
            "name = \"{name}\"\ntitle = \"{name}\"\npackage = \"{name}\"\n\
             [[command]]\nname = \"{name}\"\npath = \"bin/{name}\"\n\
             [[smoke]]\npath = \"bin/{name}\"\nexpect = \"{name} {{version}}\"\n"
        );
        world.scratch.write(&format!("repos/runtimes/{name}.toml"), runtime);
    }
    world.publish(&names.iter().map(package).collect::<Vec<_>>(), 2);
}

#[test]
fn what_was_used_least_recently_goes_first() {
    let world = World::new("store-bound");
    sized(&world);
    world.scratch.write("small.toml", "[cache]\nsize = '25kB'\n");
    let install = |name: &str| {
        let _ = fs::remove_dir_all(world.place("p"));
        world.ok(&["install", "--verbose", "--config", "small.toml", "-r", name, "p"])
    };
    let is_taken = |name: &str| install(name).contains(&format!("{TAKEN}1\n"));
    // Times are counted in seconds, and two runs may share one.
    let age = || {
        for head in
            files_below(&world.cache().join("unpacked")).iter().filter(|it| it.ends_with("head"))
        {
            let time = fs::metadata(head).unwrap().modified().unwrap();
            let file = fs::File::options().write(true).open(head).unwrap();
            file.set_modified(time - std::time::Duration::from_secs(60)).unwrap();
        }
    };
    for name in ["one", "two"] {
        assert!(!is_taken(name));
        age();
    }
    assert!(is_taken("one"));
    age();
    // Two have room: the one that was used last, and the new one.
    assert!(!is_taken("three"));
    assert_eq!(cache(&world, &["info"])["unpacked"]["packages"], 2);
    age();
    assert!(is_taken("one"));
    age();
    assert!(!is_taken("two"));
    // What is larger than all that may be there is not kept.
    world.scratch.write("small.toml", "[cache]\nsize = 9000\n");
    assert!(!is_taken("three"));
    assert_eq!(cache(&world, &["info"])["unpacked"]["packages"], 2);
}

#[test]
fn the_cache_is_told_pruned_and_cleared() {
    let world = World::new("store-cache");
    let empty = cache(&world, &["info"]);
    assert!(!world.cache().exists(), "looking makes nothing");
    assert_eq!(empty["unpacked"], serde_json::json!({ "packages": 0, "size": 0 }));
    assert_eq!(empty["limit"], 1 << 30);
    let server = support::server::Server::start(world.mirror());
    let url = server.url();
    let install =
        |prefix: &str| world.ok(&["install", "--verbose", "-r", "tool", "--mirror", &url, prefix]);
    install("first");
    let full = cache(&world, &["info"]);
    assert_eq!(full["unpacked"]["packages"], 2, "{full}");
    assert!(full["fetched"]["files"].as_u64().unwrap() >= 3, "{full}");
    let dir = world.cache().display().to_string();
    let said = world.ok(&["cache", "info", "--cache-dir", &dir]);
    assert!(said.contains("2 packages, at most 1.00 GiB"), "{said}");
    assert_eq!(cache(&world, &["prune"])["unpacked"]["packages"], 0);
    let pruned = cache(&world, &["prune", "--size", "0"]);
    assert_eq!((&pruned["event"], &pruned["unpacked"]), (&"result".into(), &full["unpacked"]));
    assert_eq!(files_below(&world.cache().join("unpacked")), [""; 0].map(PathBuf::from));
    assert_eq!(cache(&world, &["info"])["fetched"], full["fetched"]);
    assert!(!install("second").contains(TAKEN));
    assert!(install("third").contains(TAKEN));
    let seen = files_below(&world.cache().join("seen"));
    assert!(!seen.is_empty());
    let cleared = cache(&world, &["clear"]);
    assert_eq!((&cleared["fetched"], &cleared["unpacked"]), (&full["fetched"], &full["unpacked"]));
    assert_eq!(files_below(&world.cache()), seen);
    assert!(!install("fourth").contains(TAKEN));
    let said = world.ok(&["cache", "clear", "--cache-dir", &dir]);
    assert!(said.contains("2 unpacked packages deleted"), "{said}");
    assert!(world.ok(&["cache", "clear", "--cache-dir", &dir]).contains("nothing to delete"));
    world.fails(2, &["cache", "prune", "--size", "much", "--cache-dir", &dir]);
}

#[test]
fn runs_side_by_side_leave_whole_packages() {
    let world = World::new("store-together");
    let start = |number: usize| {
        let prefix = format!("p{number}");
        let mut command = world.command(&["install", "-r", "tool,gadget", &prefix]);
        command.current_dir(world.scratch.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    for round in 0..3 {
        let runs: Vec<_> = (0..6).map(|number| start(10 * round + number)).collect();
        for run in runs {
            let output = run.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", support::small::text(&output));
        }
    }
    let unpacked = world.cache().join("unpacked");
    assert_eq!(fs::read_dir(unpacked.join("packages")).unwrap().count(), 3);
    assert_eq!(fs::read_dir(unpacked.join("new")).unwrap().count(), 0);
    let said = world.ok(&["install", "--verbose", "-r", "tool,gadget", "last"]);
    assert!(said.contains(&format!("{TAKEN}3\n")), "{said}");
}

#[test]
fn what_dead_runs_left_is_swept() {
    let kept = Kept::new("store-swept");
    let new = kept.unpacked().join("new");
    let leave = |name: &str, seconds: u64| {
        fs::create_dir(new.join(name)).unwrap();
        fs::write(new.join(name).join("head"), "half").unwrap();
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(seconds);
        fs::File::open(new.join(name)).unwrap().set_modified(time).unwrap();
    };
    leave("dead", 7200);
    leave("living", 60);
    fs::write(new.join("odd"), "").unwrap();
    symlink(kept.world.place("first"), new.join("link")).unwrap();
    kept.again("swept");
    let left: Vec<_> = fs::read_dir(&new).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["living"]);
    assert_eq!(problems(&kept.world.place("first")), [""; 0], "no link is followed");
}
