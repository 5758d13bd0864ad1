//! A stdio session of one protocol era: filters what rmcp sees of the client.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rmcp::{
    ErrorData, RoleServer,
    model::{ClientNotification, ClientRequest, ErrorCode, JsonRpcMessage, RequestId},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use tokio::{
    io::AsyncWrite,
    sync::{Notify, mpsc},
};

use super::framing::Out;

/// How long answers may take after the client closed its end; writes run to their end anyway.
const LAST_ANSWERS: Duration = Duration::from_secs(30);

pub(super) struct Session<W: AsyncWrite + Unpin + Send + 'static> {
    messages: mpsc::Receiver<RxJsonRpcMessage<RoleServer>>,
    out: Out<W>,
    /// The session is initialised. rmcp ends one that begins with anything but a request.
    opened: bool,
    unanswered: Arc<Unanswered>,
}

/// Ids of unanswered requests.
#[derive(Default)]
struct Unanswered {
    ids: Mutex<HashSet<RequestId>>,
    fewer: Notify,
}

impl Unanswered {
    /// False if a request with this id is unanswered.
    fn add(&self, id: &RequestId) -> bool {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone())
    }

    fn remove(&self, id: &RequestId) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.fewer.notify_one();
    }

    fn are_none(&self) -> bool {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    async fn all_answered(&self) {
        while !self.are_none() {
            self.fewer.notified().await;
        }
    }
}

impl<W: AsyncWrite + Unpin + Send + 'static> Session<W> {
    pub(super) fn new(messages: mpsc::Receiver<RxJsonRpcMessage<RoleServer>>, out: Out<W>) -> Self {
        Self { messages, out, opened: false, unanswered: Arc::default() }
    }

    /// Whether rmcp gets the message.
    async fn admits(&mut self, message: &RxJsonRpcMessage<RoleServer>) -> bool {
        match message {
            JsonRpcMessage::Request(request) => {
                // rmcp answers these two before the session is initialised.
                self.opened |=
                    !matches!(request.request, ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_));
                // A subscription is answered when it ends, so shutdown does not wait for it.
                if matches!(request.request, ClientRequest::SubscriptionsListenRequest(_))
                    || self.unanswered.add(&request.id)
                {
                    return true;
                }
                let why = "a request with this id is still being processed";
                refuse(self.out.clone(), request.id.clone(), why).await;
                false
            }
            JsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    // A cancelled request gets no answer.
                    self.unanswered.remove(id);
                }
                self.opened
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => false,
        }
    }
}

async fn refuse<W: AsyncWrite + Unpin>(out: Out<W>, id: RequestId, why: &'static str) {
    let error = ErrorData::new(ErrorCode::INVALID_REQUEST, why, None);
    if let Err(error) = out.send(&TxJsonRpcMessage::<RoleServer>::error(error, Some(id))).await {
        tracing::debug!(%error, "failed to send a refusal");
    }
}

impl<W: AsyncWrite + Unpin + Send + 'static> Transport<RoleServer> for Session<W> {
    type Error = std::io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let (out, unanswered) = (self.out.clone(), self.unanswered.clone());
        async move {
            let sent = out.send(&message).await;
            match &message {
                JsonRpcMessage::Response(response) => unanswered.remove(&response.id),
                JsonRpcMessage::Error(error) => error.id.iter().for_each(|id| unanswered.remove(id)),
                JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => {}
            }
            sent
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        while let Some(message) = self.messages.recv().await {
            if self.admits(&message).await {
                return Some(message);
            }
        }
        // Returning would end the session and cancel its running requests.
        let _ = tokio::time::timeout(LAST_ANSWERS, self.unanswered.all_answered()).await;
        None
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl<W: AsyncWrite + Unpin + Send + 'static> Drop for Session<W> {
    /// Requests still queued when the session ends are refused, so that each gets an answer.
    fn drop(&mut self) {
        self.messages.close();
        while let Ok(message) = self.messages.try_recv() {
            if let JsonRpcMessage::Request(request) = message {
                tokio::spawn(refuse(self.out.clone(), request.id, "the session has ended; send the request again"));
            }
        }
    }
}
