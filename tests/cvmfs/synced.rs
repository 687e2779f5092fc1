//! `elsewhere sync` on a repository: as a librarian runs it, and with every step failing.

use std::fs;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::cvmfs::{NAME, Publisher};
use crate::support::small::{World, packages};
use crate::support::tools;
use crate::work::Way;

/// A grid: a mirror, a wishlist and a repository.
struct Grid {
    world: World,
    publisher: Publisher,
    way: Way,
}

impl Grid {
    fn new(name: &str, way: Way) -> Self {
        let world = World::new(name);
        let mut all = packages("1");
        for version in ["2", "3"] {
            all.extend(packages(version).into_iter().skip(2));
        }
        world.publish(&all, 1);
        Self { world, publisher: Publisher::stand_in(""), way }
    }

    /// Wishes for this version, and these lines of the runtime.
    fn wish(&self, version: u32, more: &str) {
        let via = format!("{:?}", self.way).to_lowercase();
        self.wish_at(&self.publisher.wish("cvmfs", &via), version, more);
    }

    /// Wishes for this version in these places.
    fn wish_at(&self, places: &str, version: u32, more: &str) {
        let text = format!(
            "{places}[[runtime]]\nname = \"tool\"\ndists = [\"small\"]\narches = [\"x86_64\", \"aarch64\"]\n\
             versions = [\"{version}\"]\n{more}\n"
        );
        self.world.scratch.write("list.toml", text);
    }

    fn sync(&self) -> String {
        self.world.ok(&["sync", "list.toml"])
    }

    fn revision(&self) -> String {
        fs::read_link(self.publisher.path(&format!("srv/{NAME}/client")))
            .unwrap()
            .display()
            .to_string()
    }

    /// What readers see of the base.
    fn seen(&self) -> std::collections::BTreeMap<String, String> {
        self.publisher.readers_see("sw/tool")
    }

    #[track_caller]
    fn assert_counts(&self, version: u32) {
        let seen = self.seen();
        assert_eq!(seen["/current"], format!("-> {version}"));
        assert_eq!(seen["/bin"], "-> current/bin");
        for path in [
            "bin/tool",
            "x86_64/.elsewhere.json",
            "aarch64/.elsewhere.json",
            ".elsewhere-version.json",
        ] {
            assert!(seen.contains_key(&format!("/{version}/{path}")), "{path}: {:?}", seen.keys());
        }
        assert!(!seen.keys().any(|name| name.contains("elsewhere-new")), "{:?}", seen.keys());
        assert!(!self.publisher.readers_see("").keys().any(|name| name.contains("txn")));
    }
}

#[test]
fn a_wishlist_is_published_once() {
    for way in [Way::Transaction, Way::Ingest] {
        let grid = Grid::new("grid-once", way);
        grid.wish(1, "");
        let told = grid.world.ok(&["sync", "--dry-run", "list.toml"]);
        assert!(told.contains("added 1"), "{told}");
        assert_eq!(grid.revision(), "revisions/1", "nothing is opened for a look");
        let told = grid.sync();
        assert!(told.contains("added 1") && told.contains("revision 2, elsewhere-"), "{told}");
        grid.assert_counts(1);
        // A second run says nothing, and opens nothing: it would fail.
        grid.publisher.fault("transaction.begin", "fail");
        assert_eq!(grid.sync(), "");
        assert_eq!(grid.revision(), "revisions/2");
        grid.publisher.mend();
        // What readers see is a base as any other, wherever it is mounted.
        let base = grid.publisher.client().join("sw/tool");
        let base = std::path::absolute(base).unwrap();
        let base = base.to_str().unwrap();
        grid.world.ok(&["verify", base]);
        grid.world.ok(&["status", base]);
        // One more version stores what changed; the older one goes when it is time.
        grid.wish(2, "");
        let told = grid.sync();
        assert!(told.contains("new objects"), "{told}");
        grid.assert_counts(2);
        assert!(grid.seen().contains_key("/1/bin/tool"));
        grid.wish(3, "keep = { versions = 1 }");
        let output = grid.world.run(&["sync", "--json", "list.toml"]);
        let told = String::from_utf8(output.stdout).unwrap();
        let told: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
        grid.assert_counts(3);
        assert!(!grid.seen().contains_key("/1/bin/tool"), "{:?}", grid.seen().keys());
        let repository = &told["cvmfs"][0];
        assert_eq!(repository["repository"], NAME);
        let collecting = &repository["collecting"];
        assert_eq!(collecting["is_allowed"], true, "{told}");
        assert!(collecting["commands"].as_array().unwrap().len() > 1, "{told}");
        assert!(repository["revisions"][0]["tag"].as_str().unwrap().starts_with("elsewhere-"));
    }
}

#[test]
fn repositories_and_directories_of_one_list_fail_by_themselves() {
    let (grid, other) = (Grid::new("grid-several", Way::Transaction), Publisher::stand_in(""));
    let places = format!(
        "[[destination]]\n{}[[destination]]\ndirectory = \"plain\"\n[[destination]]\n{}",
        grid.publisher.wish("destination.cvmfs", "transaction"),
        other.wish("destination.cvmfs", "ingest")
    );
    let current = |root: std::path::PathBuf| fs::read_link(root.join("tool/current")).ok();
    let all = || {
        [grid.publisher.client().join("sw"), grid.world.prefix("plain"), other.client().join("sw")]
            .map(|root| current(root).map(|it| it.display().to_string()).unwrap_or_default())
    };
    grid.wish_at(&places, 1, "");
    grid.publisher.fault("publish.sign", "fail");
    let told = grid.world.fails(13, &["sync", "--verbose", "list.toml"]);
    assert_eq!(all(), ["", "1", "1"], "{told}");
    assert!(told.contains("not all was done") && told.contains("cvmfs/sw: "), "{told}");
    assert_eq!(told.matches(", where this run made it").count(), 2, "{told}");
    // The next run does what is missing, and nothing else: it would fail.
    grid.publisher.mend();
    other.fault("ingest.begin", "fail");
    grid.sync();
    assert_eq!(all(), ["1", "1", "1"]);
    other.mend();
    let whole = |seen: std::collections::BTreeMap<String, String>| -> Vec<(String, String)> {
        seen.into_iter().filter(|(path, _)| path.starts_with("/1/")).collect()
    };
    assert_eq!(whole(grid.seen()), whole(other.readers_see("sw/tool")));
    // One that is busy for too long, one whose server is not here: the others have what is new.
    grid.publisher.open_as_another();
    let places = places.replace("wait = 20", "wait = 1");
    fs::rename(other.path("etc"), other.path("gone")).unwrap();
    grid.wish_at(&places, 2, "");
    let told = grid.world.fails(2, &["sync", "list.toml"]);
    assert_eq!(all(), ["1", "2", "1"], "{told}");
    assert!(told.contains("was busy for 1 seconds") && told.contains("server.conf"), "{told}");
    assert!(grid.publisher.is_open(), "it is somebody else's");
    grid.publisher.must(&["abort", "-f", NAME]);
    fs::rename(other.path("gone"), other.path("etc")).unwrap();
    // The command line counts for both.
    let told = grid.world.ok(&["sync", "--via", "ingest", "--json", "list.toml"]);
    let told: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!(all(), ["2", "2", "2"]);
    assert_eq!(told["cvmfs"].as_array().unwrap().len(), 2, "{told}");
}

#[test]
fn after_a_crash_of_the_machine_a_list_is_published_as_ever() {
    let grid = Grid::new("grid-crashed", Way::Transaction);
    grid.wish(1, "");
    grid.sync();
    // What is not mounted looks as if nothing was published, and is not planned by.
    grid.publisher.crash();
    assert_eq!(grid.world.ok(&["sync", "--quiet", "list.toml"]), "");
    assert_eq!(grid.revision(), "revisions/2");
    grid.publisher.crash();
    grid.wish(2, "");
    grid.sync();
    grid.assert_counts(2);
    assert!(grid.seen().contains_key("/1/bin/tool"));
}

#[test]
fn the_command_line_chooses_the_way() {
    let grid = Grid::new("grid-via", Way::Transaction);
    grid.wish(1, "");
    grid.publisher.fault("ingest.begin", "fail");
    let told = grid.world.fails(13, &["sync", "--via", "ingest", "list.toml"]);
    assert!(told.contains("nothing was published"), "{told}");
    grid.sync();
    grid.assert_counts(1);
    grid.world.scratch.write("plain.toml", "directory = \"x\"\n[[runtime]]\nname = \"tool\"\ndists = [\"small\"]\narches = [\"x86_64\"]\n");
    grid.world.fails(2, &["sync", "--via", "ingest", "plain.toml"]);
}

#[test]
fn what_is_not_below_the_repository_is_refused() {
    let grid = Grid::new("grid-elsewhere", Way::Transaction);
    grid.wish(1, "");
    let list = grid.world.prefix("list.toml");
    let text = fs::read_to_string(&list).unwrap();
    fs::write(&list, text.replace("/cvmfs/sw\"", "/other\"")).unwrap();
    let told = grid.world.fails(2, &["sync", "list.toml"]);
    assert!(told.contains("is not below"), "{told}");
    fs::write(&list, text.replace(NAME, "other.example.org")).unwrap();
    let told = grid.world.fails(2, &["sync", "list.toml"]);
    assert!(told.contains("server.conf"), "{told}");
    assert!(!grid.publisher.is_open());
}

/// Where it fails, how, and whether the new version is published all the same.
const POINTS: [(Way, &str, &str, bool); 16] = [
    (Way::Transaction, "transaction.opened", "kill", false),
    (Way::Transaction, "publish.locked", "kill", true),
    (Way::Transaction, "sync.written", "fail", false),
    (Way::Transaction, "publish.signed", "kill", true),
    (Way::Transaction, "publish.remount", "fail", true),
    (Way::Transaction, "transaction.mounted", "us", false),
    (Way::Transaction, "publish.begin", "us", false),
    (Way::Transaction, "publish.locked", "us", false),
    (Way::Transaction, "publish.signed", "us", true),
    (Way::Transaction, "publish.locked", "interrupt", false),
    (Way::Ingest, "ingest.begin", "kill", false),
    (Way::Ingest, "ingest.written", "fail", false),
    (Way::Ingest, "ingest.collect", "fail", true),
    (Way::Ingest, "ingest.tree", "us", false),
    (Way::Ingest, "ingest.signed", "us", true),
    (Way::Ingest, "ingest.tree", "interrupt", false),
];

#[test]
fn whatever_fails_the_old_tree_is_whole_and_the_next_run_succeeds() {
    let mut table = String::new();
    for (way, point, action, is_published) in POINTS {
        let grid = Grid::new("grid-fails", way);
        grid.wish(1, "");
        grid.sync();
        let before = grid.seen();
        grid.wish(2, "");
        let status = fail(&grid, point, action);
        let seen = grid.seen();
        let what = format!("{way:<12?} {point:<20} {action:<10}");
        assert_eq!(seen != before, is_published, "{what}");
        grid.assert_counts(if is_published { 2 } else { 1 });
        let is_open = grid.publisher.is_open();
        grid.publisher.mend();
        grid.publisher.scratch.write("go", "");
        grid.sync();
        grid.assert_counts(2);
        assert!(!grid.publisher.is_open(), "{what}");
        let left = if is_published { "new" } else { "old" };
        let open = if is_open { "open" } else { "closed" };
        table.push_str(&format!(
            "{what} status {status:<14} readers: {left}  {open:<7} next run: done\n"
        ));
    }
    println!("{table}");
}

/// Syncs while something fails, and tells how that ended.
fn fail(grid: &Grid, point: &str, action: &str) -> String {
    let signal = match action {
        "us" => Signal::KILL,
        "interrupt" => Signal::TERM,
        action => {
            grid.publisher.fault(point, action);
            let output = grid.world.run(&["sync", "list.toml"]);
            return format!("{:?}", output.status.code());
        }
    };
    grid.publisher.fault(point, "wait");
    let mut command = grid.world.command(&["sync", "list.toml"]);
    command.current_dir(grid.world.scratch.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut run = command.spawn().unwrap();
    grid.publisher.wait_for_the_point();
    if signal == Signal::KILL {
        crate::ended::end_servers(&grid.publisher);
    }
    kill_process(Pid::from_child(&run), signal).unwrap();
    format!("{:?}", run.wait().unwrap().code())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a place that everybody may enter")]
fn another_user_reads_what_is_published() {
    if !rustix::process::geteuid().is_root() {
        return tools::missing("what is published, read by another user: only root can become one");
    }
    let grid = Grid::new("grid-reader", Way::Transaction);
    grid.wish(1, "");
    grid.sync();
    // What is above may be closed to others: root's home is.
    let place = std::env::temp_dir().join(format!("elsewhere-grid-{}", std::process::id()));
    tools::run(Command::new("cp").arg("-a").arg(grid.publisher.client()).arg(&place));
    let launched = Command::new(tools::need("setpriv", "util-linux"))
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"])
        .arg(place.join("sw/tool/bin/tool"))
        .current_dir("/")
        .output()
        .unwrap();
    fs::remove_dir_all(&place).unwrap();
    assert!(launched.status.success(), "{launched:?}");
}
