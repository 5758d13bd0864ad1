//! The system that a command talks to: an upstream of the configuration, or a vendor file with an address.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde_json::Value;

use super::From;
use crate::{
    app,
    config::Secrets,
    connectors::{Builder, Connector, ConnectorError, Library, Port, UpstreamOptions, VendorFile},
    domain::{Clock, SecretRef, SystemId, TextRef},
    upstream::auth::TokenVault,
};

#[derive(Args)]
pub(super) struct Target {
    /// Upstream in the configuration, or a connector that needs no more than its file and its variables
    pub(super) name: String,
    #[command(flatten)]
    from: From,
    /// Base URL instead of the configured one
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Setting of the vendor file instead of the configured one; the value is JSON or a word. Repeatable
    #[arg(long = "setting", value_name = "NAME=VALUE")]
    settings: Vec<String>,
}

/// The target with everything that is needed to build its connector.
pub(super) struct Opened {
    pub(super) name: String,
    pub(super) file: VendorFile,
    /// The vendor file as it is written.
    pub(super) text: String,
    pub(super) upstreams: BTreeMap<String, UpstreamOptions>,
    library: Library,
    secrets: Secrets,
    vault: Option<Arc<dyn TokenVault>>,
}

impl Target {
    pub(super) fn open(&self) -> anyhow::Result<Opened> {
        let (library, loaded) = self.from.open()?;
        let vault = app::token_vault(&loaded.config, &loaded.secrets, &Clock::system())?;
        let mut upstreams = loaded.config.upstreams;
        let options = upstreams.entry(self.name.clone()).or_default();
        if let Some(url) = &self.base_url {
            options.base_url = Some(TextRef::Plain(url.clone()));
        }
        for setting in &self.settings {
            let Some((name, value)) = setting.split_once('=') else {
                bail!("--setting {setting}: write NAME=VALUE, as external_id_field=cf_id");
            };
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            options.settings.insert(name.to_owned(), value);
        }
        let connector = options.connector.clone().unwrap_or_else(|| self.name.clone());
        let file = library.parse(&connector).with_context(|| {
            format!("{} is no upstream of the configuration whose connector can be used, nor a connector", self.name)
        })?;
        Ok(Opened {
            name: self.name.clone(),
            file,
            text: library.text(&connector)?.to_owned(),
            upstreams,
            library,
            secrets: loaded.secrets,
            vault,
        })
    }
}

impl Opened {
    pub(super) fn options(&self) -> UpstreamOptions {
        self.upstreams.get(&self.name).cloned().unwrap_or_default()
    }

    /// The system of the customer ids.
    pub(super) fn system(&self) -> anyhow::Result<SystemId> {
        match self.options().system {
            Some(system) => Ok(system),
            None => Ok(SystemId::parse(&self.name)?),
        }
    }

    /// The connector, also of a draft, for the port of an operation; of an operation without a port, for all of them.
    pub(super) fn connector(&self, operation: &str) -> anyhow::Result<Connector> {
        let all = [Port::Orders, Port::Helpdesk, Port::Crm, Port::Knowledge, Port::Codes];
        let there = self.file.ports();
        let has = |port: &Port| there.contains(&port.as_str());
        let named = all.into_iter().find(|port| operation.split('.').next() == Some(port.as_str()));
        let ports: Vec<Port> = match named {
            Some(port) => vec![port],
            None => all.into_iter().filter(has).collect(),
        };
        self.builder(&|builder| Ok(builder.with_drafts().build(&self.name, &ports)?))
    }

    /// Calls `work` with a builder of the configured upstreams.
    pub(super) fn builder<T>(&self, work: &dyn Fn(&Builder<'_>) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let read = |secret: &SecretRef| self.secrets.read(secret);
        let builder = Builder::new(self.library.clone(), &self.upstreams, &read, Clock::system(), self.vault.clone())?;
        work(&builder).map_err(|error| match error.downcast_ref() {
            Some(ConnectorError::Value { key, .. }) if key == "base_url" => anyhow!("{error}, or add --base-url URL"),
            _ => error,
        })
    }
}
