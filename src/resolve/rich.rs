//! Rich dependencies: boolean expressions in parentheses, as RPM's documentation
//! (`docs/manual/boolean_dependencies`) defines them.

use crate::model::Comparison;

/// How deep expressions may nest, and how many capabilities they may name: far beyond what
/// packages have, and little enough to be safe.
const MAX_DEPTH: usize = 16;
const MAX_TERMS: usize = 128;

/// A parsed dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression<'a> {
    /// `name comparison evr`
    Capability { name: &'a str, comparison: Comparison, evr: Option<&'a str> },
    /// `a and b and …`
    And(Vec<Self>),
    /// `a or b or …`
    Or(Vec<Self>),
    /// `a with b with …`: one package that is all of them.
    With(Vec<Self>),
    /// `a without b`: one package that is the first and not the second.
    Without(Box<[Self; 2]>),
    /// `a if b else c`
    If { then: Box<Self>, condition: Box<Self>, otherwise: Option<Box<Self>> },
    /// `a unless b else c`
    Unless { then: Box<Self>, condition: Box<Self>, otherwise: Option<Box<Self>> },
}

/// Whether a relation's name is a rich dependency.
pub(super) fn is_rich(name: &str) -> bool {
    name.starts_with('(')
}

/// Parses a rich dependency, its parentheses included. `None` when it is malformed or absurd.
pub(super) fn parse(text: &str) -> Option<Expression<'_>> {
    let mut parser = Parser { rest: text, terms: 0 };
    let expression = parser.group(0)?;
    parser.rest.trim().is_empty().then_some(expression)
}

struct Parser<'a> {
    rest: &'a str,
    terms: usize,
}

impl<'a> Parser<'a> {
    /// `( term operator term … )`
    fn group(&mut self, depth: usize) -> Option<Expression<'a>> {
        if depth > MAX_DEPTH || !self.skip("(") {
            return None;
        }
        let first = self.term(depth)?;
        let expression = if self.skip(")") {
            return Some(first);
        } else {
            match self.word()? {
                operator @ ("and" | "or" | "with") => self.chain(operator, first, depth)?,
                "without" => Expression::Without(Box::new([first, self.term(depth)?])),
                operator @ ("if" | "unless") => self.conditional(operator, first, depth)?,
                _ => return None,
            }
        };
        self.skip(")").then_some(expression)
    }

    /// What follows `first operator`, as long as the operator is the same.
    fn chain(
        &mut self,
        operator: &str,
        first: Expression<'a>,
        depth: usize,
    ) -> Option<Expression<'a>> {
        let mut terms = vec![first, self.term(depth)?];
        while !self.rest.trim_start().starts_with(')') {
            if self.word()? != operator {
                return None;
            }
            terms.push(self.term(depth)?);
        }
        Some(match operator {
            "and" => Expression::And(terms),
            "or" => Expression::Or(terms),
            _ => Expression::With(terms),
        })
    }

    /// What follows `then if` or `then unless`.
    fn conditional(
        &mut self,
        operator: &str,
        then: Expression<'a>,
        depth: usize,
    ) -> Option<Expression<'a>> {
        let then = Box::new(then);
        let condition = Box::new(self.term(depth)?);
        let otherwise = if self.rest.trim_start().starts_with(')') {
            None
        } else {
            if self.word()? != "else" {
                return None;
            }
            Some(Box::new(self.term(depth)?))
        };
        Some(match operator {
            "if" => Expression::If { then, condition, otherwise },
            _ => Expression::Unless { then, condition, otherwise },
        })
    }

    fn term(&mut self, depth: usize) -> Option<Expression<'a>> {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('(') {
            return self.group(depth + 1);
        }
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return None;
        }
        let name = self.word()?;
        let Some(comparison) = self.comparison() else {
            return Some(Expression::Capability { name, comparison: Comparison::Any, evr: None });
        };
        Some(Expression::Capability { name, comparison, evr: Some(self.word()?) })
    }

    /// Takes a comparison, if one comes next.
    fn comparison(&mut self) -> Option<Comparison> {
        let all = [
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("==", Comparison::Equal),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
            ("=", Comparison::Equal),
        ];
        all.into_iter().find(|(text, _)| self.skip(text)).map(|(_, comparison)| comparison)
    }

    /// Takes the next word: up to a blank or a closing parenthesis that it did not open itself.
    fn word(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start();
        let mut open = 0_usize;
        let end = self.rest.find(|character: char| match character {
            '(' => {
                open += 1;
                false
            }
            ')' if open == 0 => true,
            ')' => {
                open -= 1;
                false
            }
            other => other.is_whitespace(),
        });
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    /// Takes `text`, if it comes next.
    fn skip(&mut self, text: &str) -> bool {
        match self.rest.trim_start().strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Expression<'_> {
        Expression::Capability { name, comparison: Comparison::Any, evr: None }
    }

    #[test]
    fn names_keep_their_own_parentheses() {
        let parsed = parse("(libfoo.so.1(FOO_1)(64bit) or perl(Foo::Bar))");
        let expected =
            Expression::Or(vec![name("libfoo.so.1(FOO_1)(64bit)"), name("perl(Foo::Bar)")]);
        assert_eq!(parsed, Some(expected));
    }

    #[test]
    fn versions_and_nesting() {
        let parsed = parse("((a >= 1:2-3 with a<4) if (b unless c) else d)").unwrap();
        let Expression::If { then, condition, otherwise } = parsed else { panic!("{parsed:?}") };
        let bounded = |comparison, evr| Expression::Capability { name: "a", comparison, evr };
        let low = bounded(Comparison::GreaterOrEqual, Some("1:2-3"));
        let Expression::With(terms) = *then else { panic!("{then:?}") };
        assert_eq!(terms.first(), Some(&low));
        let (then, nested) = (Box::new(name("b")), Box::new(name("c")));
        assert_eq!(*condition, Expression::Unless { then, condition: nested, otherwise: None });
        assert_eq!(otherwise, Some(Box::new(name("d"))));
    }

    #[test]
    fn what_is_malformed_or_absurd_is_refused() {
        for text in ["(a and b", "(a and b or c)", "(a b)", "()", "(a if)", "(a) b", "(a >= )"] {
            assert_eq!(parse(text), None, "{text}");
        }
        let deep = format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000));
        assert_eq!(parse(&deep), None);
        let long = format!("({})", vec!["a"; 10_000].join(" or "));
        assert_eq!(parse(&long), None);
    }
}
