//! Text for people: wrapped to the width of their screen, in colours where they want some.

use std::fmt::Write;

use crate::model::escape;

/// Below so many columns, tables give way to lists.
const NARROW: usize = 60;

/// A text that grows line by line. What is written to it is escaped; only it paints.
pub(crate) struct Page {
    text: String,
    width: usize,
    has_colour: bool,
}

impl Page {
    /// An empty page of `width` columns.
    pub(crate) fn new(width: usize, has_colour: bool) -> Self {
        Self { text: String::new(), width, has_colour }
    }

    /// What was written, without the last line's end.
    pub(super) fn text(&self) -> &str {
        self.text.trim_end()
    }

    /// Columns of a line.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Whether there is no room for columns side by side.
    pub(crate) fn is_narrow(&self) -> bool {
        self.width < NARROW
    }

    /// Writes a line as it stands, however long: a command to copy.
    pub(crate) fn line(&mut self, line: &str) {
        self.painted_line(&Painted::default(), line);
    }

    /// Writes a line that begins with `painted`.
    pub(crate) fn painted_line(&mut self, painted: &Painted, line: &str) {
        let line = format!("{}{}", painted.0, escape(line));
        let _ = writeln!(self.text, "{}", line.trim_end());
    }

    /// Writes `first` and `words`; lines after the first begin with `next`. A word that is longer
    /// than a line stays whole.
    pub(crate) fn wrap(&mut self, first: &str, next: &str, words: &str) {
        self.painted_wrap(&Painted::default(), first, next, words);
    }

    /// The same with `painted` before all.
    pub(crate) fn painted_wrap(&mut self, painted: &Painted, first: &str, next: &str, words: &str) {
        let mut painted = painted.clone();
        let mut line = first.to_owned();
        let mut is_empty = true;
        for word in words.split_whitespace() {
            let width = columns(&painted.0) + columns(&line);
            if !is_empty && width + 1 + columns(word) > self.width {
                self.painted_line(&std::mem::take(&mut painted), &line);
                next.clone_into(&mut line);
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line.push_str(word);
            is_empty = false;
        }
        self.painted_line(&painted, &line);
    }

    /// `word` in a colour, filled up to `columns`.
    pub(crate) fn paint(&self, word: &str, tint: &str, columns: usize) -> Painted {
        let word = escape(word);
        Painted(match self.has_colour {
            true => format!("\x1b[{tint}m{word:<columns$}\x1b[0m"),
            false => format!("{word:<columns$}"),
        })
    }
}

/// The beginning of a line, in a colour where the screen has some.
#[derive(Clone, Debug, Default)]
pub(crate) struct Painted(String);

/// Columns that a text takes, without its colours.
fn columns(text: &str) -> usize {
    let mut columns = 0;
    let mut is_colour = false;
    for character in text.chars() {
        match character {
            '\x1b' => is_colour = true,
            'm' if is_colour => is_colour = false,
            _ if !is_colour => columns += 1,
            _ => {}
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_wide_as_they_may_be_and_no_wider() {
        let mut page = Page::new(20, false);
        page.wrap("- ", "  ", "one two three four five a-word-that-is-longer-than-a-line six");
        let expected = "- one two three four\n  five\n  a-word-that-is-longer-than-a-line\n  six";
        assert_eq!(page.text(), expected);
    }

    #[test]
    fn colours_take_no_room() {
        let mut page = Page::new(10, true);
        let word = page.paint("ok", "32", 4);
        assert_eq!(word.0, "\x1b[32mok  \x1b[0m");
        page.painted_wrap(&word, "", "", "123456 7");
        assert_eq!(page.text(), "\x1b[32mok  \x1b[0m123456\n7");
        assert_eq!(Page::new(10, false).paint("ok", "32", 4).0, "ok  ");
    }

    #[test]
    fn only_the_page_itself_paints() {
        let mut page = Page::new(20, true);
        page.line("a\x1b[31m\nb");
        page.wrap("\x07", "", "\u{202e}");
        assert_eq!(page.text(), "a\\u{1b}[31m\\nb\n\\u{7}\\u{202e}");
    }
}
