//! MCP over stdio, for agent hosts that start the server as a subprocess.
//!
//! rmcp binds a connection to the protocol era of its first message. Here each era has its own session on the same
//! pipes, so that a client may probe the newer one and continue in the older. Every message that is not accepted is
//! answered or logged.

use std::sync::Arc;

use rmcp::{
    RoleServer, ServiceExt,
    model::{ClientNotification, ClientRequest, ErrorCode, GetMeta, JsonRpcMessage},
    service::RxJsonRpcMessage,
    transport::stdio_pipes,
};
use serde_json::Value;
use tokio::{io::AsyncWrite, sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    Services,
    framing::{Line, Lines, Out},
    handler::{Handler, Reach},
    message::{self, Refusal},
    session::Session,
};
use crate::tools::readable;

/// Why serving over stdio failed.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    #[error("failed to read standard input or to write standard output")]
    Broken(#[source] std::io::Error),
}

/// Longest message, in bytes; a longer one is refused.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Capacity of a session's message queue.
const WAITING_MAX: usize = 64;

/// Serves one client until it closes its end, or until `closing` is cancelled.
pub async fn stdio(services: Services) -> Result<(), StdioError> {
    let shutdown = services.shutdown.clone();
    let (read, write) = stdio_pipes();
    let mut lines = Lines::new(read, LINE_BYTES_MAX);
    let mut client = Client {
        handler: Arc::new(Handler::new(services, Reach::Anytime)),
        out: Out::new(write),
        legacy: None,
        modern: None,
        running: JoinSet::new(),
        kill: shutdown.kill.child_token(),
    };
    let ended = loop {
        let line = tokio::select! {
            line = lines.next() => line,
            () = shutdown.closing.cancelled() => break Ok(()),
        };
        let taken = match line {
            Ok(Some(line)) => client.take(line).await,
            Ok(None) => break Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            break Err(error);
        }
    };
    client.end(&shutdown.closing).await;
    match ended {
        // A broken pipe means that the client has ended.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(StdioError::Broken(error)),
        _ => Ok(()),
    }
}

/// The client, with a session for each era that it uses.
struct Client<W> {
    handler: Arc<Handler>,
    out: Out<W>,
    legacy: Option<mpsc::Sender<RxJsonRpcMessage<RoleServer>>>,
    modern: Option<mpsc::Sender<RxJsonRpcMessage<RoleServer>>>,
    running: JoinSet<()>,
    kill: CancellationToken,
}

impl<W: AsyncWrite + Unpin + Send + 'static> Client<W> {
    async fn take(&mut self, line: Line) -> std::io::Result<()> {
        match read(line) {
            Ok(message) => self.pass(message).await,
            Err(refusal) => {
                tracing::warn!(why = %refusal.error.message, "a message could not be read");
                return self.out.send(&refusal.to_json()).await;
            }
        }
        Ok(())
    }

    async fn pass(&mut self, message: RxJsonRpcMessage<RoleServer>) {
        match &message {
            JsonRpcMessage::Request(request) => {
                self.session(is_modern(&request.request), message).await;
            }
            // Either session may have the cancelled request; the other ignores it.
            JsonRpcMessage::Notification(notification)
                if matches!(notification.notification, ClientNotification::CancelledNotification(_)) =>
            {
                for session in [&self.legacy, &self.modern].into_iter().flatten() {
                    // An ended session has nothing to cancel.
                    let _ = session.send(message.clone()).await;
                }
            }
            JsonRpcMessage::Notification(_) => match &self.legacy {
                Some(session) => drop(session.send(message).await),
                None => tracing::warn!("ignored a notification before the first request"),
            },
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {
                tracing::debug!("ignored an answer to a request that was never sent");
            }
        }
    }

    /// Passes a request to its era's session, which is opened on demand.
    async fn session(&mut self, is_modern: bool, mut message: RxJsonRpcMessage<RoleServer>) {
        // A second attempt, if the session has ended meanwhile.
        for _ in 0..2 {
            let slot = if is_modern { &mut self.modern } else { &mut self.legacy };
            let sender = match slot.take().filter(|sender| !sender.is_closed()) {
                Some(sender) => sender,
                None => {
                    let (sender, messages) = mpsc::channel(WAITING_MAX);
                    let session = Session::new(messages, self.out.clone());
                    let (handler, kill) = (self.handler.clone(), self.kill.clone());
                    self.running.spawn(serve(handler, session, kill));
                    sender
                }
            };
            let sent = sender.send(message).await;
            *slot = Some(sender);
            match sent {
                Ok(()) => return,
                Err(mpsc::error::SendError(unsent)) => message = unsent,
            }
        }
    }

    /// Waits for the running requests, or cancels them when `closing` is cancelled.
    async fn end(mut self, closing: &CancellationToken) {
        self.legacy = None;
        self.modern = None;
        tokio::select! {
            () = async { while self.running.join_next().await.is_some() {} } => {}
            () = closing.cancelled() => {
                self.kill.cancel();
                while self.running.join_next().await.is_some() {}
            }
        }
    }
}

/// Whether a request belongs to the newer era.
fn is_modern(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => false,
        ClientRequest::DiscoverRequest(_) => true,
        request => request.get_meta().protocol_version().is_some(),
    }
}

async fn serve<W>(handler: Arc<Handler>, session: Session<W>, kill: CancellationToken)
where
    W: AsyncWrite + Unpin + Send + 'static,
{
    match handler.serve_with_ct(session, kill).await {
        Ok(running) => drop(running.waiting().await),
        // The client got the reason, or has ended.
        Err(error) => tracing::debug!(%error, "failed to open a session"),
    }
}

/// Parses a line, or says why it is refused.
fn read(line: Line) -> Result<RxJsonRpcMessage<RoleServer>, Box<Refusal>> {
    let Line::Whole(line) = line else {
        let why = format!("the message is longer than {LINE_BYTES_MAX} bytes");
        return Err(Box::new(Refusal::new(Value::Null, ErrorCode::INVALID_REQUEST, why)));
    };
    let line = readable(&line);
    let unread = |line: &[u8]| Box::new(message::refusal(line));
    let mut value: Value = serde_json::from_slice(&line).map_err(|_| unread(&line))?;
    if value.get("id").is_some_and(Value::is_null) && value.get("method").is_some() {
        return Err(unread(&line));
    }
    message::mend_client(&mut value);
    let params = value.get("params");
    let odd_list = value
        .get("method")
        .and_then(Value::as_str)
        .filter(|method| method.ends_with("/list"))
        .filter(|_| params.and_then(|params| params.get("cursor")).is_some_and(|cursor| !message::is_cursor(cursor)))
        .map(|method| message::misfit(method, params, false));
    let read: RxJsonRpcMessage<RoleServer> = serde_json::from_value(value).map_err(|_| unread(&line))?;
    match &read {
        JsonRpcMessage::Request(request) => match &request.request {
            ClientRequest::CustomRequest(custom) => Err(Box::new(Refusal {
                id: serde_json::to_value(&request.id).unwrap_or_default(),
                error: message::misfit(&custom.method, custom.params.as_ref(), is_modern(&request.request)),
            })),
            _ => match odd_list {
                Some(error) => {
                    Err(Box::new(Refusal { id: serde_json::to_value(&request.id).unwrap_or_default(), error }))
                }
                None => Ok(read),
            },
        },
        _ => Ok(read),
    }
}
