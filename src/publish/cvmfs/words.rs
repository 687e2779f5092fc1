//! What is said on the command line of `cvmfs_server`: it pastes names of tags, messages and paths into a
//! shell, unquoted. So only words are said that no shell takes for anything else.

use crate::error::CvmfsError;

/// The longest tag or message, in bytes.
const LONGEST: usize = 200;

/// How a published revision is called, and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// The tag.
    pub(super) tag: String,
    /// The message.
    pub(super) message: String,
}

impl Words {
    /// A tag and a message. Of the message, what a shell could take for something else becomes `_`.
    ///
    /// # Errors
    /// When the tag has such signs: two that differ in these alone would be one.
    pub fn new(tag: &str, message: &str) -> Result<Self, CvmfsError> {
        let tag = word(tag, "the name of a tag")?.to_owned();
        let words = message.split_whitespace().map(tamed).filter(|word| !word.is_empty());
        let mut message = words.collect::<Vec<_>>().join(" ");
        message.truncate(LONGEST);
        Ok(Self { tag, message })
    }

    /// The message as one word, of which a gateway keeps no more.
    pub(super) fn joined(&self) -> String {
        self.message.replace(' ', "_")
    }
}

/// `text`, where it is a word that every shell takes as it is.
///
/// # Errors
/// When it is none: `what` says what it was to be.
pub(super) fn word<'t>(text: &'t str, what: &'static str) -> Result<&'t str, CvmfsError> {
    let is_word = !text.is_empty()
        && text.len() <= LONGEST
        && !text.starts_with('-')
        && text.chars().all(is_tame);
    match is_word {
        true => Ok(text),
        false => Err(CvmfsError::Word { text: text.to_owned(), what }),
    }
}

/// A word of a message, made one that is passed on as it is.
fn tamed(word: &str) -> String {
    let word = word.trim_start_matches('-');
    word.chars().map(|sign| if is_tame(sign) { sign } else { '_' }).collect()
}

fn is_tame(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || "._+:@/,=-".contains(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_a_message_is_anything_to_a_shell() {
        let said = |message| Words::new("t", message).unwrap().message;
        assert_eq!(said("apptainer 1.4.5-2 (el8)"), "apptainer 1.4.5-2 _el8_");
        assert_eq!(said("$(touch /tmp/p) `id` \"x\"; -rf --x"), "__touch /tmp/p_ _id_ _x__ rf x");
        assert_eq!(said(" - \n -- "), "");
        assert!(said(&"a ".repeat(500)).len() <= LONGEST);
        assert_eq!(Words::new("t", "by gateway").unwrap().joined(), "by_gateway");
    }

    #[test]
    fn a_tag_is_one_word() {
        for tag in ["elsewhere-2026-11-29T10:00:00Z-7", "x/y:z@1"] {
            assert_eq!(Words::new(tag, "").unwrap().tag, tag);
        }
        for tag in ["", "a b", "-x", "a;b", "$HOME", "ä", &"x".repeat(300)] {
            assert!(Words::new(tag, "").is_err(), "{tag}");
        }
    }
}
