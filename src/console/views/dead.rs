//! Dead letters by cause.

use askama::Template;

use super::events::NO_REASON;
use crate::console::{
    Action, CauseGroup, Reply,
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
    cause: String,
}

/// The events of a cause.
pub(super) fn address_of(group: &CauseGroup) -> String {
    let query = [("state", Some("dead".to_owned())), ("cause", Some(group.id.clone()))];
    address("/events", &query)
}

pub(in crate::console) async fn dead(visit: &Visit<'_>) -> Result<Reply, Fault> {
    let groups = visit.console.parts.records.causes().await?;
    let group = |group: &CauseGroup| Group {
        href: address_of(group),
        events: group.events,
        source: on_one_line(&group.key.source),
        kind: on_one_line(&group.key.kind),
        why: on_one_line(group.key.error.as_deref().unwrap_or(NO_REASON)),
        in_doubt: group.key.in_doubt,
        oldest: When::of(group.oldest_at, visit.now),
        newest: When::of(group.newest_at, visit.now),
        cause: group.id.clone(),
    };
    page(&Dead {
        frame: Frame::of(visit, Tab::Dead, "Dead letters"),
        groups: groups.iter().map(group).collect(),
        may_replay: visit.may(Action::Replay),
        may_discard: visit.may(Action::Discard),
    })
}
