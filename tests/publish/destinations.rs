//! One wishlist for several places: planned first, made once, and each by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::support::small::{World, launch, packages};
use crate::{check, contents, mended, names, state};

/// Writes a list of these destinations for `tool`, with `gadget` beside it where that is asked for.
fn wish(world: &World, destinations: &str, more: &str) {
    let runtime = |name: &str| {
        format!(
            "[[runtime]]\nname = \"{name}\"\ndists = [\"small\"]\narches = [\"x86_64\", \"aarch64\"]\n"
        )
    };
    let text = format!("{destinations}\n{}{more}\n{}", runtime("tool"), runtime("gadget"));
    world.scratch.write("list.toml", text);
}

const TWO: &str = "[[destination]]\ndirectory = \"one\"\n[[destination]]\ndirectory = \"other\"\nbases = [\"tool\"]\n";

#[test]
fn a_list_is_published_in_several_places() {
    let world = World::new("several-places");
    wish(&world, TWO, "");
    let told = world.ok(&["sync", "--dry-run", "list.toml"]);
    assert_eq!(told.matches("added 1 (").count(), 3, "{told}");
    assert!(!world.prefix("one").exists() && !world.prefix("list.toml.lock").exists());
    let told = world.ok(&["sync", "--verbose", "list.toml"]);
    assert_eq!(told.matches("added 1 (").count(), 3, "{told}");
    for base in ["one/tool", "one/gadget", "other/tool"] {
        check(&world.prefix(base));
    }
    assert!(!world.prefix("other/gadget").exists());
    assert_eq!(launch(&world.prefix("other/tool"), "tool").unwrap(), "tool 1 part 1");
    // It was made once, and is the same everywhere.
    assert_eq!(told.matches(", where this run made it").count(), 1, "{told}");
    let of = |place: &str| contents(&world.prefix(place).join("tool/1"));
    assert_eq!(of("one"), of("other"));
    world.ok(&["verify", "other/tool"]);
    // A second run writes nothing, and says nothing.
    let all = || ["one", "other", "list.toml.lock"].map(|name| state(&world.prefix(name)));
    let before = all();
    assert_eq!(world.ok(&["sync", "list.toml"]), "");
    assert_eq!(all(), before);
    // Both get what is new, and so does one that came later, as the others have it; by the lock, too.
    world.publish(&mended("1"), 2);
    let told = world.ok(&["sync", "--json", "list.toml"]);
    let told: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    let bases = told["bases"].as_array().unwrap();
    let added: Vec<&str> =
        bases.iter().map(|it| it["added"][0]["name"].as_str().unwrap()).collect();
    assert_eq!(added, ["1-2", "1-2", "1-2"]);
    world.publish(&mended("1"), 3);
    let lock = fs::read(world.prefix("list.toml.lock")).unwrap();
    for (name, words) in
        [("third", &["sync", "list.toml"][..]), ("fourth", &["sync", "--locked", "list.toml"])]
    {
        wish(&world, &format!("{TWO}[[destination]]\ndirectory = \"{name}\"\n"), "");
        world.ok(words);
        assert_eq!(
            contents(&world.prefix(name).join("tool/1/x86_64")),
            contents(&world.prefix("one/tool/1-2/x86_64"))
        );
        assert_eq!(fs::read(world.prefix("list.toml.lock")).unwrap(), lock);
    }
}

#[test]
fn one_that_fails_keeps_no_other() {
    let world = World::new("several-fail");
    let hooks = format!(
        "[hooks]\nafter = [[\"/bin/sh\", \"-c\", \"echo told >>{}\"]]",
        world.prefix("hooked").display()
    );
    // The first is a prefix, another is somebody's who lets everybody write.
    world.ok(&["install", "-r", "tool", "one/tool"]);
    let open = world.prefix("open/tool");
    fs::create_dir_all(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let list = format!("{hooks}\n{TWO}[[destination]]\ndirectory = \"open\"\nbases = [\"tool\"]\n");
    wish(&world, &list, "");
    let told = world.fails(2, &["sync", "list.toml"]);
    for part in [
        "not all was done",
        "one: ",
        "is a prefix",
        "open: ",
        "can be written by others",
        "added 1 (",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    check(&world.prefix("other/tool"));
    assert_eq!(names(&open), Vec::<String>::new());
    assert!(!world.prefix("one/gadget").exists(), "a destination is all or nothing");
    assert_eq!(fs::read_to_string(world.prefix("hooked")).unwrap(), "told\n");
    // What could be published is in the lock, and stays published; the rest comes when it can.
    let told = world.run(&["sync", "--json", "list.toml"]);
    assert_eq!(told.status.code(), Some(2));
    let last = String::from_utf8(told.stdout).unwrap();
    let last: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["status"]), (&"error".into(), &2.into()), "{last}");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(world.prefix("one"), world.prefix("away")).unwrap();
    world.ok(&["sync", "--locked", "list.toml"]);
    for base in ["one/tool", "one/gadget", "other/tool", "open/tool"] {
        check(&world.prefix(base));
    }
    assert_eq!(contents(&world.prefix("one/tool/1")), contents(&world.prefix("other/tool/1")));
    // A hook that fails before keeps all as it is.
    world.publish(&packages("2"), 2);
    wish(&world, &format!("[hooks]\nbefore = [[\"/bin/false\"]]\n{TWO}"), "");
    let before = state(&world.prefix("one"));
    assert!(world.fails(13, &["sync", "list.toml"]).contains("the hook /bin/false failed"));
    assert_eq!(state(&world.prefix("one")), before);
}

#[test]
fn a_list_says_where_once() {
    let world = World::new("several-bad");
    let one = "[[destination]]\ndirectory = \"one\"\n";
    for (destinations, part) in [
        ("", "or a [[destination]], says where"),
        ("cvmfs = \"r.example.org\"", "cvmfs needs a directory"),
        (&*format!("directory = \"x\"\n{one}"), "stand in these"),
        (&*format!("cvmfs = \"r.example.org\"\n{one}"), "stand in these"),
        ("[[destination]]\n", "directory"),
        (&*format!("{one}bases = [\"none\"]"), "no [[runtime]] has the base none"),
        (&*format!("{one}bases = [\"tool\"]"), "no [[destination]] has the base gadget"),
        (&*format!("{one}[[destination]]\ndirectory = \"./one/\""), "two destinations have"),
        (&*format!("{one}nonsense = 1"), "nonsense"),
    ] {
        wish(&world, destinations, "");
        let told = world.fails(2, &["sync", "list.toml"]);
        assert!(told.contains("list.toml") && told.contains(part), "{part}: {told}");
    }
    wish(&world, one, "");
    let told = world.fails(2, &["sync", "--via", "ingest", "list.toml"]);
    assert!(told.contains("--via is for"), "{told}");
    assert!(!Path::new(&world.prefix("one")).exists());
}
