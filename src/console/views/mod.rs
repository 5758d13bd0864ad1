//! The pages, one file for each.

mod act;
mod audit;
mod conversations;
mod dead;
mod doctor;
mod event;
mod events;
mod overview;
mod people;
mod verdicts;
mod webhooks;

pub(super) use act::{act, act_on_all, preview};
pub(super) use audit::{audit, audit_export};
pub(super) use conversations::{conversation, conversations};
pub(super) use dead::dead;
pub(super) use doctor::doctor;
pub(super) use event::event;
pub(super) use events::events;
pub(super) use overview::overview;
pub(super) use people::{end, people, revoke};
pub(super) use webhooks::{rejected, webhooks};

/// An option of a list to choose from.
struct Choice {
    value: String,
    chosen: bool,
}

fn choices(values: impl IntoIterator<Item = String>, chosen: Option<&str>) -> Vec<Choice> {
    values.into_iter().map(|value| Choice { chosen: chosen == Some(value.as_str()), value }).collect()
}
