//! Flags of `frontdesk init` that answer its questions.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Answers given as flags.
#[derive(Args)]
pub(super) struct Answers {
    /// Store file, relative to the directory [default: frontdesk.db]
    #[arg(long, value_name = "FILE")]
    pub store: Option<String>,
    /// Webhook sources: escalation, chatbot, cms-update or connectors, separated by commas; or none [default: escalation]
    #[arg(long, value_name = "SOURCES")]
    pub webhooks: Option<String>,
    /// Order system: builtin (the embedded store) or a connector [default: builtin]
    #[arg(long, value_name = "SYSTEM")]
    pub orders: Option<String>,
    /// Helpdesk: builtin or a connector [default: builtin]
    #[arg(long, value_name = "SYSTEM")]
    pub helpdesk: Option<String>,
    /// CRM: builtin or a connector [default: builtin]
    #[arg(long, value_name = "SYSTEM")]
    pub crm: Option<String>,
    /// Base URL of a connector's system, for example `zendesk=https://acme.zendesk.com`; may be repeated
    #[arg(long = "base-url", value_name = "CONNECTOR=URL")]
    pub base_urls: Vec<String>,
    /// Setting of a connector, for example intercom.ticket_type_id=88; may be repeated
    #[arg(long = "setting", value_name = "CONNECTOR.NAME=VALUE")]
    pub settings: Vec<String>,
    /// How the customer of a call is determined [default: context]
    #[arg(long, value_enum)]
    pub identity: Option<IdentityArg>,
    /// Issuer (iss) of customer contexts or access tokens [default: backend, for contexts]
    #[arg(long, value_name = "ISSUER")]
    pub issuer: Option<String>,
    /// PEM public key that verifies customer contexts, instead of a generated secret
    #[arg(long, value_name = "FILE")]
    pub public_key: Option<PathBuf>,
    /// Identity fixed: customer id
    #[arg(long, value_name = "ID")]
    pub customer: Option<String>,
    /// Identity fixed: email address of the customer
    #[arg(long, value_name = "ADDRESS")]
    pub email: Option<String>,
    /// Identity token: URL of /mcp as agents know it
    #[arg(long, value_name = "URL")]
    pub resource: Option<String>,
    /// Identity token: a claim that only tokens of signed-in persons have [default: auth_time]
    #[arg(long, value_name = "CLAIM")]
    pub person_claim: Option<String>,
    /// Mail server that sends one-time codes to customers who are not signed in, as smtp.example.com or
    /// smtp.example.com:465; with --mail-from [default: no codes]
    #[arg(long, value_name = "HOST[:PORT]", requires = "mail_from")]
    pub mail_server: Option<String>,
    /// Sender of one-time codes, as `Acme <desk@example.com>`; with --mail-server
    #[arg(long, value_name = "SENDER", requires = "mail_server")]
    pub mail_from: Option<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum IdentityArg {
    /// A signed customer context with every call
    #[default]
    Context,
    /// One customer for the whole process
    Fixed,
    /// The customer's own access token
    Token,
}
