//! Rust source as words and signs, without comments, texts and tests.

/// The code of a file: its words, `::`, and every other sign by itself. Comments and literals are left
/// out, and so are the modules `tests`.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let mut lexer = Lexer { rest: text, tokens: Vec::new() };
    while lexer.step() {}
    without_tests(&lexer.tokens)
}

struct Lexer<'a> {
    rest: &'a str,
    tokens: Vec<String>,
}

impl Lexer<'_> {
    /// Takes one thing off the front; `false` at the end.
    fn step(&mut self) -> bool {
        let rest = self.rest;
        let Some(first) = rest.chars().next() else { return false };
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if first == '"' {
            text(rest)
        } else if first == '\'' {
            character(rest)
        } else if first.is_alphabetic() || first == '_' {
            let is_part = |sign: char| sign.is_alphanumeric() || sign == '_';
            let end = rest.find(|sign| !is_part(sign)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            match raw_text(word, after) {
                Some(length) => end + length,
                None => {
                    self.tokens.push(word.to_owned());
                    end
                }
            }
        } else if rest.starts_with("::") {
            self.tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                self.tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        self.rest = rest.get(length..).unwrap_or_default();
        true
    }
}

/// The length of a comment that ends in `*/`, comments inside included.
fn block_comment(rest: &str) -> usize {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 && at < rest.len() {
        let here = &rest.as_bytes()[at..];
        match here {
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            _ => at += 1,
        }
    }
    at
}

/// The length of a text in quotes.
fn text(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a character in quotes; of the quote alone, where that begins a lifetime.
fn character(rest: &str) -> usize {
    let mut signs = rest.char_indices().skip(1);
    match (signs.next(), signs.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let after = at + escaped.len_utf8();
            rest[after..].find('\'').map_or(rest.len(), |end| after + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

/// The length of a raw text, where `word` is what begins one.
fn raw_text(word: &str, after: &str) -> Option<usize> {
    let hashes = after.len() - after.trim_start_matches('#').len();
    let is_raw = matches!(word, "r" | "br" | "cr") && after[hashes..].starts_with('"');
    if !is_raw {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let inside = after.get(hashes + 1..)?;
    Some(hashes + 1 + inside.find(&end).map_or(inside.len(), |at| at + end.len()))
}

/// The tokens that are not in a module of tests.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const TESTS: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let here = &tokens[at..];
        let is_tests = here.iter().map(String::as_str).take(TESTS.len()).eq(TESTS);
        match here.get(TESTS.len() + 1).map(String::as_str) {
            Some(";") if is_tests => at += TESTS.len() + 2,
            Some("{") if is_tests => at += TESTS.len() + 1 + block(&here[TESTS.len() + 1..]),
            _ => {
                kept.push(here[0].clone());
                at += 1;
            }
        }
    }
    kept
}

/// How many tokens a block in braces has, with these.
fn block(tokens: &[String]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

#[test]
fn code_is_told_from_what_only_looks_like_it() {
    let text = r##"
        use a::b; // use c::d;
        /* use e::f; /* inner */ use g::h; */
        fn x<'a>(y: &'a str) -> char { "use i::j;"; r#"use "k"::l;"#; b"\"m"; '\''; '"'; 'n' }
        #[cfg(test)]
        mod tests { use super::*; fn o() { { } } }
        #[cfg(test)]
        mod more;
        p::q();
    "##;
    let words: Vec<String> =
        tokens(text).into_iter().filter(|token| token.chars().all(char::is_alphabetic)).collect();
    assert_eq!(words, ["use", "a", "b", "fn", "x", "a", "y", "a", "str", "char", "b", "p", "q"]);
}
