//! Prefixes and caches that somebody else prepared, or that came out of an archive: every name in them
//! is made something else in turn, every command runs, and nothing outside is changed or waited for.
//!
//! `ELSEWHERE_NEIGHBOURS=all cargo test --test neighbours -- --nocapture` goes through all combinations
//! and prints their number; otherwise it is a sample.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use support::server::Server;
use support::small::{World, packages, text};
use support::tools;

/// More than any run takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a name is made.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plant {
    LinkToDirectory,
    LinkToFile,
    LinkToNothing,
    Fifo,
    Directory,
    HardLink,
    /// Another user's; by root alone.
    Foreign,
    /// As it was, and everybody may write to it.
    Writable,
}

const PLANTS: [Plant; 8] = [
    Plant::LinkToDirectory,
    Plant::LinkToFile,
    Plant::LinkToNothing,
    Plant::Fifo,
    Plant::Directory,
    Plant::HardLink,
    Plant::Foreign,
    Plant::Writable,
];

const COMMANDS: [&[&str]; 15] = [
    &["status", "p"],
    &["history", "p"],
    &["verify", "--all", "p"],
    &["verify", "--deep", "--cache-dir", "c", "p"],
    &["verify", "--repair", "--cache-dir", "c", "p"],
    &["install", "-r", "tool,gadget", "--cache-dir", "c", "p"],
    &["install", "-r", "tool,gadget", "--no-store", "--cache-dir", "c", "p"],
    &["update", "--cache-dir", "c", "p"],
    &["cache", "info", "--cache-dir", "c"],
    &["cache", "prune", "--size", "0", "--cache-dir", "c"],
    &["cache", "clear", "--cache-dir", "c"],
    &["rollback", "p"],
    &["pin", "p", "tool@1"],
    &["prune", "--keep", "0", "--force", "p"],
    &["remove", "--all", "--force", "p"],
];

/// What must stay as it is.
fn outside(world: &World) -> PathBuf {
    let outside = world.place("outside");
    let _ = fs::remove_dir_all(&outside);
    fs::create_dir_all(outside.join("directory/inner")).unwrap();
    for name in ["file", "directory/file", "directory/inner/file"] {
        fs::write(outside.join(name), "mine\n").unwrap();
        fs::set_permissions(outside.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    outside
}

/// Everything below `directory`: types, permissions, times, contents.
fn snapshot(directory: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(path) = waiting.pop() {
        let about = fs::symlink_metadata(&path).unwrap();
        let content = if about.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        if about.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.insert(path, (about.mode(), about.mtime(), about.mtime_nsec(), content));
    }
    found
}

/// Every name below `directory`.
fn names(directory: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(path) = waiting.pop() {
        for entry in fs::read_dir(&path).unwrap() {
            let path = entry.unwrap().path();
            names.push(path.strip_prefix(directory).unwrap().to_owned());
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                waiting.push(path);
            }
        }
    }
    names.sort();
    names
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Makes `path` what `plant` says. False where that cannot be, or would change nothing.
fn put(plant: Plant, path: &Path, outside: &Path) -> bool {
    let about = fs::symlink_metadata(path).unwrap();
    let clear = || match about.is_dir() {
        true => fs::remove_dir_all(path).unwrap(),
        false => fs::remove_file(path).unwrap(),
    };
    match plant {
        Plant::LinkToDirectory => {
            clear();
            symlink(outside.join("directory"), path).unwrap();
        }
        Plant::LinkToFile => {
            clear();
            symlink(outside.join("file"), path).unwrap();
        }
        Plant::LinkToNothing => {
            clear();
            symlink(outside.join("new"), path).unwrap();
        }
        Plant::Fifo => {
            clear();
            tools::run(Command::new("mkfifo").arg(path));
        }
        Plant::Directory if about.is_dir() => return false,
        Plant::Directory => {
            clear();
            fs::create_dir(path).unwrap();
        }
        Plant::HardLink if about.is_dir() => return false,
        Plant::HardLink => {
            clear();
            fs::hard_link(outside.join("file"), path).unwrap();
        }
        Plant::Foreign if !is_root() => return false,
        Plant::Foreign => std::os::unix::fs::lchown(path, Some(54321), Some(54321)).unwrap(),
        Plant::Writable if about.is_symlink() => return false,
        Plant::Writable => {
            let mode = about.permissions().mode() | 0o022;
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
    true
}

/// Runs one command; none where it does not end.
fn run(world: &World, mirror: &str, words: &[&str]) -> Option<(ExitStatus, String)> {
    let is_fetching = words.contains(&"--cache-dir") && words[0] != "cache";
    // The last word stays where it is looked for.
    let (last, first) = words.split_last().unwrap();
    let mut words = first.to_vec();
    if is_fetching {
        words.extend(["--mirror", mirror]);
    }
    words.push(last);
    let mut command = world.command(&words);
    command.current_dir(world.scratch.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            let output = child.wait_with_output().unwrap();
            return Some((status, text(&output)));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// Goes through the names below `template`, which is copied to `copy` for each try: all of them, or one of
/// `step` combinations, which is prime, so that each kind and each command has its turn.
fn go_through(world: &World, template: &str, copy: &str, step: usize) {
    let server = Server::start(world.mirror());
    let url = server.url();
    // What comes over the network is kept in the cache.
    let fill =
        ["install", "-r", "tool,gadget", "--mirror", &url, "--cache-dir", "template", "filled"];
    world.ok(&fill);
    let outside = outside(world);
    let mut before = snapshot(&outside);
    let whole = std::env::var("ELSEWHERE_NEIGHBOURS").is_ok_and(|value| value == "all");
    let step = if whole { 1 } else { step };
    let names = names(&world.place(template));
    let all = names.iter().flat_map(|name| {
        PLANTS
            .into_iter()
            .flat_map(move |plant| COMMANDS.iter().map(move |words| (name, plant, words)))
    });
    let (mut tried, mut failures) = (0, Vec::new());
    for (name, plant, words) in all.step_by(step) {
        let place = world.place(copy);
        let _ = fs::remove_dir_all(&place);
        tools::run(Command::new("cp").arg("-a").args([&world.place(template), &place]));
        if copy != "p" {
            let _ = fs::remove_dir_all(world.place("p"));
            tools::run(Command::new("cp").arg("-a").args([world.place("two"), world.place("p")]));
        }
        if !put(plant, &place.join(name), &outside) {
            continue;
        }
        tried += 1;
        let what = format!("{} {plant:?} {words:?}", name.display());
        match run(world, &url, words) {
            None => failures.push(format!("{what}: does not end")),
            Some((status, said)) if status.code().is_none_or(|code| [1, 101].contains(&code)) => {
                failures.push(format!("{what}: {status}: {said}"));
            }
            Some(_) => {}
        }
        if snapshot(&outside) != before {
            failures.push(format!("{what}: changed what is outside"));
            self::outside(world);
            before = snapshot(&outside);
        }
    }
    println!("{template}: {} names, {tried} tries, {} failures", names.len(), failures.len());
    assert!(tried > 50, "{tried}");
    assert!(failures.is_empty(), "{failures:#?}");
}

fn world(name: &str) -> World {
    let world = World::new(name);
    world.ok(&["install", "-r", "tool", "two"]);
    world.publish(&packages("2"), 2);
    world.ok(&["install", "-r", "tool,gadget", "two"]);
    world
}

#[test]
fn nothing_in_a_prefix_leads_out_of_it() {
    let world = world("neighbours-prefix");
    go_through(&world, "two", "p", 61);
}

#[test]
fn nothing_in_a_cache_leads_out_of_it() {
    let world = world("neighbours-cache");
    go_through(&world, "template", "c", 13);
}

/// Lets the user's configuration say this.
fn configure(world: &World, text: &str) {
    world.scratch.write("home/.config/elsewhere/config.toml", text);
}

/// Gives `path`, and all below it, to somebody else.
fn give_away(path: &Path) -> bool {
    if is_root() {
        tools::run(Command::new("chown").args(["-R", "54321:54321"]).arg(path));
    } else {
        tools::missing("directories of another user, which only root can make");
    }
    is_root()
}

#[test]
fn a_prefix_of_somebody_else_is_refused_unless_they_are_trusted() {
    let world = World::new("neighbours-owner");
    world.ok(&["install", "-r", "tool", "p"]);
    if !give_away(&world.place("p")) {
        return;
    }
    let commands: [&[&str]; 5] = [
        &["install", "-r", "gadget", "p"],
        &["update", "p"],
        &["verify", "--repair", "p"],
        &["pin", "p", "tool@1"],
        &["remove", "--all", "--force", "p"],
    ];
    for words in commands {
        let said = world.fails(6, words);
        assert!(
            said.contains("belongs to somebody else (user 54321, group 54321, mode 0755)"),
            "{said}"
        );
        assert!(said.contains("trusted_owners = [\"user:54321\"]"), "{said}");
    }
    for words in [["status", "p"], ["history", "p"], ["verify", "p"]] {
        world.ok(&words);
    }
    configure(&world, "trusted_owners = ['user:54321']\n");
    for words in &commands[..4] {
        world.ok(words);
    }
    configure(&world, "trusted_owners = ['user:nobody-here']\n");
    let said = world.fails(2, &["update", "p"]);
    assert!(said.contains("trusted_owners: user:nobody-here: write user:NAME"), "{said}");
    configure(&world, "trusted_owners = ['group:54321']\n");
    world.ok(&["remove", "--all", "--force", "p"]);
}

#[test]
fn a_cache_of_somebody_else_is_refused_unless_they_are_trusted() {
    let world = World::new("neighbours-cache-owner");
    fs::create_dir(world.place("c")).unwrap();
    if !give_away(&world.place("c")) {
        return;
    }
    let install = ["install", "-r", "tool", "--cache-dir", "c", "p"];
    let said = world.fails(6, &install);
    assert!(said.contains("belongs to somebody else"), "{said}");
    assert_eq!(fs::read_dir(world.place("c")).unwrap().count(), 0);
    configure(&world, "trusted_owners = ['user:54321']\n");
    world.ok(&install);
    let mode = |name: &str| fs::metadata(world.place(name)).unwrap().mode() & 0o7777;
    assert_eq!(mode("c/objects"), 0o700);
}

#[test]
fn what_others_may_write_to_is_refused_unless_their_group_is_trusted() {
    let world = World::new("neighbours-group");
    fs::create_dir(world.place("p")).unwrap();
    let set =
        |mode| fs::set_permissions(world.place("p"), fs::Permissions::from_mode(mode)).unwrap();
    let install = ["install", "-r", "tool", "p"];
    set(0o777);
    let said = world.fails(6, &install);
    assert!(said.contains("p can be written by others") && said.contains("chmod go-w"), "{said}");
    assert_eq!(fs::read_dir(world.place("p")).unwrap().count(), 0);
    if !is_root() {
        tools::missing("directories of another group, which only root can make");
        set(0o755);
        world.ok(&install);
        return;
    }
    // As in /tmp, names are their owners'.
    set(0o1777);
    world.ok(&["install", "-r", "tool", "p"]);
    // A group of one user is no neighbour; another one is.
    set(0o775);
    world.ok(&install);
    std::os::unix::fs::chown(world.place("p"), None, Some(54322)).unwrap();
    set(0o2775);
    let said = world.fails(6, &["update", "p"]);
    assert!(said.contains("chmod g-w") && said.contains("group:54322"), "{said}");
    configure(&world, "trusted_owners = ['group:54322']\n");
    world.ok(&["update", "p"]);
}

#[test]
fn the_prefix_itself_may_be_reached_by_symlinks() {
    let world = World::new("neighbours-links");
    fs::create_dir_all(world.place("scratch/me")).unwrap();
    symlink("scratch/me", world.place("home-link")).unwrap();
    world.ok(&["install", "-r", "tool", "home-link/apptainer"]);
    symlink("scratch/me/apptainer", world.place("p")).unwrap();
    world.ok(&["install", "-r", "gadget", "p"]);
    world.ok(&["verify", "p"]);
}
