//! The Model Context Protocol, in both eras (2025-11-25 and 2026-07-28). The only room that knows rmcp.

mod accept;
mod article_watcher;
mod call;
mod envelope;
mod framing;
mod guard;
mod handler;
mod message;
mod resources;
mod scopes;
mod service;
mod session;
mod stdio;

use std::sync::Arc;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use service::{Endpoint, EndpointOptions, endpoint};
pub use stdio::{StdioError, stdio};

use crate::tools::Calls;

/// Dependencies of the protocol room.
#[derive(Clone)]
pub struct Services {
    pub calls: Arc<Calls>,
    pub shutdown: Shutdown,
}

/// Shutdown in two phases: `closing` ends streams and accepting, `kill` cancels what has not finished in time.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    pub closing: CancellationToken,
    pub kill: CancellationToken,
    /// Writes that must finish even if their clients are gone.
    pub writes: TaskTracker,
}

impl Shutdown {
    /// A child whose `closing` ends only the parts of one configuration, which a reload may replace.
    pub fn generation(&self) -> Self {
        Self { closing: self.closing.child_token(), ..self.clone() }
    }
}
