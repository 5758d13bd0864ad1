//! A configured connector, implementing the desk's ports: order system, helpdesk, CRM, article mirror.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use serde_json::Value;

use super::{
    endpoints::{Endpoints, UpstreamTransport, transport, transport_within},
    failure::{Failure, OperationError},
    input,
    probe::{Asked, Probe, ProbeError},
    reply::ReadOrder,
    vendor::{Task, Vendor},
};
use crate::{
    desk::{
        ArticleList, ArticleMirror, CodeMessage, CodeSender, Created, Crm, Helpdesk, Listed, ListedPage, OrderSystem,
        PortError, PortErrorKind, SavedContact, Settlement, System,
    },
    domain::{
        Article, ArticleId, Clock, Comment, Contact, ContactFields, ContactId, Customer, EffectId, Language, NewTicket,
        NoteId, Order, OrderId, Ticket, TicketId,
    },
    upstream::{CallError, Upstream, UpstreamError},
};

/// A configured upstream with its vendor file.
pub struct Connector {
    pub(super) name: String,
    pub(super) vendor_name: String,
    pub(super) vendor: Vendor,
    pub(super) endpoints: Endpoints,
    pub(super) helpdesk_settlement: Settlement,
    pub(super) comment_settlement: Settlement,
    pub(super) contact_settlement: Settlement,
    pub(super) note_settlement: Settlement,
    pub(super) ticket_needs_email: bool,
    pub(super) raises_priority: bool,
    pub(super) contact_needs_email: bool,
    pub(super) code_minutes: Option<u32>,
    pub(super) clock: Clock,
    /// How long finding an order may take, if the upstream's limits allow more.
    pub(super) order_timeout: Duration,
    /// No order is requested until this time, because replies were unreadable.
    pub(super) suspended_until: Mutex<Option<Instant>>,
}

/// Adds connector and upstream to an error, for the log. Contains nothing that the vendor sent.
#[derive(Debug, thiserror::Error)]
#[error("connector {vendor}, upstream {upstream}")]
struct FromConnector {
    vendor: String,
    upstream: String,
    #[source]
    source: OperationError,
}

impl Connector {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a breaker of its upstreams is open, or order look-ups are suspended.
    pub fn is_open(&self) -> bool {
        let suspended = *self.suspended_until.lock().unwrap_or_else(PoisonError::into_inner);
        suspended.is_some_and(|until| Instant::now() < until)
            || self.endpoints.all().iter().any(|(_, upstream)| upstream.is_open())
    }

    /// Fetches a token from each upstream and runs the health operation there.
    pub async fn probe(&self) -> Vec<Probe> {
        let mut probes = Vec::new();
        for (ports, upstream) in self.endpoints.all() {
            let started = Instant::now();
            let result = self.probe_one(upstream).await;
            probes.push(Probe {
                upstream: self.name.clone(),
                ports,
                auth: upstream.auth().kind().as_str(),
                base_url: upstream.base().as_str().to_owned(),
                health: self.vendor.operations.health.as_ref().and_then(|operation| {
                    let step = operation.steps.first()?;
                    Some(format!("{} {}", step.method.http(), step.path))
                }),
                result,
                took: started.elapsed(),
            });
        }
        probes
    }

    async fn probe_one(&self, upstream: &Arc<Upstream>) -> Result<Asked, ProbeError> {
        upstream.auth().probe().await?;
        let transport = transport(upstream);
        let task = Task { transport: &transport, input: &Value::Object(serde_json::Map::new()), effect: None };
        match self.vendor.health(&task).await {
            Err(OperationError { failure: Failure::NotThere, .. }) => Ok(Asked::Nothing),
            Err(error) if self.may_lack_health(&error.failure) => Ok(Asked::Reached),
            other => Ok(other.map(|()| Asked::Health)?),
        }
    }

    /// Whether a failure says that there is no health request, where there need not be one.
    fn may_lack_health(&self, failure: &Failure) -> bool {
        let steps = self.vendor.operations.health.iter().flat_map(|operation| &operation.steps);
        steps.into_iter().any(|step| step.optional) && matches!(failure.status(), Some(404 | 405 | 501))
    }

    /// How long codes last at the vendor, in minutes, if it keeps them itself.
    pub fn code_minutes(&self) -> Option<u32> {
        self.code_minutes
    }

    /// Runs an operation of a port within the upstream's deadline.
    async fn with<T>(
        &self,
        upstream: &Option<Arc<Upstream>>,
        system: System,
        does: Does<'_>,
        work: impl AsyncFnOnce(&Task<'_>) -> Result<T, OperationError>,
    ) -> Result<T, PortError> {
        let Some(upstream) = upstream else {
            return Err(self.port_error(system, &does, None, OperationError::not_there("this port")));
        };
        let transport = match does.owned {
            true => UpstreamTransport { trips: false, ..transport_within(upstream, self.order_timeout) },
            false => transport(upstream),
        };
        let task = Task { transport: &transport, input: does.input, effect: does.effect.map(EffectId::as_str) };
        work(&task).await.map_err(|error| self.port_error(system, &does, upstream.closed_for(), error))
    }

    /// Maps an error to a [`PortError`]. `closed_for` is the time for which the upstream's breaker stays open.
    fn port_error(
        &self,
        system: System,
        does: &Does<'_>,
        closed_for: Option<Duration>,
        source: OperationError,
    ) -> PortError {
        use PortErrorKind as Kind;
        let write = does.write;
        let kind = match &source.failure {
            failure if does.owned && failure.is_unreadable() => Kind::Unreadable,
            // The effect may exist; if the answer is unusable, the system is still reachable.
            failure if source.in_doubt => match failure.is_outage() {
                true => Kind::Unavailable { closed_for },
                false => Kind::Unexpected,
            },
            Failure::Upstream(UpstreamError { error, .. }) if error.is_refusal() => Kind::Denied,
            Failure::Upstream(UpstreamError { error: CallError::BreakerOpen { wait }, .. }) => {
                Kind::NotDone { closed_for: Some(*wait) }
            }
            Failure::Closed { .. } => Kind::Closed,
            Failure::NotFound { .. } | Failure::NotThere if does.may_be_closed => Kind::Closed,
            Failure::Denied { .. } => Kind::Denied,
            Failure::Forbidden { .. } => Kind::Forbidden,
            Failure::Misconfigured { .. } | Failure::NotThere => Kind::Misconfigured,
            Failure::RateLimited { retry_after, .. } => Kind::RateLimited { retry_after: *retry_after },
            Failure::EmailRequired { .. } => Kind::EmailRequired,
            Failure::Invalid { field, .. } => Kind::Invalid { field: field.clone(), verdict: true },
            Failure::Conflict { .. } => Kind::Invalid { field: None, verdict: false },
            Failure::NotFound { .. } if write => Kind::Invalid { field: None, verdict: false },
            failure if write && failure.is_outage() => Kind::NotDone { closed_for },
            _ if write => Kind::Unprocessable,
            failure if failure.is_outage() => Kind::Unavailable { closed_for },
            _ => Kind::Unexpected,
        };
        let source = FromConnector { vendor: self.vendor_name.clone(), upstream: self.name.clone(), source };
        PortError::new(system, kind, Box::new(source))
    }
}

/// Properties of an operation's run.
struct Does<'a> {
    input: &'a Value,
    effect: Option<&'a EffectId>,
    write: bool,
    /// A ticket that is not found, or takes no comments, counts as closed.
    may_be_closed: bool,
    /// The record is visible to its owner alone, so an unreadable reply must look like none.
    owned: bool,
}

impl<'a> Does<'a> {
    fn read(input: &'a Value) -> Self {
        Self { input, effect: None, write: false, may_be_closed: false, owned: false }
    }

    fn owned(input: &'a Value) -> Self {
        Self { owned: true, ..Self::read(input) }
    }

    fn write(input: &'a Value, effect: Option<&'a EffectId>) -> Self {
        Self { input, effect, write: true, may_be_closed: false, owned: false }
    }
}

#[async_trait]
impl OrderSystem for Connector {
    async fn find(&self, id: &OrderId) -> Result<Option<Order>, PortError> {
        let number = self.number(id).await?;
        let input = input::find_order(id, &number);
        let find = async |task: &Task<'_>| self.vendor.find_order(task).await;
        let found = self.with(&self.endpoints.orders, System::OrderSystem, Does::owned(&input), find).await?;
        let Some(ReadOrder { order, faults, rounded }) = found else { return Ok(None) };
        if !faults.is_empty() {
            tracing::warn!(
                upstream = self.name,
                left_out = faults.join("; "),
                "members of an order are unreadable and left out"
            );
        }
        if !rounded.is_empty() {
            tracing::info!(upstream = self.name, rounded = rounded.join("; "), "amounts of an order were rounded");
        }
        Ok(Some(order))
    }

    async fn number(&self, id: &OrderId) -> Result<OrderId, PortError> {
        let number = self.vendor.order_number(id).await;
        number.map_err(|failure| {
            let error = OperationError { operation: "orders.find", failure, in_doubt: false };
            self.port_error(System::OrderSystem, &Does::read(&Value::Null), None, error)
        })
    }

    fn suspend(&self, until: Option<Instant>) {
        *self.suspended_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

#[async_trait]
impl Helpdesk for Connector {
    async fn create_ticket(&self, ticket: &NewTicket, effect: &EffectId) -> Result<Created<Ticket>, PortError> {
        if self.ticket_needs_email && ticket.requester.address().is_none() {
            return Err(PortError::email_required(System::Helpdesk));
        }
        let input = input::create_ticket(ticket, effect, &self.vendor.system);
        let create = async |task: &Task<'_>| self.vendor.create_ticket(task).await;
        let record =
            self.with(&self.endpoints.helpdesk, System::Helpdesk, Does::write(&input, Some(effect)), create).await?;
        Ok(Created { record, fresh: true })
    }

    async fn find_ticket(&self, effect: &EffectId) -> Result<Option<Ticket>, PortError> {
        let input = input::find_ticket(effect);
        let find = async |task: &Task<'_>| self.vendor.find_ticket(task).await;
        self.with(&self.endpoints.helpdesk, System::Helpdesk, Does::read(&input), find).await
    }

    async fn add_comment(&self, ticket: &TicketId, comment: &Comment, effect: &EffectId) -> Result<(), PortError> {
        let input = input::add_comment(ticket, comment, effect);
        let add = async |task: &Task<'_>| self.vendor.add_comment(task).await;
        let does = Does { may_be_closed: true, ..Does::write(&input, Some(effect)) };
        self.with(&self.endpoints.helpdesk, System::Helpdesk, does, add).await
    }

    fn raises_priority(&self) -> bool {
        self.raises_priority
    }

    fn settlement(&self) -> Settlement {
        self.helpdesk_settlement
    }

    fn needs_email(&self) -> bool {
        self.ticket_needs_email
    }

    fn comment_settlement(&self) -> Settlement {
        self.comment_settlement
    }
}

#[async_trait]
impl Crm for Connector {
    async fn find_contact(&self, customer: &Customer) -> Result<Option<Contact>, PortError> {
        let input = input::find_contact(customer, &self.vendor.system);
        let find = async |task: &Task<'_>| self.vendor.find_contact(task).await;
        self.with(&self.endpoints.crm, System::Crm, Does::read(&input), find).await
    }

    async fn save_contact(
        &self,
        customer: &Customer,
        contact: Option<&Contact>,
        fields: &ContactFields,
        _: Option<&EffectId>,
    ) -> Result<SavedContact, PortError> {
        if contact.is_none() && self.contact_needs_email && customer.address().is_none() {
            return Err(PortError::email_required(System::Crm));
        }
        let before = contact.map(|contact| contact.fields.clone()).unwrap_or_default();
        if let Some(contact) = contact
            && fields.iter().all(|(field, value)| before.get(field) == Some(value))
        {
            return Ok(SavedContact { id: contact.id.clone(), before });
        }
        let input = input::upsert_contact(customer, contact.map(|contact| &contact.id), fields, &self.vendor.system);
        let upsert = async |task: &Task<'_>| self.vendor.upsert_contact(task).await;
        let id = self.with(&self.endpoints.crm, System::Crm, Does::write(&input, None), upsert).await?;
        Ok(SavedContact { id, before })
    }

    async fn add_note(&self, contact: &ContactId, text: &str, effect: &EffectId) -> Result<NoteId, PortError> {
        let input = input::log_activity(contact, text, effect, effect.begun_at().unwrap_or_else(|| self.clock.now()));
        let log = async |task: &Task<'_>| self.vendor.log_activity(task).await;
        self.with(&self.endpoints.crm, System::Crm, Does::write(&input, Some(effect)), log).await
    }

    fn contact_settlement(&self) -> Settlement {
        self.contact_settlement
    }

    fn note_settlement(&self) -> Settlement {
        self.note_settlement
    }

    fn keyed_by_customer(&self) -> bool {
        false
    }
}

#[async_trait]
impl CodeSender for Connector {
    async fn send(&self, message: &CodeMessage) -> Result<(), PortError> {
        let input = input::send_code(message);
        let send = async |task: &Task<'_>| self.vendor.send_code(task).await;
        let does = Does::write(&input, Some(&message.effect));
        self.with(&self.endpoints.codes, System::Verification, does, send).await
    }
}

#[async_trait]
impl ArticleMirror for Connector {
    async fn upsert(&self, article: &Article) -> Result<(), PortError> {
        let input = input::upsert_article(article);
        let upsert = async |task: &Task<'_>| self.vendor.upsert_article(task).await;
        self.with(&self.endpoints.knowledge, System::KnowledgeBase, Does::write(&input, None), upsert).await
    }

    async fn remove(&self, id: &ArticleId, variant: Option<&Language>) -> Result<(), PortError> {
        let input = input::remove_article(id, variant);
        let remove = async |task: &Task<'_>| self.vendor.remove_article(task).await;
        self.with(&self.endpoints.knowledge, System::KnowledgeBase, Does::write(&input, None), remove).await
    }
}

#[async_trait]
impl ArticleList for Connector {
    async fn page(&self, cursor: Option<&Value>) -> Result<ListedPage, PortError> {
        let input = input::list_articles(cursor);
        let list = async |task: &Task<'_>| self.vendor.list_articles(task).await;
        self.with(&self.endpoints.knowledge, System::KnowledgeBase, Does::read(&input), list).await
    }

    async fn read(&self, article: &ArticleId, variant: Option<&Language>) -> Result<Option<Listed>, PortError> {
        let input = input::get_article(article, variant);
        let get = async |task: &Task<'_>| self.vendor.get_article(task).await;
        self.with(&self.endpoints.knowledge, System::KnowledgeBase, Does::read(&input), get).await
    }
}
