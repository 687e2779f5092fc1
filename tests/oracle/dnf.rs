//! Asks dnf.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use elsewhere::model::{Checksum, Comparison};
use serde_json::{Value, json};

use super::scenario::{Offer, Offers, Scenario, Stream, WEAK, parts};

/// What dnf says: full names, each with its repository, or its problem.
pub(crate) type Answer = Result<Vec<String>, String>;

/// Fails with the name of the Debian package where a tool is missing.
pub(crate) fn require_tools() {
    let python = Command::new("/usr/bin/python3").args(["-c", "import dnf, hawkey, rpm"]).output();
    assert!(
        python.is_ok_and(|output| output.status.success()),
        "dnf's Python modules are missing: install the Debian packages python3-dnf and python3-rpm"
    );
    let rpmdb = Command::new("rpmdb").arg("--version").output();
    assert!(rpmdb.is_ok(), "rpmdb is missing: install the Debian package rpm");
}

/// dnf's answers to scenarios, in their order. `directory` is emptied and used.
pub(crate) fn answers(scenarios: &[Scenario], directory: &Path) -> Vec<Answer> {
    if directory.exists() {
        fs::remove_dir_all(directory).unwrap();
    }
    let cases: Vec<Value> = scenarios
        .iter()
        .enumerate()
        .map(|(number, scenario)| write_case(scenario, &directory.join(number.to_string())))
        .collect();
    ask(&cases, directory)
}

/// dnf's answers to cases in the form that `solve.py` reads.
pub(crate) fn ask(cases: &[Value], directory: &Path) -> Vec<Answer> {
    fs::create_dir_all(directory).unwrap();
    let file = directory.join("cases.json");
    fs::write(&file, serde_json::to_vec(cases).unwrap()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/solve.py");
    let output = Command::new("/usr/bin/python3").arg(script).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), cases.len());
    answers.into_iter().flat_map(flat).map(understood).collect()
}

/// The answers of one case, which may be several.
fn flat(answer: Value) -> Vec<Value> {
    match answer {
        Value::Array(several) => several,
        one => vec![one],
    }
}

fn understood(answer: Value) -> Answer {
    match answer.get("problem") {
        Some(problem) => Err(problem.as_str().unwrap().to_owned()),
        None => Ok(serde_json::from_value(answer["chosen"].clone()).unwrap()),
    }
}

fn write_case(scenario: &Scenario, directory: &Path) -> Value {
    let repositories: Vec<Value> = scenario
        .repositories
        .iter()
        .enumerate()
        .map(|(number, offers)| {
            let path = directory.join(&offers.id);
            // All modules are in the first repository's metadata.
            write_repository(offers, if number == 0 { modules(scenario) } else { None }, &path);
            json!({
                "id": offers.id,
                "path": path,
                "priority": offers.priority,
                "cost": offers.cost,
            })
        })
        .collect();
    let (runtime, version, _) = &scenario.runtimes[0];
    let own = match version {
        Some(version) => format!("{}-{version}", runtime.package),
        None => runtime.package.clone(),
    };
    let install: Vec<&str> = [own.as_str()]
        .into_iter()
        .chain(runtime.extras.iter().map(|e| e.package.as_str()))
        .collect();
    let streams: Vec<String> =
        runtime.streams.iter().map(|(module, stream)| format!("{module}:{stream}")).collect();
    json!({
        "directory": directory,
        "repositories": repositories,
        "installed": installed(scenario),
        "install": install,
        "streams": streams,
    })
}

/// The host's packages as `solve.py` installs them.
pub(crate) fn installed(scenario: &Scenario) -> Vec<Value> {
    let offers = scenario.repositories.iter().flat_map(|repository| &repository.packages);
    offers
        .filter(|offer| scenario.host.packages.contains(&offer.name))
        .map(|offer| {
            let provides: Vec<_> = all_provides(offer)
                .iter()
                .map(|text| {
                    let (name, comparison, evr) = parts(text);
                    (name.to_owned(), comparison.as_str(), evr.unwrap_or_default().to_owned())
                })
                .collect();
            json!({
                "name": offer.name,
                "epoch": offer.evr.epoch,
                "version": offer.evr.version,
                "release": offer.evr.release,
                "arch": offer.arch,
                "provides": provides,
                "files": offer.files,
            })
        })
        .collect()
}

fn all_provides(offer: &Offer) -> Vec<String> {
    let own = format!("{} = {}", offer.name, offer.evr());
    offer.provides.iter().cloned().chain([own]).collect()
}

pub(crate) fn write_repository(offers: &Offers, modules: Option<String>, path: &Path) {
    let mut primary = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <metadata xmlns=\"http://linux.duke.edu/metadata/common\" \
         xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"",
    );
    write!(primary, "{}\">", offers.packages.len()).unwrap();
    for offer in &offers.packages {
        write_package(&mut primary, offer);
    }
    primary.push_str("</metadata>\n");
    let modules = modules.map(|text| ("modules", "modules.yaml", text));
    let primary = ("primary", "primary.xml", primary);
    write_documents(path, &[primary].into_iter().chain(modules).collect::<Vec<_>>());
}

/// Writes a repository's documents: type, file name and text of each.
pub(crate) fn write_documents(path: &Path, documents: &[(&str, &str, String)]) {
    let repodata = path.join("repodata");
    fs::create_dir_all(&repodata).unwrap();
    let mut repomd = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <repomd xmlns=\"http://linux.duke.edu/metadata/repo\"><revision>1</revision>",
    );
    for (kind, name, content) in documents {
        let digest = Checksum::of(content.as_bytes());
        write!(
            repomd,
            "<data type=\"{kind}\"><checksum type=\"sha256\">{0}</checksum>\
             <open-checksum type=\"sha256\">{0}</open-checksum>\
             <location href=\"repodata/{name}\"/><timestamp>1</timestamp>\
             <size>{1}</size><open-size>{1}</open-size></data>",
            digest.hex(),
            content.len()
        )
        .unwrap();
        fs::write(repodata.join(name), content).unwrap();
    }
    repomd.push_str("</repomd>\n");
    fs::write(repodata.join("repomd.xml"), repomd).unwrap();
}

fn write_package(xml: &mut String, offer: &Offer) {
    let Offer { name, evr, arch, .. } = offer;
    write!(
        xml,
        "<package type=\"rpm\"><name>{name}</name><arch>{arch}</arch>\
         <version epoch=\"{}\" ver=\"{}\" rel=\"{}\"/>\
         <checksum type=\"sha256\" pkgid=\"YES\">{}</checksum>\
         <summary>x</summary><description>x</description><packager/><url/>\
         <time file=\"1\" build=\"1\"/><size package=\"1\" installed=\"1\" archive=\"1\"/>\
         <location href=\"Packages/{}.rpm\"/><format>",
        evr.epoch,
        evr.version,
        evr.release,
        Checksum::of(offer.nevra().as_bytes()).hex(),
        offer.nevra(),
    )
    .unwrap();
    let lists = [
        ("provides", &all_provides(offer)),
        ("requires", &offer.requires),
        ("conflicts", &offer.conflicts),
        ("obsoletes", &offer.obsoletes),
    ];
    for (list, relations) in lists.into_iter().chain(WEAK.into_iter().zip(&offer.weak)) {
        write!(xml, "<rpm:{list}>").unwrap();
        relations.iter().for_each(|relation| write_relation(xml, relation));
        write!(xml, "</rpm:{list}>").unwrap();
    }
    for file in &offer.files {
        write!(xml, "<file>{file}</file>").unwrap();
    }
    xml.push_str("</format></package>\n");
}

fn write_relation(xml: &mut String, relation: &str) {
    let (name, comparison, evr) = parts(relation);
    let name = name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    write!(xml, "<rpm:entry name=\"{name}\"").unwrap();
    let flags = match comparison {
        Comparison::Any => "",
        Comparison::Less => "LT",
        Comparison::LessOrEqual => "LE",
        Comparison::Equal => "EQ",
        Comparison::GreaterOrEqual => "GE",
        Comparison::Greater => "GT",
        Comparison::NotEqual => "NE",
        Comparison::Unknown => "?",
    };
    if let Some(evr) = evr {
        let (epoch, rest) = evr.split_once(':').unwrap_or(("0", evr));
        let (version, release) = rest.split_once('-').unwrap_or((rest, ""));
        write!(xml, " flags=\"{flags}\" epoch=\"{epoch}\" ver=\"{version}\"").unwrap();
        if !release.is_empty() {
            write!(xml, " rel=\"{release}\"").unwrap();
        }
    }
    xml.push_str("/>");
}

/// `modules.yaml`, if the scenario has modules.
fn modules(scenario: &Scenario) -> Option<String> {
    let mut yaml = String::new();
    for (number, stream) in scenario.modules.iter().enumerate() {
        let Stream { module, stream, default, version, requires, artifacts } = stream;
        write!(
            yaml,
            "---\ndocument: modulemd\nversion: 2\ndata:\n  name: {module}\n  stream: {stream}\n  \
             version: {version}\n  context: c0ffee{number}\n  arch: x86_64\n  summary: x\n  \
             description: x\n  license:\n    module: [MIT]\n"
        )
        .unwrap();
        if !requires.is_empty() {
            yaml.push_str("  dependencies:\n  - requires:\n");
            for (module, stream) in requires {
                writeln!(yaml, "      {module}: [{stream}]").unwrap();
            }
        }
        if !artifacts.is_empty() {
            yaml.push_str("  artifacts:\n    rpms:\n");
            yaml.extend(artifacts.iter().map(|artifact| format!("    - {artifact}\n")));
        }
        yaml.push_str("...\n");
        if *default {
            write!(
                yaml,
                "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: {module}\n  \
                 stream: {stream}\n...\n"
            )
            .unwrap();
        }
    }
    (!yaml.is_empty()).then_some(yaml)
}
