//! The upstreams of a connector's ports, and the transport to them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::run::Transport;
use crate::upstream::{BaseUrl, Reply, Request, SentWith, Upstream, UpstreamError, auth::Refusal};

/// The upstream of each port; usually one for all.
pub(super) struct Endpoints {
    pub(super) orders: Option<Arc<Upstream>>,
    pub(super) helpdesk: Option<Arc<Upstream>>,
    pub(super) crm: Option<Arc<Upstream>>,
    pub(super) knowledge: Option<Arc<Upstream>>,
    pub(super) codes: Option<Arc<Upstream>>,
}

impl Endpoints {
    /// Each upstream once, with the ports that it serves.
    pub(super) fn all(&self) -> Vec<(Vec<&'static str>, &Arc<Upstream>)> {
        let ports = [
            ("orders", &self.orders),
            ("helpdesk", &self.helpdesk),
            ("crm", &self.crm),
            ("knowledge", &self.knowledge),
            ("codes", &self.codes),
        ];
        let mut all: Vec<(Vec<&'static str>, &Arc<Upstream>)> = Vec::new();
        for (port, upstream) in ports.into_iter().filter_map(|(port, upstream)| Some((port, upstream.as_ref()?))) {
            match all.iter_mut().find(|(_, known)| Arc::ptr_eq(known, upstream)) {
                Some((ports, _)) => ports.push(port),
                None => all.push((vec![port], upstream)),
            }
        }
        all
    }
}

/// A transport to an upstream with the deadline of an operation.
pub(super) struct UpstreamTransport<'a> {
    pub(super) upstream: &'a Upstream,
    pub(super) deadline: Instant,
    /// Whether a reply whose filter overran opens the breaker. Not for order look-ups: a foreign order could then
    /// change the answer to the next question.
    pub(super) trips: bool,
}

#[async_trait]
impl Transport for UpstreamTransport<'_> {
    fn base(&self) -> &BaseUrl {
        self.upstream.base()
    }

    async fn send(&self, request: Request) -> Result<Reply, UpstreamError> {
        self.upstream.call(&request, self.deadline).await
    }

    fn renew(&self, sent_with: SentWith, refusal: Refusal) -> bool {
        self.upstream.renew(sent_with, refusal)
    }

    fn renewal_helped(&self) {
        self.upstream.renewal_helped();
    }

    fn made_nothing(&self, path: &str) {
        tracing::info!(path, "a reply filter gave no output for a reply with a body: treated as not found");
    }

    fn trip(&self) {
        if self.trips {
            self.upstream.trip();
        }
    }
}

pub(super) fn transport(upstream: &Upstream) -> UpstreamTransport<'_> {
    transport_within(upstream, Duration::MAX)
}

/// A transport for an operation that may take `longest`, if the upstream's limits allow so much.
pub(super) fn transport_within(upstream: &Upstream, longest: Duration) -> UpstreamTransport<'_> {
    let deadline = Instant::now() + upstream.limits().call_timeout().min(longest);
    UpstreamTransport { deadline, upstream, trips: true }
}
