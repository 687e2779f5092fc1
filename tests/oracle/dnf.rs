//! Asks dnf.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use elsewhere::stages::model::Checksum;
use serde_json::{Value, json};

use super::scenario::{Offer, Offers, Scenario, Stream, WEAK, parts};
use crate::support::header::Relations;
use crate::support::metadata::{Listing, Repodata, primary};

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
    let listings: Vec<Listing> = offers.packages.iter().map(listing).collect();
    let mut repodata = Repodata::new(1).with("primary", primary(&listings));
    if let Some(text) = modules {
        repodata = repodata.with("modules", text);
    }
    repodata.write(path);
}

fn listing(offer: &Offer) -> Listing {
    let mut relations = Relations::default()
        .and("provides", &all_provides(offer))
        .and("requires", &offer.requires)
        .and("conflicts", &offer.conflicts)
        .and("obsoletes", &offer.obsoletes);
    for (kind, texts) in WEAK.into_iter().zip(&offer.weak) {
        relations = relations.and(kind, texts);
    }
    Listing {
        checksum: Checksum::of(offer.nevra().as_bytes()),
        location: format!("Packages/{}.rpm", offer.nevra()),
        relations,
        files: offer.files.iter().map(|file| ("", file.clone())).collect(),
        ..Listing::new(&offer.name, &offer.arch, &offer.evr)
    }
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
