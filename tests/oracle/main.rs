//! Compares the resolver with dnf, on repositories made at random.
//!
//! Where the two choose differently, each must accept the other's choice: each resolves again
//! with nothing but the other's packages.

// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../scenario/mod.rs"]
mod scenario;
#[path = "../support/mod.rs"]
mod support;

mod dnf;
mod epel;
mod features;
mod random;
mod real;

use std::path::Path;

use elsewhere::stages::model::TreePlan;
use scenario::Scenario;

const CASES: u64 = 900;

#[test]
fn dnf_chooses_the_same_packages_or_accepts_ours() {
    dnf::require_tools();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle");
    let cases: Vec<Scenario> = (0..CASES).map(random::situation).collect();
    let ours: Vec<dnf::Answer> = cases.iter().map(answer).collect();
    let theirs = dnf::answers(&cases, &directory.join("first"));
    let mut counts = Counts::default();
    let mut different = Vec::new();
    let mut contradictions = 0;
    for (seed, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) if ours == theirs => counts.equal += 1,
            (Ok(ours), Ok(theirs)) => different.push((seed, ours.clone(), theirs.clone())),
            (Err(_), Err(_)) => counts.neither += 1,
            _ => {
                contradictions += 1;
                println!(
                    "seed {seed}\nours:   {ours:?}\ntheirs: {theirs:?}\n{}",
                    cases[seed].show()
                );
            }
        }
    }
    println!("{contradictions} contradictions");
    check_acceptance(&cases, &different, &directory);
    for (seed, ours, theirs) in &different {
        println!("seed {seed}: ours {ours:?}, dnf's {theirs:?}");
    }
    counts.accepted = different.len();
    println!("{counts:#?}");
    assert_eq!(contradictions, 0, "one side solves what the other cannot");
    features::check(&cases, &ours);
    assert!(counts.equal >= 200, "too few cases with an answer");
    assert!(counts.accepted <= counts.equal / 20, "the choices differ too often");
}

#[derive(Debug, Default)]
struct Counts {
    /// Cases with the same answer.
    equal: usize,
    /// Cases with different answers, each accepted by the other.
    accepted: usize,
    /// Cases that neither can solve.
    neither: usize,
}

/// Our answer in the form of dnf's.
fn answer(case: &Scenario) -> dnf::Answer {
    let plan = case.plan().map_err(|error| error.to_string())?;
    Ok(chosen(&plan))
}

/// The packages of a plan, each with its repository.
fn chosen(plan: &TreePlan) -> Vec<String> {
    let named = plan.packages.iter().map(|package| format!("{}@{}", package.nevra, package.source));
    let mut chosen: Vec<String> = named.collect();
    chosen.sort();
    chosen
}

/// Lets each side resolve with nothing but the other's choice.
fn check_acceptance(
    cases: &[Scenario],
    different: &[(usize, Vec<String>, Vec<String>)],
    directory: &Path,
) {
    for (seed, _, theirs) in different {
        if let Err(problem) = answer(&restricted(&cases[*seed], theirs)) {
            panic!("seed {seed}: we do not accept {theirs:?}: {problem}\n{}", cases[*seed].show());
        }
    }
    let with_ours: Vec<Scenario> =
        different.iter().map(|(seed, ours, _)| restricted(&cases[*seed], ours)).collect();
    let answers = dnf::answers(&with_ours, &directory.join("second"));
    for ((seed, ours, _), answer) in different.iter().zip(answers) {
        if let Err(problem) = answer {
            panic!("seed {seed}: dnf does not accept {ours:?}: {problem}\n{}", cases[*seed].show());
        }
    }
}

/// The same situation with these packages, those that are asked for and the host's only.
fn restricted(case: &Scenario, packages: &[String]) -> Scenario {
    let mut case = case.clone();
    // What is asked for by name must be there, so that what took its place is found.
    let asked: Vec<String> =
        case.runtimes[0].0.extras.iter().map(|it| it.package.clone()).collect();
    let is_asked = |name: &str| name == "app" || asked.iter().any(|it| it == name);
    for repository in &mut case.repositories {
        repository.packages.retain(|offer| {
            let named = format!("{}@{}", offer.nevra(), repository.id);
            case.host.packages.contains(&offer.name)
                || packages.contains(&named)
                || is_asked(&offer.name)
        });
    }
    case
}
