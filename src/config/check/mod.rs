//! Validation beyond serde: unknown keys with a suggestion, ranges, rules across keys. Collects all faults.

mod addresses;
mod agents;
mod schema;
mod verification;

use http::Uri;

use super::{Config, ConfigError};
use crate::identity::{Mode, agents::Authentication};

pub(super) use addresses::host;
pub(crate) use addresses::proxies;
pub(super) use schema::prune;

/// Faults of a configuration.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<ConfigError>);

impl Faults {
    pub(super) fn push(&mut self, fault: ConfigError) {
        self.0.push(fault);
    }

    /// Adds a fault of a key's value; `why` says what to write.
    pub(super) fn value(&mut self, key: &str, why: impl Into<String>) {
        self.push(ConfigError::value(key, why));
    }

    pub(super) fn into_vec(self) -> Vec<ConfigError> {
        self.0
    }
}

/// Checks the rules across keys.
pub(super) fn across(config: &Config) -> Vec<ConfigError> {
    let mut faults = Faults::default();
    agents::agents(config, &mut faults);
    addresses::beyond_this_machine(config, &mut faults);
    addresses::operations(config, &mut faults);
    addresses::names(config, &mut faults);
    traces(config, &mut faults);
    identity(config, &mut faults);
    if let Err(fault) = proxies(config) {
        faults.push(fault);
    }
    alerts(config, &mut faults);
    retention(config, &mut faults);
    verification::verification(config, &mut faults);
    faults.into_vec()
}

fn traces(config: &Config, faults: &mut Faults) {
    let Some(endpoint) = &config.traces.endpoint else { return };
    let uri = endpoint.parse::<Uri>().ok().filter(|uri| uri.host().is_some());
    if uri.is_none_or(|uri| !matches!(uri.scheme_str(), Some("http" | "https"))) {
        faults.value("traces.endpoint", "must be an address, as http://127.0.0.1:4318");
    }
}

fn retention(config: &Config, faults: &mut Faults) {
    let (kept, needed) = (config.retention.conversation_tickets_days, config.desk.conversation_days);
    if kept < needed {
        faults.value(
            "retention.conversation_tickets_days",
            format!("is shorter than desk.conversation_days, for which a conversation keeps its ticket; write {needed} or more"),
        );
    }
}

fn identity(config: &Config, faults: &mut Faults) {
    let identity = &config.identity;
    for (key, there) in [
        ("identity.customer", identity.customer.is_some()),
        ("identity.email", identity.email.is_some()),
        ("identity.language", identity.language.is_some()),
    ] {
        if there && identity.mode != Mode::Fixed {
            faults.value(key, "is only for identity.mode = \"fixed\"; remove one of the two");
        }
    }
    for (key, there) in [
        ("identity.tokens", !identity.tokens.is_empty()),
        ("identity.asserted", !identity.asserted.is_empty()),
        ("agents.carriers", !config.agents.carriers.is_empty()),
    ] {
        if there && identity.mode != Mode::Context {
            faults.value(key, "is only for identity.mode = \"context\"; remove one of the two");
        }
    }
    if !identity.asserted.is_empty() && config.agents.authentication == Authentication::None {
        faults.value(
            "identity.asserted",
            "trusts an agent that has authenticated, and agents do not; write agents.authentication = \"required\"",
        );
    }
    let of_agents = config.agents.audiences();
    for (n, token) in identity.tokens.iter().enumerate().filter(|(_, token)| !token.is_symmetric()) {
        // A customer's token is never an agent's: the two must differ in audience.
        let audiences = token.audiences();
        let any = audiences.is_empty()
            && config.agents.issuers.iter().any(|issuer| token.issuer.as_deref() == Some(&issuer.issuer));
        if any || audiences.iter().any(|audience| of_agents.contains(audience)) {
            faults.value(
                &format!("identity.tokens[{n}].audience"),
                "is that of agents' access tokens, or leaves it open at their issuer; name the client id of the shop, which \
                 agents' tokens are not made for",
            );
        }
    }
    if identity.context.azp_required && config.agents.authentication == Authentication::None {
        faults.value(
            "identity.context.azp_required",
            "compares the context with the agent that has authenticated, and agents do not; write agents.authentication = \
             \"required\", or remove the line",
        );
    }
}

fn alerts(config: &Config, faults: &mut Faults) {
    let alerts = &config.inbox.alerts;
    if alerts.url.is_some() != alerts.secret.is_some() {
        let (there, missing) = if alerts.url.is_some() { ("url", "secret") } else { ("secret", "url") };
        faults.value(
            &format!("inbox.alerts.{missing}"),
            format!("is needed with inbox.alerts.{there}: alerts that are posted are signed"),
        );
    }
    for (source, s) in &alerts.silent_after_s {
        let key = format!("inbox.alerts.silent_after_s.{source}");
        if !config.webhooks.contains_key(source) {
            faults.value(&key, format!("webhooks.{source} is not configured"));
        }
        if *s == 0 {
            faults.value(&key, "must be at least 1");
        }
    }
}
