//! Collects all faults of a configuration at once, and warnings about risky settings.

use super::{
    App, AppError, alerts, bind, grants,
    secrets::{named, operations_token, shared, tls},
    sources, upstreams, verification,
};
use crate::{
    config::{Config, ConfigError, LeftOut, Secrets},
    domain::{Clock, SecretRef, is_loopback},
    identity::{Mode, agents::Authentication},
    mail::SmtpTls,
    tools,
};

/// Builds each part on its own, so that no fault hides another; if there are none, builds the whole on a temporary
/// store.
pub fn faults(config: &Config, secrets: &Secrets) -> Diagnosis {
    let mut found: Vec<AppError> = missing_secrets(config, secrets).into_iter().map(AppError::from).collect();
    let clock = Clock::system();
    found.extend(identity(config, secrets, &clock));
    found.extend(shared(config, secrets).into_iter().map(AppError::from));
    found.extend(upstreams::faults(config, secrets, &clock));
    for (name, options) in &config.webhooks {
        let mut one = config.clone();
        one.webhooks = [(name.clone(), options.clone())].into();
        found.extend(sources::routes(&one, secrets).err());
    }
    found.extend(alerts::sink(config, secrets).err().map(AppError::from));
    found.extend(verification::mail_server(config, secrets).err());
    found.extend(operations_token(config, secrets).err().map(AppError::from));
    found.extend(tls(config, secrets).err());
    let mut seen = Vec::new();
    found.retain(|fault| {
        let text = format!("{:?}", fault.config().map(ToString::to_string).unwrap_or_else(|| format!("{fault:?}")));
        let is_new = !seen.contains(&text);
        seen.push(text);
        is_new
    });
    let mut warnings = warnings(config);
    if found.is_empty() {
        match together(config, secrets) {
            Ok(all) => warnings = all,
            Err(fault) => found.push(fault),
        }
    }
    Diagnosis { faults: found, warnings }
}

/// Faults and warnings of a configuration.
pub struct Diagnosis {
    pub faults: Vec<AppError>,
    pub warnings: Vec<String>,
}

fn together(config: &Config, secrets: &Secrets) -> Result<Vec<String>, AppError> {
    let directory = tempfile::tempdir().map_err(AppError::Trial)?;
    let mut trial = config.clone();
    trial.store.path = directory.path().join("frontdesk.db");
    Ok(App::build(&trial, secrets, Clock::system())?.warnings)
}

fn identity(config: &Config, secrets: &Secrets, clock: &Clock) -> Vec<AppError> {
    let judge = |identity: &crate::config::IdentityConfig| -> Result<(), AppError> {
        let config = Config { identity: identity.clone(), ..config.clone() };
        super::identity(&config, secrets, clock.clone()).map(drop)
    };
    let mut found: Vec<AppError> = judge(&config.identity).err().into_iter().collect();
    // A missing issuer must not hide a fault in the keys.
    if config.identity.mode == Mode::Context && config.identity.context.issuer.is_none() {
        let mut with_issuer = config.identity.clone();
        with_issuer.context.issuer = Some("https://example.com".to_owned());
        found.extend(judge(&with_issuer).err());
    }
    found
}

/// Required secrets that cannot be read.
fn missing_secrets(config: &Config, secrets: &Secrets) -> Vec<ConfigError> {
    let missing = |(key, place): (String, SecretRef)| {
        secrets.read(&place).err().map(|source| ConfigError::Secret { key, source })
    };
    named(config).into_iter().filter_map(missing).collect()
}

/// Binds the listeners for a moment; returns the errors.
pub async fn try_addresses(config: &Config) -> Vec<AppError> {
    let main = bind("http.listen", config.http.listen).await;
    let operations = match config.operations.enabled {
        true => bind("operations.listen", config.operations.listen).await.map(drop),
        false => Ok(()),
    };
    [main.map(drop), operations].into_iter().filter_map(Result::err).map(AppError::from).collect()
}

impl AppError {
    fn config(&self) -> Option<&ConfigError> {
        match self {
            Self::Config(error) => Some(error),
            _ => None,
        }
    }

    /// Whether the error only follows from a faulty key that was removed.
    pub fn is_explained_by(&self, left_out: &LeftOut) -> bool {
        self.config().is_some_and(|fault| left_out.explains(fault))
    }
}

/// Warnings about permitted but risky settings.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    if config.http.trusted_proxies > 0 && config.agents.authentication == Authentication::None {
        found.push(
            "http.trusted_proxies says that a proxy is in front, and agents do not authenticate: let it pass /webhooks/ \
             alone, or set agents.authentication = \"required\""
                .to_owned(),
        );
    }
    if !is_loopback(config.http.listen.ip()) && config.http.tls.is_none() && config.http.trusted_proxies == 0 {
        found.push(
            "http.listen can be reached from other machines without TLS: tokens and answers can be read on the way; set \
             http.tls, or http.trusted_proxies if a proxy does it"
                .to_owned(),
        );
    }
    if config.identity.mode == Mode::Argument {
        found.push(
            "identity.mode is argument: the agent itself says who the customer is, so anybody who can talk to the \
             agent can be anybody; use it only with trusted agents on this machine"
                .to_owned(),
        );
    }
    if let Some(smtp) = config.verification.smtp.as_ref().filter(|_| config.verification.enabled)
        && smtp.tls == SmtpTls::Implicit
        && matches!(smtp.port(), 25 | 587)
    {
        found.push(format!(
            "verification.smtp.tls is implicit, and servers at port {} usually begin without encryption: write tls = \
             \"starttls\", unless check --online finds this one",
            smtp.port()
        ));
    }
    found.extend(tools::opened(&config.tools));
    if config.identity.mode == Mode::Context {
        found.extend(grants::warnings(config));
    }
    found
}
