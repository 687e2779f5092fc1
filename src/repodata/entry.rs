//! One `<rpm:entry>` of a dependency, read as libsolv reads it: whatever it lacks, it says
//! something, and a repository is never refused for it.

use super::RepodataError;
use super::xml::Element;
use crate::model::{Comparison, Evr, Index, StrId};

/// One entry. Used again for each, so that its buffers are allocated once.
#[derive(Debug, Default)]
pub(super) struct Entry {
    name: String,
    has_name: bool,
    /// `None` where the entry has no flags: then any version is meant, whatever else it has.
    flags: Option<Comparison>,
    epoch: String,
    version: String,
    release: String,
    /// Whether only the package's scriptlets need it.
    pub(super) is_for_scriptlet: bool,
    /// The version of the entry before, and its number: most often the next one has the same.
    evr: String,
    evr_id: Option<StrId>,
    next_evr: String,
}

impl Entry {
    /// Reads an entry's attributes. False when it has no name, and so says nothing.
    pub(super) fn read(&mut self, element: &Element<'_>) -> Result<bool, RepodataError> {
        for field in [&mut self.name, &mut self.epoch, &mut self.version, &mut self.release] {
            field.clear();
        }
        (self.has_name, self.flags, self.is_for_scriptlet) = (false, None, false);
        element.attributes(|key, value| match key {
            "name" => {
                self.has_name = true;
                value.clone_into(&mut self.name);
            }
            "flags" => self.flags = Some(comparison(value)),
            "epoch" => value.clone_into(&mut self.epoch),
            "ver" => value.clone_into(&mut self.version),
            "rel" => value.clone_into(&mut self.release),
            // Anything else that stands there leaves it a requirement of the package itself.
            "pre" => self.is_for_scriptlet = value.starts_with('1'),
            _ => {}
        })?;
        Ok(self.has_name)
    }

    /// The capability.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it asks for an ability of the `rpm` that would install the package.
    pub(super) fn is_rpms_own(&self) -> bool {
        self.name.starts_with("rpmlib(")
    }

    /// The versions that it speaks of. A version, release or epoch that is not there is empty: older
    /// than any other, and with an epoch alone older than any of that epoch.
    pub(super) fn bound(&mut self, index: &mut Index) -> (Comparison, Option<StrId>) {
        let Some(comparison) = self.flags else { return (Comparison::Any, None) };
        write_evr(&mut self.next_evr, &self.epoch, &self.version, &self.release);
        if self.evr_id.is_none() || self.evr != self.next_evr {
            std::mem::swap(&mut self.evr, &mut self.next_evr);
            self.evr_id = Some(index.strings.intern(&self.evr));
        }
        (comparison, self.evr_id)
    }
}

/// The comparison that flags stand for.
fn comparison(flags: &str) -> Comparison {
    match flags {
        "LT" => Comparison::Less,
        "LE" => Comparison::LessOrEqual,
        "EQ" => Comparison::Equal,
        "GE" => Comparison::GreaterOrEqual,
        "GT" => Comparison::Greater,
        "NE" => Comparison::NotEqual,
        _ => Comparison::Unknown,
    }
}

/// Puts `[EPOCH:]VERSION[-RELEASE]` into `text`, as [`Evr::parse`] reads it. What is missing is empty.
pub(super) fn write_evr(text: &mut String, epoch: &str, version: &str, release: &str) {
    text.clear();
    if !matches!(epoch, "" | "0") {
        text.push_str(epoch);
        text.push(':');
    } else if Evr::has_epoch(version) {
        // Else the version's own beginning would be taken for one.
        text.push_str("0:");
    }
    text.push_str(version);
    if !release.is_empty() {
        text.push('-');
        text.push_str(release);
    }
}
