//! `frontdesk openapi`: the description of the tools by plain HTTP.

use std::path::PathBuf;

use clap::Args;
use http::Uri;

use super::output;
use crate::{
    config::{self, Config, Overrides},
    domain::AgentId,
    identity::{CONTEXT_HEADER, CarrierOptions, Mode, UNAUTHENTICATED, agents::Authentication},
    tools::{self, About, OneTimeCodes, OpenApiVersion, Spec},
};

/// Print the OpenAPI description of the tools by plain HTTP
///
/// For importers that read a file instead of GET /openapi.json, which needs the agent's token where agents
/// authenticate. Describes the tools as they are configured. The address is that of `agents.resource`, or
/// `http.listen`.
#[derive(Args)]
pub(super) struct OpenApi {
    /// Configuration file [default: frontdesk.toml in the working directory, if it exists]
    #[arg(long, value_name = "FILE", env = "FRONTDESK_CONFIG")]
    config: Option<PathBuf>,
    /// Version of OpenAPI: 3.1, 3.0 or 2.0
    #[arg(long, default_value_t)]
    version: OpenApiVersion,
    /// One tool only, for importers that take one operation a file
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// The agent whose importer reads it: its context header, and the argument customer_context if agents.carriers gives it
    /// that
    #[arg(long, value_name = "ID")]
    agent: Option<AgentId>,
    /// Address in front of /tools, as agents reach it, such as `https://desk.example.com`
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

impl OpenApi {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let loaded = config::load(&Overrides { file: self.config, ..Overrides::default() })?;
        loaded.warn();
        let config = &loaded.config;
        let codes = if config.verification.enabled { OneTimeCodes::Enabled } else { OneTimeCodes::Disabled };
        let mut specs = tools::offered(&config.tools, codes, config.identity.mode == Mode::Argument)?;
        if let Some(name) = &self.tool {
            let known: Vec<&str> = specs.iter().map(|spec| spec.name).collect();
            let known = known.join(", ");
            specs.retain(|spec| spec.name == name);
            if specs.is_empty() {
                anyhow::bail!("--tool {name} is not offered; the tools are {known}");
            }
        }
        let authenticated = config.agents.authentication == Authentication::Required;
        let agent = self.agent.as_ref().filter(|_| authenticated).map_or(UNAUTHENTICATED, AgentId::as_str);
        let by_context = config.identity.mode == Mode::Context;
        let carrier = config.agents.carriers.get(agent).filter(|_| by_context);
        if carrier.and_then(CarrierOptions::input_level).is_some() {
            specs = specs.iter().map(Spec::with_context_argument).collect();
        }
        let header = carrier.and_then(|carrier| carrier.context_header.clone());
        let about = About {
            version: self.version,
            server: match self.server {
                Some(url) => checked(&url)?,
                None => server(config),
            },
            authenticated,
            context_header: by_context.then(|| header.unwrap_or_else(|| CONTEXT_HEADER.to_owned())),
        };
        output::line(serde_json::to_string_pretty(&tools::openapi(&specs, &about))?)
    }
}

/// The address without a slash at its end.
fn checked(url: &str) -> anyhow::Result<String> {
    let uri = url.parse::<Uri>().ok().filter(|uri| {
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        is_web && uri.host().is_some_and(|host| !host.is_empty()) && !user && uri.query().is_none()
    });
    if uri.is_none() || url.contains('#') {
        anyhow::bail!("--server must be an address without a query, as https://desk.example.com");
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn server(config: &Config) -> String {
    match &config.agents.resource {
        Some(resource) => tools::server_of(resource).to_owned(),
        None => {
            let scheme = if config.http.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{}", config.http.listen)
        }
    }
}
