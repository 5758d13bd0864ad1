//! Where the ports of a connector are, and how its operations reach them.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;

use super::run::Transport;
use crate::upstream::{BaseUrl, Reply, Request, Upstream, UpstreamError};

/// Where each port is. Usually the same upstream.
pub(super) struct Endpoints {
    pub(super) orders: Option<Arc<Upstream>>,
    pub(super) helpdesk: Option<Arc<Upstream>>,
    pub(super) crm: Option<Arc<Upstream>>,
    pub(super) knowledge: Option<Arc<Upstream>>,
}

impl Endpoints {
    /// Each upstream once, with the ports that are there.
    pub(super) fn all(&self) -> Vec<(Vec<&'static str>, &Arc<Upstream>)> {
        let ports = [
            ("orders", &self.orders),
            ("helpdesk", &self.helpdesk),
            ("crm", &self.crm),
            ("knowledge", &self.knowledge),
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

/// An upstream, with the time by which an operation has to be done.
pub(super) struct Live<'a> {
    pub(super) upstream: &'a Upstream,
    pub(super) deadline: Instant,
    /// Whether a reply that filters cannot cope with says something about the upstream. One of a foreign order must not:
    /// the next question would be answered otherwise.
    pub(super) trips: bool,
}

#[async_trait]
impl Transport for Live<'_> {
    fn base(&self) -> &BaseUrl {
        self.upstream.base()
    }

    async fn send(&self, request: Request) -> Result<Reply, UpstreamError> {
        self.upstream.call(&request, self.deadline).await
    }

    fn made_nothing(&self, path: &str) {
        tracing::info!(path, "a reply filter gave nothing for a reply with a body: nothing is there");
    }

    fn trip(&self) {
        if self.trips {
            self.upstream.trip();
        }
    }
}

pub(super) fn live(upstream: &Upstream) -> Live<'_> {
    Live { deadline: Instant::now() + upstream.limits().call_timeout(), upstream, trips: true }
}
