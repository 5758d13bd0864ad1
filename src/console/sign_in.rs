//! Signing in by a link that the command line made, and signing out.

use askama::Template;
use http::{Method, StatusCode};

use super::{
    Console, ConsoleError, NewSession, PATH, Reply, Request, SignedInBy, Token, openid,
    origin::Origin,
    page::Frame,
    signed_in::{cookie, cookie_name, note, show_page},
    visit::{Fault, Visit, address},
};
use crate::{desk::AuditedPerson, telemetry::causes};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    frame: Frame,
    /// The link's token, to be sent with the form, and for whom it is.
    link: Option<(String, String, &'static str)>,
    action: String,
    /// Where the OpenID provider's sign-in begins, if there is one.
    openid: Option<String>,
}

/// `/login`: how to sign in. `/login/link?token=…`: asks, so that nobody who only looks at the link uses it up. The form
/// signs in.
pub(super) async fn answer(console: &Console, request: &Request, origin: &Origin, rest: &[&str]) -> Reply {
    // How to sign in may be read as often as somebody likes.
    if !rest.is_empty() && console.sign_ins.check(&request.peer).is_err() {
        return console.stranger(StatusCode::TOO_MANY_REQUESTS, "Too many attempts to sign in. Try again in a minute.");
    }
    let answered = match (&request.method, rest) {
        (&Method::GET, []) => show(console, None),
        (&Method::GET, ["link"]) => ask(console, request).await,
        (&Method::POST, ["link"]) => take(console, request, origin).await,
        (&Method::GET, ["openid" | "callback"]) => by_provider(console, request, origin, rest).await,
        _ => Ok(console.stranger(StatusCode::NOT_FOUND, "There is no such page.")),
    };
    answered.unwrap_or_else(|error| {
        tracing::error!(error = causes(&error), "nobody can sign in to the console");
        console.stranger(StatusCode::SERVICE_UNAVAILABLE, "The store does not answer. The log says why.")
    })
}

/// `/login/openid` sends the browser to the provider, and `/login/callback` takes it back.
async fn by_provider(
    console: &Console,
    request: &Request,
    origin: &Origin,
    rest: &[&str],
) -> Result<Reply, ConsoleError> {
    match (&console.parts.openid, &console.options.openid, rest) {
        (Some(provider), Some(_), ["openid"]) => openid::begin(console, provider.as_ref(), request, origin).await,
        (Some(provider), Some(options), _) => {
            openid::finish(console, provider.as_ref(), options, request, origin).await
        }
        _ => Ok(console.stranger(StatusCode::NOT_FOUND, "No OpenID provider is configured (console.openid).")),
    }
}

fn show(console: &Console, link: Option<(String, String, &'static str)>) -> Result<Reply, ConsoleError> {
    let frame = Frame::for_strangers("Sign in", console.version);
    let openid = console.parts.openid.is_some().then(|| format!("{PATH}/login/openid"));
    show_page(&SignIn { frame, link, action: format!("{PATH}/login/link"), openid })
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
    Ok(Reply::see(PATH).with_cookie(&cookie(cookie_name(origin), origin, token.expose(), longest.as_secs())))
}

fn spent(console: &Console) -> Reply {
    console.stranger(StatusCode::UNAUTHORIZED, "This link has been used, or it is older than five minutes.")
}

/// Ends the session, and the cookie with it.
pub(super) async fn sign_out(visit: &Visit<'_>, origin: &Origin) -> Result<Reply, Fault> {
    visit.console.parts.sessions.end(visit.session.id).await?;
    note(visit.console, visit.person(None), "console logout").await?;
    Ok(Reply::see(&address("/login", &[])).with_cookie(&cookie(cookie_name(origin), origin, "", 0)))
}
