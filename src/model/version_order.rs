//! The order of versions and releases: that of RPM's `rpmvercmp`, never that of their text.

use std::cmp::Ordering;

/// Compares two versions, or two releases.
///
/// Both are taken apart into runs of digits and runs of ASCII letters; everything else only
/// separates. Numbers are newer than letters and compare by value. When one side ends first, the
/// other is newer, unless it goes on with `~`, which sorts before everything, the end included.
/// `^` sorts after the end and before everything else.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    loop {
        (left, right) = (skip_separators(left), skip_separators(right));
        match (left, right) {
            ([b'~', l @ ..], [b'~', r @ ..]) | ([b'^', l @ ..], [b'^', r @ ..]) => {
                (left, right) = (l, r);
                continue;
            }
            ([b'~', ..], _) | ([], [b'^', ..]) => return Ordering::Less,
            (_, [b'~', ..]) | ([b'^', ..], []) => return Ordering::Greater,
            ([b'^', ..], _) => return Ordering::Less,
            (_, [b'^', ..]) => return Ordering::Greater,
            ([], _) | (_, []) => return left.len().cmp(&right.len()),
            _ => {}
        }
        let (l, r);
        (l, left) = split_run(left);
        (r, right) = split_run(right);
        let order = compare_runs(l, r);
        if order.is_ne() {
            return order;
        }
    }
}

/// `text` from its first digit, letter, `~` or `^` on.
fn skip_separators(text: &[u8]) -> &[u8] {
    let counts = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'~' | b'^');
    let start = text.iter().position(counts).unwrap_or(text.len());
    text.split_at(start).1
}

/// The digits, or the letters, that `text` begins with, and the rest.
fn split_run(text: &[u8]) -> (&[u8], &[u8]) {
    let is_number = text.first().is_some_and(u8::is_ascii_digit);
    let belongs = |byte: &u8| match is_number {
        true => byte.is_ascii_digit(),
        false => byte.is_ascii_alphabetic(),
    };
    text.split_at(text.iter().take_while(|byte| belongs(byte)).count())
}

/// Compares two runs, neither of them empty. Numbers may be longer than any integer.
fn compare_runs(left: &[u8], right: &[u8]) -> Ordering {
    let number = |run: &[u8]| run.first().is_some_and(u8::is_ascii_digit);
    match (number(left), number(right)) {
        (true, true) => {
            let (left, right) = (without_zeros(left), without_zeros(right));
            left.len().cmp(&right.len()).then_with(|| left.cmp(right))
        }
        (false, false) => left.cmp(right),
        (left, right) => left.cmp(&right),
    }
}

/// `digits` without zeros in front.
fn without_zeros(digits: &[u8]) -> &[u8] {
    digits.split_at(digits.iter().take_while(|digit| **digit == b'0').count()).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_older_than_the_next() {
        let ascending = "~~ ~ ~a  ^~1 ^ ^a a ab b 0 1~~ 1~a 1~1 1 1^~1 1^ 1^a 1^1 1a 1.0 1.0.1 \
                         1.1 1.9 1.10 2.9.10 10 99999999999999999999998 99999999999999999999999";
        let ascending: Vec<&str> = ascending.split(' ').collect();
        for (position, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(compare(left, right), position.cmp(&other), "{left:?} {right:?}");
            }
        }
    }

    #[test]
    fn separators_and_leading_zeros_do_not_count() {
        for (left, right) in
            [("1.0", "1_0"), ("1.0", "1..00"), ("1a", "1.a"), ("", "é-"), ("1.", "1"), ("007", "7")]
        {
            assert_eq!(compare(left, right), Ordering::Equal, "{left:?} {right:?}");
        }
    }
}
