//! What a server would take and readers could not make use of is found before anything is published.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use serde_json::Value;

use crate::support::scratch::Scratch;
use crate::support::small::World;
use crate::support::{program, tools};

/// What `lint` finds in `directory`, by path: rule and severity.
pub(crate) fn found(directory: &Path, words: &[&str]) -> (i32, Vec<(String, String, String)>) {
    let mut command = program::elsewhere();
    let output = command.arg("lint").args(words).arg("--json").arg(directory).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let finding = |it: &Value| (text(&it["path"]), text(&it["rule"]), text(&it["severity"]));
    let findings = document["findings"].as_array().unwrap().iter().map(finding).collect();
    (output.status.code().unwrap(), findings)
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A path that is as long as none must be.
fn long() -> String {
    vec!["d".repeat(240); 13].join("/")
}

fn set_attribute(path: &Path, name: &str, value: &[u8]) {
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(path, name, value, flags).unwrap();
}

/// Spoils a directory, in which `file`, `program` and `below/` are; what is found is as it says.
fn finds(rule: &str, severity: &str, path: &str, spoil: impl Fn(&Path)) {
    let scratch = Scratch::new(&format!("lint-{rule}"));
    let root = scratch.path().join("tree");
    fs::create_dir_all(root.join("below")).unwrap();
    fs::write(root.join("file"), "text").unwrap();
    fs::write(root.join("program"), "#!/bin/sh\n").unwrap();
    for (name, bits) in [("", 0o755), ("below", 0o755), ("file", 0o644), ("program", 0o755)] {
        mode(&root.join(name), bits);
    }
    assert_eq!(found(&root, &[]), (0, vec![]), "{rule}");
    spoil(&root);
    let (status, findings) = found(&root, &[]);
    let wanted = (path.to_owned(), rule.to_owned(), severity.to_owned());
    assert!(findings.contains(&wanted), "{wanted:?}: {findings:?}");
    assert_eq!(status, if severity == "refused" { 13 } else { 0 }, "{rule}");
    // Every finding says what to do.
    let output = program::elsewhere().arg("lint").arg(&root).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains(&format!("{severity} {rule}: ")), "{told}");
    assert!(told.lines().filter(|line| line.starts_with("    ")).count() > 0, "{told}");
}

#[test]
fn each_rule_finds_what_it_is_for() {
    finds("mode", "refused", "file", |root| mode(&root.join("file"), 0o600));
    finds("mode", "refused", "below", |root| mode(&root.join("below"), 0o700));
    finds("mode", "refused", "program", |root| mode(&root.join("program"), 0o744));
    finds("mode", "refused", ".", |root| mode(root, 0o750));
    finds("setuid", "refused", "program", |root| mode(&root.join("program"), 0o4755));
    finds("setuid", "noted", "below", |root| mode(&root.join("below"), 0o2755));
    finds("long-path", "refused", &long(), |root| {
        fs::create_dir_all(root.join(long())).unwrap();
    });
    finds("attribute", "noted", "below", |root| {
        set_attribute(&root.join("below"), "user.note", b"text");
    });
    if rustix::process::geteuid().is_root() {
        // CAP_NET_RAW, as setcap writes it.
        let mut raw = [0; 20];
        (raw[3], raw[5]) = (2, 0x20);
        finds("capability", "refused", "program", |root| {
            set_attribute(&root.join("program"), "security.capability", &raw);
        });
    } else {
        tools::missing("file capabilities, found by lint: only root can set them");
    }
    finds("special", "refused", "fifo", |root| {
        tools::run(std::process::Command::new("mkfifo").arg(root.join("fifo")));
    });
    finds("special", "refused", "below/s", |root| {
        drop(UnixListener::bind(root.join("below/s")).unwrap());
    });
    finds("absolute-link", "refused", "link", |root| {
        symlink("/etc/passwd", root.join("link")).unwrap();
    });
    finds("link-outside", "refused", "below/link", |root| {
        symlink("../../other", root.join("below/link")).unwrap();
    });
    finds("hard-link", "refused", "below/again", |root| {
        fs::hard_link(root.join("file"), root.join("below/again")).unwrap();
    });
    finds("large-file", "refused", "huge", |root| {
        File::create(root.join("huge")).unwrap().set_len((1 << 30) + 1).unwrap();
    });
    finds("name", "refused", "below/a\nb", |root| fs::write(root.join("below/a\nb"), "").unwrap());
    finds("name", "refused", ".cvmfsgraft-x", |root| {
        fs::write(root.join(".cvmfsgraft-x"), "").unwrap();
    });
    finds("case", "noted", "file", |root| fs::write(root.join("FILE"), "").unwrap());
    finds("catalog", "noted", "below", |root| {
        fs::write(root.join("below/.cvmfscatalog"), "").unwrap();
    });
    finds("catalog", "refused", "below/.cvmfscatalog", |root| {
        symlink("../file", root.join("below/.cvmfscatalog")).unwrap();
    });
    finds("catalog", "noted", "below", |root| {
        fs::write(root.join("below/.elsewhere-version.json"), "{}").unwrap();
    });
    finds("builder-path", "refused", "file", |root| {
        // Over the end of what is read at once.
        let mut text = vec![b'x'; (1 << 20) - 5];
        text.extend_from_slice(root.join("lib").as_os_str().as_encoded_bytes());
        fs::write(root.join("file"), text).unwrap();
    });
    finds("rest", "refused", ".elsewhere-new", |root| {
        fs::create_dir(root.join(".elsewhere-new")).unwrap();
    });
}

#[test]
fn images_have_absolute_links_and_what_is_only_their_owners() {
    let scratch = Scratch::new("lint-image");
    let root = scratch.path().join("image");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/shadow"), "").unwrap();
    mode(&root.join("etc/shadow"), 0o600);
    symlink("/usr/lib/os-release", root.join("etc/os-release")).unwrap();
    symlink("../../../usr/bin", root.join("bin")).unwrap();
    let shadow = ("etc/shadow".to_owned(), "mode".to_owned(), "noted".to_owned());
    assert_eq!(found(&root, &["--profile", "image"]), (0, vec![shadow]));
    assert_eq!(found(&root, &[]).0, 13);
    tools::run(std::process::Command::new("mkfifo").arg(root.join("etc/fifo")));
    assert_eq!(found(&root, &["--profile", "image"]).0, 13, "a FIFO is of no use there either");
}

#[test]
fn what_is_published_passes_and_what_would_not_is_not_published() {
    let world = World::new("lint-published");
    let install = ["install", "--layout", "versioned", "-r", "tool", "pub"];
    world.ok(&install);
    let (status, findings) = found(&world.prefix("pub"), &[]);
    assert_eq!(status, 0, "{findings:?}");
    // A catalog for so few is only noted.
    assert_eq!(findings, [("1".to_owned(), "catalog".to_owned(), "noted".to_owned())]);
    // A file that is set below etc/, with the path of the machine that it was written on.
    let place = world.prefix("grid/tool");
    let path = format!("{}/.elsewhere-new/1/etc", place.display());
    world.scratch.write("site.conf", format!("include = {path}\n"));
    world.scratch.write(
        "list.toml",
        "directory = \"grid\"\n[[runtime]]\nname = \"tool\"\ndists = [\"small\"]\narches = [\"x86_64\"]\n\
         [runtime.etc.\"site.conf\"]\nfile = \"site.conf\"\n",
    );
    let told = world.fails(13, &["sync", "list.toml"]);
    assert!(told.contains("must not be published") && told.contains("etc/site.conf"), "{told}");
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
}
