//! Options of the mail server.

use std::time::Duration;

use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};

use crate::domain::{SecretRef, TextRef};

/// The mail server that takes the messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "smtp")]
pub struct SmtpOptions {
    /// Host name of the mail server, as in its certificate.
    pub host: String,
    /// Default: 587 with `starttls`, 465 with `implicit`, 25 with `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `starttls`: the connection is encrypted before anything is sent, or ended. `implicit`: encrypted from its first
    /// octet. `none`: not encrypted, for a mail server on this machine. Certificates are checked against those of the
    /// operating system, or on Linux against the file in `SSL_CERT_FILE`.
    pub tls: SmtpTls,
    /// User name, or a reference to it; with `password`. Left out: without authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<TextRef>,
    /// Password, with `username`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// Time for one message, from the connection to the server's verdict, in milliseconds. A shutdown waits for 10 s at
    /// most.
    #[schemars(range(min = 100, max = 60_000))]
    pub timeout_ms: u64,
}

/// Encryption of the connection to the mail server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    #[default]
    Starttls,
    Implicit,
    None,
}

impl Default for SmtpOptions {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: None,
            tls: SmtpTls::default(),
            username: None,
            password: None,
            timeout_ms: 8_000,
        }
    }
}

impl SmtpOptions {
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            SmtpTls::Starttls => 587,
            SmtpTls::Implicit => 465,
            SmtpTls::None => 25,
        })
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// Whether a text can be the sender of messages: an address, or a name and an address as `Acme <desk@example.com>`.
pub fn is_sender(text: &str) -> bool {
    text.parse::<Mailbox>().is_ok()
}
