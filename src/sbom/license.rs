//! What a package's licence tag is: an SPDX expression (EL10 and Fedora write those), or a name
//! that only the distribution knows (`GPLv2+ and BSD`).

/// Identifiers of <https://spdx.org/licenses/> that packages of EL and Fedora name. An expression
/// with another one is taken for a name: less is said then, and nothing wrong.
const IDENTIFIERS: [&str; 62] = [
    "0BSD",
    "AFL-2.1",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-1.1",
    "Apache-2.0",
    "Artistic-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-3-Clause-LBNL",
    "BSD-4-Clause",
    "BSD-4-Clause-UC",
    "BSD-Source-Code",
    "BSL-1.0",
    "bzip2-1.0.6",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CPL-1.0",
    "curl",
    "EPL-2.0",
    "FSFAP",
    "FSFUL",
    "FSFULLR",
    "GFDL-1.3-or-later",
    "GPL-1.0-only",
    "GPL-1.0-or-later",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "HPND",
    "ICU",
    "ISC",
    "LGPL-2.0-only",
    "LGPL-2.0-or-later",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "Linux-syscall-note",
    "MIT",
    "MIT-0",
    "MPL-1.1",
    "MPL-2.0",
    "NCSA",
    "OLDAP-2.8",
    "OpenSSL",
    "PHP-3.01",
    "PSF-2.0",
    "Python-2.0",
    "Ruby",
    "TCL",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Vim",
    "W3C",
    "X11",
    "Zlib",
    "ZPL-2.1",
];
/// Exceptions that may stand behind `WITH`.
const EXCEPTIONS: [&str; 8] = [
    "Autoconf-exception-3.0",
    "Bison-exception-2.2",
    "Classpath-exception-2.0",
    "GCC-exception-2.0",
    "GCC-exception-3.1",
    "Libtool-exception",
    "LLVM-exception",
    "Linux-syscall-note",
];

/// What a licence tag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Licence<'a> {
    /// Nothing is said.
    Unknown,
    /// An SPDX expression.
    Expression(&'a str),
    /// A name.
    Name(&'a str),
}

impl<'a> Licence<'a> {
    /// Reads a tag.
    pub(super) fn of(tag: &'a str) -> Self {
        match tag.trim() {
            "" | "(none)" => Self::Unknown,
            text if is_expression(text) => Self::Expression(text),
            text => Self::Name(text),
        }
    }
}

/// Whether the text is an expression by the grammar of SPDX 2.3, annex D, of known identifiers.
fn is_expression(text: &str) -> bool {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let (mut depth, mut wants_operand) = (0_usize, true);
    let mut words = spaced.split_whitespace();
    while let Some(word) = words.next() {
        match (word, wants_operand) {
            ("(", true) => depth += 1,
            (")", false) if depth > 0 => depth -= 1,
            ("AND" | "OR", false) => wants_operand = true,
            ("WITH", false) if words.next().is_some_and(|word| EXCEPTIONS.contains(&word)) => {}
            (word, true) if IDENTIFIERS.contains(&word) => wants_operand = false,
            _ => return false,
        }
    }
    depth == 0 && !wants_operand
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_told_from_names() {
        let expressions = [
            "MIT",
            "GPL-3.0-or-later AND LGPL-2.0-or-later",
            "(GPL-3.0-or-later WITH GCC-exception-3.1) AND (BSD-2-Clause OR MIT)",
        ];
        for text in expressions {
            assert_eq!(Licence::of(text), Licence::Expression(text));
        }
        let names = ["GPLv2+ and BSD", "BSD", "MIT and ISC", "MIT AND", "(MIT", "MIT ISC", "MIT)"];
        for text in names {
            assert_eq!(Licence::of(text), Licence::Name(text));
        }
        assert_eq!(Licence::of("MIT WITH magic"), Licence::Name("MIT WITH magic"));
        assert_eq!(Licence::of(""), Licence::Unknown);
    }
}
