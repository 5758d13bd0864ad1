//! The flags of `frontdesk init` that answer a question.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Answers to what would be asked.
#[derive(Args)]
pub(super) struct Answers {
    /// Store file, relative to the directory
    #[arg(long, value_name = "FILE")]
    pub store: Option<String>,
    /// Sources of webhooks: escalation, chatbot, cms-update or connectors, with commas; or none
    #[arg(long, value_name = "SOURCES")]
    pub webhooks: Option<String>,
    /// Where orders are: builtin (the embedded store) or a connector
    #[arg(long, value_name = "SYSTEM")]
    pub orders: Option<String>,
    /// Where tickets are: builtin or a connector
    #[arg(long, value_name = "SYSTEM")]
    pub helpdesk: Option<String>,
    /// Where contacts are: builtin or a connector
    #[arg(long, value_name = "SYSTEM")]
    pub crm: Option<String>,
    /// Address of a connector's system, as zendesk=https://acme.zendesk.com; may be given several times
    #[arg(long = "base-url", value_name = "CONNECTOR=URL")]
    pub base_urls: Vec<String>,
    /// Setting of a connector, as intercom.ticket_type_id=88; may be given several times
    #[arg(long = "setting", value_name = "CONNECTOR.NAME=VALUE")]
    pub settings: Vec<String>,
    /// Where the customer of a call comes from
    #[arg(long, value_enum)]
    pub identity: Option<IdentityArg>,
    /// The iss of customer contexts, or of access tokens
    #[arg(long, value_name = "ISSUER")]
    pub issuer: Option<String>,
    /// Public key in PEM that customer contexts are verified with, instead of a generated secret
    #[arg(long, value_name = "FILE")]
    pub public_key: Option<PathBuf>,
    /// Identity fixed: the customer's id
    #[arg(long, value_name = "ID")]
    pub customer: Option<String>,
    /// Identity fixed: the customer's email address
    #[arg(long, value_name = "ADDRESS")]
    pub email: Option<String>,
    /// Identity token: the address of /mcp as agents know it
    #[arg(long, value_name = "URL")]
    pub resource: Option<String>,
    /// Identity token: a claim that only tokens of signed-in people have
    #[arg(long, value_name = "CLAIM")]
    pub person_claim: Option<String>,
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
