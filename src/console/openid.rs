//! Signing in by an OpenID provider: authorization code with PKCE. State, nonce and verifier are made of one secret that
//! only the browser has, in a cookie that lives as long as the sign-in may take.

use askama::Template;
use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use http::StatusCode;
use sha2::Sha256;

use super::{
    Console, ConsoleError, NewSession, OpenIdOptions, PATH, Reply, Request, SignedInBy, Token,
    origin::Origin,
    page::Frame,
    session::hex,
    signed_in::{self, cookie, show_page},
};
use crate::{desk::AuditedPerson, domain::Secret, telemetry::causes};

/// How long signing in at the provider may take, in seconds.
const LOGIN_S: u64 = 600;
/// For a sign-in that was asked for again, how long ago it may have been, in seconds.
const AGAIN_S: f64 = 120.0;

/// The provider, as the composition root reaches it.
#[async_trait]
pub trait OpenId: Send + Sync {
    /// The address to send the browser to.
    async fn authorization_url(&self, asked: &Asked) -> Result<String, ConsoleError>;

    /// Who came back with this code.
    async fn identify(&self, code: &str, asked: &Asked) -> Result<Identified, ConsoleError>;
}

/// What a sign-in is bound to.
#[derive(Debug, Clone)]
pub struct Asked {
    pub redirect_uri: String,
    pub state: String,
    pub nonce: String,
    pub verifier: Secret,
    pub again: bool,
}

/// A person, as the provider's verified ID token has them.
#[derive(Debug, Clone)]
pub struct Identified {
    pub name: String,
    /// Values of the role claim.
    pub roles: Vec<String>,
    /// When they signed in at the provider, in seconds.
    pub signed_in_at_s: Option<f64>,
}

#[derive(Template)]
#[template(path = "signed_in.html")]
struct SignedIn {
    frame: Frame,
    to: String,
}

fn cookie_name(origin: &Origin) -> &'static str {
    if origin.is_https { "__Host-frontdesk_login" } else { "frontdesk_login" }
}

/// The cookie comes back from the provider, which is another site: Lax lets it, for this one navigation.
fn login_cookie(origin: &Origin, value: &str, seconds: u64) -> String {
    cookie(cookie_name(origin), origin, value, seconds).replace("SameSite=Strict", "SameSite=Lax")
}

impl Asked {
    /// All of it from the browser's secret: nothing is kept here, and any process can go on.
    fn of(secret: &Token, origin: &Origin, again: bool) -> Self {
        let part = |name: &str| {
            let again = if again { " again" } else { "" };
            let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
                .map(|mac| mac.chain_update(name).chain_update(again).finalize().into_bytes());
            mac.map(|mac| hex(&mac)).unwrap_or_default()
        };
        Self {
            redirect_uri: format!("{}{PATH}/login/callback", origin.text),
            state: part("state"),
            nonce: part("nonce"),
            verifier: Secret::new(part("verifier")),
            again,
        }
    }
}

/// Sends the browser to the provider.
pub(super) async fn begin(
    console: &Console,
    provider: &dyn OpenId,
    request: &Request,
    origin: &Origin,
) -> Result<Reply, ConsoleError> {
    let secret = Token::fresh().map_err(|error| ConsoleError(Box::new(error)))?;
    let again = request.query.text("again").is_some();
    match provider.authorization_url(&Asked::of(&secret, origin, again)).await {
        Ok(url) => Ok(Reply::see(&url).with_cookie(&login_cookie(origin, secret.expose(), LOGIN_S))),
        Err(error) => {
            tracing::error!(error = causes(&error), "the OpenID provider cannot be used");
            let what = "The OpenID provider does not answer as it should. The log says why.";
            Ok(console.stranger(StatusCode::BAD_GATEWAY, what))
        }
    }
}

/// The browser comes back with a code.
pub(super) async fn finish(
    console: &Console,
    provider: &dyn OpenId,
    options: &OpenIdOptions,
    request: &Request,
    origin: &Origin,
) -> Result<Reply, ConsoleError> {
    let spent = login_cookie(origin, "", 0);
    let refused = |status, what: &str| Ok(console.stranger(status, what).with_cookie(&spent));
    let Some(secret) = request.cookie(cookie_name(origin)).map(Token::sent) else {
        return refused(StatusCode::UNAUTHORIZED, "This sign-in was not begun in this browser, or it took too long.");
    };
    let query = &request.query;
    let state = query.raw("state").unwrap_or_default();
    let asked =
        [false, true].map(|again| Asked::of(&secret, origin, again)).into_iter().find(|asked| asked.state == state);
    let Some(asked) = asked else {
        return refused(StatusCode::UNAUTHORIZED, "This answer of the OpenID provider is not to this sign-in.");
    };
    // RFC 9207: another provider may have been mixed in.
    if query.raw("iss").is_some_and(|iss| iss != options.issuer) {
        return refused(StatusCode::UNAUTHORIZED, "Another OpenID provider than the configured one has answered.");
    }
    let Some(code) = query.text("code") else {
        return refused(StatusCode::UNAUTHORIZED, "The OpenID provider has let nobody in.");
    };
    let identified = match provider.identify(code, &asked).await {
        Ok(identified) => identified,
        Err(error) => {
            tracing::warn!(error = causes(&error), "a sign-in by the OpenID provider was refused");
            return refused(
                StatusCode::UNAUTHORIZED,
                "What the OpenID provider says of you is not accepted. The log says why.",
            );
        }
    };
    let now = console.parts.clock.now();
    let age_s = identified.signed_in_at_s.map(|at| now.unix_ms() as f64 / 1000.0 - at);
    if asked.again && age_s.is_none_or(|age| age > AGAIN_S) {
        return refused(StatusCode::UNAUTHORIZED, "The OpenID provider has not asked you to sign in again.");
    }
    let Some(role) = options.roles.of(&identified.roles) else {
        tracing::warn!("somebody without a role of the console has signed in by the OpenID provider");
        return refused(StatusCode::FORBIDDEN, "Your account has none of the roles that may use this console.");
    };
    let token = Token::fresh().map_err(|error| ConsoleError(Box::new(error)))?;
    let longest = console.options.longest();
    let session = NewSession {
        person: identified.name.clone(),
        role,
        by: SignedInBy::OpenId,
        at: now,
        expires_at: now.plus(longest),
    };
    console.parts.sessions.begin(&token.hash(), session).await?;
    signed_in::note(console, AuditedPerson { name: identified.name, reason: None }, "console login").await?;
    // A page of this site, and no redirect: a strict cookie is not sent on the way back from another one.
    let page = SignedIn { frame: Frame::for_strangers("Signed in", console.version), to: PATH.to_owned() };
    let name = signed_in::cookie_name(origin);
    let reply = show_page(&page)?.with_cookie(&spent);
    Ok(reply.with_cookie(&cookie(name, origin, token.expose(), longest.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_another_and_belongs_to_its_secret() {
        let origin = Origin { text: "https://desk.example.com".to_owned(), is_https: true };
        let (one, two) = (Token::fresh().unwrap(), Token::fresh().unwrap());
        let asked = Asked::of(&one, &origin, false);
        assert_eq!(asked.redirect_uri, "https://desk.example.com/console/login/callback");
        assert!(asked.state != asked.nonce && asked.state != asked.verifier.expose());
        assert_eq!(asked.state, Asked::of(&one, &origin, false).state);
        assert_ne!(asked.state, Asked::of(&two, &origin, false).state);
        assert_ne!(asked.state, Asked::of(&one, &origin, true).state);
        assert!((43..=128).contains(&asked.verifier.expose().len()), "RFC 7636 4.1");
        let cookie = login_cookie(&origin, "x", 600);
        assert!(cookie.starts_with("__Host-frontdesk_login=x; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
    }
}
