//! Who is signed in, which tokens agents have, and what each role may do.

use askama::Template;

use crate::{
    console::{
        Action, Reply,
        clock_words::When,
        page::{Frame, Tab, page},
        shown::on_one_line,
        signed_in,
        visit::{Fault, RECENT_MINUTES, Visit, address},
    },
    domain::Timestamp,
    identity::agents::StoredToken,
};

#[derive(Template)]
#[template(path = "people.html")]
struct People {
    frame: Frame,
    sessions: Vec<SessionRow>,
    tokens: Vec<TokenRow>,
    actions: Vec<ActionRow>,
    may_end: bool,
    may_revoke: bool,
}

struct TokenRow {
    id: i64,
    agent: String,
    scopes: String,
    created: When,
    state: String,
    mood: &'static str,
    good: bool,
}

impl TokenRow {
    fn of(token: &StoredToken, now: Timestamp) -> Self {
        let (state, mood) = match (token.revoked_at, token.expires_at) {
            (Some(at), _) => (format!("revoked {}", When::of(at, now).words), ""),
            (None, Some(at)) if at <= now => (format!("expired {}", When::of(at, now).words), "warn"),
            (None, Some(at)) => (format!("expires {}", When::of(at, now).words), "good"),
            (None, None) => ("good".to_owned(), "good"),
        };
        Self {
            id: token.id,
            agent: on_one_line(token.name.as_str()),
            scopes: token.scopes.to_string(),
            created: When::of(token.created_at, now),
            state,
            mood,
            good: mood == "good",
        }
    }
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
    let tokens = visit.console.parts.records.agent_tokens().await?;
    page(&People {
        tokens: tokens.iter().map(|token| TokenRow::of(token, visit.now)).collect(),
        may_revoke: visit.may(Action::RevokeTokens),
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

pub(in crate::console) async fn revoke(visit: &Visit<'_>, id: i64) -> Result<Reply, Fault> {
    visit.require(Action::RevokeTokens)?;
    let done = if visit.console.parts.records.revoke_agent_token(id).await? { "revoked" } else { "left" };
    signed_in::note(visit.console, visit.person(None), "console revoke").await?;
    Ok(Reply::see(&address("/people", &[("done", Some(done.to_owned()))])))
}
