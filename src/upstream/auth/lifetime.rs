//! How long a token is used, by what its server says and by two clocks.

use std::time::{Duration, Instant};

use crate::domain::Timestamp;

/// Lifetime of a token without `expires_in`, which RFC 6749 5.1 only recommends.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(300);
/// Longest use of a token, whatever its server says.
const LIFETIME_MAX: Duration = Duration::from_secs(60 * 60);
/// Longest use of a session's token: logins are not repeated each hour, since vendors count or announce them.
const SESSION_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Subtracted from a lifetime, since servers round it to seconds.
const ROUNDING_MAX: Duration = Duration::from_secs(1);
/// A token is renewed a fifth of its lifetime before it expires, but at most this long before.
const RENEWAL_MARGIN_MAX: Duration = Duration::from_secs(60);

/// The lifetime that the server states.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lifetime {
    Unknown,
    Seconds(f64),
    /// That of a session, in seconds. None: until it is refused.
    Session(Option<f64>),
}

/// A time on two clocks: the monotonic one stops while the machine sleeps, and the wall clock can be set. The earlier
/// one counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) monotonic: Instant,
    pub(super) wall: Timestamp,
}

impl Moment {
    pub(super) fn plus(self, by: Duration) -> Self {
        Self { monotonic: self.monotonic + by, wall: self.wall.plus(by) }
    }

    pub(super) fn has_come(self, now: Self) -> bool {
        now.monotonic >= self.monotonic || now.wall >= self.wall
    }
}

/// How long a token is used, a little shorter than its server says because of rounding. None for a lifetime that is not
/// positive.
pub(super) fn life(lifetime: Lifetime) -> Option<Duration> {
    let said = match lifetime {
        Lifetime::Unknown => LIFETIME_DEFAULT,
        Lifetime::Session(None) => SESSION_MAX,
        Lifetime::Seconds(s) | Lifetime::Session(Some(s)) if s.is_nan() || s <= 0.0 => return None,
        Lifetime::Seconds(s) => Duration::from_secs_f64(s.min(LIFETIME_MAX.as_secs_f64())),
        Lifetime::Session(Some(s)) => Duration::from_secs_f64(s.min(SESSION_MAX.as_secs_f64())),
    };
    Some(said - ROUNDING_MAX.min(said / 2))
}

/// How long before its expiry a token is renewed; up to a quarter earlier at random, so that processes do not renew in
/// step.
pub(super) fn margin(life: Duration, random: f64) -> Duration {
    (life / 5).min(RENEWAL_MARGIN_MAX).mul_f64(1.0 + random / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Clock;

    #[test]
    fn lifetimes_are_bounded() {
        let ms = |lifetime| life(lifetime).map(|life| life.as_millis());
        assert_eq!(ms(Lifetime::Unknown), Some(299_000));
        assert_eq!(ms(Lifetime::Seconds(1e18)), Some(3_599_000));
        assert_eq!(ms(Lifetime::Seconds(f64::INFINITY)), Some(3_599_000));
        assert_eq!(ms(Lifetime::Session(None)), Some(86_399_000));
        assert_eq!(ms(Lifetime::Session(Some(1e9))), Some(86_399_000));
        assert_eq!(ms(Lifetime::Session(Some(0.0))), None);
        assert_eq!(ms(Lifetime::Seconds(2.0)), Some(1_000));
        assert_eq!(ms(Lifetime::Seconds(0.5)), Some(250));
        assert_eq!(margin(Duration::from_secs(100), 0.0), Duration::from_secs(20));
        assert_eq!(margin(Duration::from_secs(3600), 1.0), Duration::from_secs(75));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_lengthen_a_life() {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let now = Moment { monotonic: Instant::now(), wall: Clock::system().now() };
        let expiry = now.plus(Duration::from_secs(10));
        let set_back = Moment { monotonic: now.monotonic + Duration::from_secs(11), wall: now.wall.minus(DAY) };
        assert!(expiry.has_come(set_back), "a clock that is set back does not lengthen a life");
    }
}
