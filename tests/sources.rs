//! `elsewhere list --check-sources`: what is not as definitions claim is found, with file and line.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::process::Output;

use elsewhere::stages::model::Checksum;
use serde_json::Value;
use support::server::{Fault, Server};
use support::site::{Site, data, hello};

/// A site that a server shows, whose repository `other` has lists of mirrors and modules too.
fn served(name: &str) -> (Site, Server) {
    let site = Site::new(name);
    redefine(
        &site,
        "id = \"other\"\n",
        "id = \"other\"\nmetalink = \"https://forged.example/link?arch=$basearch\"\n\
         mirrorlist = \"https://forged.example/list\"\nmodular = true\n",
    );
    publish_other(&site, true);
    site.write("list", "https://forged.example/other/\n");
    let server = Server::start(site.mirror());
    (site, server)
}

/// Publishes `other` anew, with its metalink and, where it has one, its module list.
fn publish_other(site: &Site, has_modules: bool) {
    let repomd = String::from_utf8(site.publish_in("other", 1000, &[])).unwrap();
    let modules = "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: m\n...\n";
    site.write("other/repodata/modules.yaml", modules);
    let record = format!(
        "<data type=\"modules\"><checksum type=\"sha256\">{}</checksum>\
         <location href=\"repodata/modules.yaml\"/></data></repomd>",
        Checksum::of(modules.as_bytes()).hex()
    );
    let repomd = if has_modules { repomd.replace("</repomd>", &record) } else { repomd };
    site.write("other/repodata/repomd.xml", &repomd);
    let link = format!(
        "<metalink xmlns=\"http://www.metalinker.org/\"><files><file name=\"repomd.xml\">\
         <size>{}</size><verification><hash type=\"sha256\">{}</hash></verification><resources>\
         <url protocol=\"https\" preference=\"100\">https://forged.example/other/repodata/repomd.xml\
         </url></resources></file></files></metalink>",
        repomd.len(),
        Checksum::of(repomd.as_bytes()).hex()
    );
    site.write("link?arch=x86_64", link);
}

fn redefine(site: &Site, from: &str, to: &str) {
    let path = site.scratch.path().join("repos/dists/lab.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// The line of the definition that holds `text`, from the repository `id` on.
fn line(site: &Site, id: &str, text: &str) -> usize {
    let file = fs::read_to_string(site.scratch.path().join("repos/dists/lab.toml")).unwrap();
    let start = file.lines().position(|line| line == format!("id = \"{id}\"")).unwrap();
    1 + start + file.lines().skip(start).position(|line| line.contains(text)).unwrap()
}

fn check(site: &Site, server: &Server, words: &[&str]) -> Output {
    let mut command = site.elsewhere();
    command.env("ELSEWHERE_ATTEMPTS", "1");
    command.args(["list", "--check-sources", "--mirror", &server.url()]);
    command.arg("--repos").arg(site.repos()).args(words).output().unwrap()
}

/// What is not as it should be: repository, what, state, line; and the exit status.
fn wrong(site: &Site, server: &Server) -> (Vec<(String, String, String, usize)>, i32) {
    let output = check(site, server, &["-d", "lab", "-a", "x86_64", "--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let entry = |source: &Value| {
        assert!(source["file"].as_str().unwrap().ends_with("lab.toml"), "{source}");
        assert!(source["reason"].is_string(), "{source}");
        let line = usize::try_from(source["line"].as_u64().unwrap()).unwrap();
        (text(&source["repository"]), text(&source["what"]), text(&source["state"]), line)
    };
    let sources = document["sources"].as_array().unwrap().iter();
    let wrong = sources.filter(|source| source["state"] != "ok").map(entry).collect();
    (wrong, output.status.code().unwrap())
}

fn entry(
    repository: &str,
    what: &str,
    state: &str,
    line: usize,
) -> (String, String, String, usize) {
    (repository.to_owned(), what.to_owned(), state.to_owned(), line)
}

#[test]
fn all_is_well_where_all_is_as_the_definitions_say() {
    let (site, server) = served("sources-well");
    // How one gets in is nobody's business.
    redefine(&site, "\"https://forged.example/", "\"https://ann:secret@forged.example/");
    let output = check(&site, &server, &["-d", "lab", "-a", "x86_64,aarch64"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    for what in ["metalink", "mirrorlist", "repomd", "signature", "primary", "modules", "key"] {
        assert!(told.contains(&format!(" {what} https://forged.example/")), "{what}: {told}");
    }
    assert!(told.lines().all(|line| line.starts_with("ok ")), "{told}");
    assert!(!told.contains("secret"), "{told}");
    // Nothing of the packages, and of the package lists no more than that they are there.
    assert_eq!(server.count("Packages/"), 0);
}

#[test]
fn whatever_is_otherwise_is_named_with_its_line() {
    let (site, server) = served("sources-wrong");
    let base = || line(&site, "other", "base = ");
    // Claims that are not so.
    publish_other(&site, false);
    let modular = entry("other", "modules", "differs", line(&site, "other", "modular"));
    assert_eq!(wrong(&site, &server), (vec![modular], 2));
    publish_other(&site, true);
    server.fault("repomd.xml.asc", Fault::not_found());
    let signed = line(&site, "base", "signed_metadata");
    assert_eq!(wrong(&site, &server), (vec![entry("base", "signature", "differs", signed)], 2));
    server.clear_faults();
    // What cannot be trusted.
    site.write("base/repodata/repomd.xml.asc", site.other.sign_detached(b"something else"));
    assert_eq!(wrong(&site, &server), (vec![entry("base", "signature", "differs", signed)], 4));
    site.publish(1000, &[site.good(hello("1.0")), site.good(data())]);
    site.write("keys/other", site.key.public_file());
    let key = entry("other", "key", "differs", line(&site, "other", "url = "));
    assert_eq!(wrong(&site, &server), (vec![key], 4));
    site.write("keys/other", site.other.public_file());
    let link = fs::read_to_string(site.file("link?arch=x86_64")).unwrap();
    publish_other(&site, false);
    site.write("link?arch=x86_64", &link);
    assert_eq!(wrong(&site, &server), (vec![entry("other", "repomd", "differs", base())], 4));
    publish_other(&site, true);
    // What is not there, or is something else.
    fs::remove_file(site.file("other/repodata/primary.xml.gz")).unwrap();
    assert_eq!(wrong(&site, &server), (vec![entry("other", "primary", "differs", base())], 2));
    site.write("other/repodata/primary.xml.gz", "short");
    assert_eq!(wrong(&site, &server), (vec![entry("other", "primary", "differs", base())], 2));
    publish_other(&site, true);
    site.write("link?arch=x86_64", "<html>please log in</html>");
    site.write("list", "# nobody\n");
    let lists = ["metalink", "mirrorlist"];
    let lists = lists.map(|what| entry("other", what, "differs", line(&site, "other", what)));
    assert_eq!(wrong(&site, &server), (lists.to_vec(), 2));
    // Behind a mirror nobody misses lists.
    fs::remove_file(site.file("link?arch=x86_64")).unwrap();
    fs::remove_file(site.file("list")).unwrap();
    assert_eq!(wrong(&site, &server), (vec![], 0));
    // A place where it may not send.
    let repomd = fs::read_to_string(site.file("other/repodata/repomd.xml")).unwrap();
    let elsewhere = "href=\"ftp://forged.example/";
    assert!(repomd.contains("href=\"repodata/"), "{repomd}");
    site.write("other/repodata/repomd.xml", repomd.replace("href=\"repodata/", elsewhere));
    let modular = line(&site, "other", "modular");
    let found = vec![
        entry("other", "primary", "differs", base()),
        entry("other", "modules", "differs", modular),
    ];
    assert_eq!(wrong(&site, &server), (found, 2));
    let output = check(&site, &server, &["-d", "lab", "-a", "x86_64"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(told.matches("may not send: \"ftp://forged.example/").count(), 2, "{told}");
}

#[test]
fn a_place_that_does_not_answer_is_told_from_one_that_differs() {
    let (site, server) = served("sources-away");
    server.fault("base/repodata/repomd.xml", Fault::status(503, usize::MAX));
    server.fault("keys/other", Fault::drop_connection(usize::MAX));
    let base = entry("base", "repomd", "unreachable", line(&site, "base", "base = "));
    let key = entry("other", "key", "unreachable", line(&site, "other", "url = "));
    assert_eq!(wrong(&site, &server), (vec![base, key], 3));
    // What is left out is not asked.
    let output = check(&site, &server, &["-d", "lab", "--disable-repo", "base,other", "-e"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let output = check(&site, &server, &["-d", "lab", "--disable-repo", "base"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(!told.contains("lab x86_64 base "), "{told}");
    assert!(
        told.contains("unreachable  lab other key https://forged.example/keys/other"),
        "{told}"
    );
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("0 are not as the definitions say, and 1 could not be reached"),
        "{error}"
    );
}

#[test]
fn several_dists_and_architectures_go_with_it_alone() {
    let (site, server) = served("sources-several");
    let dist = fs::read_to_string(site.scratch.path().join("repos/dists/lab.toml")).unwrap();
    let other = dist.replace("name = \"lab\"", "name = \"yard\"");
    site.scratch.write("repos/dists/yard.toml", other);
    let output = check(&site, &server, &["-d", "lab,yard", "-a", "x86_64", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sources = document["sources"].as_array().unwrap();
    let count = |dist: &str| sources.iter().filter(|source| source["dist"] == dist).count();
    assert_eq!(count("lab"), count("yard"));
    let output = site.elsewhere().args(["list", "-d", "el8,el9"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
