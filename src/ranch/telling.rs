//! What is injected, as words for a runtime that shows it by itself: those that do not see what is mounted below an
//! image's directory.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path};

use super::asked::{Ranch, check};
use super::error::RanchError;
use super::fitting::DriverNeeds;
use crate::drivers::{DriverLink, DriverMount, Drivers};
use crate::model::{BindWords, escape};

/// Where device nodes are.
const DEVICES: &str = "/dev";

/// The variable by which the loader of an image is told of libraries that no cache has.
const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

impl Ranch {
    /// The options that show the same by the words of `runtime`.
    ///
    /// # Errors
    /// When something to be injected cannot be read, a place is none, a path has a character that the runtime takes
    /// for its own, or something must be writable and the runtime has no words for that.
    pub(crate) fn options(
        &self,
        runtime: &str,
        bind: &BindWords,
        tell: &dyn Fn(&str),
    ) -> Result<Vec<String>, RanchError> {
        let fit = |path: &Path| {
            let text = path.to_str().ok_or(RanchError::Unprintable)?;
            match text.chars().find(|&character| bind.unfit.contains(character)) {
                None => Ok(text.to_owned()),
                Some(character) => Err(RanchError::Unfit {
                    path: path.to_owned(),
                    runtime: runtime.to_owned(),
                    character,
                }),
            }
        };
        let mut options = Vec::new();
        for place in &self.writable {
            check(place)?;
            if bind.writable.is_empty() {
                let why = format!("{runtime} has no words that make a directory writable");
                return Err(RanchError::place(place, why));
            }
        }
        if !self.writable.is_empty() {
            options.extend_from_slice(&bind.writable);
        }
        for injection in &self.injections {
            let path = &injection.source;
            check(&injection.place)?;
            fs::metadata(path)
                .map_err(|source| RanchError::Source { path: path.clone(), source })?;
            options.extend(bind.words(&fit(path)?, &fit(&injection.place)?));
        }
        if let Some(DriverNeeds { drivers, .. }) = &self.drivers {
            drivers.said.iter().for_each(|text| tell(text));
            let telling = TellingDrivers { drivers, runtime, bind, fit: &fit };
            options.extend(telling.mounts()?);
            options.extend(telling.links()?);
            options.extend(telling.variables()?);
        }
        Ok(options)
    }
}

/// What a driver needs, in a runtime's words.
struct TellingDrivers<'a> {
    drivers: &'a Drivers,
    runtime: &'a str,
    bind: &'a BindWords,
    fit: &'a dyn Fn(&Path) -> Result<String, RanchError>,
}

impl TellingDrivers<'_> {
    fn no_words(&self, what: String) -> RanchError {
        RanchError::NoDriverWords { runtime: self.runtime.to_owned(), what }
    }

    fn mounts(&self) -> Result<Vec<String>, RanchError> {
        let mut options = Vec::new();
        for DriverMount { source, place, limits, .. } in &self.drivers.mounts {
            let (from, to) = ((self.fit)(source)?, (self.fit)(place)?);
            options.extend(if place.starts_with(DEVICES) {
                let words = self.bind.node_words(&from, &to);
                words.ok_or_else(|| self.no_words(format!("the device node {to}")))?
            } else if limits.is_read_only {
                self.bind.read_only_words(&from, &to)
            } else {
                self.bind.words(&from, &to)
            });
        }
        Ok(options)
    }

    /// In place of links, which are nobody's to make there, what they lead to.
    fn links(&self) -> Result<Vec<String>, RanchError> {
        let mut options = Vec::new();
        for DriverLink { place, .. } in &self.drivers.links {
            if place.starts_with(DEVICES) || self.drivers.mounts.iter().any(|it| it.place == *place)
            {
                continue;
            }
            let mount = self.led_to(place).ok_or_else(|| {
                self.no_words(format!("the link {}", escape(&place.to_string_lossy())))
            })?;
            options.extend(
                self.bind.read_only_words(&(self.fit)(&mount.source)?, &(self.fit)(place)?),
            );
        }
        Ok(options)
    }

    /// What the link at `place` leads to, by links of the driver's alone.
    fn led_to(&self, place: &Path) -> Option<&DriverMount> {
        let mut at = place.to_owned();
        // No more steps than there are links: they may lead in a circle.
        for _ in 0..=self.drivers.links.len() {
            if let Some(mount) = self.drivers.mounts.iter().find(|it| it.place == at) {
                return Some(mount);
            }
            let link = self.drivers.links.iter().find(|it| it.place == at)?;
            let mut next = link.place.parent()?.to_owned();
            for part in link.target.components() {
                match part {
                    Component::RootDir => next = "/".into(),
                    Component::ParentDir => drop(next.pop()),
                    Component::Normal(name) => next.push(name),
                    Component::CurDir | Component::Prefix(_) => {}
                }
            }
            at = next;
        }
        None
    }

    fn variables(&self) -> Result<Vec<String>, RanchError> {
        let folders: Vec<_> =
            self.drivers.folders.iter().map(|folder| folder.to_string_lossy()).collect();
        let path = (LIBRARY_PATH.to_owned(), folders.join(":"));
        let path = (!folders.is_empty()).then_some(&path);
        let mut options = Vec::new();
        for (name, value) in self.drivers.environment.iter().chain(path) {
            let shown = || escape(name).into_owned();
            if self.bind.variable.is_empty() {
                return Err(self.no_words(format!("the variable {}", shown())));
            }
            if let Some(character) =
                value.chars().find(|character| self.bind.unfit_value.contains(*character))
            {
                let (path, runtime) =
                    (format!("{}={value}", shown()).into(), self.runtime.to_owned());
                return Err(RanchError::Unfit { path, runtime, character });
            }
            options.extend(self.bind.variable_words(name, value));
        }
        Ok(options)
    }
}

/// The whole command line: `program` with these options runs `command` in `image`.
///
/// # Errors
/// When a word is no UTF-8.
pub(crate) fn line(
    program: &str,
    bind: &BindWords,
    options: &[String],
    image: &Path,
    command: &[OsString],
) -> Result<Vec<String>, RanchError> {
    let text =
        |word: &std::ffi::OsStr| word.to_str().map(str::to_owned).ok_or(RanchError::Unprintable);
    let mut words = vec![program.to_owned()];
    words.extend(bind.line(options, &text(image.as_os_str())?));
    for word in command {
        words.push(text(word)?);
    }
    Ok(words)
}
