//! How often each feature of the random situations decided the answer: how often it is another
//! one without the feature.

use std::collections::{BTreeMap, BTreeSet};

use super::dnf::Answer;
use super::scenario::{Offer, Scenario, parts};

type Removal = fn(&mut Scenario);

/// How often a feature must decide, for the comparison to say something about it.
const ENOUGH: usize = 5;

const FEATURES: [(&str, Removal); 18] = [
    ("versioned requires", |case| each_requires(case, |text| Some(without_version(text)))),
    ("epochs", |case| each_text(case, |text| text.replace("1:", ""))),
    ("tilde", |case| each_text(case, |text| text.replace('~', "."))),
    ("caret", |case| each_text(case, |text| text.replace('^', "~"))),
    ("older versions", keep_newest),
    ("several providers", keep_last_provider),
    ("file requires", |case| each_requires(case, |text| keep(text, !text.contains('/')))),
    ("conflicts", |case| each_offer(case, |offer| offer.conflicts.clear())),
    ("obsoletes", |case| each_offer(case, |offer| offer.obsoletes.clear())),
    ("rich and", |case| without_operator(case, " and ")),
    ("rich or", |case| without_operator(case, " or ")),
    ("rich if", |case| without_operator(case, " if ")),
    ("rich else", |case| without_operator(case, " else ")),
    ("rich unless", |case| without_operator(case, " unless ")),
    ("rich with", |case| without_operator(case, " with ")),
    ("rich without", |case| without_operator(case, " without ")),
    ("priorities", |case| case.repositories.iter_mut().for_each(|r| r.priority = 99)),
    ("host packages", |case| case.host.packages.clear()),
];

/// Prints how often each feature decided, and fails where that is too seldom.
pub(crate) fn check(cases: &[Scenario], answers: &[Answer]) {
    let mut decided: BTreeMap<&str, usize> = BTreeMap::new();
    let all = FEATURES.into_iter().chain([
        ("modules", without_modules as Removal),
        ("several repositories", |case: &mut Scenario| case.repositories.truncate(1)),
        ("extras", |case: &mut Scenario| case.runtimes[0].0.extras.clear()),
        ("costs", |case: &mut Scenario| case.repositories.iter_mut().for_each(|r| r.cost = 1000)),
        ("obsoletes of what is asked for", without_takeovers),
        ("recommends", |case: &mut Scenario| each_offer(case, |offer| offer.weak[0].clear())),
        ("suggests", |case: &mut Scenario| each_offer(case, |offer| offer.weak[1].clear())),
        ("supplements", |case: &mut Scenario| each_offer(case, |offer| offer.weak[2].clear())),
        ("enhances", |case: &mut Scenario| each_offer(case, |offer| offer.weak[3].clear())),
        ("modules' needs", |case: &mut Scenario| {
            case.modules.iter_mut().for_each(|stream| stream.requires.clear());
        }),
    ]);
    for (name, remove) in all {
        let count = decided.entry(name).or_default();
        for (case, answer) in cases.iter().zip(answers) {
            let mut without = case.clone();
            remove(&mut without);
            *count += usize::from(super::answer(&without).ok() != answer.as_ref().ok().cloned());
        }
    }
    println!("how often each feature decided the answer:");
    for (name, count) in &decided {
        println!("{count:>5}  {name}");
    }
    for (name, count) in decided {
        assert!(count >= ENOUGH, "{name} decided only {count} times");
    }
}

fn each_offer(case: &mut Scenario, change: impl Fn(&mut Offer)) {
    let offers = case.repositories.iter_mut().flat_map(|repository| &mut repository.packages);
    offers.for_each(change);
}

fn each_requires(case: &mut Scenario, change: impl Fn(&str) -> Option<String>) {
    each_offer(case, |offer| {
        offer.requires = offer.requires.iter().filter_map(|text| change(text)).collect();
    });
}

/// Changes every version, of packages and in relations.
fn each_text(case: &mut Scenario, change: impl Fn(&str) -> String) {
    each_offer(case, |offer| {
        let evr = change(&offer.evr());
        offer.evr = elsewhere::stages::model::Evr::parse(&evr);
        let lists =
            [&mut offer.requires, &mut offer.provides, &mut offer.conflicts, &mut offer.obsoletes];
        lists.into_iter().flatten().for_each(|text| *text = change(text));
    });
}

fn keep(text: &str, is_kept: bool) -> Option<String> {
    is_kept.then(|| text.to_owned())
}

fn without_version(text: &str) -> String {
    parts(text).0.to_owned()
}

fn without_operator(case: &mut Scenario, operator: &str) {
    each_offer(case, |offer| {
        offer.requires.retain(|text| !text.contains(operator));
        offer.conflicts.retain(|text| !text.contains(operator));
    });
}

fn keep_newest(case: &mut Scenario) {
    let mut newest = BTreeMap::new();
    for offer in case.repositories.iter().flat_map(|repository| &repository.packages) {
        let best = newest.entry(offer.name.clone()).or_insert_with(|| offer.evr.clone());
        if offer.evr > *best {
            *best = offer.evr.clone();
        }
    }
    for repository in &mut case.repositories {
        repository.packages.retain(|offer| newest.get(&offer.name) == Some(&offer.evr));
    }
}

fn keep_last_provider(case: &mut Scenario) {
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for offer in case.repositories.iter().flat_map(|repository| &repository.packages) {
        for provide in &offer.provides {
            let name = last.entry(without_version(provide)).or_insert_with(|| offer.name.clone());
            if offer.name > *name {
                offer.name.clone_into(name);
            }
        }
    }
    each_offer(case, |offer| {
        offer.provides.retain(|text| last.get(&without_version(text)) == Some(&offer.name));
    });
}

/// Lets nothing obsolete what the runtime asks for by name.
fn without_takeovers(case: &mut Scenario) {
    let (runtime, ..) = &case.runtimes[0];
    let extras = runtime.extras.iter().map(|extra| extra.package.clone());
    let asked: Vec<String> = extras.chain([runtime.package.clone()]).collect();
    each_offer(case, |offer| {
        offer.obsoletes.retain(|text| !asked.iter().any(|it| it == parts(text).0))
    });
}

fn without_modules(case: &mut Scenario) {
    case.modules.clear();
    let modular: BTreeSet<&str> =
        BTreeSet::from([".module_s0", ".module_s1", ".module_v0", ".module_v1"]);
    each_offer(case, |offer| {
        for mark in &modular {
            offer.evr.release = offer.evr.release.replace(mark, "");
        }
    });
}
