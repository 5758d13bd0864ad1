//! `frontdesk context mint`: signs customer contexts for tests.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::super::{ConfigArgs, output};
use crate::{
    config::Loaded,
    domain::{Clock, Language, Level, Secret},
    identity::{Algorithm, Mint, SigningKey, mint},
};

/// Sign a customer context and print it
///
/// For tests and the MCP Inspector; in production the backend that authenticates customers signs them. Takes issuer and
/// audience from the configuration, and signs with its HS256 key or with --signing-key.
#[derive(Args)]
pub(super) struct MintArgs {
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
    /// Customer id (sub), for example cus_ada
    #[arg(long, value_name = "ID")]
    customer: String,
    /// Level of authentication (lvl)
    #[arg(long, value_enum, default_value = "verified")]
    level: LevelArg,
    /// Conversation id (cid)
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// The customer's email address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// The address is verified (email_verified)
    #[arg(long, requires = "email")]
    email_verified: bool,
    /// The customer's name
    #[arg(long)]
    name: Option<String>,
    /// The customer's language (locale), for example de-AT
    #[arg(long, value_name = "TAG")]
    locale: Option<Language>,
    /// The customer's id in another system, for example shopify:123; may be repeated
    #[arg(long, value_name = "SYSTEM:ID")]
    linked: Vec<String>,
    /// Agent id (azp) [default: identity.context.azp]
    #[arg(long, value_name = "ID")]
    azp: Option<String>,
    /// Lifetime in seconds; more than 900 needs --conversation and --azp, and identity.context.lifetime_max_s
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    ttl_s: i64,
    /// Issuer (iss) [default: identity.context.issuer]
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<String>,
    /// PEM private key to sign with, instead of the configured HS256 secret
    #[arg(long, value_name = "FILE", requires = "alg")]
    signing_key: Option<PathBuf>,
    /// Algorithm of --signing-key
    #[arg(long, value_enum)]
    alg: Option<AlgorithmArg>,
    /// Key id (kid) for the header
    #[arg(long)]
    kid: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum LevelArg {
    Anonymous,
    Otp,
    Verified,
}

#[derive(Clone, Copy, ValueEnum)]
enum AlgorithmArg {
    #[value(name = "EdDSA")]
    EdDsa,
    #[value(name = "ES256")]
    Es256,
    #[value(name = "RS256")]
    Rs256,
}

impl MintArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let loaded = self.config.load()?;
        let key = self.key(&loaded)?;
        let context = &loaded.config.identity.context;
        let issuer = self.issuer.or_else(|| context.issuer.clone());
        let token = mint(
            Mint {
                issuer: issuer.ok_or_else(|| anyhow!("no issuer; set identity.context.issuer or give --issuer"))?,
                audience: context.audience.clone(),
                subject: self.customer,
                level: match self.level {
                    LevelArg::Anonymous => Level::Anonymous,
                    LevelArg::Otp => Level::Otp,
                    LevelArg::Verified => Level::Verified,
                },
                lifetime_s: self.ttl_s,
                conversation: self.conversation,
                email: self.email,
                email_verified: self.email_verified,
                name: self.name,
                locale: self.locale.map(String::from),
                linked: self.linked,
                azp: self.azp.or_else(|| context.azp.clone()),
            },
            &key,
            Clock::system().now(),
        )?;
        match self.json {
            true => output::json(&json!({ "context": token })),
            false => output::line(token),
        }
    }

    fn key(&self, loaded: &Loaded) -> anyhow::Result<SigningKey> {
        if let (Some(path), Some(alg)) = (&self.signing_key, self.alg) {
            let pem = fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
            let algorithm = match alg {
                AlgorithmArg::EdDsa => Algorithm::EdDsa,
                AlgorithmArg::Es256 => Algorithm::Es256,
                AlgorithmArg::Rs256 => Algorithm::Rs256,
            };
            return Ok(SigningKey { algorithm, kid: self.kid.clone(), secret: Secret::new(pem) });
        }
        for (n, key) in loaded.config.identity.context.keys.iter().enumerate() {
            if key.alg == Algorithm::Hs256
                && (self.kid.is_none() || key.kid == self.kid)
                && let Some(key) = key.signing(n, &loaded.secrets)?
            {
                return Ok(key);
            }
        }
        Err(anyhow!(
            "no key to sign with; configure an HS256 key under identity.context.keys, or give --signing-key and --alg"
        ))
    }
}
