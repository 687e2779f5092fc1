//! The numbers of tar headers: octal digits, or for those that are too large two's complement in base 256 (GNU).

/// Archives consist of blocks of so many bytes; a header is one.
pub(super) const BLOCK: usize = 512;

/// The number in a field; zero where that is empty, `None` where it is none or is no number.
pub(super) fn number(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => binary(field),
        _ => octal(field),
    }
}

/// The same, which must not be below zero.
pub(super) fn count(field: &[u8]) -> Option<u64> {
    number(field).and_then(|number| u64::try_from(number).ok())
}

fn binary(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    // The highest bit says how it is written, the next one whether it is below zero.
    let mut value = i128::from(first & 0x3f) - i128::from(first & 0x40);
    for byte in rest {
        value = value.checked_mul(256)?.checked_add(i128::from(*byte))?;
    }
    i64::try_from(value).ok()
}

fn octal(field: &[u8]) -> Option<i64> {
    let digits = field.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii();
    let mut value = 0_i64;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value = value.checked_mul(8)?.checked_add(digit.into())?;
    }
    Some(value)
}

/// A whole decimal number, as extended headers have it.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    // `+1` is none there.
    let is_plain = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| is_plain)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_numbers_is_read() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"    644 "), Some(0o644));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b""), Some(0));
        assert_eq!(number(b"77777777777"), Some(0o77_777_777_777));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x01\0"), Some(256));
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"), Some(-2));
        assert_eq!(count(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"), None);
        assert_eq!(number(b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), None);
        assert_eq!(number(b"0000648\0"), None);
        assert_eq!(number(b"-1"), None);
        assert_eq!(decimal(b"12"), Some(12));
        assert!(decimal(b"+1").is_none() && decimal(b"").is_none() && decimal(b"1 ").is_none());
    }
}
