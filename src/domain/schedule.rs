//! Retry schedule: exponential back-off with full jitter, as pure functions without a clock.

use std::time::Duration;

use super::Timestamp;

/// Number of retries, and the pauses between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    pub retries: u32,
    pub base: Duration,
    pub cap: Duration,
}

/// Longer values of `Retry-After` are cut to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

impl Schedule {
    /// The pause after `made` attempts, without a limit on attempts: `random` (0 to 1) · `base` · 2^(made − 1), at most
    /// `cap`.
    pub fn pause(&self, made: u32, random: f64) -> Duration {
        let exponential = self.base.saturating_mul(2u32.saturating_pow(made.saturating_sub(1))).min(self.cap);
        exponential.mul_f64(random.clamp(0.0, 1.0))
    }

    /// The pause before attempt `made` + 1, after `made` attempts have failed. None means no further attempt.
    ///
    /// Exponential with full jitter, as [`Schedule::pause`]. A pause `asked` for by the upstream (`Retry-After`) is
    /// kept at least; there is no further attempt if it exceeds `cap`, or if the pause does not fit into what `remains`
    /// of the deadline.
    pub fn next_attempt(&self, made: u32, asked: Option<Duration>, remains: Duration, random: f64) -> Option<Duration> {
        if made > self.retries {
            return None;
        }
        let drawn = self.pause(made, random);
        let pause = match asked {
            Some(asked) if asked > self.cap => return None,
            Some(asked) => drawn.max(asked),
            None => drawn,
        };
        (pause < remains).then_some(pause)
    }
}

/// Parses `Retry-After` (RFC 9110 10.2.3): seconds or an HTTP date. A date in the past is a pause of 0, a malformed
/// value is None, and the maximum is an hour.
pub(crate) fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|b| b.is_ascii_digit()) {
        // Digits beyond 64 bits are cut to the maximum.
        return Some(Duration::from_secs(header.parse().unwrap_or(u64::MAX)).min(RETRY_AFTER_MAX));
    }
    let date = httpdate::parse_http_date(header).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let wait_s = date.as_secs().saturating_sub(u64::try_from(now.unix_s()).unwrap_or(0));
    Some(Duration::from_secs(wait_s).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NATIVE: Schedule = Schedule { retries: 3, base: Duration::from_secs(1), cap: Duration::from_secs(30) };
    const LONG: Duration = Duration::from_secs(3600);

    fn ms(schedule: Schedule, made: u32, asked_ms: Option<u64>, random: f64) -> Option<u128> {
        schedule.next_attempt(made, asked_ms.map(Duration::from_millis), LONG, random).map(|pause| pause.as_millis())
    }

    #[test]
    fn pauses_double_up_to_the_cap_and_then_end() {
        assert_eq!([1, 2, 3, 4].map(|made| ms(NATIVE, made, None, 1.0)), [Some(1000), Some(2000), Some(4000), None]);
        let patient = Schedule { retries: 99, ..NATIVE };
        assert_eq!(ms(patient, 40, None, 1.0), Some(30_000));
        assert_eq!(ms(NATIVE, 1, None, 0.0), Some(0));
        assert_eq!(ms(Schedule { retries: 0, ..NATIVE }, 1, None, 0.5), None);
    }

    #[test]
    fn an_upstream_that_asks_for_a_pause_gets_it_or_no_attempt() {
        assert_eq!(ms(NATIVE, 1, Some(5_000), 1.0), Some(5_000));
        assert_eq!(ms(NATIVE, 1, Some(0), 1.0), Some(1_000));
        assert_eq!(ms(NATIVE, 1, Some(31_000), 1.0), None);
        assert_eq!(NATIVE.next_attempt(1, Some(Duration::from_secs(5)), Duration::from_secs(4), 0.0), None);
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = Timestamp::parse("2026-11-24T12:00:00Z").unwrap();
        let s = |header| retry_after(header, now).map(|wait| wait.as_secs());
        assert_eq!(s("7"), Some(7));
        assert_eq!(s("Tue, 24 Nov 2026 12:00:09 GMT"), Some(9));
        assert_eq!(s("Tue, 24 Nov 2026 11:00:00 GMT"), Some(0));
        assert_eq!(s("1000000000"), Some(3600));
        assert_eq!(s("99999999999999999999999"), Some(3600));
        for garbage in ["", "soon", "-5", "1.5", "7 s", "Tue"] {
            assert_eq!(s(garbage), None, "{garbage:?}");
        }
    }

    proptest! {
        #[test]
        fn a_pause_never_leaves_its_bounds(
            made in 0u32..200, base_ms in 1u64..60_000, cap_ms in 1u64..60_000, remains_ms in 0u64..100_000,
            asked_ms in proptest::option::of(0u64..200_000), random in 0.0f64..=1.0,
        ) {
            let schedule = Schedule {
                retries: 100, base: Duration::from_millis(base_ms), cap: Duration::from_millis(cap_ms),
            };
            let (asked, remains) = (asked_ms.map(Duration::from_millis), Duration::from_millis(remains_ms));
            if let Some(pause) = schedule.next_attempt(made, asked, remains, random) {
                prop_assert!(made <= 100 && pause <= schedule.cap && pause < remains);
                prop_assert!(asked.is_none_or(|asked| pause >= asked));
            }
        }
    }
}
