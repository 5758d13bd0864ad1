//! MCP over standard input and output, for agent hosts that start the server themselves.

use std::sync::Arc;

use rmcp::{ServiceExt, service::QuitReason, transport::stdio_pipes};

use super::{Parts, handler::Handler};

/// Why serving over stdio ended badly.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    #[error("the client did not open the session as MCP asks")]
    Opening(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the session broke down")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Serves one client until it closes its end, or until `closing` is cancelled.
pub async fn stdio(parts: Parts) -> Result<(), StdioError> {
    let shutdown = parts.shutdown.clone();
    let handler = Arc::new(Handler::new(parts));
    let opening = tokio::select! {
        opening = handler.serve_with_ct(stdio_pipes(), shutdown.kill.child_token()) => opening,
        () = shutdown.closing.cancelled() => return Ok(()),
    };
    let running = match opening {
        Ok(running) => running,
        // A client that goes away before it said anything is not an error.
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(StdioError::Opening(Box::new(error))),
    };
    let kill = running.cancellation_token();
    let mut waiting = std::pin::pin!(running.waiting());
    let reason = tokio::select! {
        reason = &mut waiting => reason,
        () = shutdown.closing.cancelled() => {
            kill.cancel();
            waiting.await
        }
    };
    match reason {
        Ok(QuitReason::Closed | QuitReason::Cancelled) => Ok(()),
        Ok(QuitReason::JoinError(error)) | Err(error) => Err(StdioError::Broken(Box::new(error))),
        Ok(_) => Ok(()),
    }
}
