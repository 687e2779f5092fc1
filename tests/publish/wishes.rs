//! Wishlists: planned first, carried out once, and again from their lock.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::small::{World, packages};
use crate::{check, contents, names, several, state};

/// A wishlist.
struct Wish {
    world: World,
}

impl Wish {
    fn new(name: &str, versions: &[&str]) -> Self {
        let world = World::new(name);
        world.publish(&several(versions), 1);
        Self { world }
    }

    /// Writes the list: one runtime with these lines, and `more` behind.
    fn write(&self, lines: &str, more: &str) {
        let text = format!(
            "directory = \"grid\"\n[[runtime]]\nname = \"tool\"\ndists = [\"small\"]\n\
             arches = [\"x86_64\", \"aarch64\"]\n{lines}\n{more}\n"
        );
        self.world.scratch.write("list.toml", text);
    }

    fn sync(&self, words: &[&str]) -> String {
        self.world.ok(&[&["sync"], words, &["list.toml"]].concat())
    }

    fn refused(&self, status: i32, words: &[&str]) -> String {
        self.world.fails(status, &[&["sync"], words, &["list.toml"]].concat())
    }

    fn base(&self) -> PathBuf {
        self.world.prefix("grid/tool")
    }

    fn versions(&self) -> Vec<String> {
        let is_version = |name: &String| name.starts_with(|first: char| first.is_ascii_digit());
        names(&self.base()).into_iter().filter(is_version).collect()
    }
}

#[test]
fn a_wishlist_is_carried_out_once() {
    let wish = Wish::new("wish-once", &["1.3.9", "1.4.4", "1.4.10", "1.4.5"]);
    wish.write("versions = [\"1.4.*\", \"1.3.9\"]\nnewest = 2", "");
    let told = wish.sync(&["--dry-run"]);
    assert!(told.contains("added 1.3.9 (") && told.contains("added 1.4.10 ("), "{told}");
    assert!(told.contains("to fetch") && told.contains("current -> 1.4.10"), "{told}");
    assert!(!wish.base().exists() && !wish.world.prefix("list.toml.lock").exists());
    let told = wish.sync(&[]);
    assert_eq!(told.lines().count(), 1, "{told}");
    assert_eq!(wish.versions(), ["1.3.9", "1.4.10", "1.4.5"]);
    assert_eq!(fs::read_link(wish.base().join("current")).unwrap(), Path::new("1.4.10"));
    check(&wish.base());
    // A second run writes nothing, not even beside, and says nothing.
    let before = (state(&wish.base()), state(&wish.world.prefix("list.toml.lock")));
    assert_eq!(wish.sync(&[]), "");
    assert_eq!((state(&wish.base()), state(&wish.world.prefix("list.toml.lock"))), before);
    let told = wish.sync(&["--dry-run", "--json"]);
    let told: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!(told["bases"][0]["added"].as_array().unwrap().len(), 0);
    assert_eq!(told["bases"][0]["current"], "1.4.10");
    let told = wish.sync(&["--dry-run"]);
    assert!(told.contains("nothing to do: 1.3.9, 1.4.5, 1.4.10 stands"), "{told}");
}

#[test]
fn the_lock_makes_the_same_bytes_again() {
    let wish = Wish::new("wish-lock", &["1.4.4"]);
    wish.write("", "");
    let told = wish.refused(2, &["--locked"]);
    assert!(told.contains("list.toml.lock"), "{told}");
    wish.sync(&[]);
    let first = contents(&wish.base().join("1.4.4"));
    wish.world.publish(&several(&["1.4.5", "1.4.4"]), 2);
    fs::remove_dir_all(wish.base()).unwrap();
    wish.sync(&["--locked"]);
    assert_eq!(wish.versions(), ["1.4.4"]);
    assert_eq!(contents(&wish.base().join("1.4.4")), first);
    assert_eq!(wish.sync(&["--locked"]), "");
    wish.sync(&[]);
    assert_eq!(wish.versions(), ["1.4.4", "1.4.5"], "nothing is dropped unless that is wished for");
}

#[test]
fn what_is_not_wished_for_goes_in_its_time() {
    let wish = Wish::new("wish-keep", &["1", "2", "3"]);
    let at = |day: u64, lines: &str| {
        wish.write(lines, "");
        let mut command = wish.world.command(&["sync", "list.toml"]);
        command.current_dir(wish.world.scratch.path());
        command.env("SOURCE_DATE_EPOCH", (1_000_000_000 + day * 86_400).to_string());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    at(0, "versions = [\"1\"]");
    at(10, "versions = [\"2\"]");
    at(20, "versions = [\"3\"]\nkeep = { versions = 3 }");
    assert_eq!(wish.versions(), ["1", "2", "3"]);
    // 1 was current until day 10, and 2 until day 20.
    at(39, "versions = [\"3\"]\nkeep = { days = 30 }");
    assert_eq!(wish.versions(), ["1", "2", "3"]);
    let told = at(41, "versions = [\"3\"]\nkeep = { days = 30 }");
    assert!(told.contains("dropped 1"), "{told}");
    assert_eq!(wish.versions(), ["2", "3"]);
    assert_eq!(at(49, "versions = [\"3\"]\nkeep = { versions = 2, days = 1 }"), "");
    // What counts stays, whatever is wished for.
    at(60, "versions = [\"3\"]\ncurrent = \"none\"\nkeep = { versions = 1 }");
    assert_eq!(wish.versions(), ["3"]);
    check(&wish.base());
}

#[test]
fn configuration_is_set_and_makes_another_version() {
    let wish = Wish::new("wish-etc", &["1"]);
    wish.write("", "");
    wish.sync(&[]);
    let etc = "[runtime.etc.\"tool.conf\"]\nset = { version = \"mine\", other = 3 }\n\
               [runtime.etc.\"more/new.conf\"]\nfile = \"new.conf\"";
    wish.world.scratch.write("new.conf", "new\n");
    wish.write("", etc);
    let told = wish.sync(&[]);
    assert!(told.contains("added 1-2 (") && told.contains("current -> 1-2 (was 1)"), "{told}");
    for arch in ["x86_64", "aarch64"] {
        let read = |path: &str| fs::read_to_string(wish.base().join("1-2").join(arch).join(path));
        assert_eq!(read("etc/tool.conf").unwrap(), "version = mine\nother = 3\n");
        assert_eq!(read("etc/more/new.conf").unwrap(), "new\n");
    }
    check(&wish.base());
    assert_eq!(wish.sync(&[]), "");
    // The receipt knows what was set, and by whom it was not.
    let told = wish.world.ok(&["verify", "grid/tool"]);
    for path in ["aarch64/etc/tool.conf", "x86_64/etc/more/new.conf"] {
        assert!(
            told.contains(&format!("{path}: set by whoever published it (no damage)")),
            "{told}"
        );
    }
    assert!(!told.contains("by you"), "{told}");
    wish.world.ok(&["verify", "--deep", "--mirror", "mirror", "--cache-dir", "cache", "grid/tool"]);
    let copy = wish.world.prefix("copy");
    crate::copied(&wish.base().join("1-2/x86_64"), &copy);
    fs::write(copy.join("etc/more/new.conf"), "mine\n").unwrap();
    fs::write(copy.join("etc/more/newer.conf"), "mine\n").unwrap();
    fs::remove_file(copy.join("etc/tool.conf")).unwrap();
    let told = wish.world.ok(&["verify", "copy"]);
    for (path, by) in [("more/new", "edited"), ("more/newer", "added"), ("tool", "edited")] {
        assert!(told.contains(&format!("etc/{path}.conf: {by} by you")), "{told}");
    }
    wish.world.scratch.write("new.conf", "newer\n");
    assert!(wish.sync(&[]).contains("added 1-3 ("));
    // Back again.
    wish.write("", "");
    assert!(wish.sync(&[]).contains("current -> 1 (was 1-3)"));
    wish.write("", "[runtime.etc.\"nowhere.conf\"]\nset = { a = 1 }");
    assert!(wish.refused(6, &[]).contains("nowhere.conf"));
    assert_eq!(wish.versions(), ["1", "1-2", "1-3"]);
    assert!(!names(&wish.base()).contains(&".elsewhere-new".to_owned()));
}

#[test]
fn hooks_are_run_before_and_after_what_changes_something() {
    let wish = Wish::new("wish-hooks", &["1"]);
    let place = wish.world.prefix("hooks");
    let hooks = |program: &str| {
        format!(
            "[hooks]\nbefore = [[\"/bin/sh\", \"-c\", \"pwd >>{0}; test ! -e {1}\"]]\n\
             after = [[\"{program}\", \"{0} with blanks\"]]",
            place.display(),
            wish.base().display()
        )
    };
    wish.write("", &hooks("/usr/bin/touch"));
    wish.sync(&[]);
    assert_eq!(fs::read_to_string(&place).unwrap(), "/\n");
    assert!(wish.world.prefix("hooks with blanks").exists());
    wish.sync(&[]);
    assert_eq!(fs::read_to_string(&place).unwrap(), "/\n", "nothing was to be done");
    // One that fails before keeps all as it is.
    wish.world.publish(&packages("2"), 2);
    let told = wish.refused(13, &[]);
    assert!(told.contains("the hook /bin/sh failed"), "{told}");
    assert_eq!(wish.versions(), ["1"]);
    // One that fails after cannot undo it.
    fs::remove_dir_all(wish.base()).unwrap();
    wish.write("", &hooks("/bin/false"));
    assert!(wish.refused(13, &[]).contains("the hook /bin/false failed"));
    assert_eq!(wish.versions(), ["2"]);
}

#[test]
fn a_list_that_makes_no_sense_is_refused_before_anything_is_asked() {
    let wish = Wish::new("wish-bad", &["1"]);
    wish.world.set_online(false);
    for (lines, more, part) in [
        ("newest = 0", "", "newest = 0"),
        ("versions = []", "", "versions names none"),
        ("base = \"../x\"", "", "base must be a path"),
        ("nonsense = 1", "", "line 6"),
        ("", "[runtime.etc.\"a\"]", "needs either file or set"),
        ("", "[hooks]\nafter = [[]]", "a program and its arguments"),
        (
            "",
            "[[runtime]]\nname = \"tool\"\ndists = [\"small\"]\narches = [\"x86_64\"]",
            "two runtimes",
        ),
    ] {
        wish.write(lines, more);
        let told = wish.refused(2, &[]);
        assert!(told.contains("list.toml") && told.contains(part), "{part}: {told}");
    }
    wish.world.scratch.write("list.toml", "directory = \"grid\"\n");
    assert!(wish.refused(2, &[]).contains("no [[runtime]]"));
    wish.world.set_online(true);
    wish.write("versions = [\"7.*\"]", "");
    assert!(wish.refused(2, &[]).contains("no version of tool is like 7.*"));
    wish.write("current = \"2.*\"", "");
    assert!(wish.refused(2, &[]).contains("is none of the versions"));
    assert!(!wish.base().exists());
}
