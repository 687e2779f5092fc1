//! What programs are told: every command with `--json`, when it succeeds and when it fails. Both
//! streams are read as `docs/json.md` describes them.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::process::Output;

use serde_json::Value;
use support::goods::{Goods, PLAIN};
use support::program;
use support::registry::StandIn;
use support::site::{Site, data, hello};
use support::tarball::Tarball;

/// Commands whose result is a document, which stands alone on standard output.
const DOCUMENTS: [&str; 13] = [
    "completions",
    "doctor",
    "env",
    "history",
    "lint",
    "list",
    "lock",
    "man",
    "module",
    "plan",
    "sbom",
    "status",
    "verify",
];

/// A site whose definitions and mirror the user's configuration names.
fn configured(name: &str) -> Site {
    let site = Site::new(name);
    let root = site.scratch.path().display().to_string();
    let config = format!("mirror = \"{root}/mirror\"\nrepos = [\"{root}/repos\"]\n");
    site.scratch.write("config/elsewhere/config.toml", config);
    site
}

fn command(site: &Site, words: &[&str]) -> Output {
    let mut command = site.elsewhere();
    command.env("XDG_CONFIG_HOME", site.place("config")).env("XDG_CACHE_HOME", site.cache());
    command.current_dir(site.place("")).args(words).arg("--json").output().unwrap()
}

/// Each line of a stream, which must be an object with an `event`.
fn events(stream: &[u8], words: &[&str]) -> Vec<Value> {
    let text = std::str::from_utf8(stream).unwrap();
    let event = |line: &str| -> Value {
        let value: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("{words:?}: {line}"));
        assert!(value["event"].is_string(), "{words:?}: {line}");
        value
    };
    text.lines().map(event).collect()
}

/// Runs the command, which must end with `status`, and reads both streams. Returns the result, or the
/// error where there is none.
fn told(site: &Site, status: i32, words: &[&str]) -> Value {
    let output = command(site, words);
    assert_eq!(output.status.code(), Some(status), "{words:?}: {output:?}");
    let is_document = DOCUMENTS.contains(&words[0]) && !words.contains(&"--repair")
        || words.starts_with(&["cache", "info"])
        || words.starts_with(&["mirror", "--verify"])
        || words.starts_with(&["sync", "--dry-run"])
        || words.starts_with(&["ranch", "--print"])
        || words.starts_with(&["ranch", "--for"])
        || words.starts_with(&["image", "verify"])
        || words.starts_with(&["shadow", "status"])
        || words.starts_with(&["runtime-config", "get"])
        || words.starts_with(&["bundle", "--verify"])
        || words.starts_with(&["bundle", "--list"]);
    let error = |last: Option<&Value>| {
        let error = last.unwrap_or_else(|| panic!("{words:?} tells nothing"));
        assert_eq!(error["event"], "error", "{words:?}: {error}");
        assert_eq!(error["status"], status, "{words:?}: {error}");
        assert!(error["message"].is_string() && error["causes"].is_array(), "{words:?}: {error}");
        error.clone()
    };
    if !is_document {
        assert_eq!(output.stderr, b"", "{words:?}: {output:?}");
        let lines = events(&output.stdout, words);
        let count = lines.iter().filter(|line| line["event"] == "result").count();
        if status == 0 || status == 10 {
            assert_eq!(
                (count, &lines.last().unwrap()["event"]),
                (1, &"result".into()),
                "{words:?}"
            );
            return lines.last().unwrap().clone();
        }
        return error(lines.last());
    }
    let lines = events(&output.stderr, words);
    if status != 0 {
        error(lines.last());
    }
    if output.stdout.is_empty() {
        assert_ne!(status, 0, "{words:?}");
        return lines.last().unwrap().clone();
    }
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

/// The commands that `--help` lists.
fn commands() -> BTreeSet<String> {
    let help = program::elsewhere().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let name = |line: &str| line.split_whitespace().next().unwrap().to_owned();
    list.lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(name)
        .collect()
}

/// Writes a directory with an image.
fn write_layout(site: &Site) {
    let mut goods = Goods::default();
    let image = goods.image(&serde_json::json!({}), &[(PLAIN, Tarball::new().file("a", "1"))]);
    goods.layout(&site.place("layout"), &image);
}

#[test]
fn every_command_is_read_by_programs_when_it_succeeds() {
    let site = configured("json-success");
    let mut tried = BTreeSet::new();
    let mut told = |words: &[&str]| {
        tried.insert(words[0].to_owned());
        told(&site, 0, words)
    };
    let basic = ["-d", "lab", "-r", "hello", "-a", "x86_64"];
    let plan = told(&[&["plan"], &basic[..]].concat());
    assert_eq!(plan["tree"][0]["package"].as_array().unwrap().len(), 2);
    told(&[&["plan", "--lock", "hello.lock"], &basic[..]].concat());
    assert_eq!(told(&["lock", "--check", "hello.lock"])["trees"][0]["packages"], 2);
    assert_eq!(told(&[&["mirror"], &basic[..], &["m"]].concat())["packages"], 2);
    assert_eq!(told(&["mirror", "--verify", "m"])["findings"], serde_json::json!([]));
    let program = format!("x86_64={}", program::standin(&site.place("")).display());
    let bundle = ["bundle", "-o", "h.run", "--program", &program];
    assert_eq!(told(&[&bundle[..], &basic[..]].concat())["packages"], 2);
    assert_eq!(told(&["bundle", "--verify", "h.run"])["findings"], serde_json::json!([]));
    let members = told(&["bundle", "--list", "h.run"])["members"].as_array().unwrap().len();
    assert_eq!(told(&["bundle", "--extract", "files", "h.run"])["members"], members);
    let registry = StandIn::start();
    let place = registry.reference("lab/hello:1");
    assert_eq!(told(&[&["push", &place], &basic[..]].concat())["tag"], "1");
    let dry = told(&[&["install", "--dry-run"], &basic[..], &["p"]].concat());
    assert_eq!(dry["tree"], plan["tree"]);
    let installed = told(&[&["install"], &basic[..], &["p"]].concat());
    assert_eq!(installed["trees"][0]["unchanged"], false);
    assert_eq!(told(&["list", "-d", "lab", "-a", "x86_64"])["dist"], "lab");
    assert_eq!(told(&["status", "p"])[0]["dist"], "lab");
    assert_eq!(told(&["update", "--check", "p"])["trees"], serde_json::json!([]));
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    assert_eq!(told(&["update", "p"])["trees"][0]["generation"], 2);
    assert_eq!(told(&["history", "p"])[1]["generation"], 2);
    assert_eq!(told(&["rollback", "p"])["trees"][0]["to"], 1);
    assert_eq!(told(&["verify", "p"])["trees"][0]["live"], true);
    assert_eq!(told(&["verify", "--deep", "p"])["trees"][0]["findings"], serde_json::json!([]));
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/minisign/librarian.key");
    let signed = told(&["receipt", "sign", "-s", key, "p"]);
    assert_eq!(signed["trees"][0]["signature"]["key"], "288EFBEBC61DE57E");
    fs::write(site.scratch.path().join("p/x86_64/share/hello/text"), "damaged").unwrap();
    assert_eq!(told(&["verify", "--repair", "p"])["trees"][0]["findings"], serde_json::json!([]));
    assert_eq!(told(&["sbom", "p"])["bomFormat"], "CycloneDX");
    assert_eq!(told(&["pin", "p", "hello@1"])["pins"]["hello"], "1");
    assert_eq!(told(&["pin", "p"])["pins"]["hello"], "1");
    assert_eq!(told(&["unpin", "p", "hello"])["pins"], serde_json::json!({}));
    assert_eq!(told(&["prune", "--keep", "0", "--force", "p"])["trees"][0]["removed"][0], 2);
    assert!(told(&["env", "p"])["bin"].as_str().unwrap().ends_with("/p/bin"));
    assert_eq!(told(&["module", "p"])["runtimes"][0], "hello 1.0");
    assert!(told(&["completions", "bash"])["script"].as_str().unwrap().contains("complete"));
    assert_eq!(told(&["man", "pages"])["directory"], "pages");
    assert_eq!(told(&["shadow", "p", "shade"])["made"], true);
    assert_eq!(told(&["shadow", "status", "shade"])["trees"][0]["is_current"], true);
    assert!(told(&["shadow", "remove", "shade"])["removed"].is_string());
    write_layout(&site);
    let pulled = told(&["image", "pull", "--platform", "linux/amd64", "oci:layout", "-o", "tree"]);
    assert_eq!((&pulled["layers"], &pulled["platform"]), (&1.into(), &"linux/amd64".into()));
    assert_eq!(told(&["image", "verify", "tree"])["findings"], serde_json::json!([]));
    let options = &told(&["ranch", "--for", "apptainer", "-i", "/:/host"])["options"];
    assert_eq!(*options, serde_json::json!(["--bind", "/:/host"]));
    assert!(told(&["ranch", "--print", "p/x86_64"])["script"].to_string().contains("--rbind"));
    let list = "directory = \"grid\"\n[[runtime]]\nname = \"hello\"\ndists = [\"lab\"]\narches = [\"x86_64\"]\n";
    site.scratch.write("list.toml", list);
    let wished = told(&["sync", "--dry-run", "list.toml"]);
    assert_eq!(wished["bases"][0]["added"][0]["name"], "2.0");
    let published = told(&["sync", "list.toml"]);
    assert_eq!(published["bases"][0]["switched"]["to"], "2.0");
    assert!(published["bases"][0]["added"][0]["account"]["new_bytes"].as_u64().unwrap() > 0);
    let layout = ["install", "--layout", "versioned"];
    let again = told(&[&layout[..], &basic[..], &["grid/hello"]].concat());
    assert_eq!(again["wanted"][0], "2.0");
    assert_eq!(told(&["lint", "grid"])["findings"][0]["rule"], "catalog");
    assert_eq!(told(&["cache", "info"])["unpacked"]["packages"], 3);
    assert_eq!(told(&["cache", "prune"])["unpacked"]["packages"], 0);
    assert_eq!(told(&["cache", "clear"])["unpacked"]["packages"], 3);
    assert_eq!(told(&["remove", "--all", "--force", "p"])["trees"][0]["arch"], "x86_64");
    // Whatever machine this is: the document is whole whether all is well or not.
    let output = command(&site, &["doctor"]);
    serde_json::from_slice::<Value>(&output.stdout).unwrap();
    events(&output.stderr, &["doctor"]);
    // A release that the built-in key has signed is in nobody's reach here.
    // What has settings is tried in tests/runtime_config.rs.
    tried.extend(["doctor", "runtime-config", "self"].map(str::to_owned));
    assert_eq!(tried, commands());
}

#[test]
fn every_command_is_read_by_programs_when_it_fails() {
    let site = configured("json-failure");
    let mut tried = BTreeSet::new();
    let mut fails = |status: i32, words: &[&str]| {
        tried.insert(words[0].to_owned());
        told(&site, status, words)
    };
    // No such prefix.
    for name in
        ["env", "history", "module", "prune", "rollback", "sbom", "status", "update", "verify"]
    {
        fails(6, &[name, "nowhere"]);
    }
    fails(6, &["verify", "--repair", "nowhere"]);
    fails(6, &["receipt", "sign", "nowhere"]);
    fails(6, &["pin", "nowhere", "hello@1"]);
    fails(6, &["unpin", "nowhere", "hello"]);
    fails(6, &["remove", "--all", "nowhere"]);
    // What makes no sense, to the command and to the command line's reader.
    let unknown = fails(2, &["install", "-r", "nothing", "p"]);
    assert!(unknown["hint"].is_string(), "{unknown}");
    for name in ["plan", "list", "doctor"] {
        fails(2, &[name, if name == "list" { "-d" } else { "-r" }, "nothing"]);
    }
    fails(6, &["lock", "--check", "nowhere"]);
    fails(6, &["sync", "nowhere"]);
    fails(6, &["lint", "nowhere"]);
    fails(6, &["mirror", "--verify", "nowhere"]);
    fails(6, &["bundle", "--verify", "nowhere"]);
    fails(2, &["push", "nowhere"]);
    fails(2, &["shadow", "status", "nowhere"]);
    fails(2, &["image", "pull", "shub://nowhere"]);
    fails(2, &["image", "verify", "nowhere"]);
    fails(6, &["runtime-config", "get", "nowhere"]);
    fails(2, &["ranch", "--print", "nowhere"]);
    fails(2, &["ranch", "--for", "crun", "-i", "/:/host"]);
    fails(2, &["completions", "cmd.exe"]);
    fails(2, &["cache", "prune", "--size", "much"]);
    site.scratch.write("file", "");
    fails(6, &["man", "file/pages"]);
    let root = site.scratch.path().join("nothing");
    fails(3, &["self", "update", "--check", "--from", root.to_str().unwrap()]);
    for words in [&["install", "--frob", "p"][..], &["verify", "--frob", "p"], &["remove", "p"]] {
        fails(2, words);
    }
    assert_eq!(tried, commands());
    // A repository that is not there: events come before the error.
    fs::remove_dir_all(site.file("base/repodata")).unwrap();
    let basic = ["-d", "lab", "-r", "hello", "-a", "x86_64"];
    for words in [&["plan"][..], &["install", "p"]] {
        let error = told(&site, 3, &[words, &basic[..]].concat());
        assert!(error["message"].as_str().unwrap().contains("repository base of lab"), "{error}");
    }
    told(&site, 3, &["list", "-d", "lab", "-a", "x86_64"]);
}

#[test]
fn a_command_that_is_none_is_told_on_standard_error() {
    let site = configured("json-nothing");
    let output = command(&site, &["frobnicate"]);
    assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]));
    assert_eq!(events(&output.stderr, &[])[0]["status"], 2);
}

#[test]
fn damage_is_a_document_and_an_error() {
    let site = configured("json-damage");
    site.install(&[]).ok();
    let prefix = site.prefix().display().to_string();
    fs::write(site.prefix().join("x86_64/share/hello/text"), "damaged").unwrap();
    let document = told(&site, 8, &["verify", &prefix]);
    assert_eq!(document["trees"][0]["findings"][0]["problem"], "content");
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    let update = told(&site, 10, &["update", "--check", &prefix]);
    assert_eq!(update["trees"][0]["packages"][0]["to"], "2.0-1.el9");
}
