//! What is injected, as words for a runtime that shows it by itself: those that do not see what is mounted below an
//! image's directory.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::drawing::{Ranch, check};
use super::error::RanchError;
use crate::model::BindWords;

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
