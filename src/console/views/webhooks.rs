//! Webhook sources, and what was rejected of each.

use askama::Template;

use super::overview::heard;
use crate::console::{
    Action, Reply,
    clock_words::When,
    page::{Frame, Tab, page},
    shown::{on_one_line, shown},
    visit::{Fault, Visit},
};

#[derive(Template)]
#[template(path = "webhooks.html")]
struct Webhooks {
    frame: Frame,
    rows: Vec<SourceRow>,
}

struct SourceRow {
    name: String,
    heard: Option<When>,
    silent: Option<String>,
    rejected: usize,
    why: String,
}

#[derive(Template)]
#[template(path = "rejected.html")]
struct Rejected {
    frame: Frame,
    source: String,
    rows: Vec<RejectedRow>,
    may_doctor: bool,
}

struct RejectedRow {
    at: When,
    check: String,
    reason: String,
    address: String,
    bytes: usize,
    path: String,
    headers: String,
    body: String,
}

pub(in crate::console) async fn webhooks(visit: &Visit<'_>) -> Result<Reply, Fault> {
    let parts = &visit.console.parts;
    let vitals = parts.queue.vitals().await?;
    let mut rows = Vec::new();
    for (name, heard, silent) in heard(visit, &vitals) {
        let rejected = parts.intake.rejected(&name).await?.unwrap_or_default();
        let why = rejected
            .first()
            .map(|first| format!("{} ({})", on_one_line(&first.reason), When::of(first.at, visit.now).words));
        rows.push(SourceRow { name, heard, silent, rejected: rejected.len(), why: why.unwrap_or_default() });
    }
    page(&Webhooks { frame: Frame::of(visit, Tab::Webhooks, "Webhook sources"), rows })
}

pub(in crate::console) async fn rejected(visit: &Visit<'_>, source: &str) -> Result<Reply, Fault> {
    let intake = &visit.console.parts.intake;
    let unknown = || Fault::NotFound(format!("There is no webhook source {}.", on_one_line(source)));
    let rejected = intake.rejected(source).await?.ok_or_else(unknown)?;
    let row = |webhook: &crate::inbox::RejectedWebhook| RejectedRow {
        at: When::of(webhook.at, visit.now),
        check: on_one_line(&webhook.check),
        reason: on_one_line(&webhook.reason),
        address: webhook.address.clone().unwrap_or_else(|| "an unknown address".to_owned()),
        bytes: webhook.body_bytes,
        path: on_one_line(&webhook.path),
        headers: webhook
            .headers
            .iter()
            .map(|(name, value)| format!("{}: {}", on_one_line(name), on_one_line(value)))
            .collect::<Vec<_>>()
            .join("\n"),
        // Unverified, and perhaps of a customer whose platform has the wrong secret.
        body: match visit.may(Action::Reveal) {
            true => shown(&webhook.body),
            false => format!("({} bytes; the role lead sees them)", webhook.body_bytes),
        },
    };
    page(&Rejected {
        frame: Frame::of(visit, Tab::Webhooks, &format!("Webhooks of {}", on_one_line(source))),
        source: source.to_owned(),
        rows: rejected.iter().map(row).collect(),
        may_doctor: visit.may(Action::Doctor) && intake.route(source).is_some(),
    })
}
