//! A package file with another signature: as build systems keep what they signed, the unsigned file once and
//! each signature's header beside it.

/// Bytes of the lead, which every package file begins with.
const LEAD: usize = 96;
/// What a header begins with, and bytes of its introduction and of an entry of its index (rpm's file format,
/// version 4).
const MAGIC: [u8; 4] = [0x8e, 0xad, 0xe8, 0x01];
const INTRODUCTION: usize = 16;
const ENTRY: usize = 16;
/// The signature's header is padded to a multiple of so many bytes.
const PADDING: usize = 8;

/// The package file `unsigned` with `signature` in the place of its own signature's header. `None` where one of
/// them is not what it should be. Whether the signature is one, and of this package, is for others to find out.
#[must_use]
pub(crate) fn with_signature(unsigned: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    let (lead, rest) = unsigned.split_at_checked(LEAD)?;
    let (_, rest) = rest.split_at_checked(padded_length(rest)?)?;
    let signature = signature.get(..padded_length(signature)?)?;
    Some([lead, signature, rest].concat())
}

/// Bytes of the header that `bytes` begin with, and of the padding behind it.
fn padded_length(bytes: &[u8]) -> Option<usize> {
    let introduction = bytes.get(..INTRODUCTION).filter(|it| it.starts_with(&MAGIC))?;
    let number = |at: usize| {
        let digits: [u8; 4] = introduction.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_be_bytes(digits)).ok()
    };
    let (entries, data) = (number(8)?, number(12)?);
    let length = entries.checked_mul(ENTRY)?.checked_add(data)?.checked_add(INTRODUCTION)?;
    length.checked_next_multiple_of(PADDING)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of so many bytes of data and one entry, padded.
    fn header(data: u8, fill: u8) -> Vec<u8> {
        let mut header = [MAGIC.as_slice(), &[0; 4], &[0, 0, 0, 1], &[0, 0, 0, data]].concat();
        header.extend(vec![fill; ENTRY + usize::from(data)]);
        header.resize(header.len().next_multiple_of(PADDING), 0);
        header
    }

    #[test]
    fn the_signature_is_exchanged_and_nothing_else() {
        let (lead, rest) = ([7; LEAD], *b"the header and the payload");
        for (own, other) in [(0, 5), (5, 0), (8, 8), (1, 250)] {
            let unsigned = [&lead[..], &header(own, 1), &rest].concat();
            let signed = [&lead[..], &header(other, 2), &rest].concat();
            assert_eq!(with_signature(&unsigned, &header(other, 2)), Some(signed));
        }
    }

    #[test]
    fn what_is_no_package_or_no_signature_is_refused() {
        let unsigned = [&[7; LEAD][..], &header(4, 1), b"rest"].concat();
        let signature = header(5, 2);
        assert!(with_signature(&unsigned, &signature).is_some());
        for length in 0..LEAD + header(4, 1).len() {
            assert_eq!(with_signature(&unsigned[..length], &signature), None, "{length}");
        }
        for length in 0..signature.len() {
            assert_eq!(with_signature(&unsigned, &signature[..length]), None, "{length}");
        }
        let mut huge = signature.clone();
        huge[8..16].fill(0xff);
        assert_eq!(with_signature(&unsigned, &huge), None);
        assert_eq!(with_signature(&unsigned, b"<html>not found</html>"), None);
    }
}
