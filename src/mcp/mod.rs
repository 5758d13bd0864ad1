//! The Model Context Protocol, in both eras (2025-11-25 and 2026-07-28). The only room that knows rmcp.

mod accept;
mod article_watcher;
mod call;
mod envelope;
mod guard;
mod handler;
mod lines;
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

use crate::{desk::Desk, identity::Identity, tools::Registry};

/// What the protocol room works with.
#[derive(Clone)]
pub struct Services {
    pub registry: Arc<Registry>,
    pub identity: Arc<Identity>,
    pub desk: Arc<Desk>,
    pub shutdown: Shutdown,
}

/// How serving ends, in two phases: `closing` ends what would go on for ever, `kill` what has not ended in time.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    pub closing: CancellationToken,
    pub kill: CancellationToken,
    /// Writes that must run to their end, whoever still waits for them.
    pub writes: TaskTracker,
}

impl Shutdown {
    /// The end of parts that others may take the place of: `closing` ends them alone.
    pub fn generation(&self) -> Self {
        Self { closing: self.closing.child_token(), ..self.clone() }
    }
}
