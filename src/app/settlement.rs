//! Checks that repeats are recognised for longer than it takes to settle a doubt.

use std::time::Duration;

use crate::{config::ConfigError, desk::Desk};

/// Longest duration of a request and its repeat.
const SETTLE_MARGIN: Duration = Duration::from_secs(240);

/// Checks that `desk.repeat_window_s` is longer than it takes to find out whether the first request took effect.
pub(super) fn check_settlement(desk: &Desk) -> Result<(), ConfigError> {
    let settlement = desk.ticket_settlement();
    let settle_after = settlement.search_after().filter(|_| !settlement.is_unique());
    match settle_after.filter(|after| desk.options().repeat_window() <= *after + SETTLE_MARGIN) {
        None => Ok(()),
        Some(after) => {
            let why = format!(
                "must be more than 240 s longer than the {} s after which {} is believed to have no ticket",
                after.as_secs(),
                desk.options().helpdesk
            );
            Err(ConfigError::value("desk.repeat_window_s", why))
        }
    }
}
