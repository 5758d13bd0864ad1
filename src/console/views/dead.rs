//! Dead letters by cause.

use askama::Template;

use crate::console::{
    Action, CauseKey, Reply,
    clock_words::When,
    page::{Frame, Tab, page},
    shown::on_one_line,
    visit::{Fault, Visit, address},
};

#[derive(Template)]
#[template(path = "dead.html")]
struct Dead {
    frame: Frame,
    groups: Vec<Group>,
    may_replay: bool,
    may_discard: bool,
}

struct Group {
    href: String,
    events: u64,
    source: String,
    kind: String,
    why: String,
    in_doubt: bool,
    oldest: When,
    newest: When,
    raw_source: String,
    raw_kind: String,
    raw_error: Option<String>,
}

/// The events of a cause.
pub(super) fn address_of(key: &CauseKey) -> String {
    let query = [
        ("state", Some("dead".to_owned())),
        ("source", Some(key.source.clone())),
        ("kind", Some(key.kind.clone())),
        ("error", key.error.clone()),
    ];
    address("/events", &query)
}

pub(in crate::console) async fn dead(visit: &Visit<'_>) -> Result<Reply, Fault> {
    let groups = visit.console.parts.records.causes().await?;
    let group = |group: &crate::console::CauseGroup| Group {
        href: address_of(&group.key),
        events: group.events,
        source: on_one_line(&group.key.source),
        kind: on_one_line(&group.key.kind),
        why: on_one_line(group.key.error.as_deref().unwrap_or("for no recorded reason")),
        in_doubt: group.key.in_doubt,
        oldest: When::of(group.oldest_at, visit.now),
        newest: When::of(group.newest_at, visit.now),
        raw_source: group.key.source.clone(),
        raw_kind: group.key.kind.clone(),
        raw_error: group.key.error.clone(),
    };
    page(&Dead {
        frame: Frame::of(visit, Tab::Dead, "Dead letters"),
        groups: groups.iter().map(group).collect(),
        may_replay: visit.may(Action::Replay),
        may_discard: visit.may(Action::Discard),
    })
}
