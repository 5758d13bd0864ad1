//! Typed operations of a vendor: results as domain values, over any transport.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jaq_json::Val;
use serde_json::Value;

use super::{
    compiled::{Operation, Operations},
    failure::{Failure, OperationError},
    file_values::Setting,
    order_number,
    reply::{self, ContactOut, IdOut, OrderOut, ReadOrder, TicketOut, listing},
    run::{Output, Run, Transport},
    threads::FilterThreads,
};
use crate::{
    desk::{Listed, ListedPage, Resend, Settlement},
    domain::{Clock, Contact, ContactId, NoteId, OrderId, SystemId, Ticket},
};

/// A compiled vendor file with the user's settings.
pub(super) struct Vendor {
    pub(super) operations: Arc<Operations>,
    pub(super) settings: Val,
    /// The system of the vendor's customer ids.
    pub(super) system: SystemId,
    pub(super) threads: FilterThreads,
}

/// Arguments of an operation.
pub(super) struct Task<'a> {
    pub(super) transport: &'a dyn Transport,
    pub(super) input: &'a Value,
    pub(super) effect: Option<&'a str>,
}

impl Vendor {
    pub(super) async fn find_order(&self, task: &Task<'_>) -> Result<Option<ReadOrder>, OperationError> {
        let operation = needed(&self.operations.find_order, "orders.find")?;
        let (read, whole) = self
            .find(operation, task, |out: OrderOut| {
                let read = out.order(&self.system)?;
                Ok(ReadOrder { order: read.order.normalised(), ..read })
            })
            .await?;
        if !whole && let Some(read) = &read {
            // Another order is no answer, and the one that was asked for may be in what did not come.
            let found = self.order_number(&read.order.id).await.map_err(|failure| operation.failed(failure))?;
            let asked = task.input.get("number").and_then(Value::as_str).unwrap_or_default();
            if !found.number().eq_ignore_ascii_case(asked) {
                return Err(operation.failed(Failure::Incomplete));
            }
        }
        Ok(read)
    }

    /// The normal form of an order number, by which numbers are compared: what the file's filter gives, or the number
    /// itself if that is no order number.
    pub(super) async fn order_number(&self, id: &OrderId) -> Result<OrderId, Failure> {
        let Some(filter) = self.operations.order_number.clone() else { return Ok(id.clone()) };
        let scope = order_number::scope(id.number(), &self.settings);
        match self.threads.run(move || filter.run(&scope)).await {
            Ok(Some(Value::String(number))) => Ok(OrderId::parse(&number).unwrap_or_else(|_| id.clone())),
            Err(source) if source.is_not_now() => Err(Failure::Filter { key: "orders.number", source }),
            _ => Ok(id.clone()),
        }
    }

    pub(super) async fn create_ticket(&self, task: &Task<'_>) -> Result<Ticket, OperationError> {
        let operation = needed(&self.operations.create_ticket, "helpdesk.create_ticket")?;
        self.make(operation, task, TicketOut::ticket).await
    }

    pub(super) async fn find_ticket(&self, task: &Task<'_>) -> Result<Option<Ticket>, OperationError> {
        let operation = needed(&self.operations.find_ticket, "helpdesk.find_ticket")?;
        // Only an empty output proves that there is no ticket: a 404 may come from a wrong address.
        let output = self.run(operation, task).await?;
        let Some(output) = output.value else {
            return if output.whole { Ok(None) } else { Err(operation.failed(Failure::Incomplete)) };
        };
        let ticket = reply::read(output).and_then(TicketOut::ticket);
        ticket.map(Some).map_err(|why| operation.misfit(why))
    }

    pub(super) async fn add_comment(&self, task: &Task<'_>) -> Result<(), OperationError> {
        self.act(needed(&self.operations.add_comment, "helpdesk.add_comment")?, task).await
    }

    pub(super) async fn find_contact(&self, task: &Task<'_>) -> Result<Option<Contact>, OperationError> {
        let operation = needed(&self.operations.find_contact, "crm.find_contact")?;
        self.find(operation, task, |out: ContactOut| out.contact(&self.system)).await.map(|(contact, _)| contact)
    }

    pub(super) async fn upsert_contact(&self, task: &Task<'_>) -> Result<ContactId, OperationError> {
        let operation = needed(&self.operations.upsert_contact, "crm.upsert_contact")?;
        self.make(operation, task, |out: IdOut| out.contact()).await
    }

    pub(super) async fn log_activity(&self, task: &Task<'_>) -> Result<NoteId, OperationError> {
        let operation = needed(&self.operations.log_activity, "crm.log_activity")?;
        self.make(operation, task, |out: IdOut| out.note()).await
    }

    pub(super) async fn upsert_article(&self, task: &Task<'_>) -> Result<(), OperationError> {
        self.act(needed(&self.operations.upsert_article, "knowledge.upsert_article")?, task).await
    }

    pub(super) async fn remove_article(&self, task: &Task<'_>) -> Result<(), OperationError> {
        self.act(needed(&self.operations.remove_article, "knowledge.remove_article")?, task).await
    }

    pub(super) async fn list_articles(&self, task: &Task<'_>) -> Result<ListedPage, OperationError> {
        let operation = needed(&self.operations.list_articles, "knowledge.list")?;
        let output = self.run(operation, task).await?;
        let output = output.value.ok_or_else(|| operation.misfit("the reply filter gave nothing".to_owned()))?;
        listing::page(output, Clock::system().now()).map_err(|why| operation.misfit(why))
    }

    pub(super) async fn get_article(&self, task: &Task<'_>) -> Result<Option<Listed>, OperationError> {
        let operation = needed(&self.operations.get_article, "knowledge.get")?;
        let output = match self.run(operation, task).await {
            Ok(output) => output,
            Err(OperationError { failure: Failure::NotFound { .. }, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(output) = output.value else { return Ok(None) };
        listing::listed(output, Clock::system().now()).map(Some).map_err(|why| operation.misfit(why))
    }

    pub(super) async fn send_code(&self, task: &Task<'_>) -> Result<(), OperationError> {
        self.act(needed(&self.operations.send_code, "codes.send")?, task).await
    }

    pub(super) async fn health(&self, task: &Task<'_>) -> Result<(), OperationError> {
        self.act(needed(&self.operations.health, "health")?, task).await
    }

    /// Runs a look-up: not found and an empty output are none. Also gives whether the reply was the whole.
    async fn find<O: serde::de::DeserializeOwned, T>(
        &self,
        operation: &Operation,
        task: &Task<'_>,
        convert: impl FnOnce(O) -> Result<T, String>,
    ) -> Result<(Option<T>, bool), OperationError> {
        let output = match self.run(operation, task).await {
            Ok(output) => output,
            Err(OperationError { failure: Failure::NotFound { .. }, .. }) => return Ok((None, true)),
            Err(error) => return Err(error),
        };
        match output.value {
            Some(value) => {
                let read = reply::read(value).and_then(convert).map_err(|why| operation.misfit(why))?;
                Ok((Some(read), output.whole))
            }
            None if output.whole => Ok((None, true)),
            None => Err(operation.failed(Failure::Incomplete)),
        }
    }

    /// Runs an operation that creates a record, and reads it.
    async fn make<O: serde::de::DeserializeOwned, T>(
        &self,
        operation: &Operation,
        task: &Task<'_>,
        convert: impl FnOnce(O) -> Result<T, String>,
    ) -> Result<T, OperationError> {
        let output = self.run(operation, task).await?;
        let output = output.value.ok_or_else(|| operation.misfit("the reply filter gave nothing".to_owned()))?;
        reply::read(output).and_then(convert).map_err(|why| operation.misfit(why))
    }

    /// Runs an operation without a result.
    async fn act(&self, operation: &Operation, task: &Task<'_>) -> Result<(), OperationError> {
        self.run(operation, task).await.map(|_| ())
    }

    async fn run(&self, operation: &Operation, task: &Task<'_>) -> Result<Output, OperationError> {
        let run = Run {
            transport: task.transport,
            threads: &self.threads,
            settings: &self.settings,
            input: task.input,
            effect: task.effect,
        };
        operation.run(&run).await
    }
}

fn needed<'a>(operation: &'a Option<Operation>, name: &'static str) -> Result<&'a Operation, OperationError> {
    operation.as_ref().ok_or_else(|| OperationError::not_there(name))
}

/// Margin before an idempotency key's expiry in which it is not relied upon.
const KEY_MARGIN_S: u64 = 60;

/// How the desk finds out whether `operation` took effect when its answer was lost.
pub(super) fn settlement(
    operation: Option<&Operation>,
    key_ttl_s: Option<u64>,
    find_after_s: Option<u64>,
) -> Settlement {
    let seconds = Duration::from_secs;
    // A repeat must arrive before the vendor forgets the key.
    let key_ttl_s = key_ttl_s.map(|ttl_s| ttl_s.saturating_sub(KEY_MARGIN_S));
    // If all requests are idempotent, a repeat duplicates nothing.
    let natural = operation.is_some_and(|operation| operation.steps.iter().all(|step| step.is_naturally_repeatable()));
    let search_after = find_after_s.map(seconds);
    match (natural, key_ttl_s.map(seconds), search_after) {
        (true, _, _) => Settlement::Resend { window: Resend::Always, search_after },
        (false, Some(window), _) => Settlement::Resend { window: Resend::Within(window), search_after },
        (false, None, Some(after)) => Settlement::Search { after },
        (false, None, None) => Settlement::Never,
    }
}

/// The user's settings over the vendor file's defaults.
pub(super) fn settings(
    declared: &BTreeMap<String, Setting>,
    connector: &str,
    given: &BTreeMap<String, Value>,
) -> Result<Value, (String, String)> {
    let mut settings = serde_json::Map::new();
    for (name, setting) in declared {
        match given.get(name).or(setting.default.as_ref()) {
            Some(value) => settings.insert(name.clone(), value.clone()),
            None if setting.required => {
                return Err((name.clone(), format!("is missing; {}", setting.about)));
            }
            None => settings.insert(name.clone(), Value::Null),
        };
    }
    match given.keys().find(|name| !declared.contains_key(*name)) {
        None => Ok(Value::Object(settings)),
        Some(unknown) => {
            let known: Vec<&str> = declared.keys().map(String::as_str).collect();
            let known =
                if known.is_empty() { "it has none".to_owned() } else { format!("it has {}", known.join(", ")) };
            Err((unknown.clone(), format!("is not a setting of connector {connector}; {known}")))
        }
    }
}
