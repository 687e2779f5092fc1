//! Observations, joined with what `repos/` says about their causes and about a runtime's needs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Observation, State, Subject};
use crate::model::{Ability, Remedy, shell_word};

/// Checks without which nothing of a runtime works, whatever it does.
const NEEDED_BY_ALL: [&str; 5] = ["kernel", "libc", "processor", "prefix", "identity"];

/// The whole answer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Diagnosis {
    /// What was found, a finding per check.
    pub findings: Vec<Verdict>,
    /// What the runtime will be able to do.
    pub outlook: Vec<Outlook>,
}

/// What was found, and what is to be done.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    /// The check.
    pub check: &'static str,
    /// How it is.
    pub state: State,
    /// What was tried, and what came of it.
    pub evidence: String,
    /// The cause, as `repos/doctor.toml` calls it; empty where all is well.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub cause: &'static str,
    /// What that means.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub meaning: String,
    /// The abilities that suffer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub affects: Vec<String>,
    /// What the user can do now.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// What an administrator types on this distribution.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// What those commands cost.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trade_off: String,
}

/// Whether a runtime will do something here.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outlook {
    /// What.
    pub ability: String,
    /// Whether.
    pub possible: Possible,
    /// The checks that stand in the way, and what is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
    /// What it does instead, where it is limited.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub otherwise: String,
}

/// Whether something is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Possible {
    /// It is.
    Yes,
    /// In another way.
    Limited,
    /// It is not.
    No,
    /// A check could not tell.
    Unknown,
}

impl Diagnosis {
    /// Joins `observations` of `subject` with the runtime's `abilities` and with what `remedy` knows
    /// of causes. `known` are the values of placeholders that no check gives.
    #[must_use]
    pub(crate) fn new<'a>(
        subject: &Subject,
        observations: Vec<Observation>,
        abilities: &[Ability],
        remedy: &dyn Fn(&str) -> Option<&'a Remedy>,
        known: &BTreeMap<&'static str, String>,
    ) -> Self {
        let states: BTreeMap<&str, State> =
            observations.iter().map(|observation| (observation.check, observation.state)).collect();
        let outlook: Vec<Outlook> =
            abilities.iter().map(|it| outlook(it, subject.lacks(it), &states)).collect();
        let affected = |check: &str| {
            let suffers =
                |outlook: &&Outlook| outlook.because.iter().any(|because| because == check);
            outlook.iter().filter(suffers).map(|outlook| outlook.ability.clone()).collect()
        };
        let findings = observations
            .into_iter()
            .map(|observation| {
                let affects = affected(observation.check);
                finding(observation, affects, remedy, known)
            })
            .collect();
        Self { findings, outlook }
    }

    /// The findings that something is to be done about.
    pub(crate) fn troubles(&self) -> impl Iterator<Item = &Verdict> {
        let is_trouble = |finding: &&Verdict| finding.state >= State::Limited;
        self.findings.iter().filter(is_trouble)
    }

    /// What does not work at all.
    pub(crate) fn broken(&self) -> impl Iterator<Item = &Verdict> {
        self.findings.iter().filter(|finding| finding.state == State::Broken)
    }
}

fn finding<'a>(
    observation: Observation,
    affects: Vec<String>,
    remedy: &dyn Fn(&str) -> Option<&'a Remedy>,
    known: &BTreeMap<&'static str, String>,
) -> Verdict {
    let Observation { check, state, cause, evidence, mut values } = observation;
    for (name, value) in known {
        values.entry(name).or_insert_with(|| value.clone());
    }
    let remedy = remedy(cause);
    let text = |text: fn(&Remedy) -> &String| {
        remedy.map_or_else(String::new, |remedy| fill(text(remedy), &values))
    };
    let commands = remedy.map_or(&[][..], |remedy| &remedy.commands);
    let words = values.iter().map(|(name, value)| (*name, word(name, value))).collect();
    Verdict {
        check,
        state,
        cause,
        evidence,
        meaning: text(|remedy| &remedy.meaning),
        affects,
        user: text(|remedy| &remedy.user),
        commands: commands.iter().map(|command| fill(command, &words)).collect(),
        trade_off: text(|remedy| &remedy.trade_off),
    }
}

/// A value as root's shell gets it: a path that a user chose must not become a command. Programs
/// are named in the text of AppArmor's profiles, and quoted for that.
fn word(name: &str, value: &str) -> String {
    if name == "programs" { value.to_owned() } else { shell_word(value).into_owned() }
}

/// `template` with its placeholders filled; those without a value stay, as a reader's to fill.
fn fill(template: &str, values: &BTreeMap<&'static str, String>) -> String {
    let mut text = String::new();
    let mut rest = template;
    // Once over the template: what looks like a placeholder in a value is none.
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let found =
            after.split_once('}').and_then(|(name, after)| Some((values.get(name)?, after)));
        match found {
            Some((value, after)) => {
                text.push_str(value);
                rest = after;
            }
            None => {
                text.push('{');
                rest = after;
            }
        }
    }
    text + rest
}

fn outlook(ability: &Ability, lacks: Vec<String>, states: &BTreeMap<&str, State>) -> Outlook {
    let missing = |wanted: &dyn Fn(State) -> bool, needs: &mut dyn Iterator<Item = &str>| {
        let state = |need: &str| {
            let alternatives = need.split('|').filter_map(|check| states.get(check));
            alternatives.min().copied().unwrap_or(State::Ok)
        };
        let missing = needs.filter(|need| wanted(state(need)));
        missing.flat_map(|need| need.split('|')).map(str::to_owned).collect::<Vec<_>>()
    };
    let needs = || ability.needs.iter().map(String::as_str).chain(NEEDED_BY_ALL);
    let wants = || ability.wants.iter().map(String::as_str);
    let is_broken = |state| state == State::Broken;
    let is_unknown = |state| state == State::Unknown;
    let answer = |possible, because| Outlook {
        ability: ability.does.clone(),
        possible,
        because,
        otherwise: if possible == Possible::Limited {
            ability.otherwise.clone()
        } else {
            String::new()
        },
    };
    let mut broken = missing(&is_broken, &mut needs());
    broken.extend(lacks);
    if !broken.is_empty() {
        return answer(Possible::No, broken);
    }
    let unknown = missing(&is_unknown, &mut needs());
    if !unknown.is_empty() {
        return answer(Possible::Unknown, unknown);
    }
    let limited = missing(&|state| state >= State::Limited, &mut wants());
    if !limited.is_empty() {
        return answer(Possible::Limited, limited);
    }
    let unknown = missing(&is_unknown, &mut wants());
    answer(if unknown.is_empty() { Possible::Yes } else { Possible::Unknown }, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ability(needs: &[&str], wants: &[&str]) -> Ability {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Ability {
            does: "run".to_owned(),
            needs: owned(needs),
            wants: owned(wants),
            otherwise: "slowly".to_owned(),
            needs_files: Vec::new(),
            needs_commands: Vec::new(),
        }
    }

    fn possible(ability: &Ability, states: &[(&'static str, State)]) -> Possible {
        outlook(ability, Vec::new(), &states.iter().copied().collect()).possible
    }

    #[test]
    fn what_is_needed_decides_and_what_is_wanted_limits() {
        let run = ability(&["a", "b|c"], &["d"]);
        use State::{Broken, Limited, Ok, Unknown};
        assert_eq!(
            possible(&run, &[("a", Ok), ("b", Broken), ("c", Ok), ("d", Ok)]),
            Possible::Yes
        );
        assert_eq!(possible(&run, &[("a", Limited), ("d", Ok)]), Possible::Yes);
        assert_eq!(possible(&run, &[("a", Ok), ("b", Broken), ("c", Broken)]), Possible::No);
        assert_eq!(possible(&run, &[("a", Unknown)]), Possible::Unknown);
        assert_eq!(possible(&run, &[("a", Ok), ("d", Broken)]), Possible::Limited);
        assert_eq!(possible(&run, &[("libc", Broken)]), Possible::No);
    }

    #[test]
    fn what_users_name_is_a_word_in_roots_commands() {
        let remedy = Remedy {
            cause: "prefix-noexec".to_owned(),
            distributions: Vec::new(),
            meaning: "{mount} is noexec".to_owned(),
            user: String::new(),
            commands: vec!["mount -o remount,exec {mount}".to_owned()],
            trade_off: String::new(),
        };
        let observation = Observation::new("prefix", State::Broken, "")
            .because("prefix-noexec")
            .with("mount", "/tmp/x; reboot");
        let find = |_: &str| Some(&remedy);
        let found = finding(observation, Vec::new(), &find, &BTreeMap::new());
        assert_eq!(found.commands, ["mount -o remount,exec '/tmp/x; reboot'"]);
        assert_eq!(found.meaning, "/tmp/x; reboot is noexec");
    }

    #[test]
    fn placeholders_are_filled_and_braces_stay() {
        let values = [("path", "/x".to_owned())].into_iter().collect();
        assert_eq!(fill("a {path} { b } {other}", &values), "a /x { b } {other}");
        assert_eq!(fill("{ {path}", &values), "{ /x");
        let values = [("a", "{b}".to_owned()), ("b", "'".to_owned())].into_iter().collect();
        assert_eq!(fill("{a}{b}", &values), "{b}'");
    }
}
