//! Text for people and for shells: what came from outside is shown without doing anything.

use std::borrow::Cow;

/// `text` with control characters, bidirectional overrides and the like escaped, so that what a
/// package or a server names cannot drive the user's terminal.
#[must_use]
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_plain(character) {
            escaped.push(character);
        } else {
            escaped.extend(character.escape_default());
        }
    }
    Cow::Owned(escaped)
}

/// The same for text of several lines, where each but the first is indented: no text from outside makes a
/// line that looks like one of the program's own.
#[must_use]
pub(crate) fn escape_lines(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split("\n  ").map(escape);
    let mut lines = parts.next().unwrap_or_default().into_owned();
    for part in parts {
        lines.push_str("\n  ");
        lines.push_str(&part);
    }
    Cow::Owned(lines)
}

/// The same for a document of any lines.
#[must_use]
pub(crate) fn escape_document(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let lines: Vec<Cow<'_, str>> = text.split('\n').map(escape).collect();
    Cow::Owned(lines.join("\n"))
}

/// The same for JSON, which says the same afterwards to whoever reads it.
#[must_use]
pub(crate) fn escape_json(text: &str) -> Cow<'_, str> {
    // Ends of lines stand between values only: within them they are escaped already.
    let stays = |character: char| is_plain(character) || character == '\n';
    if text.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match stays(character) {
            true => escaped.push(character),
            // All of them are of one unit.
            false => escaped.push_str(&format!("\\u{:04x}", u32::from(character))),
        }
    }
    Cow::Owned(escaped)
}

/// Whether a character shows itself and changes nothing else: no control characters, no
/// formatting characters that reorder or hide text (Unicode Technical Report 36).
fn is_plain(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `word` as one word of a POSIX shell's command line.
#[must_use]
pub(crate) fn shell_word(word: &str) -> Cow<'_, str> {
    // A tilde is special only in front.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./+,:@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_left_alone() {
        assert!(matches!(escape("usr/bin/fakeroot é"), Cow::Borrowed(_)));
    }

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(shell_word("bin/ch-run"), "bin/ch-run");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn terminal_escapes_are_shown() {
        assert_eq!(escape("a\x1b[31m\n\u{202e}"), "a\\u{1b}[31m\\n\\u{202e}");
    }

    #[test]
    fn lines_that_are_not_indented_are_nobodys() {
        assert_eq!(escape_lines("a\n  b\nerror: c\n  \x07"), "a\n  b\\nerror: c\n  \\u{7}");
        assert!(matches!(escape_lines("a b"), Cow::Borrowed(_)));
    }

    #[test]
    fn documents_keep_their_lines() {
        assert_eq!(escape_document("a\nb\u{9b}\n\n"), "a\nb\\u{9b}\n\n");
    }

    #[test]
    fn json_says_the_same_afterwards() {
        let value = serde_json::json!({"a\u{9b}": ["\x7f\u{202e}\n\x1b", "é"]});
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let escaped = escape_json(&text);
            assert!(escaped.chars().all(|one| is_plain(one) || one == '\n'), "{escaped}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
        }
    }
}
