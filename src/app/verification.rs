//! What sends one-time codes: a mail server, or an upstream with a connector.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::{AppError, Connectors};
use crate::{
    config::{Config, ConfigError, Secrets},
    desk::{CodeSender, Verifications},
    domain::SecretRef,
    mail::SmtpSender,
    store::Store,
};

/// The mail server that sends codes; none if they are not enabled, or an upstream sends them.
pub fn mail_server(config: &Config, secrets: &Secrets) -> Result<Option<SmtpSender>, AppError> {
    let verification = &config.verification;
    // What the rules of the section refuse is not set up here, nor reported a second time.
    let usable = verification.enabled && verification.has_mail_server();
    let Some(smtp) = verification.smtp.as_ref().filter(|_| usable) else { return Ok(None) };
    let read = |secret: &SecretRef| secrets.read(secret);
    let from = verification.from.as_deref().unwrap_or_default();
    Ok(Some(SmtpSender::new(smtp, from, &read)?))
}

/// The configured sender; none if codes are not enabled.
pub(super) fn sender(
    config: &Config,
    secrets: &Secrets,
    connectors: &Connectors,
) -> Result<Option<Arc<dyn CodeSender>>, AppError> {
    let verification = &config.verification;
    let named = verification.connector.as_ref().filter(|_| verification.enabled);
    if let Some(connector) = named.and_then(|name| connectors.get(name)) {
        if let Some(minutes) = connector.code_minutes().filter(|minutes| *minutes != verification.code_minutes) {
            let why = format!(
                "is {}, and codes last {minutes} minutes at upstream {}; write {minutes}, or leave it out",
                verification.code_minutes,
                connector.name()
            );
            return Err(ConfigError::value("verification.code_minutes", why).into());
        }
        return Ok(Some(connector.clone()));
    }
    Ok(mail_server(config, secrets)?.map(|server| Arc::new(server) as Arc<dyn CodeSender>))
}

pub(super) fn verifications(
    config: &Config,
    store: &Store,
    sender: Arc<dyn CodeSender>,
    on_their_way: TaskTracker,
) -> Verifications {
    let verification = &config.verification;
    Verifications::new(Arc::new(store.clone()), sender, on_their_way, verification.options(), verification.texts())
}
