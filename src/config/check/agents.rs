//! Rules for the authentication of agents.

use http::Uri;

use super::Faults;
use crate::{
    config::Config,
    identity::{
        Mode,
        agents::{Authentication, IssuerOptions, is_safe},
    },
};

pub(super) fn agents(config: &Config, faults: &mut Faults) {
    let agents = &config.agents;
    let required = agents.authentication == Authentication::Required;
    if !agents.issuers.is_empty() {
        if !required {
            faults.value(
                "agents.authentication",
                "agents.issuers is configured, and nobody is asked for a token; write agents.authentication = \"required\"",
            );
        }
        if agents.resource.is_none() {
            faults.value(
                "agents.resource",
                "is needed with agents.issuers: the address of /mcp as agents know it; write agents.resource = \
                 \"https://…/mcp\"",
            );
        }
    }
    if let Some(resource) = &agents.resource {
        let uri = resource.parse::<Uri>().ok().filter(|uri| uri.host().is_some() && uri.query().is_none());
        if uri.is_none() || !is_safe(resource) || resource.contains('#') {
            faults.value(
                "agents.resource",
                "must be an https address without query and fragment, as https://desk.example.com/mcp (http only on this \
                 machine)",
            );
        }
    }
    issuers(&agents.issuers, faults);
    if config.identity.mode == Mode::Token {
        of_persons(&agents.issuers, faults);
    }
}

/// Prefixes must keep clients of different issuers apart: `p` + `px` equals `pp` + `x`.
fn issuers(issuers: &[IssuerOptions], faults: &mut Faults) {
    for (n, one) in issuers.iter().enumerate() {
        for (m, other) in issuers.iter().enumerate().skip(n + 1) {
            let (a, b) = (one.prefix.as_str(), other.prefix.as_str());
            if one.issuer == other.issuer {
                faults.value("agents.issuers", format!("{} is there twice; remove one", one.issuer));
            } else if a == b {
                faults.value(
                    "agents.issuers",
                    "two issuers could have a client of the same id; write a prefix of its own for each but one, as prefix \
                     = \"partner/\"",
                );
            } else if !a.is_empty() && !b.is_empty() && (a.starts_with(b) || b.starts_with(a)) {
                faults.value(
                    &format!("agents.issuers[{m}].prefix"),
                    format!(
                        "{b:?} and {a:?}, that of agents.issuers[{n}], begin alike, so that two clients could get one id; \
                         choose prefixes of which none begins with another, as partner/ and staff/"
                    ),
                );
            }
        }
    }
}

/// Mode `token`: the access token identifies a customer, so exactly one issuer, and a claim that only tokens of persons
/// have, are required.
fn of_persons(issuers: &[IssuerOptions], faults: &mut Faults) {
    if issuers.is_empty() {
        faults.value(
            "agents.issuers",
            "identity.mode is token: the customers' access tokens come from an issuer; write [[agents.issuers]] with issuer",
        );
    }
    if issuers.len() > 1 {
        faults.value(
            "agents.issuers",
            "identity.mode is token: one person's sub at one issuer can be another's at the next; keep one issuer, or \
             choose identity.mode = \"context\"",
        );
    }
    if issuers.iter().any(|issuer| issuer.person_claim.is_none()) {
        faults.value(
            "agents.issuers[0].person_claim",
            "identity.mode is token: name a claim that tokens have only when a person has signed in, as person_claim = \
             \"auth_time\"; a client's own token must not pass for a customer's",
        );
    }
}
