//! Whether a provided capability satisfies a wanted one, by RPM's rules for versions.

use std::cmp::Ordering;

use crate::model::{Comparison, EvrRef};

/// A version condition: an operator and what stands on its right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound<'a> {
    comparison: Comparison,
    evr: EvrRef<'a>,
}

impl<'a> Bound<'a> {
    /// The condition of a relation; `None` where any version will do.
    pub(super) fn new(comparison: Comparison, evr: Option<&'a str>) -> Option<Self> {
        match (comparison, evr) {
            (Comparison::Any, _) | (_, None) => None,
            (comparison, Some(evr)) => Some(Self { comparison, evr: EvrRef::parse(evr) }),
        }
    }

    /// The condition that exactly `evr` fulfils.
    pub(super) fn exactly(evr: EvrRef<'a>) -> Self {
        Self { comparison: Comparison::Equal, evr }
    }

    /// Whether some version is within both bounds, `self` being the provided one. A side without
    /// a release stands for every release, as libsolv has it.
    pub(super) fn meets(&self, wanted: &Bound<'_>) -> bool {
        if [self.comparison, wanted.comparison].contains(&Comparison::Unknown) {
            return false;
        }
        let (below, at, above) = directions(self.comparison);
        let (wanted_below, wanted_at, wanted_above) = directions(wanted.comparison);
        if (below && wanted_below) || (above && wanted_above) {
            return true;
        }
        match self.evr.compare_in_dependency(&wanted.evr) {
            Ordering::Less => wanted_below || above,
            Ordering::Greater => wanted_above || below,
            Ordering::Equal => match (self.evr.release.is_empty(), wanted.evr.release.is_empty()) {
                (true, false) => at,
                (false, true) => wanted_at,
                _ => at && wanted_at,
            },
        }
    }
}

/// Whether a comparison admits versions below, at and above its right side.
fn directions(comparison: Comparison) -> (bool, bool, bool) {
    match comparison {
        Comparison::Any => (true, true, true),
        Comparison::Less => (true, false, false),
        Comparison::LessOrEqual => (true, true, false),
        Comparison::Equal => (false, true, false),
        Comparison::GreaterOrEqual => (false, true, true),
        Comparison::Greater => (false, false, true),
        Comparison::NotEqual => (true, false, true),
        Comparison::Unknown => (false, false, false),
    }
}

/// Whether `text` is what `pattern` describes; `*` stands for any characters, none included.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether a capability is a library, or a version of one, as RPM's generator names what files link with:
/// `libx.so.1()(64bit)`, `libx.so.1(X_1.2)(64bit)`.
pub(super) fn is_library(capability: &str) -> bool {
    let soname = capability.split('(').next().unwrap_or_default();
    let is_plain = !soname.is_empty() && !soname.contains(['/', ' ']);
    is_plain && (soname.ends_with(".so") || soname.contains(".so."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meets(provided: &str, wanted: &str) -> bool {
        bound(provided).meets(&bound(wanted))
    }

    fn bound(text: &str) -> Bound<'_> {
        let (operator, evr) = text.split_once(' ').unwrap();
        let all = [
            Comparison::Less,
            Comparison::LessOrEqual,
            Comparison::Equal,
            Comparison::GreaterOrEqual,
            Comparison::Greater,
            Comparison::NotEqual,
            Comparison::Unknown,
        ];
        let comparison = all.into_iter().find(|one| one.as_str() == operator).unwrap();
        Bound::new(comparison, Some(evr)).unwrap()
    }

    #[test]
    fn versions_are_compared_by_rpms_order() {
        assert!(meets("= 1.10-1", ">= 1.9"));
        assert!(!meets("= 1.0~rc1-1", ">= 1.0"));
        assert!(meets("= 1.0^git1-1", "> 1.0"));
        assert!(meets("= 1:1.0-1", "> 2.0"));
        assert!(!meets("= 1.0-1", "> 1.0"));
        assert!(!meets("= 1.0-1", "< 1.0"));
        assert!(meets("= 1.0-1", "<= 1.0"));
        assert!(!meets("= 1.0-1", "= 1.0-2"));
    }

    #[test]
    fn a_provided_version_without_release_is_any_release() {
        assert!(meets("= 1.0", "= 1.0-5"));
        assert!(meets("= 1.0", "> 1.0-5"));
        assert!(!meets("= 1.0", "> 1.0"));
    }

    #[test]
    fn provided_ranges_overlap_wanted_ranges() {
        assert!(meets(">= 2", ">= 9"));
        assert!(meets("< 2", "= 1"));
        assert!(!meets("< 2", "= 2"));
        assert!(meets("<= 2", ">= 2"));
        assert!(!meets("< 2", ">= 2"));
    }

    #[test]
    fn unequal_is_older_or_newer_and_unknown_is_never() {
        assert!(meets("= 2", "<> 1") && meets("<> 1", "= 2") && meets("<> 1", "< 1"));
        assert!(!meets("= 1-1", "<> 1-1") && !meets("<> 1-1", "= 1-1"));
        assert!(!meets("= 1", "! 1") && !meets("! 1", "= 1") && !meets("! 1", "< 9"));
    }

    #[test]
    fn what_has_no_version_is_older_than_all_of_its_epoch() {
        assert!(meets("= 1:1.0-1", ">= 1:") && !meets("= 1.0-1", ">= 1:"));
        let empty = || Bound::new(Comparison::GreaterOrEqual, Some("")).unwrap();
        assert!(bound("= 0.1-1").meets(&empty()));
    }

    #[test]
    fn patterns_match_whole_texts() {
        assert!(glob("libc.so.6*", "libc.so.6(GLIBC_2.28)(64bit)"));
        assert!(glob("ld-linux*.so*(64bit)", "ld-linux-x86-64.so.2()(64bit)"));
        assert!(!glob("libc.so.6", "libc.so.6()(64bit)"));
        assert!(!glob("*a*a", "a"));
        assert!(glob("*", ""));
    }
}
