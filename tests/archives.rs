//! Versions that the repositories do not hold any more: from archives and from build systems, proved as
//! everything is.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs::{self, OpenOptions};
use std::io::Write;

use serde_json::Value;
use support::keys::TestKey;
use support::rpms::Package;
use support::server::Server;
use support::site::{Listed, Outcome, Site, data, hello};

const KOJI: &str = "koji.example";

/// A site that publishes 2.0 only, and whose definition names two archives and a build system.
fn moved_on(name: &str) -> Site {
    let site = Site::new(name);
    site.publish(2000, &[site.good(hello("2.0")), site.good(data())]);
    let mut text = String::new();
    for archive in ["new-archive", "old-archive"] {
        text += &format!(
            "\n[[repository]]\nid = \"{archive}\"\narchive = true\narches = [\"x86_64\"]\n\
             base = [\"https://forged.example/{archive}/\"]\n\n[[repository.key]]\n\
             fingerprint = \"{}\"\nurl = \"https://forged.example/keys/key\"\n",
            site.key.fingerprint()
        );
    }
    text += &format!(
        "\n[[builds]]\nid = \"koji\"\nof = \"base\"\nbase = \"https://{KOJI}/packages\"\nrelease = \"el9\"\n"
    );
    let file = site.repos().join("dists/lab.toml");
    OpenOptions::new().append(true).open(file).unwrap().write_all(text.as_bytes()).unwrap();
    archive(&site, "new-archive", &[site.good(hello("1.5"))]);
    archive(&site, "old-archive", &[site.good(hello("1.0")), site.good(hello("1.5"))]);
    site
}

fn archive(site: &Site, name: &str, packages: &[Listed]) {
    site.publish_in(name, 500, packages);
}

fn text(site: &Site) -> String {
    fs::read_to_string(site.in_tree("share/hello/text")).unwrap()
}

#[test]
fn an_older_version_comes_from_the_first_archive_that_has_it() {
    let site = moved_on("archived");
    let server = Server::start(site.mirror());
    // The newest is asked of no archive.
    site.install_from(&server.url(), &[]).ok();
    assert_eq!((text(&site).as_str(), server.count("archive")), ("text of 2.0\n", 0));
    let outcome = site.install_from(&server.url(), &["-v", "1.5"]).ok();
    assert!(outcome.err.contains("hello 1.5 any more: it comes from the archive new-archive"));
    assert_eq!((text(&site).as_str(), server.count("old-archive")), ("text of 1.5\n", 0));
    let outcome = site.install_from(&server.url(), &["-v", "1.0"]).ok();
    assert!(outcome.err.contains("from the archive old-archive"), "{}", outcome.err);
    assert_eq!(text(&site), "text of 1.0\n");
    // It is proved as all others are, updates lead back to what is published, and a pin keeps it.
    site.run("verify", &["--deep"]).ok();
    let prefix = site.prefix();
    for (word, version) in [("pin", "1.0"), ("unpin", "2.0")] {
        let mut command = site.elsewhere();
        command.arg(word).arg(&prefix).arg("hello");
        assert!(command.status().unwrap().success(), "{word}");
        site.run("update", &[]).ok();
        assert_eq!(text(&site), format!("text of {version}\n"));
    }
}

#[test]
fn a_lock_file_from_an_archive_installs_the_same() {
    let site = moved_on("archived-lock");
    let lock = site.place("hello.lock");
    let words = ["-d", "lab", "-r", "hello", "-a", "x86_64", "-v", "1.0", "--lock"];
    let mut plan = site.elsewhere();
    plan.arg("plan").args(words).arg(&lock).arg("--repos").arg(site.repos());
    plan.arg("--mirror").arg(site.mirror()).arg("--cache-dir").arg(site.cache());
    assert!(plan.status().unwrap().success());
    assert!(fs::read_to_string(&lock).unwrap().contains("old-archive"));
    site.run("install", &["--lock", lock.to_str().unwrap()]).ok();
    assert_eq!(text(&site), "text of 1.0\n");
}

#[test]
fn what_an_archive_has_needs_the_same_signatures() {
    let site = moved_on("archived-forged");
    let forged = hello("1.2");
    let bytes = forged.signed(&TestKey::new());
    archive(&site, "old-archive", &[site.forged(forged, bytes)]);
    site.install(&["-v", "1.2"]).refused(4, "hello-1.2");
    assert!(!site.in_tree("share").exists());
}

#[test]
fn archives_that_do_not_answer_or_are_not_wanted_are_passed_over() {
    let site = moved_on("archived-gone");
    fs::remove_dir_all(site.file("new-archive")).unwrap();
    let outcome = site.install(&["-v", "1.5"]).ok();
    assert!(outcome.err.contains("the archive new-archive is passed over"), "{}", outcome.err);
    assert!(outcome.err.contains("from the archive old-archive"), "{}", outcome.err);
    // What is nowhere is the error of those repositories that are read.
    let outcome = site.install(&["-v", "0.9"]);
    assert!(outcome.err.contains("not in the archives either: old-archive"), "{}", outcome.err);
    outcome.refused(5, "it holds 2.0");
    // Whoever leaves it out gets nothing of it, and whoever lets it in reads it always.
    site.install(&["-v", "1.0", "--disable-repo", "old-archive"]).refused(5, "1.0");
    site.install(&["-v", "1.0", "--enable-repo", "old-archive"]).ok();
    // Another option than the version: an archive is none of the repositories that are read.
    fs::remove_dir_all(site.file("old-archive")).unwrap();
    fs::remove_dir_all(site.prefix()).unwrap();
    site.install(&[]).ok();
}

/// Puts a build of `package` into the build system: with a signed copy, and the parts of another one.
fn build(site: &Site, package: &Package, key: &TestKey, keeps_copy: bool) -> Vec<u8> {
    let (unsigned, signed) = (package.unsigned(), package.signed(key));
    let nevra = package.nevra();
    let (version, release) = (&nevra.evr.version, &nevra.evr.release);
    let build = format!("{KOJI}/packages/{}/{version}/{release}", nevra.name);
    let file = format!("x86_64/{nevra}.rpm");
    let print = key.fingerprint().to_string().to_lowercase();
    let id = &print[print.len() - 8..];
    let write = |name: String, bytes: &[u8]| {
        site.scratch.write(&format!("mirror/{name}"), bytes);
    };
    write(format!("{build}/{file}"), &unsigned);
    write(format!("{build}/data/sigcache/{id}/{file}.sig"), &signature_of(&signed));
    if keeps_copy {
        write(format!("{build}/data/signed/{id}/{file}"), &signed);
    }
    // Pages as web servers make them.
    let page = |entries: &[&str]| {
        let links = entries.iter().map(|entry| format!("<a href=\"{entry}/\">{entry}/</a>\n"));
        format!("<a href=\"../\">Parent Directory</a>\n{}", links.collect::<String>())
    };
    let place = site.mirror().join(format!("{KOJI}/packages/{}", nevra.name));
    let known = fs::read_dir(&place).unwrap().map(|it| it.unwrap().file_name());
    let known: Vec<String> = known.map(|name| name.into_string().unwrap()).collect();
    let versions: Vec<&str> =
        known.iter().map(String::as_str).filter(|it| *it != "index.html").collect();
    fs::write(place.join("index.html"), page(&versions)).unwrap();
    fs::write(place.join(version).join("index.html"), page(&["1.el8", release, "9.fc40"])).unwrap();
    signed
}

/// The signature's header of a package file, with its padding.
fn signature_of(package: &[u8]) -> Vec<u8> {
    let number = |at: usize| u32::from_be_bytes(package[at..at + 4].try_into().unwrap()) as usize;
    let length = 16 + 16 * number(96 + 8) + number(96 + 12);
    package[96..96 + length.next_multiple_of(8)].to_vec()
}

#[test]
fn a_build_comes_signed_or_is_joined_with_its_signature() {
    let site = moved_on("built");
    let server = Server::start(site.mirror());
    build(&site, &hello("1.7"), &site.key, true);
    let joined = build(&site, &hello("1.8"), &site.key, false);
    site.install_from(&server.url(), &["-v", "1.7"]).ok();
    assert_eq!((text(&site).as_str(), server.count("sigcache")), ("text of 1.7\n", 0));
    let outcome = site.install_from(&server.url(), &["-v", "1.8"]).ok();
    assert!(outcome.err.contains("hello/1.8/1.el9"), "{}", outcome.err);
    assert_eq!(text(&site), "text of 1.8\n");
    // They are the bytes that were once published, so that a lock file leads to them everywhere.
    let receipt: Value =
        serde_json::from_slice(&fs::read(site.in_tree(".elsewhere.json")).unwrap()).unwrap();
    let packages = receipt["packages"].as_array().unwrap();
    let is_it = |package: &&Value| package["location"].as_str().unwrap().contains("/hello-1.8");
    let hello = packages.iter().find(is_it);
    let digest = elsewhere::stages::model::Checksum::of(&joined).to_string();
    assert_eq!(hello.unwrap()["checksum"], digest);
    site.run_from(&server.url(), "verify", &["--deep"]).ok();
    // Also to who has nothing but the lock file.
    let lock = site.place("hello.lock");
    let mut plan = site.elsewhere();
    plan.args(["plan", "-d", "lab", "-r", "hello", "-a", "x86_64", "-v", "1.8", "--lock"])
        .arg(&lock);
    plan.args(["--mirror", &server.url(), "--repos"]).arg(site.repos());
    assert!(plan.arg("--cache-dir").arg(site.cache()).status().unwrap().success());
    for gone in [site.cache(), site.prefix()] {
        fs::remove_dir_all(gone).unwrap();
    }
    let outcome = site.run_from(&server.url(), "install", &["--lock", lock.to_str().unwrap()]);
    assert_eq!((outcome.ok().status, text(&site).as_str()), (0, "text of 1.8\n"));
    // The newest of a series.
    site.install_from(&server.url(), &["-v", "1"]).ok();
    site.install_from(&server.url(), &["-v", "1.6"]).refused(5, "1.6");
}

#[test]
fn a_build_is_never_taken_without_its_signature_or_with_a_strangers() {
    let site = moved_on("built-forged");
    let server = Server::start(site.mirror());
    build(&site, &hello("1.7"), &TestKey::new(), true);
    site.install_from(&server.url(), &["-v", "1.7"]).refused(5, "1.7");
    // Signed by somebody else, in the place of the right key's.
    let package = hello("1.8");
    let right = build(&site, &package, &site.key, false);
    let strange = package.signed(&TestKey::new());
    let print = site.key.fingerprint().to_string().to_lowercase();
    let id = &print[print.len() - 8..];
    let base = format!("mirror/{KOJI}/packages/hello/1.8/1.el9");
    let file = format!("x86_64/{}.rpm", package.nevra());
    let signature = format!("{base}/data/sigcache/{id}/{file}.sig");
    site.scratch.write(&signature, signature_of(&strange));
    site.install_from(&server.url(), &["-v", "1.8"]).refused(4, "hello-1.8");
    for odd in [&b""[..], b"<html>", &[0xff; 64], &signature_of(&right)[..20]] {
        site.scratch.write(&signature, odd);
        site.install_from(&server.url(), &["-v", "1.8"]).refused(5, "1.8");
    }
    // An older package, well signed, in the place of another.
    let place = format!("{base}/data/signed/{id}/{file}");
    site.scratch.write(&place, hello("1.0").signed(&site.key));
    let outcome = site.install_from(&server.url(), &["-v", "1.8"]);
    assert!(outcome.err.contains("another package than its place says"), "{}", outcome.err);
    outcome.refused(5, "1.8");
    fs::remove_file(site.scratch.path().join(place)).unwrap();
    // The unsigned package alone is nothing.
    fs::remove_file(site.scratch.path().join(&signature)).unwrap();
    site.install_from(&server.url(), &["-v", "1.8"]).refused(5, "1.8");
    assert!(!site.in_tree("share").exists());
}

#[test]
fn all_versions_are_listed_with_where_they_are() {
    let site = moved_on("listed");
    let server = Server::start(site.mirror());
    build(&site, &hello("1.7"), &site.key, true);
    let mut list = site.elsewhere();
    list.args(["list", "-d", "lab", "-a", "x86_64", "--repos"]).arg(site.repos());
    list.args(["--mirror", &server.url(), "--cache-dir"]).arg(site.cache());
    let short = String::from_utf8(list.output().unwrap().stdout).unwrap();
    assert!(short.contains("2.0") && !short.contains("1.5"), "{short}");
    let out = String::from_utf8(list.arg("--all-versions").output().unwrap().stdout).unwrap();
    for line in ["new-archive: 1.5", "old-archive: 1.5 1.0", "koji: 1.7"] {
        assert!(out.contains(line), "{line}: {out}");
    }
    let json = list.arg("--json").output().unwrap().stdout;
    let value: Value = serde_json::from_slice(&json).unwrap();
    let runtimes = value["runtimes"].as_array().unwrap();
    let hello = runtimes.iter().find(|it| it["runtime"] == "hello").unwrap();
    assert_eq!(hello["archived"][1]["repository"], "old-archive");
    assert_eq!(hello["archived"][1]["versions"][1], "1.0");
}

/// The definitions that come with the program name archives that make sense: below a host that their dist knows,
/// by the same keys.
#[test]
fn the_archives_of_the_definitions_are_their_repositories_own() {
    let catalog = elsewhere::stages::catalog::Catalog::load(&[]).unwrap();
    let mut count = 0;
    for dist in catalog.dists() {
        for archive in dist.repositories.iter().filter(|repository| repository.archive) {
            count += 1;
            assert!(!archive.enabled, "{}", archive.id);
            let (of, _) = archive.id.split_once('-').unwrap();
            let signer = dist.repositories.iter().find(|it| it.id == of).unwrap();
            assert_eq!(archive.keys, signer.keys, "{}", archive.id);
            assert_eq!(archive.arches, signer.arches, "{}", archive.id);
        }
        for builds in &dist.builds {
            count += 1;
            assert!(dist.name == builds.release, "{}", dist.name);
        }
    }
    assert!(count >= 8, "{count}");
}

/// A mirror in a directory may have archives too: no network is asked for them then.
#[test]
fn without_a_network_archives_are_read_where_they_lie() {
    let site = moved_on("archived-offline");
    site.install(&["-v", "1.0", "--offline"]).ok();
    assert_eq!(text(&site), "text of 1.0\n");
    site.run("verify", &["--deep", "--offline"]).ok();
}

#[test]
fn checking_the_sources_asks_where_packages_are_built_too() {
    let site = moved_on("archived-sources");
    let server = Server::start(site.mirror());
    let check = || {
        let mut list = site.elsewhere();
        list.args(["list", "--check-sources", "-d", "lab", "--json", "--repos"]);
        list.arg(site.repos()).arg("--cache-dir").arg(site.cache()).arg("--mirror");
        Outcome::of(list.arg(server.url()).env("ELSEWHERE_ATTEMPTS", "1").output().unwrap())
    };
    let entry = |outcome: &Outcome| -> Value {
        let told: Value = serde_json::from_str(&outcome.out).unwrap();
        let sources = told["sources"].as_array().unwrap().clone();
        sources.into_iter().find(|it| it["what"] == "builds").unwrap()
    };
    let definition = fs::read_to_string(site.repos().join("dists/lab.toml")).unwrap();
    let base = definition.lines().position(|line| line.contains(KOJI)).unwrap() + 1;
    let page = |name: &str, text: &str| {
        site.scratch.write(&format!("mirror/{KOJI}/packages/{name}/index.html"), text)
    };
    let found = check();
    let builds = entry(&found);
    assert_eq!((&builds["state"], &builds["line"]), (&"differs".into(), &base.into()), "{builds}");
    assert!(builds["reason"].as_str().unwrap().contains("no builds for el9 of any of"), "{builds}");
    found.refused(2, "not as the definitions say");
    page("hello", "<a href=\"1.0/\">");
    page("hello/1.0", "<a href=\"1.el8/\">");
    assert_eq!(entry(&check())["state"], "differs");
    page("hello/1.0", "<a href=\"1.el8/\"><a href=\"1.el9/\">");
    let builds = entry(&check());
    assert_eq!((&builds["state"], &builds["repository"]), (&"ok".into(), &"koji".into()));
}

/// Publishes what a wishlist with these lines says, on this day.
fn sync(site: &Site, lines: &str, day: u64) -> Outcome {
    let list = site.scratch.write(
        "list.toml",
        format!(
            "directory = \"grid\"\n[[runtime]]\nname = \"hello\"\ndists = [\"lab\"]\narches = [\"x86_64\"]\n{lines}\n"
        ),
    );
    let server = Server::start(site.mirror());
    let mut sync = site.elsewhere();
    sync.arg("sync").arg(list).arg("--repos").arg(site.repos()).args(["--mirror", &server.url()]);
    sync.arg("--cache-dir").arg(site.cache()).env("ELSEWHERE_ATTEMPTS", "1");
    sync.env("SOURCE_DATE_EPOCH", (1_000_000_000 + day * 86_400).to_string());
    Outcome::of(sync.output().unwrap())
}

/// The versions that are published, and which counts.
fn published(site: &Site) -> (Vec<String>, String) {
    let base = site.place("grid/hello");
    let entries = fs::read_dir(&base).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name.starts_with(|first: char| first.is_ascii_digit()));
    names.sort();
    let current = fs::read_link(base.join("current")).unwrap();
    (names, current.into_os_string().into_string().unwrap())
}

#[test]
fn a_wishlist_has_older_versions_from_archives_and_builds() {
    let site = moved_on("wished-archived");
    build(&site, &hello("1.7"), &site.key, true);
    // One that is named, from an archive; of a pattern, the newest of repository, archives and builds together.
    sync(&site, "versions = [\"1.0\"]", 0).ok();
    assert_eq!(published(&site), (vec!["1.0".to_owned()], "1.0".to_owned()));
    let outcome = sync(&site, "versions = [\"*\"]\nnewest = 3", 0).ok();
    assert!(
        outcome.out.contains("added 1.5 (") && outcome.out.contains("added 1.7 ("),
        "{}",
        outcome.out
    );
    let (names, current) = published(&site);
    assert_eq!((names.join(" ").as_str(), current.as_str()), ("1.0 1.5 1.7 2.0", "2.0"));
    let text = |version: &str| {
        fs::read_to_string(site.place("grid/hello").join(version).join("x86_64/share/hello/text"))
    };
    assert_eq!(text("1.7").unwrap(), "text of 1.7\n");
    // An older series, of which the repository has none at all, and which counts.
    sync(&site, "versions = [\"1.*\", \"2.0\"]\nnewest = 2\ncurrent = \"1.*\"", 0).ok();
    assert_eq!(published(&site).1, "1.7");
    assert_eq!(
        sync(&site, "versions = [\"1.*\", \"2.0\"]\nnewest = 2\ncurrent = \"1.*\"", 0).ok().out,
        ""
    );
    let lock = fs::read_to_string(site.place("list.toml.lock")).unwrap();
    assert!(lock.contains("new-archive"), "{lock}");
}

#[test]
fn what_repositories_move_on_from_stays_as_long_as_is_wished_for() {
    let site = moved_on("wished-kept");
    let newest = "versions = [\"*\"]\nnewest = 2";
    sync(&site, newest, 0).ok();
    assert_eq!(published(&site).0, ["1.5", "2.0"]);
    // 3.0 comes, and 2.0 goes to the archive.
    site.publish(3000, &[site.good(hello("3.0")), site.good(data())]);
    site.publish_in("new-archive", 3000, &[site.good(hello("2.0")), site.good(hello("1.5"))]);
    let days = format!("{newest}\nkeep = {{ days = 30 }}");
    sync(&site, &days, 10).ok();
    assert_eq!(published(&site).0, ["1.5", "2.0", "3.0"], "it was published ten days ago");
    let outcome = sync(&site, &days, 31).ok();
    assert!(outcome.out.contains("dropped 1.5"), "{}", outcome.out);
    // By number: 2.0 is wished for no more, and one of the two newest.
    sync(&site, "versions = [\"3.*\"]\nkeep = { versions = 2 }", 90).ok();
    assert_eq!(published(&site).0, ["2.0", "3.0"]);
    sync(&site, "versions = [\"3.*\"]\nkeep = { versions = 1 }", 90).ok();
    assert_eq!(published(&site), (vec!["3.0".to_owned()], "3.0".to_owned()));
}

#[test]
fn a_version_that_is_nowhere_is_told_and_the_rest_goes_on() {
    let site = moved_on("wished-nowhere");
    let outcome = sync(&site, "versions = [\"0.9\", \"2.0\", \"7.*\", \"1.0\"]", 0);
    assert_eq!(published(&site), (vec!["1.0".to_owned(), "2.0".to_owned()], "2.0".to_owned()));
    assert!(outcome.out.contains("added 2.0 ("), "{}", outcome.out);
    for part in [
        "hello 7.*: no version of hello is like 7.*",
        "hello 0.9, for which archives were asked too: ",
    ] {
        assert!(outcome.err.contains(part), "{part}: {}", outcome.err);
    }
    // The first that failed says the status: a pattern is looked at before versions.
    outcome.refused(2, "not all was done that is wished for");
    let outcome = sync(&site, "versions = [\"0.9\", \"2.0\"]", 0);
    for part in ["it holds 2.0", "elsewhere list --all-versions"] {
        assert!(outcome.err.contains(part), "{part}: {}", outcome.err);
    }
    outcome.refused(5, "hello 0.9, for which archives were asked too: ");
    // While something is missing nothing goes, and where that would count nothing changes.
    let more = "versions = [\"0.9\", \"2.0\"]\nkeep = { versions = 1 }\ncurrent = \"0.*\"";
    sync(&site, more, 0).refused(5, "hello 0.9, ");
    assert_eq!(published(&site).0, ["1.0", "2.0"]);
    // What was published once needs no archive any more: the lock has it.
    let wished = "versions = [\"1.0\", \"2.0\"]";
    sync(&site, wished, 0).ok();
    for name in ["old-archive", "new-archive"] {
        fs::remove_dir_all(site.file(name)).unwrap();
    }
    let lock = fs::read_to_string(site.place("list.toml.lock")).unwrap();
    let outcome = sync(&site, wished, 0).ok();
    assert_eq!((outcome.out.as_str(), published(&site).0.join(" ").as_str()), ("", "1.0 2.0"));
    assert_eq!(fs::read_to_string(site.place("list.toml.lock")).unwrap(), lock);
}
