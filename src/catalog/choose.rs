//! Which dist to take where the user names none.

use std::cmp::Reverse;

use super::CatalogError;
use crate::model::{Arch, Dist, GlibcVersion};

/// The machines that a tree is to run on.
#[derive(Clone, Debug)]
pub struct Target {
    /// Their architecture.
    pub arch: Arch,
    /// Their glibc; `None` when nothing is known of it.
    pub glibc: Option<GlibcVersion>,
    /// Their x86-64 level; 0 when nothing is known of it.
    pub x86_64_level: u8,
    /// The day, `YYYY-MM-DD`.
    pub today: String,
}

/// A dist that suits a target.
#[derive(Clone, Debug)]
pub struct DistChoice<'a> {
    /// The dist.
    pub dist: &'a Dist,
    /// What the user ought to know about the choice.
    pub message: Option<String>,
}

/// See [`super::Catalog::dists_for`].
pub(super) fn dists<'a>(
    all: impl Iterator<Item = &'a Dist>,
    target: &Target,
) -> Result<Vec<DistChoice<'a>>, CatalogError> {
    let (mut maintained, mut others): (Vec<&Dist>, Vec<&Dist>) = all
        .filter(|dist| suits(dist, target))
        .partition(|dist| dist.maintained_until >= target.today);
    maintained.sort_by_key(|dist| (dist.glibc, &dist.name));
    others.sort_by_key(|dist| Reverse((dist.glibc, &dist.name)));
    let choices: Vec<_> = if maintained.is_empty() {
        let with_message = |dist| DistChoice { dist, message: Some(warning(dist, target)) };
        others.into_iter().map(with_message).collect()
    } else {
        maintained.into_iter().map(|dist| DistChoice { dist, message: None }).collect()
    };
    if choices.is_empty() {
        return Err(CatalogError::NothingSuits { arch: target.arch, glibc: target.glibc });
    }
    Ok(choices)
}

fn suits(dist: &Dist, target: &Target) -> bool {
    let glibc_fits = target.glibc.is_none_or(|glibc| dist.glibc <= glibc);
    let level_fits = target.arch != Arch::X86_64
        || target.x86_64_level == 0
        || dist.x86_64_level <= target.x86_64_level;
    glibc_fits && level_fits && dist.repositories_for(target.arch).next().is_some()
}

fn warning(dist: &Dist, target: &Target) -> String {
    let until =
        format!("{} is used, which nobody maintains since {}", dist.name, dist.maintained_until);
    match target.glibc {
        Some(glibc) => format!("{until}: no maintained dist runs on glibc {glibc}"),
        None => format!("{until}: no maintained dist has packages for {}", target.arch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dist(name: &str, glibc: &str, until: &str, level: u8) -> Dist {
        let text = format!(
            "name = {name:?}\ntitle = ''\nglibc = {glibc:?}\nmaintained_until = {until:?}\n\
             x86_64_level = {level}\n[[repository]]\nid = 'os'\narches = ['x86_64']\nkey = []\n"
        );
        toml::from_str(&text).unwrap()
    }

    fn chosen(glibc: Option<&str>, level: u8, today: &str) -> Vec<String> {
        let all = [
            dist("new", "2.39", "2035-05-31", 3),
            dist("old", "2.17", "2024-06-30", 1),
            dist("older", "2.12", "2020-11-30", 1),
            dist("usual", "2.28", "2029-05-31", 1),
        ];
        let target = Target {
            arch: Arch::X86_64,
            glibc: glibc.map(|glibc| glibc.parse().unwrap()),
            x86_64_level: level,
            today: today.to_owned(),
        };
        dists(all.iter(), &target).map_or_else(
            |_| Vec::new(),
            |choices| {
                let mark = |choice: &DistChoice| if choice.message.is_some() { "!" } else { "" };
                choices
                    .iter()
                    .map(|choice| format!("{}{}", choice.dist.name, mark(choice)))
                    .collect()
            },
        )
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
}
