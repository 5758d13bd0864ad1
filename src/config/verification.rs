//! The `[verification]` section: one-time codes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    desk::{CodeText, CodeTexts, VerificationOptions},
    domain::Language,
    mail::{SmtpOptions, is_sender},
};

/// One-time codes for customers who are not signed in.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "verification")]
pub struct VerificationConfig {
    /// Offer agents the tools `send_verification_code` and `check_verification_code`. A right code raises a conversation
    /// to level `otp`, with the address proven that the code went to. Needs `verification.smtp` or
    /// `verification.connector`; agents need the scope `customers:verify`.
    pub enabled: bool,
    /// How long a code is valid, in minutes.
    #[schemars(range(min = 1, max = 60))]
    pub code_minutes: u32,
    /// How long the address stays proven after a right code, in minutes.
    #[schemars(range(min = 1, max = 1440))]
    pub level_minutes: u32,
    /// How often a code may be tried. A customer who has used them up needs another code.
    #[schemars(range(min = 1, max = 10))]
    pub tries: u32,
    /// Codes for one conversation in an hour, as many of them at once; 0 is no limit. A customer who has signed in counts
    /// as one conversation where the context names none. What is over a limit is not sent, and the agent is not told.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub conversation_per_hour: u32,
    /// Codes that one agent may ask for in an hour; 0 is no limit. Callers without a customer context, with one of level
    /// `anonymous` and with one of a higher level are counted apart, and of these the conversations that a context names
    /// (`cid`) and the others.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub agent_per_hour: u32,
    /// Codes to one address in an hour, for one agent; 0 is no limit. Counted apart as `agent_per_hour` is. An address
    /// that the caller's own context proves is not counted.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub address_per_hour: u32,
    /// Upstream that sends the codes, with a connector that has the operation `codes.send`: `twilio-verify`,
    /// `http-codes` or your own. In the place of `verification.smtp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector: Option<String>,
    /// With `verification.smtp`: the sender, as `Acme <desk@example.com>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The mail server that takes the codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp: Option<SmtpOptions>,
    /// The language of messages to customers whose language is not known. There are texts in `en`, `de`, `fr`, `es`,
    /// `nl`, `it` and `pt`.
    pub language: Language,
    /// Your own subject and text by language, in the place of those that are shipped: `[verification.texts.de]`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<Language, CodeText>,
}

impl Default for VerificationConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            code_minutes: 10,
            level_minutes: 30,
            tries: 5,
            conversation_per_hour: 5,
            agent_per_hour: 300,
            address_per_hour: 6,
            connector: None,
            from: None,
            smtp: None,
            language: Language::english(),
            texts: BTreeMap::new(),
        }
    }
}

impl VerificationConfig {
    /// The desk's options.
    pub fn options(&self) -> VerificationOptions {
        VerificationOptions {
            code_minutes: self.code_minutes,
            level_minutes: self.level_minutes,
            tries: self.tries,
            conversation_per_hour: self.conversation_per_hour,
            agent_per_hour: self.agent_per_hour,
            address_per_hour: self.address_per_hour,
            language: self.language.clone(),
        }
    }

    /// Whether a mail server sends the codes, as far as the section says enough of one.
    pub fn has_mail_server(&self) -> bool {
        let there = self.smtp.as_ref().is_some_and(|smtp| !smtp.host.is_empty());
        there && self.connector.is_none() && self.from.as_deref().is_some_and(is_sender)
    }

    pub fn texts(&self) -> CodeTexts {
        CodeTexts(self.texts.clone())
    }
}
