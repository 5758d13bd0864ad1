//! What every page has: the frame with navigation, and the page that says what went wrong.

use askama::Template;
use http::StatusCode;

use super::{
    PATH, Reply, Role, assets, live,
    visit::{Fault, Visit},
};

/// A page of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Conversations,
    Events,
    Dead,
    Webhooks,
    Audit,
    People,
    None,
}

/// A link of the navigation.
pub(super) struct TabLink {
    pub(super) words: &'static str,
    pub(super) href: String,
    pub(super) is_here: bool,
}

/// What the frame shows around a page.
pub(super) struct Frame {
    pub(super) title: String,
    pub(super) tabs: Vec<TabLink>,
    pub(super) person: String,
    pub(super) role: &'static str,
    pub(super) csrf: String,
    pub(super) version: &'static str,
    pub(super) read_only: bool,
    /// Whether somebody is signed in.
    pub(super) signed_in: bool,
    /// Where the page hears of changes.
    pub(super) live: String,
    /// What an action has done.
    pub(super) notice: Option<String>,
    pub(super) css: String,
    pub(super) script: String,
    pub(super) htmx: String,
    pub(super) icon: String,
    /// Whether people sign in by an OpenID provider.
    pub(super) openid: bool,
}

const TABS: &[(Tab, &str, &str)] = &[
    (Tab::Overview, "Overview", ""),
    (Tab::Conversations, "Conversations", "/conversations"),
    (Tab::Events, "Events", "/events"),
    (Tab::Dead, "Dead letters", "/dead"),
    (Tab::Webhooks, "Webhooks", "/webhooks"),
    (Tab::Audit, "Audit", "/audit"),
    (Tab::People, "People", "/people"),
];

impl Frame {
    /// The frame of a page for somebody who is signed in.
    pub(super) fn of(visit: &Visit<'_>, tab: Tab, title: &str) -> Self {
        let notice = visit.request.query.text("done").and_then(notice);
        Self {
            tabs: TABS
                .iter()
                .map(|(other, words, path)| TabLink { words, href: format!("{PATH}{path}"), is_here: *other == tab })
                .collect(),
            person: super::shown::on_one_line(&visit.session.person),
            role: visit.session.role.as_str(),
            csrf: visit.token.csrf(),
            read_only: visit.console.options.read_only,
            signed_in: true,
            openid: visit.console.parts.openid.is_some(),
            live: live::address_of(visit),
            notice,
            ..Self::for_strangers(title, visit.console.version)
        }
    }

    /// The frame of a page for anybody.
    pub(super) fn for_strangers(title: &str, version: &'static str) -> Self {
        Self {
            title: title.to_owned(),
            tabs: Vec::new(),
            person: String::new(),
            role: "",
            csrf: String::new(),
            version,
            read_only: false,
            signed_in: false,
            live: String::new(),
            notice: None,
            css: assets::address("console.css"),
            script: assets::address("console.js"),
            htmx: assets::address("htmx.min.js"),
            icon: assets::address("icon.svg"),
            openid: false,
        }
    }
}

/// What an action has done, by its word in the address. The words are ours: an address shows no text of its own.
fn notice(done: &str) -> Option<String> {
    let (word, number) = done.split_once('-').unwrap_or((done, ""));
    let count: Option<u64> = number.parse().ok();
    let of = |one: &str, many: &str| match count {
        None | Some(1) => one.to_owned(),
        Some(count) => format!("{count} {many}"),
    };
    Some(match word {
        "replayed" => of("The event is queued again.", "events are queued again."),
        "discarded" => of("The event is discarded.", "events are discarded."),
        "settled" => "The effect is settled.".to_owned(),
        "left" => "Nothing was changed: somebody else was faster, or the event is in another state now.".to_owned(),
        "ended" => "The session is ended.".to_owned(),
        "revoked" => "The token is revoked: the next call with it is refused.".to_owned(),
        _ => return None,
    })
}

/// A page, or the fault of its template.
pub(super) fn page(template: &impl Template) -> Result<Reply, Fault> {
    Ok(Reply::html(StatusCode::OK, template.render().map_err(Fault::Template)?))
}

#[derive(Template)]
#[template(path = "fault.html")]
struct FaultPage {
    frame: Frame,
    what: String,
    next: String,
    /// Where to sign in, if that helps.
    sign_in: Option<String>,
}

/// The page that says what went wrong.
pub(super) fn fault(frame: Frame, status: StatusCode, what: String, next: String) -> Reply {
    // Whose session is too old signs in once more, also at the provider.
    let again = if frame.signed_in { "?again=yes" } else { "" };
    let page = if frame.openid { format!("{PATH}/login/openid{again}") } else { format!("{PATH}/login") };
    let sign_in = (status == StatusCode::UNAUTHORIZED).then_some(page);
    match (FaultPage { frame, what, next, sign_in }).render() {
        Ok(page) => Reply::html(status, page),
        Err(error) => {
            tracing::error!(%error, "a page of the console cannot be made");
            Reply::html(StatusCode::INTERNAL_SERVER_ERROR, "The page cannot be made; the log says why.".to_owned())
        }
    }
}

/// What the role lacks.
pub(super) fn lacks(role: Role, needed: Role) -> String {
    format!("This needs the role {}; yours is {}.", needed.as_str(), role.as_str())
}
