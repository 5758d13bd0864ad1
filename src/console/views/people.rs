//! Who is signed in, and what each role may do.

use askama::Template;

use crate::console::{
    Action, Reply,
    clock_words::When,
    page::{Frame, Tab, page},
    shown::on_one_line,
    signed_in,
    visit::{Fault, RECENT_MINUTES, Visit, address},
};

#[derive(Template)]
#[template(path = "people.html")]
struct People {
    frame: Frame,
    sessions: Vec<SessionRow>,
    actions: Vec<ActionRow>,
    may_end: bool,
}

struct SessionRow {
    id: i64,
    person: String,
    own: bool,
    role: &'static str,
    by: &'static str,
    began: When,
    used: When,
    ends: When,
}

struct ActionRow {
    words: String,
    role: &'static str,
    you: &'static str,
}

pub(in crate::console) async fn people(visit: &Visit<'_>) -> Result<Reply, Fault> {
    let used_since = visit.now.minus(visit.console.options.idle());
    let sessions = visit.console.parts.sessions.sessions(visit.now, used_since).await?;
    page(&People {
        frame: Frame::of(visit, Tab::People, "People"),
        sessions: sessions
            .iter()
            .map(|session| SessionRow {
                id: session.id,
                person: on_one_line(&session.person),
                own: session.id == visit.session.id,
                role: session.role.as_str(),
                by: session.by.as_str(),
                began: When::of(session.began_at, visit.now),
                used: When::of(session.used_at, visit.now),
                ends: When::of(session.expires_at, visit.now),
            })
            .collect(),
        actions: Action::ALL
            .into_iter()
            .map(|action| ActionRow {
                words: match action.needs_recent_sign_in() {
                    true => format!("{} (within {RECENT_MINUTES} minutes of signing in)", action.words()),
                    false => action.words().to_owned(),
                },
                role: action.role().as_str(),
                you: if visit.may(action) { "yes" } else { "no" },
            })
            .collect(),
        may_end: visit.may(Action::EndSessions),
    })
}

pub(in crate::console) async fn end(visit: &Visit<'_>, id: i64) -> Result<Reply, Fault> {
    visit.require(Action::EndSessions)?;
    let done = if visit.console.parts.sessions.end(id).await? { "ended" } else { "left" };
    signed_in::note(visit.console, visit.person(None), "console end").await?;
    Ok(Reply::see(&address("/people", &[("done", Some(done.to_owned()))])))
}
