//! Times as people type them.

use std::time::Duration;

use super::{Day, Timestamp};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A time that a person gives: RFC 3339, a date (its start in UTC, or its end), or an age such as 90s, 15m, 1h, 2d or 1w.
pub fn moment(text: &str, now: Timestamp, end_of_day: bool) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Some(ago) = ago(text) {
        return Ok(now.minus(ago));
    }
    if let Ok(day) = Day::parse(text)
        && day.as_str() == text
    {
        let begins = Timestamp::parse(&format!("{text}T00:00:00Z")).map_err(|invalid| invalid.to_string())?;
        return Ok(if end_of_day { begins.plus(DAY - Duration::from_millis(1)) } else { begins });
    }
    Timestamp::parse(text).map_err(|_| {
        "write a time as 2026-03-30T14:22:00Z, a date as 2026-03-30 (UTC), or an age as 90s, 15m, 1h, 2d or 1w"
            .to_owned()
    })
}

fn ago(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return None,
    };
    let count = text.strip_suffix(unit)?;
    let count: u64 = count.bytes().all(|b| b.is_ascii_digit()).then(|| count.parse().ok())??;
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_people_write_it() {
        let now = Timestamp::parse("2026-11-24T12:00:00Z").unwrap();
        for (text, since, until) in [
            ("1h", "2026-11-24T11:00:00Z", "2026-11-24T11:00:00Z"),
            ("90s", "2026-11-24T11:58:30Z", "2026-11-24T11:58:30Z"),
            ("2d", "2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z"),
            ("1w", "2026-11-17T12:00:00Z", "2026-11-17T12:00:00Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z", "2026-11-20T23:59:59.999Z"),
            ("2026-11-20T10:00:00+01:00", "2026-11-20T09:00:00Z", "2026-11-20T09:00:00Z"),
        ] {
            assert_eq!(moment(text, now, false).unwrap().to_string(), since, "{text}");
            assert_eq!(moment(text, now, true).unwrap().to_string(), until, "{text}");
        }
        for wrong in ["", "h", "-1h", "1.5h", "1y", "yesterday", "2026-02-30", "20261120", "99999999999999999999d"] {
            assert!(moment(wrong, now, false).is_err_and(|why| why.contains("1h")), "{wrong}");
        }
    }
}
