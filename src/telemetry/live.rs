//! What happens, while it happens: a record of references for `frontdesk demo`. Where nothing shows it, nothing is made.

use std::fmt;

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// Never in the log: there, an order number would stand beside a conversation.
pub(super) const TARGET: &str = "frontdesk::live";

/// Words and references, never a name, an address or a text of a customer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Happening {
    /// `decision`, `webhook` or `event`.
    pub what: String,
    /// A tool or a kind of event; a source of webhooks.
    pub name: String,
    /// The verdict of a decision, what the sender of a webhook was told, or what becomes of an event.
    pub outcome: String,
    /// Of a decision: `none`, `created`, `repeated`, `accepted` or `changed`.
    pub effect: String,
    /// As the audit has them: `order:1001`.
    pub objects: String,
}

/// A decision, with the words and objects of its record in the audit.
pub(crate) fn decision(tool: &str, verdict: &'static str, effect: &'static str, objects: &[String]) {
    let (what, outcome) = ("decision", verdict);
    tracing::info!(target: TARGET, what, name = tool, outcome, effect, objects = objects.join(" ").as_str());
}

/// A webhook that was answered; `source` is one that is configured, or `unknown`.
pub(crate) fn webhook(source: &str, outcome: &'static str) {
    tracing::info!(target: TARGET, what = "webhook", name = source, outcome);
}

/// An event that an attempt has not ended well for. What it does is a decision.
pub(crate) fn event(kind: &str, outcome: &'static str) {
    tracing::info!(target: TARGET, what = "event", name = kind, outcome);
}

impl Visit for Happening {
    fn record_str(&mut self, field: &Field, value: &str) {
        let member = match field.name() {
            "what" => &mut self.what,
            "name" => &mut self.name,
            "outcome" => &mut self.outcome,
            "effect" => &mut self.effect,
            "objects" => &mut self.objects,
            _ => return,
        };
        value.clone_into(member);
    }

    /// Nothing is said in this form.
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Hands every happening over, on the thread where it happens.
pub(super) struct Live<F>(pub(super) F);

impl<S, F> Layer<S> for Live<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: Fn(Happening) + Send + Sync + 'static,
{
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut happening = Happening::default();
        event.record(&mut happening);
        (self.0)(happening);
    }
}
