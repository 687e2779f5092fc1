//! What the server itself does: statuses, words, and what is left. The stand-in must do as the real one, so the same list
//! runs against whichever there is; it prints where they differ.

use std::fs;

use crate::support::cvmfs::{Publisher, Told};
use crate::support::tools;

/// What is so before a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    /// A transaction is open.
    Open,
    /// Somebody sits in the repository.
    Sitting,
    /// A file is open there to be written.
    Writing,
    /// The publication was killed.
    Killed,
    /// `.cvmfscatalog` lies in the root.
    Marker,
    /// A hook returns 3.
    Hook(&'static str),
    /// The web server is away (the stand-in's alone).
    Down,
    /// The key is away (the stand-in's alone).
    NoKey,
    /// There is a tag `taken`.
    Tagged,
}

use Given::{Down, Hook, Killed, Marker, NoKey, Open, Sitting, Tagged, Writing};

/// A command, its words divided by `|`, R for the repository; what it is given to read; its status; some of what it says;
/// whether a transaction is open afterwards.
type Row = (&'static [Given], &'static str, &'static str, i32, &'static str, bool);

const ROWS: [Row; 49] = [
    (&[], "", "", 2, "", false),
    (&[], "nonsense", "", 3, "NOTE: Unrecognized command: nonsense", false),
    (
        &[],
        "transaction|-q|R",
        "",
        1,
        "Invocation error: transaction: unrecognized parameter '-q'",
        false,
    ),
    (&[], "transaction|R", "", 0, "", true),
    (
        &[],
        "transaction|none.example.org",
        "",
        1,
        "Unable to find the configuration file `server.conf`",
        false,
    ),
    (
        &[Open],
        "transaction|R",
        "",
        17,
        "CernVM-FS transaction error: another transaction is already open",
        true,
    ),
    (&[Open], "transaction|-t|1|R", "", 17, "repository busy, retrying", true),
    (&[Down], "transaction|R", "", 5, "cannot load whitelist", false),
    (&[Killed], "transaction|R", "", 1, "is in a transaction but", true),
    (
        &[Hook("transaction_before_hook")],
        "transaction|R",
        "",
        3,
        "transaction hook failed, not opening a transaction",
        false,
    ),
    (
        &[Hook("transaction_after_hook")],
        "transaction|R",
        "",
        3,
        "post transaction hook failed",
        true,
    ),
    (&[], "publish|R", "", 1, "is not in a transaction", false),
    (&[], "publish|-q|R", "", 3, "Unrecognized option", false),
    (
        &[],
        "publish|none.example.org",
        "",
        1,
        "The repository none.example.org does not exist.",
        false,
    ),
    (&[Open], "publish|R", "", 0, "Remounting newly created repository revision", false),
    (&[Open], "publish|R", "", 0, "Using auto tag 'generic-", false),
    (&[Open], "publish|-a|x/y:z@1|R", "", 0, "Remounting", false),
    (&[Open], "publish|-a|two words|R", "", 1, "Spaces are not allowed in tag names", true),
    (&[Tagged, Open], "publish|-a|taken|R", "", 1, "Tag name 'taken' is already in use.", true),
    (&[Open, Writing], "publish|R", "", 1, "Open writable file descriptors on", true),
    (&[Open, Sitting], "publish|R", "", 1, "aborted.", true),
    (&[Open, Sitting], "publish|R", "n\n", 1, "Do you want to proceed anyway? (y/N)", true),
    (&[Open, Marker], "publish|R", "", 1, "nested catalog marker in root directory", true),
    (&[Open, Down], "publish|R", "", 1, "Repository unavailable under", true),
    (&[Open, NoKey], "publish|R", "", 1, "Signing failed", true),
    (&[Killed], "publish|R", "", 1, "is in a transaction but", true),
    (&[Open, Hook("publish_before_hook")], "publish|R", "", 3, "", true),
    (&[Open, Hook("publish_after_hook")], "publish|R", "", 3, "Remounting newly created", false),
    (&[Open], "publish|-m|says \"; no|R", "", 1, "Synchronization failed", true),
    (&[], "abort|-f|R", "", 22, "is not in a transaction", false),
    (&[], "abort|-f|none.example.org", "", 1, "Unable to find the configuration file", false),
    (&[Open], "abort|-f|R", "", 0, "", false),
    (&[Open], "abort|R", "", 0, "Are you sure (y/N)? ", false),
    (&[Open], "abort|R", "n\n", 4, "DISCARD ALL CHANGES", true),
    (&[Open], "abort|R", "y\n", 0, "DISCARD ALL CHANGES", false),
    (&[Open, Sitting], "abort|-f|R", "", 0, "Open file descriptors on", false),
    (&[Killed], "abort|-f|R", "", 0, "", false),
    (&[Open, Down], "abort|-f|R", "", 1, "cannot load whitelist", true),
    (
        &[Open, NoKey],
        "abort|-f|R",
        "",
        1,
        "cannot load private key, thus cannot commit changes",
        true,
    ),
    (
        &[Open, Hook("abort_before_hook")],
        "abort|-f|R",
        "",
        3,
        "abort hook failed, not aborting",
        true,
    ),
    (&[Open], "ingest|-d|x|R", "", 1, "Impossible to start a transaction", true),
    (&[], "ingest|-d|nosuch|R", "", 0, "", false),
    (&[], "ingest|-t|-|-b|in|R", "", 0, "", false),
    (
        &[],
        "ingest|-t|-|-b|in|R",
        "\u{1f}garbage that is no archive, and long enough for nobody to think so",
        1,
        "Synchronization failed",
        false,
    ),
    (&[Sitting], "ingest|-t|-|-b|in|R", "no\n", 1, "aborted.", true),
    (&[Open], "tag|-a|new|R", "", 1, "Cannot change repository tags while in a transaction", true),
    (&[Open], "tag|-l|-x|R", "", 0, "trunk ", true),
    (&[], "tag|-f|-r|none|R", "", 1, "Did not remove anything", false),
    (&[Open], "gc|-f|R", "", 1, "Cannot run garbage collection while in a transaction", true),
];

fn prepare(publisher: &Publisher, given: Given, held: &mut Held) -> bool {
    let name = &publisher.name;
    match given {
        Open => drop(publisher.must(&["transaction", name])),
        Sitting => held.sitting = Some(publisher.sit_inside()),
        Writing => held.file = Some(fs::File::create(publisher.union().join("open")).unwrap()),
        Marker => fs::write(publisher.union().join(".cvmfscatalog"), "").unwrap(),
        Hook(hook) => publisher.hook(hook, "return 3"),
        Tagged => drop(publisher.must(&["tag", "-a", "taken", name])),
        Killed if publisher.is_real() => return false,
        Killed => {
            publisher.must(&["transaction", name]);
            publisher.fault("publish.locked", "kill");
            assert_eq!(publisher.run(&["publish", name]).status, None);
        }
        Down | NoKey if publisher.is_real() => return false,
        Down => drop(publisher.scratch.write("down", "")),
        NoKey => drop(publisher.scratch.write("nokey", "")),
    }
    true
}

#[derive(Default)]
struct Held {
    sitting: Option<std::process::Child>,
    file: Option<fs::File>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(mut sitting) = self.sitting.take() {
            sitting.kill().unwrap();
            sitting.wait().unwrap();
        }
    }
}

/// Puts the repository back.
fn clear(publisher: &Publisher) {
    publisher.mend();
    publisher.run(&["abort", "-f", &publisher.name]);
    publisher.run(&["tag", "-f", "-r", "taken", &publisher.name]);
    publisher.run(&["tag", "-f", "-r", "x/y:z@1", &publisher.name]);
}

#[test]
fn the_server_does_as_the_list_says() {
    let publisher = Publisher::any();
    let mut others = Vec::new();
    let mut tried = 0;
    for (given, words, input, status, text, is_open) in ROWS {
        clear(&publisher);
        let mut held = Held::default();
        if !given.iter().all(|given| prepare(&publisher, *given, &mut held)) {
            tools::missing(&format!(
                "cvmfs_server {words} given {given:?}: only the stand-in can be made to"
            ));
            continue;
        }
        let words: Vec<String> =
            words.split('|').map(|word| word.replace('R', &publisher.name)).collect();
        let words: Vec<&str> =
            words.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
        let Told { status: ended, output } = publisher.answer(&words, input.as_bytes());
        tried += 1;
        let is_same = ended == Some(status) && output.contains(text);
        if !is_same || publisher.is_open() != is_open {
            others.push(format!(
                "{given:?} {words:?}: {ended:?}, {}: {output}",
                if publisher.is_open() { "open" } else { "closed" }
            ));
        }
    }
    clear(&publisher);
    println!("{tried} commands, {} otherwise", others.len());
    assert!(others.is_empty(), "{}", others.join("\n"));
}

#[test]
fn a_message_is_pasted_into_a_shell() {
    // Which is why the product says no word that is anything to one.
    let publisher = Publisher::any();
    publisher.must(&["transaction", &publisher.name]);
    let sign = publisher.path("ran");
    let message = format!("says $(touch {})", sign.display());
    publisher.must(&["publish", "-m", &message, &publisher.name]);
    assert!(sign.exists());
}

#[test]
fn a_killed_publication_can_only_be_thrown_away() {
    let publisher = Publisher::any();
    if publisher.is_real() {
        return tools::missing("a publication killed at a point that only the stand-in has");
    }
    let name = &publisher.name;
    publisher.must(&["transaction", name]);
    publisher.fault("publish.locked", "kill");
    publisher.run(&["publish", name]);
    assert_eq!(publisher.run(&["publish", name]).status, Some(1));
    assert_eq!(publisher.run(&["transaction", name]).status, Some(1));
    publisher.must(&["abort", "-f", name]);
    publisher.must(&["transaction", name]);
    publisher.must(&["publish", name]);
}

#[test]
fn after_an_abort_others_cannot_read_the_publishers_view() {
    use std::os::unix::fs::PermissionsExt;
    let publisher = Publisher::any();
    let mode = |path: std::path::PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    publisher.must(&["transaction", &publisher.name]);
    publisher.must(&["publish", &publisher.name]);
    publisher.must(&["transaction", &publisher.name]);
    publisher.must(&["abort", "-f", &publisher.name]);
    assert_eq!(mode(publisher.union()), 0o700);
    assert_eq!(mode(publisher.client()), 0o755);
    publisher.must(&["transaction", &publisher.name]);
    publisher.must(&["publish", &publisher.name]);
}
