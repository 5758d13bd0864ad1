//! MCP over standard input and output, for agent hosts that start the server themselves.

use std::sync::Arc;

use rmcp::{
    RoleServer, ServiceExt,
    service::{QuitReason, RxJsonRpcMessage, TxJsonRpcMessage},
    transport::{Transport, async_rw::AsyncRwTransport, stdio_pipes},
};

use super::{
    Parts,
    handler::{Handler, Reach},
};

/// Why serving over stdio ended badly.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    #[error("the client did not open the session as MCP asks")]
    Opening(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the session broke down")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The longest message; a longer one is dropped, and said so in the log.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Serves one client until it closes its end, or until `closing` is cancelled.
pub async fn stdio(parts: Parts) -> Result<(), StdioError> {
    let shutdown = parts.shutdown.clone();
    let (read, write) = stdio_pipes();
    let inner = AsyncRwTransport::new_server(read, write).with_max_line_length(LINE_BYTES_MAX);
    let transport = Lenient { inner, opened: false };
    let handler = Arc::new(Handler::new(parts, Reach::Anytime));
    let opening = tokio::select! {
        opening = handler.serve_with_ct(transport, shutdown.kill.child_token()) => opening,
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

/// Passes over notifications that come before the first request: the library would end the process.
struct Lenient<T> {
    inner: T,
    opened: bool,
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Lenient<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), T::Error>> + Send + 'static {
        self.inner.send(message)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let message = self.inner.receive().await?;
            if !self.opened && matches!(message, RxJsonRpcMessage::<RoleServer>::Notification(_)) {
                tracing::warn!("passed over a notification that came before the first request");
                continue;
            }
            self.opened = true;
            return Some(message);
        }
    }

    async fn close(&mut self) -> Result<(), T::Error> {
        self.inner.close().await
    }
}
