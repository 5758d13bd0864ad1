//! Signing in by a link that the command line made, and signing out.

use http::{Method, StatusCode};

use askama::Template;

use super::{
    Console, ConsoleError, NewSession, PATH, Reply, Request, SignedInBy, Token,
    origin::Origin,
    page::{self, Frame},
    visit::{Fault, Visit, address},
};
use crate::{
    desk::{AuditRecord, AuditedPerson, Decision, Verdict},
    telemetry::causes,
};

/// The cookie's name. With `__Host-` a browser takes it from an encrypted answer of this very host alone.
pub(super) fn cookie_name(origin: &Origin) -> &'static str {
    if origin.is_https { "__Host-frontdesk_console" } else { "frontdesk_console" }
}

fn cookie(origin: &Origin, value: &str, seconds: u64) -> String {
    let (name, secure) = (cookie_name(origin), if origin.is_https { "; Secure" } else { "" });
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    frame: Frame,
    /// The link's token, to be sent with the form, and for whom it is.
    link: Option<(String, String, &'static str)>,
    action: String,
}

/// `/login`: how to sign in. `/login/link?token=…`: asks, so that nobody who only looks at the link uses it up. The form
/// signs in.
pub(super) async fn answer(console: &Console, request: &Request, origin: &Origin, rest: &[&str]) -> Reply {
    if console.sign_ins.check(&request.peer).is_err() {
        return console.stranger(StatusCode::TOO_MANY_REQUESTS, "Too many attempts to sign in. Try again in a minute.");
    }
    let answered = match (&request.method, rest) {
        (&Method::GET, []) => show(console, None),
        (&Method::GET, ["link"]) => ask(console, request).await,
        (&Method::POST, ["link"]) => take(console, request, origin).await,
        _ => Ok(console.stranger(StatusCode::NOT_FOUND, "There is no such page.")),
    };
    answered.unwrap_or_else(|error| {
        tracing::error!(error = causes(&error), "nobody can sign in to the console");
        console.stranger(StatusCode::SERVICE_UNAVAILABLE, "The store does not answer. The log says why.")
    })
}

fn show(console: &Console, link: Option<(String, String, &'static str)>) -> Result<Reply, ConsoleError> {
    let frame = Frame::for_strangers("Sign in", console.version);
    let page = SignIn { frame, link, action: format!("{PATH}/login/link") };
    page::page(&page).map_err(|fault| match fault {
        Fault::Template(error) => ConsoleError(Box::new(error)),
        _ => ConsoleError("no page".into()),
    })
}

/// Shows for whom the link is.
async fn ask(console: &Console, request: &Request) -> Result<Reply, ConsoleError> {
    let token = Token::sent(request.query.raw("token").unwrap_or_default());
    match console.parts.sessions.link(&token.hash(), console.parts.clock.now()).await? {
        Some(link) => {
            let person = super::shown::on_one_line(&link.person);
            show(console, Some((token.expose().to_owned(), person, link.role.as_str())))
        }
        None => Ok(spent(console)),
    }
}

/// Begins a session for whom the link is.
async fn take(console: &Console, request: &Request, origin: &Origin) -> Result<Reply, ConsoleError> {
    let (sessions, now) = (&console.parts.sessions, console.parts.clock.now());
    let sent = Token::sent(request.form.raw("token").unwrap_or_default());
    let Some(link) = sessions.take_link(&sent.hash(), now).await? else { return Ok(spent(console)) };
    // A token of its own: whoever has seen the link has no session.
    let token = Token::fresh().map_err(|error| ConsoleError(Box::new(error)))?;
    let longest = console.options.longest();
    let session = NewSession {
        person: link.person.clone(),
        role: link.role,
        by: SignedInBy::Link,
        at: now,
        expires_at: now.plus(longest),
    };
    sessions.begin(&token.hash(), session).await?;
    note(console, AuditedPerson { name: link.person, reason: None }, "console login").await?;
    Ok(Reply::see(PATH).with_cookie(&cookie(origin, token.expose(), longest.as_secs())))
}

fn spent(console: &Console) -> Reply {
    console.stranger(StatusCode::UNAUTHORIZED, "This link has been used, or it is older than five minutes.")
}

/// Ends the session, and the cookie with it.
pub(super) async fn sign_out(visit: &Visit<'_>, origin: &Origin) -> Result<Reply, Fault> {
    visit.console.parts.sessions.end(visit.session.id).await?;
    note(visit.console, visit.person(None), "console logout").await?;
    Ok(Reply::see(&address("/login", &[])).with_cookie(&cookie(origin, "", 0)))
}

/// Puts what a person did with sessions into the audit.
pub(super) async fn note(console: &Console, person: AuditedPerson, tool: &'static str) -> Result<(), ConsoleError> {
    let record = AuditRecord {
        at: console.parts.clock.now(),
        agent: None,
        customer: None,
        staff: Some(person),
        conversation: None,
        context_id: None,
        origin: None,
        tool: tool.into(),
        decision: Decision::new(Verdict::Allowed),
    };
    console.parts.audit.record(record).await.map_err(|error| ConsoleError(Box::new(error)))
}
