//! Which dist to take where the user names none.

use super::CatalogError;
use crate::model::{Arch, Dist, HostFacts};

/// A dist that suits.
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    /// The dist.
    pub dist: &'a Dist,
    /// What the user ought to know about the choice.
    pub message: Option<String>,
}

/// See [`super::Catalog::choices`]; `all` with the oldest glibc first.
pub(super) fn dists<'a>(
    all: impl Iterator<Item = &'a Dist>,
    arch: Arch,
    host: Option<&HostFacts>,
    today: &str,
) -> Result<Vec<Choice<'a>>, CatalogError> {
    let has_packages = |dist: &&Dist| dist.repositories_for(arch).next().is_some();
    let (maintained, others): (Vec<&Dist>, Vec<&Dist>) = all
        .filter(has_packages)
        .filter(|dist| host.is_none_or(|host| host.runs(dist.needs())))
        .partition(|dist| dist.maintained_until.as_str() >= today);
    let choices: Vec<_> = if maintained.is_empty() {
        let reason = reason(arch, host);
        let with_message = |dist| Choice { dist, message: Some(message(dist, &reason)) };
        others.into_iter().rev().map(with_message).collect()
    } else {
        maintained.into_iter().map(|dist| Choice { dist, message: None }).collect()
    };
    if choices.is_empty() {
        let glibc = host.and_then(HostFacts::glibc);
        return Err(CatalogError::NothingSuits { arch, glibc });
    }
    Ok(choices)
}

fn message(dist: &Dist, reason: &str) -> String {
    let (name, until) = (&dist.name, &dist.maintained_until);
    format!("{name} is used, which has not been maintained since {until}: {reason}")
}

fn reason(arch: Arch, host: Option<&HostFacts>) -> String {
    match host.and_then(HostFacts::glibc) {
        Some(glibc) => format!("no maintained dist runs on this machine's glibc {glibc}"),
        None => format!("no maintained dist has packages for {arch}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Libc;

    fn dist(name: &str, glibc: &str, until: &str, level: u8) -> Dist {
        let text = format!(
            "name = {name:?}\ntitle = ''\nglibc = {glibc:?}\nmaintained_until = {until:?}\n\
             x86_64_level = {level}\n[[repository]]\nid = 'os'\narches = ['x86_64']\nkey = []\n"
        );
        toml::from_str(&text).unwrap()
    }

    fn chosen(glibc: Option<&str>, level: u8, today: &str) -> Vec<String> {
        let all = [
            dist("older", "2.12", "2020-11-30", 1),
            dist("old", "2.17", "2024-06-30", 1),
            dist("usual", "2.28", "2029-05-31", 1),
            dist("new", "2.39", "2035-05-31", 3),
        ];
        let host = HostFacts {
            arch: Some(Arch::X86_64),
            machine: "x86_64".to_owned(),
            libc: glibc.map_or(Libc::Unknown, |glibc| Libc::Glibc(glibc.parse().unwrap())),
            distribution: String::new(),
            x86_64_level: level,
        };
        let choices = dists(all.iter(), Arch::X86_64, Some(&host), today).unwrap_or_default();
        let show = |choice: &Choice| match choice.message {
            Some(_) => format!("{}!", choice.dist.name),
            None => choice.dist.name.clone(),
        };
        choices.iter().map(show).collect()
    }

    #[test]
    fn the_oldest_maintained_one_comes_first() {
        assert_eq!(chosen(None, 0, "2026-01-01"), ["usual", "new"]);
        assert_eq!(chosen(Some("2.41"), 4, "2026-01-01"), ["usual", "new"]);
        assert_eq!(chosen(Some("2.31"), 4, "2026-01-01"), ["usual"]);
        assert_eq!(chosen(Some("2.41"), 3, "2030-01-01"), ["new"]);
    }

    #[test]
    fn an_old_processor_is_not_offered_what_it_cannot_run() {
        assert_eq!(chosen(Some("2.41"), 2, "2026-01-01"), ["usual"]);
    }

    #[test]
    fn where_none_is_maintained_the_newest_other_comes_first_with_a_message() {
        assert_eq!(chosen(Some("2.17"), 4, "2026-01-01"), ["old!", "older!"]);
        assert_eq!(chosen(Some("2.28"), 1, "2029-05-31"), ["usual"]);
        assert_eq!(chosen(Some("2.28"), 1, "2029-06-01"), ["usual!", "old!", "older!"]);
    }

    #[test]
    fn a_glibc_older_than_all_suits_nothing() {
        assert!(chosen(Some("2.5"), 4, "2026-01-01").is_empty());
    }

    #[test]
    fn the_message_says_what_is_used_and_why() {
        let old = dist("el7", "2.17", "2024-06-30", 1);
        let choices = dists([&old].into_iter(), Arch::X86_64, None, "2026-01-01").unwrap();
        assert_eq!(
            choices.first().and_then(|choice| choice.message.as_deref()),
            Some(
                "el7 is used, which has not been maintained since 2024-06-30: no maintained dist has \
                 packages for x86_64"
            )
        );
        let error = dists([&old].into_iter(), Arch::S390x, None, "2026-01-01").unwrap_err();
        assert_eq!(error.to_string(), "no dist has packages for s390x");
    }
}
