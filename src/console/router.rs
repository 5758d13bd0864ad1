//! From a request to a page: whose it is, whether it may, and which view answers.

use std::sync::Arc;

use http::{Method, StatusCode};

use super::{
    Console, ConsoleError, Reply, Request, StoredSession, Token, assets, live,
    origin::{NotOurs, Origin},
    page::{self, Frame, Tab},
    sign_in, signed_in, views,
    visit::{Fault, RECENT_MINUTES, Visit},
};
use crate::telemetry::causes;

/// A session is marked as used at most this often, in milliseconds.
const USED_EVERY_MS: i64 = 60_000;

impl Console {
    /// Answers a request.
    pub async fn answer(self: &Arc<Self>, request: Request) -> Reply {
        let origin =
            match Origin::of(&self.options, &request).and_then(|origin| origin.allows(&request).map(|()| origin)) {
                Ok(origin) => origin,
                Err(not_ours) => return self.not_ours(not_ours),
            };
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        if let ["assets", _, name] = segments[..]
            && request.method == Method::GET
            && let Some(asset) = assets::answer(name, &request)
        {
            return asset;
        }
        if let ["login", ..] = segments[..] {
            return sign_in::answer(self, &request, &origin, &segments[1..]).await;
        }
        let signed_in = match request.cookie(signed_in::cookie_name(&origin)).map(Token::sent) {
            Some(token) => self.session(&token).await.map(|session| session.map(|session| (session, token))),
            None => Ok(None),
        };
        let (session, token) = match signed_in {
            Ok(Some(signed_in)) => signed_in,
            Ok(None) => {
                let what = match request.method {
                    Method::POST => "Nobody is signed in here, or the session has ended. Nothing was changed.",
                    _ => "Nobody is signed in here, or the session has ended.",
                };
                return self.stranger(StatusCode::UNAUTHORIZED, what);
            }
            Err(error) => return self.unavailable(None, &error),
        };
        let seen = match self.live.version(self).await {
            Ok(seen) => seen,
            Err(error) => return self.unavailable(None, &error),
        };
        let visit = Visit { console: self, request: &request, session, token, now: self.parts.clock.now(), seen };
        match self.route(&visit, &origin, &segments).await {
            Ok(reply) => reply,
            Err(fault) => self.fault(&visit, fault),
        }
    }

    async fn route(self: &Arc<Self>, visit: &Visit<'_>, origin: &Origin, segments: &[&str]) -> Result<Reply, Fault> {
        let get = matches!(visit.request.method, Method::GET);
        let post = matches!(visit.request.method, Method::POST);
        if !get && !post {
            return Err(Fault::Method);
        }
        if post {
            visit.check_form()?;
        }
        match (get, segments) {
            (true, []) => views::overview(visit).await,
            (true, ["live"]) => Ok(live::stream_of(self, visit)),
            (true, ["conversations"]) => views::conversations(visit).await,
            (true, ["conversations", id]) => views::conversation(visit, id).await,
            (true, ["events"]) => views::events(visit).await,
            (false, ["events", "preview"]) => views::preview(visit).await,
            (false, ["events", "all", action]) => views::act_on_all(visit, action).await,
            (true, ["events", id]) => views::event(visit, number(id)?, false).await,
            (false, ["events", id, "reveal"]) => views::event(visit, number(id)?, true).await,
            (false, ["events", id, action]) => views::act(visit, number(id)?, action).await,
            (true, ["dead"]) => views::dead(visit).await,
            (true, ["webhooks"]) => views::webhooks(visit).await,
            (_, ["webhooks", source, "doctor"]) => views::doctor(visit, source).await,
            (true, ["webhooks", source]) => views::rejected(visit, source).await,
            (true, ["audit"]) => views::audit(visit).await,
            (true, ["audit.jsonl"]) => views::audit_export(visit).await,
            (true, ["people"]) => views::people(visit).await,
            (false, ["people", id, "end"]) => views::end(visit, number(id)?).await,
            (false, ["tokens", id, "revoke"]) => views::revoke(visit, number(id)?).await,
            (false, ["logout"]) => sign_in::sign_out(visit, origin).await,
            _ => Err(Fault::NotFound("There is no such page.".to_owned())),
        }
    }

    /// The session of a token, marked as used.
    pub(super) async fn session(&self, token: &Token) -> Result<Option<StoredSession>, ConsoleError> {
        let now = self.parts.clock.now();
        let used_since = now.minus(self.options.idle());
        let session = self.parts.sessions.session(&token.hash(), now, used_since).await?;
        if let Some(session) = &session
            && now.unix_ms() - session.used_at.unix_ms() > USED_EVERY_MS
        {
            self.parts.sessions.used(session.id, now).await?;
        }
        Ok(session)
    }

    fn fault(&self, visit: &Visit<'_>, fault: Fault) -> Reply {
        let (status, what, next) = match fault {
            Fault::NotFound(what) => (StatusCode::NOT_FOUND, what, "Go on from the navigation.".to_owned()),
            Fault::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "Pages are read with GET and changed with POST.".to_owned(),
                String::new(),
            ),
            Fault::Role(needed) => {
                (StatusCode::FORBIDDEN, page::lacks(visit.session.role, needed), "Ask somebody who has it.".to_owned())
            }
            Fault::ReadOnly => (
                StatusCode::FORBIDDEN,
                "The console is read only (console.read_only).".to_owned(),
                "On the machine, frontdesk events does the same.".to_owned(),
            ),
            Fault::Form => (
                StatusCode::FORBIDDEN,
                "The form was not sent by a page of this session.".to_owned(),
                "Load the page again, and send its form.".to_owned(),
            ),
            Fault::SignInAgain => (
                StatusCode::UNAUTHORIZED,
                format!("This needs a sign-in within the last {RECENT_MINUTES} minutes."),
                "Sign in again, and repeat it. Nothing was changed.".to_owned(),
            ),
            Fault::Input(what) => {
                (StatusCode::UNPROCESSABLE_ENTITY, what, "Go back, correct it, and send it again.".to_owned())
            }
            Fault::Operator(error) => (
                StatusCode::CONFLICT,
                super::shown::on_one_line(&format!("It was not done: {}.", causes(&error))),
                "Load the event again to see how it stands.".to_owned(),
            ),
            Fault::Unavailable(error) => return self.unavailable(Some(visit), error.as_ref()),
            Fault::Template(error) => return self.unavailable(Some(visit), &error),
        };
        page::fault(Frame::of(visit, Tab::None, "Not done"), status, what, next)
    }

    fn unavailable(&self, visit: Option<&Visit<'_>>, error: &(dyn std::error::Error + 'static)) -> Reply {
        tracing::error!(error = causes(error), "the console cannot answer");
        let frame = match visit {
            Some(visit) => Frame::of(visit, Tab::None, "Not available"),
            None => Frame::for_strangers("Not available", self.version),
        };
        let what = "The store does not answer. The log says why.".to_owned();
        page::fault(frame, StatusCode::SERVICE_UNAVAILABLE, what, "Try again in a moment.".to_owned())
    }

    pub(super) fn stranger(&self, status: StatusCode, what: &str) -> Reply {
        let next = if status == StatusCode::UNAUTHORIZED {
            "On the machine of the server, run frontdesk console login, and open the address that it prints."
        } else {
            ""
        };
        let mut frame = Frame::for_strangers("Sign in", self.version);
        frame.openid = self.parts.openid.is_some();
        let next = if frame.openid { "" } else { next };
        page::fault(frame, status, what.to_owned(), next.to_owned())
    }

    fn not_ours(&self, why: NotOurs) -> Reply {
        let (what, next) = match why {
            NotOurs::Host => (
                "This name is not the console's.",
                "Use localhost on the machine itself, or set console.public_url to the address that people use.",
            ),
            NotOurs::Origin => ("Another site has sent this form.", "Use the pages of the console."),
        };
        let frame = Frame::for_strangers("Not answered", self.version);
        page::fault(frame, StatusCode::FORBIDDEN, what.to_owned(), next.to_owned())
    }
}

fn number(text: &str) -> Result<i64, Fault> {
    text.parse().map_err(|_| Fault::NotFound("There is no such page.".to_owned()))
}
