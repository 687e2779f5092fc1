//! Receipts that a librarian signed: whoever has the public key proves a tree by it, and need not trust who
//! can write there. What no signature covers is said not to be proved.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use elsewhere::stages::minisig::PublicKey;
use elsewhere::stages::model::{Checksum, SIGNATURE_NAME};
use support::site::{Outcome, Site, data, hello};
use support::small::{World, packages};
use support::tools::{need, run};

/// A file of `tests/minisign`.
fn file(name: &str) -> String {
    format!("{}/tests/minisign/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn installed(name: &str) -> Site {
    let site = Site::new(name);
    site.install(&[]).ok();
    site
}

/// Signs what is installed, or the tree at `place`.
fn sign_at(site: &Site, place: &Path, words: &[&str]) -> Outcome {
    let key = file("librarian.key");
    site.run_at(place, &[&["receipt", "sign", "-s", &key], words].concat())
}

fn sign(site: &Site, words: &[&str]) -> Outcome {
    sign_at(site, &site.prefix(), words)
}

/// Verifies by the librarian's key.
fn verify_at(site: &Site, place: &Path, words: &[&str]) -> Outcome {
    let key = file("librarian.pub");
    site.run_at(place, &[&["verify", "--key", &key], words].concat())
}

fn verify(site: &Site, words: &[&str]) -> Outcome {
    verify_at(site, &site.prefix(), words)
}

fn signed(name: &str) -> Site {
    let site = installed(name);
    sign(&site, &[]).ok();
    site
}

/// A copy of the live tree, by itself.
fn copied(site: &Site) -> PathBuf {
    let tree = site.place("copy of a tree");
    let live = fs::canonicalize(site.in_tree("")).unwrap();
    run(Command::new("cp").arg("-a").arg(live).arg(&tree));
    tree
}

#[test]
fn a_signed_receipt_proves_its_tree() {
    let site = installed("attest");
    let refused = verify(&site, &[]).refused(8, "is damaged: 1 finding");
    let told = &refused.findings()["x86_64/.elsewhere.json"];
    assert!(told.contains("there is no .elsewhere.json.minisig"), "{told}");
    let told = sign(&site, &[]).ok().err;
    for part in [
        "x86_64 generation 1: signed by 288EFBEBC61DE57E: timestamp:",
        ", arch:x86_64, dist:lab, runtimes:hello-1.0-1.el9.x86_64, generation:1, receipt:sha256:",
    ] {
        assert!(told.contains(part), "{told}");
    }
    // It belongs to the tree.
    site.run_without_definitions(&["verify"]).ok();
    let told = verify(&site, &[]).ok().err;
    assert!(told.contains("x86_64: signed by 288EFBEBC61DE57E: timestamp:"), "{told}");
    assert!(told.contains("no signature proves that nothing newer was signed"), "{told}");
    let json = verify(&site, &["--json"]).ok().json();
    let signature = &json["trees"][0]["signature"];
    assert_eq!(signature["key"], "288EFBEBC61DE57E");
    assert!(signature["comment"].as_str().unwrap().contains("\tgeneration:1\t"), "{signature}");
    // The key as minisign's -P has it; and of several one is enough.
    let line = fs::read_to_string(file("librarian.pub")).unwrap();
    let line = line.lines().nth(1).unwrap();
    site.run_without_definitions(&["verify", "--key", line]).ok();
    let other = format!("{}/tests/release/other.pub", env!("CARGO_MANIFEST_DIR"));
    site.run_without_definitions(&["verify", "--key", &other, "--key", line]).ok();
    let refused = site.run_without_definitions(&["verify", "--key", &other]);
    let told = &refused.refused(8, "do not use it").findings()["x86_64/.elsewhere.json"];
    assert!(told.contains("it is by the key 288EFBEBC61DE57E"), "{told}");
    let json = site.run_without_definitions(&["verify", "--json", "--key", &other]).json();
    assert_eq!(json["trees"][0]["findings"][0]["problem"], "signature", "{json:#}");
    // Looking deep needs no signature, and does not mind one.
    site.run("verify", &["--deep", "--key", line]).ok();
    for (key, message) in [("nowhere.pub", "nowhere.pub"), (&file("README"), "no public key")] {
        site.run_without_definitions(&["verify", "--key", key])
            .refused(if key == "nowhere.pub" { 6 } else { 2 }, message);
    }
}

/// Verifies without the key, and passes.
#[test]
fn a_forged_receipt_is_not_the_one_that_was_signed() {
    let site = signed("attest-forged");
    fs::write(site.in_tree("share/hello/text"), "text of 6.6\n").unwrap();
    let old = Checksum::of(b"text of 1.0\n").to_string();
    let new = Checksum::of(b"text of 6.6\n").to_string();
    site.forge_receipt(|receipt| {
        let text = receipt.to_string().replace(&old, &new);
        *receipt = serde_json::from_str(&text).unwrap();
    });
    site.run_without_definitions(&["verify"]).ok();
    let refused = verify(&site, &[]).refused(8, "is damaged: 1 finding");
    let told = &refused.findings()["x86_64/.elsewhere.json"];
    assert!(told.contains("it is not for these bytes"), "{told}");
    // The same words in other bytes are other bytes.
    let site = signed("attest-spaces");
    site.forge_receipt(|_| ());
    verify(&site, &[]).refused(8, "is damaged: 1 finding");
}

#[test]
fn what_a_signed_receipt_does_not_have_is_damage() {
    let site = signed("attest-damage");
    fs::write(site.in_tree("share/hello/text"), "text of 6.6\n").unwrap();
    let refused = verify(&site, &[]).refused(8, "is damaged: 1 finding");
    assert_eq!(refused.findings()["x86_64/share/hello/text"], "changed");
    // What is put right is as it was signed.
    site.run("verify", &["--repair"]).ok();
    verify(&site, &[]).ok();
    let launcher = site.prefix().join("bin/hello");
    let text = fs::read_to_string(&launcher).unwrap();
    fs::write(&launcher, text.replace("exec ", "exec strace ")).unwrap();
    fs::write(site.prefix().join("bin/more"), "").unwrap();
    let refused = verify(&site, &[]).refused(8, "is damaged: 2 findings");
    assert!(refused.findings()["bin/hello"].contains("is not the launcher"), "{}", refused.out);
    // A tree that is damaged is not signed, and what was signed before stays.
    let before = fs::read(site.in_tree(SIGNATURE_NAME)).unwrap();
    fs::write(site.in_tree("share/hello/text"), "text of 6.6\n").unwrap();
    sign(&site, &[]).refused(8, "is damaged: 1 finding");
    assert_eq!(fs::read(site.in_tree(SIGNATURE_NAME)).unwrap(), before);
}

#[test]
fn what_an_update_makes_is_not_signed_until_it_is() {
    let site = signed("attest-update");
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    let told = site.run("update", &[]).ok().err;
    assert!(told.contains("x86_64: the new tree is not signed yet"), "{told}");
    verify(&site, &[]).refused(8, "is damaged: 1 finding");
    sign(&site, &[]).ok();
    let told = verify(&site, &["--all"]).ok().err;
    assert!(told.contains("runtimes:hello-2.0-1.el9.x86_64, generation:2"), "{told}");
    assert!(told.contains("x86_64 generation 1: signed by"), "{told}");
    // Going back is no forgery: who looks is told what was signed, and when.
    site.run_without_definitions(&["rollback"]).ok();
    let told = verify(&site, &[]).ok().err;
    assert!(told.contains("runtimes:hello-1.0-1.el9.x86_64, generation:1"), "{told}");
    site.publish(3000, &[site.good(hello("3.0")), site.good(data())]);
    let told = site.run("update", &[]).ok().err;
    assert!(told.contains("not signed yet"), "{told}");
    // Nobody is told so who never signed anything.
    let site = installed("attest-never");
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    let told = site.run("update", &[]).ok().err;
    assert!(!told.contains("signed yet"), "{told}");
}

/// Each tree and its receipt are genuine, and not where they were signed for.
#[test]
fn a_signed_tree_in_anothers_place_is_noticed() {
    let site = signed("attest-place");
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    site.run("update", &[]).ok();
    sign(&site, &[]).ok();
    verify(&site, &[]).ok();
    let generation =
        |arch: &str, number: u32| site.prefix().join(format!(".elsewhere/{arch}/{number}"));
    fs::remove_dir_all(generation("x86_64", 2)).unwrap();
    run(Command::new("cp").arg("-a").arg(generation("x86_64", 1)).arg(generation("x86_64", 2)));
    site.run_without_definitions(&["verify"]).ok();
    let refused = verify(&site, &[]).refused(8, "is damaged: 1 finding");
    let told = &refused.findings()["x86_64/.elsewhere.json"];
    assert!(told.contains("it was signed as generation 1"), "{told}");
    // By itself it is what it is, wherever it lies.
    verify_at(&site, &copied(&site), &[]).ok();
    fs::create_dir(site.prefix().join(".elsewhere/aarch64")).unwrap();
    run(Command::new("cp").arg("-a").arg(generation("x86_64", 1)).arg(generation("aarch64", 1)));
    symlink(".elsewhere/aarch64/1", site.prefix().join("aarch64")).unwrap();
    let refused = verify(&site, &[]).refused(8, "is damaged: 2 findings");
    let told = &refused.findings()["aarch64/.elsewhere.json"];
    assert!(told.contains("it is for x86_64"), "{told}");
    // Where nothing is, nothing is proved.
    for gone in ["x86_64", "aarch64"] {
        fs::remove_file(site.prefix().join(gone)).unwrap();
        fs::remove_dir_all(site.prefix().join(".elsewhere").join(gone)).unwrap();
    }
    fs::remove_file(site.prefix().join("bin/hello")).unwrap();
    site.run_without_definitions(&["verify"]).ok();
    verify(&site, &[]).refused(12, "somebody took it away");
}

/// Something that is done to the tree.
type Step<'a> = &'a dyn Fn();

#[test]
fn configuration_is_proved_as_it_was_when_it_was_signed() {
    let site = signed("attest-edits");
    let config = site.in_tree("etc/hello.conf");
    let packaged = fs::read(&config).unwrap();
    fs::write(&config, "colour = red\n").unwrap();
    site.run_without_definitions(&["verify"]).ok();
    let refused = verify(&site, &[]).refused(12, "is not proved: 1 finding");
    let told = &refused.findings()["x86_64/etc/hello.conf"];
    assert_eq!(told, "unproved: edited, and not so when the receipt was signed");
    assert!(refused.err.contains("elsewhere receipt sign"), "{}", refused.err);
    fs::create_dir(site.in_tree("etc/mine")).unwrap();
    fs::write(site.in_tree("etc/mine/more"), "more\n").unwrap();
    symlink("more", site.in_tree("etc/mine/link")).unwrap();
    sign(&site, &[]).ok();
    let told = verify(&site, &[]).ok();
    assert!(told.err.contains(", edits:sha256:"), "{}", told.err);
    assert_eq!(told.findings()["x86_64/etc/hello.conf"], "edited by you (no damage)");
    let spoil: [(&str, Step<'_>, Step<'_>); 5] = [
        (
            "what is in what was added",
            &|| fs::write(site.in_tree("etc/mine/more"), "less\n").unwrap(),
            &|| fs::write(site.in_tree("etc/mine/more"), "more\n").unwrap(),
        ),
        ("one more", &|| fs::write(site.in_tree("etc/mine/further"), "").unwrap(), &|| {
            fs::remove_file(site.in_tree("etc/mine/further")).unwrap()
        }),
        (
            "something that is no file",
            &|| {
                run(Command::new("mkfifo").arg(site.in_tree("etc/mine/pipe")))
                    .status
                    .code()
                    .map_or((), drop)
            },
            &|| fs::remove_file(site.in_tree("etc/mine/pipe")).unwrap(),
        ),
        ("as the package brought it", &|| fs::write(&config, &packaged).unwrap(), &|| {
            fs::write(&config, "colour = red\n").unwrap()
        }),
        ("nothing at all", &|| fs::remove_file(&config).unwrap(), &|| {
            fs::write(&config, "colour = red\n").unwrap()
        }),
    ];
    for (what, spoil, mend) in spoil {
        spoil();
        assert_eq!(verify(&site, &[]).status, 12, "{what}");
        mend();
        assert_eq!(verify(&site, &[]).status, 0, "{what}");
    }
    // All of it gone.
    fs::write(&config, &packaged).unwrap();
    fs::remove_dir_all(site.in_tree("etc/mine")).unwrap();
    let refused = verify(&site, &[]).refused(12, "is not proved: 1 finding");
    assert!(refused.findings()["x86_64/etc"].contains("not so any more"), "{}", refused.out);
}

#[test]
fn whatever_is_in_the_signatures_place_is_no_more_than_damage() {
    let site = signed("attest-odd");
    let place = site.in_tree(SIGNATURE_NAME);
    let text = fs::read_to_string(&place).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let cut = [lines[0], lines[1], lines[2], "AAAA"].join("\n");
    for odd in ["", "\n\n\n\n", "nothing", &lines[..3].join("\n"), &cut, &text.repeat(4000)] {
        fs::write(&place, odd).unwrap();
        verify(&site, &[]).refused(8, "is damaged: 1 finding");
        site.run_without_definitions(&["verify"]).ok();
    }
    let elsewhere = site.scratch.write("signature", &text);
    let shapes: [&dyn Fn(); 3] = [
        &|| drop(run(Command::new("mkfifo").arg(&place))),
        &|| symlink(&elsewhere, &place).unwrap(),
        &|| fs::create_dir(&place).unwrap(),
    ];
    for shape in shapes {
        fs::remove_file(&place).unwrap();
        shape();
        verify(&site, &[]).refused(8, "is damaged: 1 finding");
        // What is no file could be anything.
        let refused = site.run_without_definitions(&["verify"]).refused(8, "is damaged");
        let told = &refused.findings()["x86_64/.elsewhere.json.minisig"];
        assert_eq!(told, "does not belong here");
    }
    fs::remove_dir(&place).unwrap();
    sign(&site, &[]).ok();
    verify(&site, &[]).ok();
    // A symlink is replaced, and what it leads to is not written to.
    fs::remove_file(&place).unwrap();
    symlink(&elsewhere, &place).unwrap();
    fs::write(&elsewhere, "mine").unwrap();
    site.run_without_definitions(&["verify"]).refused(8, "is damaged");
    sign(&site, &[]).refused(8, "is damaged: 1 finding");
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "mine");
}

#[test]
fn a_tree_that_lies_by_itself_is_signed_and_proved_by_itself() {
    let site = installed("attest-tree");
    let tree = copied(&site);
    verify_at(&site, &tree, &[]).refused(8, "is damaged: 1 finding");
    let told = sign_at(&site, &tree, &[]).ok().err;
    assert!(told.contains("x86_64: signed by") && !told.contains("generation"), "{told}");
    let told = verify_at(&site, &tree, &[]).ok().err;
    assert!(told.contains("x86_64: signed by 288EFBEBC61DE57E"), "{told}");
    let names: Vec<_> = fs::read_dir(&tree).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(names.iter().any(|name| name == SIGNATURE_NAME), "{names:?}");
    fs::write(tree.join("etc/hello.conf"), "colour = red\n").unwrap();
    verify_at(&site, &tree, &[]).refused(12, "is not proved: 1 finding");
    fs::write(tree.join("share/hello/text"), "text of 6.6\n").unwrap();
    verify_at(&site, &tree, &[]).refused(8, "is damaged: 1 finding");
    let json = sign_at(&site, &tree, &["--json"]);
    assert_eq!(json.status, 8, "{json:?}");
}

#[test]
fn of_several_dists_each_tree_is_signed_and_proved() {
    let world = World::new("attest-dists");
    for (dist, glibc, version) in [("old", "2.17", "17"), ("mid", "2.28", "28")] {
        world.define(dist, glibc, 1, &format!("{dist}/"));
        world.publish_in(&format!("{dist}/"), &packages(version), 1);
    }
    world.ok(&["install", "-r", "tool", "-d", "old,mid", "p"]);
    let (key, public) = (file("librarian.key"), file("librarian.pub"));
    let verify = ["verify", "--key", &public, "p"];
    world.fails(8, &verify);
    world.ok(&["receipt", "sign", "-s", &key, "-d", "old", "p"]);
    world.fails(8, &verify);
    world.ok(&["verify", "--key", &public, "-d", "old", "p"]);
    world.ok(&["receipt", "sign", "-s", &key, "p"]);
    let told = world.ok(&verify);
    for part in ["dists/mid/x86_64: signed by", "dists/old/x86_64: signed by"] {
        assert!(told.contains(part), "{told}");
    }
    // One in the other's place is genuine, too.
    let tree = |dist: &str| world.prefix("p").join(format!("dists/{dist}/.elsewhere/x86_64/1"));
    fs::remove_dir_all(tree("mid")).unwrap();
    run(Command::new("cp").arg("-a").arg(tree("old")).arg(tree("mid")));
    let told = world.fails(8, &verify);
    assert!(told.contains("it is for old"), "{told}");
}

#[test]
fn a_password_comes_from_a_file_a_variable_or_a_terminal() {
    let site = installed("attest-password");
    let key = file("protected.key");
    let password = site.scratch.write("password", "librarian's\nanother line\n");
    let sign = |words: &[&str], variable: Option<&str>| {
        // A session of its own has no terminal.
        let mut run = Command::new(need("setsid", "util-linux"));
        run.arg("--wait").arg(support::program::path()).args(["receipt", "sign", "-s", &key]);
        run.args(words).arg(site.prefix());
        site.enter(&mut run);
        run.envs(variable.map(|password| ("MINISIGN_PASSWORD", password)));
        Outcome::of(run.stdin(Stdio::null()).output().unwrap())
    };
    let by_file = ["--password-file", password.to_str().unwrap()];
    sign(&by_file, None).ok();
    sign(&by_file, Some("not that one")).ok();
    sign(&[], Some("librarian's")).ok();
    verify(&site, &[]).ok();
    sign(&[], Some("librarians")).refused(2, "that is not the secret key's password");
    let refused = sign(&[], None).refused(2, "is protected by a password");
    assert!(refused.err.contains("--password-file"), "{}", refused.err);
    sign(&["--password-file", "-"], None).refused(2, "that is not the secret key's password");
    // minisign's own place.
    let own = site.place("home/.minisign");
    fs::create_dir_all(&own).unwrap();
    fs::copy(file("librarian.key"), own.join("minisign.key")).unwrap();
    site.run_without_definitions(&["receipt", "sign"]).ok();
    for (key, message) in [("librarian.pub", "no secret key"), ("none.key", "none.key")] {
        let refused = site.run_without_definitions(&["receipt", "sign", "-s", &file(key)]);
        refused.refused(if key == "none.key" { 6 } else { 2 }, message);
    }
}

/// Types `typed` at the terminal that the program asks at.
#[cfg(feature = "real-tools")]
#[test]
fn a_password_is_typed_at_the_terminal_and_not_shown() {
    use std::io::{Read, Write};

    let site = installed("attest-terminal");
    let command = format!(
        "{} receipt sign -s {} {} < /dev/null",
        support::program::path().display(),
        file("protected.key"),
        site.prefix().display()
    );
    // `script` gives the program a terminal of its own.
    let mut script = Command::new(need("script", "bsdutils"));
    script.args(["-q", "-e", "-c", &command, "/dev/null"]);
    site.enter(&mut script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = script.spawn().unwrap();
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut told, mut some) = (Vec::new(), [0; 512]);
    while !told.ends_with(b": ") {
        let count = screen.read(&mut some).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&told));
        told.extend_from_slice(&some[..count]);
    }
    keyboard.write_all(b"librarian's\n").unwrap();
    screen.read_to_end(&mut told).unwrap();
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(child.wait().unwrap().success(), "{told}");
    assert!(told.contains("Password of ") && told.contains("signed by"), "{told}");
    assert!(!told.contains("librarian's"), "{told}");
    verify(&site, &[]).ok();
}

#[test]
fn signatures_are_told_as_json() {
    let site = installed("attest-json");
    let told = sign(&site, &["--json"]).ok();
    let last = told.out.lines().last().unwrap();
    let result: serde_json::Value = serde_json::from_str(last).unwrap();
    assert_eq!((&result["event"], told.err.as_str()), (&"result".into(), ""));
    let tree = &result["trees"][0];
    assert_eq!((&tree["place"], &tree["generation"]), (&"x86_64".into(), &1.into()));
    // What is signed is what lies there.
    let read = |name: &str| fs::read(site.in_tree(name)).unwrap();
    let text = String::from_utf8(read(SIGNATURE_NAME)).unwrap();
    let key = PublicKey::read(&fs::read_to_string(file("librarian.pub")).unwrap()).unwrap();
    let comment = key.verify(&read(".elsewhere.json"), &text).unwrap();
    assert_eq!(tree["signature"], serde_json::json!({ "key": key.id(), "comment": comment }));
}

/// minisign verifies what elsewhere signed, and the other way round.
#[cfg(feature = "real-tools")]
#[test]
fn minisign_agrees() {
    let site = signed("attest-minisign");
    let minisign = need("minisign", "minisign");
    let receipt = site.in_tree(".elsewhere.json");
    let check = || {
        let mut check = Command::new(&minisign);
        check.arg("-V").arg("-p").arg(file("librarian.pub")).arg("-m").arg(&receipt);
        support::tools::stdout(&mut check)
    };
    let told = check();
    assert!(told.contains("Trusted comment: timestamp:"), "{told}");
    assert!(told.contains("\tarch:x86_64\tdist:lab\t"), "{told}");
    run(Command::new(&minisign)
        .arg("-S")
        .arg("-s")
        .arg(file("librarian.key"))
        .arg("-m")
        .arg(&receipt));
    check();
    let told = verify(&site, &[]).ok().err;
    assert!(told.contains("file:.elsewhere.json"), "{told}");
    // It knows nothing of what was edited.
    fs::write(site.in_tree("etc/hello.conf"), "colour = red\n").unwrap();
    verify(&site, &[]).refused(12, "is not proved: 1 finding");
    // The old kind, over the bytes themselves.
    run(Command::new(&minisign)
        .arg("-S")
        .arg("-l")
        .arg("-s")
        .arg(file("librarian.key"))
        .arg("-m")
        .arg(&receipt));
    let refused = verify(&site, &[]).refused(8, "is damaged: 1 finding");
    let told = &refused.findings()["x86_64/.elsewhere.json"];
    assert!(told.contains("minisign's old kind"), "{told}");
    // A key that it protects itself, with all the memory that it takes for that.
    let own = site.place("own");
    fs::create_dir_all(&own).unwrap();
    let (secret, public) = (own.join("s.key"), own.join("p.pub"));
    let script = "printf '%s\\n' pass pass | \"$0\" -G -f -s \"$1\" -p \"$2\"";
    run(Command::new("sh").arg("-c").arg(script).arg(&minisign).arg(&secret).arg(&public));
    let password = site.scratch.write("pass", "pass\n");
    let words = ["receipt", "sign", "-s", secret.to_str().unwrap(), "--password-file"];
    let words = [&words[..], &[password.to_str().unwrap()]].concat();
    site.run_without_definitions(&words).ok();
    site.run_without_definitions(&["verify", "--key", public.to_str().unwrap()]).ok();
}
