//! The records of extended headers (POSIX.1-2001, pax): `LENGTH KEY=VALUE\n`, where the length counts all of that.
//! Values are any bytes, ends of lines among them, so that nothing but the length says where one ends.

use super::error::LayerError;
use super::numbers::decimal;

/// Records, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct PaxRecords(Vec<(Vec<u8>, Vec<u8>)>);

impl PaxRecords {
    /// The records of a header's data.
    ///
    /// # Errors
    /// When it has something else.
    pub(super) fn read(mut data: &[u8]) -> Result<Self, LayerError> {
        let mut records = Vec::new();
        while !data.is_empty() {
            // Some writers fill up with zeros.
            if data.iter().all(|byte| *byte == 0) {
                break;
            }
            let (record, rest) = split(data)
                .ok_or_else(|| LayerError::archive("an extended header makes no sense"))?;
            records.push(record);
            data = rest;
        }
        Ok(Self(records))
    }

    /// Adds what holds for all that follows. An empty value takes an earlier one back.
    pub(super) fn take_in(&mut self, newer: Self) {
        for (key, value) in newer.0 {
            self.0.retain(|(old, _)| *old != key);
            if !value.is_empty() {
                self.0.push((key, value));
            }
        }
    }

    /// These, which are of one member, and those of `all` that they say nothing of.
    pub(super) fn above(self, all: &Self) -> Self {
        let is_other = |key: &[u8]| self.0.iter().all(|(own, _)| own != key);
        let others = all.0.iter().filter(|(key, _)| is_other(key)).cloned();
        let mut records: Vec<_> = others.collect();
        records.extend(self.0);
        // An empty value says that the header's own counts.
        records.retain(|(_, value)| !value.is_empty());
        Self(records)
    }

    /// The last value of `key`.
    pub(super) fn get(&self, key: &str) -> Option<&[u8]> {
        let mut from_last = self.0.iter().rev();
        from_last.find(|(there, _)| there == key.as_bytes()).map(|(_, value)| value.as_slice())
    }

    /// All keys and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }
}

/// The first record, and what follows.
#[expect(clippy::type_complexity, reason = "a key, its value, and the rest")]
fn split(data: &[u8]) -> Option<((Vec<u8>, Vec<u8>), &[u8])> {
    let blank = data.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(data.get(..blank)?)?).ok()?;
    let record = data.get(..length)?.get(blank + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    let (key, value) = (record.get(..equals)?, record.get(equals + 1..)?);
    Some(((key.to_vec(), value.to_vec()), data.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_any_bytes() {
        let data = b"31 SCHILY.xattr.user.a=\n7 b=c\n\n9 size=5\n5 x=\n\0\0";
        let records = PaxRecords::read(data).unwrap();
        assert_eq!(records.get("SCHILY.xattr.user.a"), Some(b"\n7 b=c\n".as_slice()));
        assert_eq!(records.get("size"), Some(b"5".as_slice()));
        assert_eq!(records.get("x"), Some(b"".as_slice()));
        assert_eq!(records.get("b"), None);
        let size = |records: &PaxRecords| records.get("size").map(<[u8]>::to_vec);
        let all = PaxRecords::read(b"9 size=6\n6 y=1\n").unwrap();
        let both = records.clone().above(&all);
        assert_eq!((size(&both), both.get("y")), (Some(b"5".to_vec()), Some(b"1".as_slice())));
        assert_eq!(PaxRecords::read(b"8 size=\n").unwrap().above(&all).get("size"), None);
        let mut all = records;
        all.take_in(PaxRecords::read(b"9 size=6\n").unwrap());
        assert_eq!(all.get("size"), Some(b"6".as_slice()));
        all.take_in(PaxRecords::read(b"8 size=\n").unwrap());
        assert_eq!(all.get("size"), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let wrong: [&[u8]; 9] = [
            b"size=5\n",
            b"9 size=5",
            b"11 size=5\n",
            b"8 size=5\n",
            b"+9 size=5\n",
            b" 9 size=5\n",
            b"4 =\n",
            b"99999999999999999999999 a=b\n",
            b"9 size=5\nx",
        ];
        for data in wrong {
            assert!(PaxRecords::read(data).is_err(), "{}", data.escape_ascii());
        }
    }
}
