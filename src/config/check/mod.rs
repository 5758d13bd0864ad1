//! Validation beyond serde: unknown keys with a suggestion, ranges, rules across keys. Collects all faults.

mod addresses;
mod agents;
mod schema;
mod verification;

use http::Uri;

use super::{Config, ConfigError};
use crate::{
    domain::{is_loopback, names_loopback},
    identity::{Mode, agents::Authentication},
};

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
    console(config, &mut faults);
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

/// Beyond this machine the console needs encryption: its cookie is worth a session.
fn console(config: &Config, faults: &mut Faults) {
    let console = &config.console;
    let public = console.public_url.as_deref();
    if let Some(url) = public {
        let uri = url.parse::<Uri>().ok().filter(|uri| uri.authority().is_some());
        let bare = uri.as_ref().is_some_and(|uri| matches!(uri.path(), "" | "/") && uri.query().is_none());
        let https = uri.as_ref().is_some_and(|uri| uri.scheme_str() == Some("https"));
        let here = uri.as_ref().and_then(Uri::host).is_some_and(names_loopback);
        if !bare || !(https || here) {
            faults.value(
                "console.public_url",
                "must be the https address of a host, without a path, as https://desk.example.com; /console is added",
            );
        }
    }
    if let Some(openid) = &console.openid {
        let uri = openid.issuer.parse::<Uri>().ok();
        let https = uri.as_ref().is_some_and(|uri| uri.scheme_str() == Some("https"));
        if !(https || uri.as_ref().and_then(Uri::host).is_some_and(names_loopback)) {
            faults.value(
                "console.openid.issuer",
                "must be an https address, as the provider's discovery document has it",
            );
        }
        let roles = &openid.roles;
        if [&roles.viewer, &roles.operator, &roles.lead].into_iter().all(Vec::is_empty) {
            faults.value(
                "console.openid.roles",
                "lets nobody in; write which values of the claim give which role, as roles.operator = [\"on-call\"]",
            );
        }
        if !openid.scopes.iter().any(|scope| scope == "openid") {
            faults.value("console.openid.scopes", "must have openid among them: without it there is no ID token");
        }
    }
    if console.enabled != Some(true) {
        return;
    }
    if !config.operations.enabled {
        faults.value("console.enabled", "needs operations.enabled = true: it is served at operations.listen");
    }
    if !is_loopback(config.operations.listen.ip()) && config.http.tls.is_none() && public.is_none() {
        faults.value(
            "console.enabled",
            format!(
                "operations.listen = \"{}\" can be reached from other machines, and the console's cookie must not travel in \
                 clear; set [http.tls], or console.public_url to the https address of the proxy in front, or listen on 127.0.0.1",
                config.operations.listen
            ),
        );
    }
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
