//! Timestamps (UTC, milliseconds), days, and the [`Clock`] that every decision about wall-clock time asks, which tests
//! can move.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::parsed::{Invalid, text_conversions};

/// The ends of the calendar (years -9999 to 9999), rounded to a second.
const LATEST_MS: i64 = 253_402_207_200_000;
const EARLIEST_MS: i64 = -377_705_023_200_000;

/// A UTC timestamp with milliseconds, written as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

impl Timestamp {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let parsed: jiff::Timestamp = text
            .parse()
            .map_err(|_| Invalid::new("time", "must be RFC 3339 with an offset, as 2026-03-30T14:22:00Z"))?;
        Ok(Self(parsed.as_millisecond()))
    }

    /// From Unix time in milliseconds. Errs outside the years -9999 to 9999.
    pub fn from_unix_ms(unix_ms: i64) -> Result<Self, Invalid> {
        jiff::Timestamp::from_millisecond(unix_ms)
            .map(|_| Self(unix_ms))
            .map_err(|_| Invalid::new("time", "is outside the calendar"))
    }

    pub fn unix_ms(self) -> i64 {
        self.0
    }

    pub fn unix_s(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Subtracts a duration, down to the earliest timestamp.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)).max(EARLIEST_MS))
    }

    /// Adds a duration, up to the latest timestamp.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)).min(LATEST_MS))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        moment.fmt(f)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl FromStr for Timestamp {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

impl From<Timestamp> for String {
    fn from(value: Timestamp) -> String {
        value.to_string()
    }
}

/// A calendar day (RFC 3339 full-date).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(String);

impl Day {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = |_| Invalid::new("date", "must be a calendar day, as 2026-03-30");
        let day: jiff::civil::Date = text.parse().map_err(invalid)?;
        Ok(Self(day.to_string()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_conversions!(Day);

/// The system's wall clock, or one that a test moves.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    moved_ms: Option<Arc<AtomicI64>>,
}

impl Clock {
    pub fn system() -> Self {
        Self::default()
    }

    /// The system's clock plus an offset, 0 at first, which [`Clock::advance`] and [`Clock::set_back`] change.
    pub fn movable() -> Self {
        Self { moved_ms: Some(Arc::default()) }
    }

    pub fn now(&self) -> Timestamp {
        let moved = self.moved_ms.as_ref().map_or(0, |ms| ms.load(Ordering::Relaxed));
        Timestamp(jiff::Timestamp::now().as_millisecond().saturating_add(moved))
    }

    /// Moves a movable clock forward; does nothing to the system's clock.
    pub fn advance(&self, by: Duration) {
        if let Some(moved) = &self.moved_ms {
            moved.fetch_add(millis(by), Ordering::Relaxed);
        }
    }

    /// Moves a movable clock back, as a correction of the wall clock does.
    pub fn set_back(&self, by: Duration) {
        if let Some(moved) = &self.moved_ms {
            moved.fetch_sub(millis(by), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        let time = Timestamp::parse("2026-03-30T16:22:00.250+02:00").unwrap();
        assert_eq!(time.to_string(), "2026-03-30T14:22:00.25Z");
        assert!(Timestamp::parse("2026-03-30 14:22").is_err());
        assert!(Timestamp::parse("2026-03-30T14:22:00").is_err());
    }

    #[test]
    fn arithmetic_stays_inside_the_calendar() {
        let now = Clock::system().now();
        let late = now.plus(Duration::from_secs(u64::MAX));
        assert_eq!(Timestamp::parse(&late.to_string()).unwrap(), late);
        assert!(now.minus(Duration::from_secs(u64::MAX)) < now);
    }

    #[test]
    fn days_exist() {
        assert!(Day::parse("2026-02-30").is_err());
        assert_eq!(Day::parse("2026-12-01").unwrap().as_str(), "2026-12-01");
    }
}
