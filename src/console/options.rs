//! The keys of `[console]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::OpenIdOptions;

/// The console: pages for people on call at `/console` of `operations.listen`. Nothing is shown without signing in.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "console")]
pub struct ConsoleOptions {
    /// Whether it is served. By default where `operations.listen` is an address of this machine alone. Beyond that it
    /// needs TLS: `[http.tls]`, or a proxy that `console.public_url` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The address by which people reach `operations.listen` through a proxy, as `https://desk.example.com`. Without it
    /// only requests to `localhost`, `127.0.0.0/8` and `[::1]` are answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Whether nobody may change anything.
    pub read_only: bool,
    /// Who may see what customers wrote and who they are.
    pub reveal: Reveal,
    /// Time after which a session without requests ends, in minutes.
    #[schemars(range(min = 1, max = 1440))]
    pub idle_minutes: u32,
    /// Longest life of a session, in hours.
    #[schemars(range(min = 1, max = 168))]
    pub session_hours: u32,
    /// Sign-in by an OpenID provider, besides the links of `frontdesk console login`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openid: Option<OpenIdOptions>,
}

/// Who may see what customers wrote and who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reveal {
    /// Leads, with a reason, on record.
    Lead,
    /// Nobody.
    Never,
}

impl Default for ConsoleOptions {
    fn default() -> Self {
        Self {
            enabled: None,
            public_url: None,
            read_only: false,
            reveal: Reveal::Lead,
            idle_minutes: 30,
            session_hours: 12,
            openid: None,
        }
    }
}

impl ConsoleOptions {
    pub(super) fn idle(&self) -> Duration {
        Duration::from_secs(u64::from(self.idle_minutes) * 60)
    }

    pub(super) fn longest(&self) -> Duration {
        Duration::from_secs(u64::from(self.session_hours) * 60 * 60)
    }
}
