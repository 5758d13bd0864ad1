//! Hands messages to a mail server, each over a connection of its own.

use std::future::Future;

use async_trait::async_trait;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{
        Mailbox, SinglePart,
        header::{ContentType, Header, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};

use super::options::{SmtpOptions, SmtpTls};
use crate::{
    desk::{CodeMessage, CodeSender, PortError, PortErrorKind, System},
    domain::{SecretError, SecretReader},
};

/// A mail server, and the sender of the messages.
pub struct SmtpSender {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    options: SmtpOptions,
}

/// Why a message was not handed over. Holds nothing that the server said but its status.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("verification.from is not an address")]
    From,
    #[error("failed to read verification.smtp.{key}")]
    Secret {
        key: &'static str,
        #[source]
        source: SecretError,
    },
    #[error("failed to set up TLS")]
    Tls(#[source] lettre::transport::smtp::Error),
    #[error("the message cannot be written for this recipient")]
    Message,
    #[error("the mail server did not answer in time")]
    Late,
    #[error("the mail server refuses the user name or the password: {0}")]
    Denied(u16),
    #[error("the mail server refuses the message: {0}")]
    Refused(u16),
    #[error("the mail server cannot take the message now: {0}")]
    Busy(u16),
    #[error("the encrypted connection to the mail server failed")]
    Encryption(#[source] lettre::transport::smtp::Error),
    #[error("the mail server does not answer as a mail server with these options does")]
    Unexpected,
    #[error("no connection to the mail server")]
    NoConnection(#[source] lettre::transport::smtp::Error),
}

impl SmtpSender {
    pub fn new(options: &SmtpOptions, from: &str, secrets: SecretReader<'_>) -> Result<Self, MailError> {
        let from = from.parse().map_err(|_| MailError::From)?;
        let parameters = || TlsParameters::new(options.host.clone()).map_err(MailError::Tls);
        let tls = match options.tls {
            SmtpTls::Starttls => Tls::Required(parameters()?),
            SmtpTls::Implicit => Tls::Wrapper(parameters()?),
            SmtpTls::None => Tls::None,
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(options.host.clone())
            .port(options.port())
            .tls(tls)
            .timeout(Some(options.timeout()));
        if let (Some(username), Some(password)) = (&options.username, &options.password) {
            let failed = |key| move |source| MailError::Secret { key, source };
            let username = username.read(secrets).map_err(failed("username"))?;
            let password = secrets(password).map_err(failed("password"))?;
            transport = transport.credentials(Credentials::new(username, password.expose().to_owned()));
        }
        Ok(Self { transport: transport.build(), from, options: options.clone() })
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.options.host, self.options.port())
    }

    /// Connects, encrypts, authenticates and quits, without a message.
    pub async fn probe(&self) -> Result<(), MailError> {
        match self.within(self.transport.test_connection()).await? {
            true => Ok(()),
            false => Err(MailError::Unexpected),
        }
    }

    fn message(&self, message: &CodeMessage) -> Result<Message, MailError> {
        let to: Address = message.to.as_str().parse().map_err(|_| MailError::Message)?;
        let domain = self.from.email.domain();
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(&message.text.subject)
            // RFC 5322 3.6.4: unique, and the same for every attempt.
            .message_id(Some(format!("<{}@{domain}>", message.effect.as_str())))
            .header(AutoSubmitted)
            .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(message.text.text.clone()))
            .map_err(|_| MailError::Message)
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
    ) -> Result<T, MailError> {
        match tokio::time::timeout(self.options.timeout(), work).await {
            Ok(done) => done.map_err(failure),
            Err(_) => Err(MailError::Late),
        }
    }
}

#[async_trait]
impl CodeSender for SmtpSender {
    async fn send(&self, message: &CodeMessage) -> Result<(), PortError> {
        let sent = async { self.within(self.transport.send(self.message(message)?)).await };
        sent.await.map(drop).map_err(|error| {
            let kind = match error {
                MailError::Denied(_) => PortErrorKind::Denied,
                MailError::From | MailError::Secret { .. } | MailError::Tls(_) => PortErrorKind::Misconfigured,
                MailError::Message | MailError::Refused(_) => PortErrorKind::Invalid { field: None, verdict: true },
                MailError::Busy(_) => PortErrorKind::RateLimited { retry_after: None },
                MailError::NoConnection(_) | MailError::Encryption(_) => PortErrorKind::NotDone { closed_for: None },
                MailError::Late | MailError::Unexpected => PortErrorKind::Unavailable { closed_for: None },
            };
            PortError::new(System::Verification, kind, error)
        })
    }
}

fn failure(error: lettre::transport::smtp::Error) -> MailError {
    let status = error.status().map(u16::from);
    match status {
        // RFC 4954 6: authentication failed, is too weak, or is required.
        Some(status @ (530 | 534 | 535 | 538)) => MailError::Denied(status),
        Some(status) if error.is_transient() => MailError::Busy(status),
        Some(status) => MailError::Refused(status),
        None if error.is_timeout() => MailError::Late,
        None if error.is_tls() || is_of_certificates(&error) => MailError::Encryption(error),
        None if error.is_client() || error.is_response() => MailError::Unexpected,
        None => MailError::NoConnection(error),
    }
}

/// Whether a handshake failed: rustls reports what it does not accept as invalid data.
fn is_of_certificates(error: &lettre::transport::smtp::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if kind == Some(std::io::ErrorKind::InvalidData) {
            return true;
        }
        source = cause.source();
    }
    false
}

/// RFC 3834 5: no automatic reply is wanted.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        desk::{CodeText, OneTimeCode},
        domain::{EffectId, Email, Language},
    };

    fn message(to: &Email) -> Result<Message, MailError> {
        let no_secrets = |_: &_| unreachable!("no secret is configured");
        let options = SmtpOptions { host: "localhost".to_owned(), tls: SmtpTls::None, ..SmtpOptions::default() };
        let sender = SmtpSender::new(&options, "Acme <desk@shop.example>", &no_secrets)?;
        sender.message(&CodeMessage {
            handle_begins: None,
            to: to.clone(),
            code: OneTimeCode::fresh().unwrap(),
            language: Language::english(),
            minutes: 10,
            text: CodeText { subject: "A code".to_owned(), text: "A code.".to_owned() },
            effect: EffectId::fresh(),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// What the agent was told is on its way has to leave this machine.
        #[test]
        fn a_message_can_be_written_to_every_address_that_a_code_is_promised_to(
            text in prop_oneof![
                r#"[a-z0-9.\-+'"<>\[\]:_@\u{e4}\u{df}\u{4e2d}\u{301}]{1,12}@[a-z0-9.\-_\[\]:\u{fc}\u{130}\u{4e2d}\u{b2}]{1,12}"#,
                r"[a-z.]{1,70}@[a-z\-]{1,66}\.[a-z0-9]{1,5}",
                r"\PC{1,20}@\PC{1,10}\.\PC{1,5}",
            ],
        ) {
            if let Some(email) = Email::parse(&text).ok().filter(Email::is_mailbox) {
                let written = message(&email);
                prop_assert!(written.is_ok(), "{text}: {written:?}");
                prop_assert_eq!(written.unwrap().envelope().to().len(), 1);
            }
        }
    }
}
