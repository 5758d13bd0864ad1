//! Builds the desk of a configuration.

use std::{sync::Arc, time::Duration};

use super::{Connectors, requests::Requests, upstreams};
use crate::{
    config::{Config, ConfigError},
    desk::{Desk, Ports, Verifications},
    domain::Clock,
    store::Store,
};

/// Longest duration of a request and its repeat.
const SETTLE_MARGIN: Duration = Duration::from_secs(240);

/// Builds the desk: each port is a configured connector, or the store.
pub(super) fn desk(
    config: &Config,
    store: &Store,
    connectors: &Connectors,
    requests: Requests,
    verifications: Option<Verifications>,
    clock: Clock,
) -> Desk {
    let embedded = Arc::new(store.clone());
    let options = config.desk.clone();
    let ports = Ports {
        orders: match connectors.get(&options.orders) {
            Some(connector) => connector.clone(),
            None => embedded.clone(),
        },
        helpdesk: match connectors.get(&options.helpdesk) {
            Some(connector) => connector.clone(),
            None => embedded.clone(),
        },
        crm: match connectors.get(&options.crm) {
            Some(connector) => connector.clone(),
            None => embedded.clone(),
        },
        knowledge: embedded.clone(),
        changes: embedded.clone(),
        ledger: embedded.clone(),
        locks: embedded.clone(),
        requests: Some(Arc::new(requests)),
        audit: embedded,
        mirrors: upstreams::mirrors(config, connectors),
        verifications,
    };
    Desk::new(ports, options, config.articles.clone(), &config.limits, clock)
}

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
