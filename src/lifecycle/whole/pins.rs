//! The versions at which runtimes stay: pins hold for every member, and each keeps them.

use std::collections::BTreeSet;

use super::Whole;
use crate::error::Error;
use crate::lifecycle::present::present;
use crate::model::{Pins, Sightings, escape};
use crate::prefix::Prefix;
use crate::report::Reporter;

impl Whole {
    /// Every pin.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn pins(&self) -> Result<Pins, Error> {
        let mut pins = Pins::new();
        for prefix in self.keepers()? {
            pins.extend(prefix.pins()?);
        }
        Ok(pins)
    }

    /// What was believed of repositories, by the newest of the members that say it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn sightings(&self) -> Result<Sightings, Error> {
        let mut all = Sightings::new();
        for prefix in self.keepers()? {
            for (name, sighting) in prefix.sightings()? {
                let newest = sighting.after(all.get(&name), false);
                all.insert(name, newest);
            }
        }
        Ok(all)
    }

    /// Pins a runtime: at `version`, or at the one that is installed. Returns that, and every pin.
    ///
    /// # Errors
    /// When it is not installed in just one version and none is named, or the prefix cannot be written.
    pub(crate) fn pin(
        &self,
        name: &str,
        version: Option<String>,
        wait: bool,
        reporter: &dyn Reporter,
    ) -> Result<(String, Pins), Error> {
        let version = version.map_or_else(|| self.installed(name, reporter), Ok)?;
        let mut pins = Pins::new();
        for member in self.all()? {
            let member = member.lock(wait, reporter)?;
            pins = member.pins()?;
            pins.insert(name.to_owned(), version.clone());
            member.set_pins(&pins)?;
        }
        Ok((version, pins))
    }

    /// Drops the pins of runtimes of which `is_over` says so. Returns whether there was one, and what is
    /// left.
    ///
    /// # Errors
    /// When the prefix cannot be written.
    pub(crate) fn unpin(
        &self,
        is_over: &dyn Fn(&str) -> bool,
        wait: bool,
        reporter: &dyn Reporter,
    ) -> Result<(bool, Pins), Error> {
        let (mut left, mut was_pinned) = (Pins::new(), false);
        for prefix in self.keepers()? {
            left = prefix.pins()?;
            if left.keys().any(|name| is_over(name)) {
                let prefix = prefix.lock(wait, reporter)?;
                left = prefix.pins()?;
                left.retain(|name, _| !is_over(name));
                prefix.set_pins(&left)?;
                was_pinned = true;
            }
        }
        Ok((was_pinned, left))
    }

    /// The prefix itself and every member, whether it has trees of its own or had some.
    pub(super) fn keepers(&self) -> Result<Vec<Prefix>, Error> {
        let members = self.prefix.members()?.into_iter().map(|(_, member)| member);
        Ok(std::iter::once(self.prefix.clone()).chain(members).collect())
    }

    /// The version in which a runtime is installed.
    fn installed(&self, name: &str, reporter: &dyn Reporter) -> Result<String, Error> {
        let mut versions = BTreeSet::new();
        for member in self.all()? {
            for tree in present(&member, reporter)?.trees.into_values() {
                let runtimes = tree.runtimes.into_iter().filter(|runtime| runtime.name == name);
                versions.extend(runtimes.map(|runtime| runtime.version));
            }
        }
        let name = escape(name);
        match Vec::from_iter(versions).as_slice() {
            [version] => Ok(version.clone()),
            [] => Err(Error::Usage(format!(
                "{name} is not installed here: name the version, as in {name}@1.4"
            ))),
            several => Err(Error::Usage(format!(
                "{name} is installed in several versions ({}): name one, as in {name}@{}",
                escape(&several.join(", ")),
                escape(several.last().map_or("1.4", String::as_str))
            ))),
        }
    }
}
