//! A day, as definitions name it.

use serde::{Deserialize, Serialize};

const SECONDS: u64 = 86_400;

/// A day since 1970 in UTC, `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Day {
    year: u64,
    month: u64,
    day: u64,
}

impl Day {
    /// Parses `YYYY-MM-DD`.
    ///
    /// # Errors
    /// When it is no day since 1970.
    pub fn new(text: &str) -> Result<Self, InvalidDay> {
        let invalid = || InvalidDay(text.to_owned());
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, day] = parts.as_slice() else { return Err(invalid()) };
        let is_whole = [(year, 4), (month, 2), (day, 2)]
            .iter()
            .all(|(part, length)| part.len() == *length && digits(part));
        let number = |part: &str| part.parse::<u64>().map_err(|_| invalid());
        let date = Self { year: number(year)?, month: number(month)?, day: number(day)? };
        let is_one = date.year >= 1970 && (1..=12).contains(&date.month);
        match is_whole && is_one && (1..=date.length()).contains(&date.day) {
            true => Ok(date),
            false => Err(invalid()),
        }
    }

    /// Its last second, in seconds since 1970.
    #[must_use]
    pub fn end(self) -> u64 {
        // Years that begin in March put the leap day at their end; 719,468 days lie between 0000-03-01
        // and 1970-01-01.
        let year = if self.month > 2 { self.year } else { self.year - 1 };
        let month = (self.month + 9) % 12;
        let days = 365 * year + year / 4 - year / 100 + year / 400;
        let days = days + (153 * month + 2) / 5 + self.day - 1;
        (days - 719_468) * SECONDS + SECONDS - 1
    }

    /// How many days its month has.
    fn length(self) -> u64 {
        let year = self.year;
        let is_leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        match self.month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

impl TryFrom<String> for Day {
    type Error = InvalidDay;

    fn try_from(text: String) -> Result<Self, InvalidDay> {
        Self::new(&text)
    }
}

impl From<Day> for String {
    fn from(Day { year, month, day }: Day) -> Self {
        format!("{year:04}-{month:02}-{day:02}")
    }
}

/// A text that is no day.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no day (YYYY-MM-DD)")]
pub struct InvalidDay(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_end_when_they_do() {
        let end = |text| Day::new(text).map(Day::end);
        assert_eq!(end("1970-01-01"), Ok(SECONDS - 1));
        assert_eq!(end("2000-02-29"), Ok(11_017 * SECONDS - 1));
        assert_eq!(end("2024-12-31"), Ok(1_735_689_599));
        assert_eq!(end("2100-03-01"), Ok(47_542 * SECONDS - 1));
        assert_eq!(Day::new("2019-06-05").map(String::from), Ok("2019-06-05".to_owned()));
        for odd in ["", "2019", "1969-12-31", "2019-02-29", "2019-13-01", "2019-6-5", "2019-06-05Z"]
        {
            assert!(Day::new(odd).is_err(), "{odd}");
        }
    }
}
