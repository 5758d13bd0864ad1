//! OAuth 2 access tokens as JWTs (RFC 9068): parsing and validation of claims, pure. The signature is checked
//! elsewhere.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Agent, Holder, Person, presets::Form};
use crate::domain::{AgentId, Scopes};

/// Accepted clock skew of the issuer into the future, in seconds.
const AHEAD_S_MAX: f64 = 30.0;
/// Leeway after expiry, in seconds: clients count the lifetime from when they received the token.
const GRACE_S: f64 = 5.0;
/// Most audiences in one token.
const AUDIENCES_MAX: usize = 32;
/// Longest claim that holds an id, a name or an address.
const CLAIM_CHARS_MAX: usize = 256;

/// Why a token was refused. For the log and for `error_description` (RFC 6750 3); holds no value of the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    #[error("it is longer than 8 KiB")]
    TooLong,
    #[error("it is neither a static token of this server nor a JWT")]
    Unknown,
    #[error("it was revoked")]
    Revoked,
    #[error("it is malformed: {0}")]
    Malformed(&'static str),
    #[error("its typ is not one that agents.issuers accepts")]
    Typ,
    #[error("its issuer is not one of agents.issuers")]
    Issuer,
    #[error("its algorithm is not one that agents.issuers accepts")]
    Algorithm,
    #[error("the issuer has no key with its kid and algorithm")]
    NoKey,
    #[error("its signature does not verify")]
    Signature,
    #[error("it was not made for this server (aud)")]
    Audience,
    #[error("it is an ID token; send the access token")]
    IdToken,
    #[error("its client is not one of agents.issuers.clients")]
    Client,
    /// The client id equals the id of another agent.
    #[error(
        "its client has the id of a static token or of a client of another issuer; give its issuer a prefix of its own"
    )]
    Ambiguous,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet; compare the clocks of both machines")]
    NotYetValid,
    #[error("its claim {claim} is refused: {why}")]
    Claim { claim: &'static str, why: &'static str },
}

/// The rules for the tokens of one issuer.
pub(super) struct Rules {
    pub(super) audience: String,
    pub(super) form: Form,
    pub(super) types: Vec<String>,
    pub(super) client_claims: Vec<String>,
    pub(super) scope_claims: Vec<String>,
    pub(super) scope_prefix: String,
    /// Accepted clients; all if empty.
    pub(super) clients: Vec<String>,
    pub(super) person_claim: Option<String>,
    pub(super) prefix: String,
}

/// A parsed token. Nothing is verified.
pub(super) struct Unverified<'a> {
    /// The signed part: header and payload.
    pub(super) message: &'a str,
    pub(super) signature: &'a str,
    pub(super) header: Header,
    claims: Map<String, Value>,
    issuer: String,
}

#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    typ: Option<String>,
    pub(super) kid: Option<String>,
    crit: Option<Value>,
    b64: Option<Value>,
}

impl<'a> Unverified<'a> {
    pub(super) fn read(token: &'a str) -> Result<Self, TokenRefusal> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenRefusal::Unknown)?;
        let (header, payload) = message.split_once('.').ok_or(TokenRefusal::Unknown)?;
        if payload.contains('.') {
            return Err(TokenRefusal::Malformed("it is not a compact JWS"));
        }
        let header: Header = serde_json::from_slice(&decode(header)?)
            .map_err(|_| TokenRefusal::Malformed("its header is not JSON with alg"))?;
        if header.crit.is_some() || header.b64.is_some() {
            return Err(TokenRefusal::Malformed("its header names an extension, and none is understood"));
        }
        let claims: Map<String, Value> = serde_json::from_slice(&decode(payload)?)
            .map_err(|_| TokenRefusal::Malformed("its claims are not a JSON object"))?;
        let issuer =
            text(&claims, "iss")?.ok_or(TokenRefusal::Claim { claim: "iss", why: "it is missing" })?.to_owned();
        Ok(Self { message, signature, header, claims, issuer })
    }

    /// The unverified issuer: before the signature is checked, only for finding the key.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The agent of the token, and its expiry with leeway in Unix seconds. The signature must have been checked.
    pub(super) fn agent(&self, rules: &Rules, now_s: i64) -> Result<(Agent, i64), TokenRefusal> {
        let typ = self.header.typ.as_deref().unwrap_or_default();
        // RFC 7515 4.1.9: "application/" may be omitted.
        let typ = typ
            .get(.."application/".len())
            .filter(|start| start.eq_ignore_ascii_case("application/"))
            .map_or(typ, |start| &typ[start.len()..]);
        if !rules.types.iter().any(|accepted| accepted.eq_ignore_ascii_case(typ)) {
            return Err(TokenRefusal::Typ);
        }
        self.is_access_token(rules)?;
        match self.audiences()? {
            Some(audiences) if audiences.contains(&rules.audience.as_str()) => {}
            Some(_) => return Err(TokenRefusal::Audience),
            // Without aud, only listed clients are accepted.
            None if !rules.form.has_audience && !rules.clients.is_empty() => {}
            None => return Err(TokenRefusal::Claim { claim: "aud", why: "it is missing" }),
        }
        let now = now_s as f64;
        let expires = self.time("exp")?.ok_or(TokenRefusal::Claim { claim: "exp", why: "it is missing" })?;
        let ends = expires + GRACE_S;
        if ends <= now {
            return Err(TokenRefusal::Expired);
        }
        for claim in ["nbf", "iat"] {
            if self.time(claim)?.is_some_and(|time| time > now + AHEAD_S_MAX) {
                return Err(TokenRefusal::NotYetValid);
            }
        }
        let sub = self.id("sub")?.ok_or(TokenRefusal::Claim { claim: "sub", why: "it is missing" })?;
        let client = self.client(rules)?;
        let id = AgentId::parse(&format!("{}{client}", rules.prefix))
            .map_err(|invalid| TokenRefusal::Claim { claim: "client_id", why: invalid.why })?;
        // A client that acts for itself is its own subject (RFC 9068 2.2). Auth0 appends "@clients".
        let own = client == sub || sub.strip_suffix("@clients") == Some(client);
        let holder = if own { Holder::Client } else { Holder::Person(self.person(sub, rules)?) };
        Ok((Agent { id, scopes: self.scopes(rules)?, holder }, ends.floor() as i64))
    }

    fn person(&self, sub: &str, rules: &Rules) -> Result<Person, TokenRefusal> {
        let claim = rules.person_claim.as_deref();
        Ok(Person {
            sub: sub.to_owned(),
            email: self.id("email")?.map(str::to_owned),
            email_verified: self.claims.get("email_verified") == Some(&Value::Bool(true)),
            name: self.id("name")?.map(str::to_owned),
            signed_in: claim.is_some_and(|claim| self.claims.get(claim).is_some_and(|value| !value.is_null())),
        })
    }

    /// Refuses ID tokens (OpenID Connect Core 2), which are for the client, whatever their `aud`.
    fn is_access_token(&self, rules: &Rules) -> Result<(), TokenRefusal> {
        let id_token = ["nonce", "at_hash", "c_hash"].iter().any(|claim| self.claim(claim).is_some())
            || self.claim("typ").and_then(Value::as_str).is_some_and(|typ| typ.eq_ignore_ascii_case("id"));
        let token_use = self.claim("token_use");
        match token_use {
            _ if id_token => Err(TokenRefusal::IdToken),
            Some(word) if word != "access" => Err(TokenRefusal::IdToken),
            None if rules.form.needs_token_use => Err(TokenRefusal::Claim { claim: "token_use", why: "it is missing" }),
            _ => Ok(()),
        }
    }

    fn client(&self, rules: &Rules) -> Result<&str, TokenRefusal> {
        // Not sub: it may be a person, whose address must not become an agent id.
        let missing =
            TokenRefusal::Claim { claim: "client_id", why: "it is missing, and so are those that stand for it" };
        let claim = rules.client_claims.iter().find(|claim| self.claim(claim).is_some()).ok_or(missing)?;
        let wrong =
            TokenRefusal::Claim { claim: "client_id", why: "it, or what stands for it, must have 1 to 256 characters" };
        let client = self.claim(claim).and_then(Value::as_str).filter(|client| is_id(client)).ok_or(wrong)?;
        match rules.clients.is_empty() || rules.clients.iter().any(|named| named == client) {
            true => Ok(client),
            false => Err(TokenRefusal::Client),
        }
    }

    /// A claim that is present and not null.
    fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name).filter(|value| !value.is_null())
    }

    /// `aud`: a string or an array of strings (RFC 7519 4.1.3).
    fn audiences(&self) -> Result<Option<Vec<&str>>, TokenRefusal> {
        let wrong = TokenRefusal::Claim { claim: "aud", why: "it must be a string or an array of strings" };
        match self.claim("aud") {
            None => Ok(None),
            Some(Value::String(one)) => Ok(Some(vec![one])),
            Some(Value::Array(several)) if several.len() <= AUDIENCES_MAX => {
                several.iter().map(Value::as_str).collect::<Option<_>>().ok_or(wrong).map(Some)
            }
            Some(_) => Err(wrong),
        }
    }

    /// The scopes of all scope claims: each a string (RFC 9068 2.2.3), or an array of strings as some servers send it.
    fn scopes(&self, rules: &Rules) -> Result<Scopes, TokenRefusal> {
        let wrong = TokenRefusal::Claim { claim: "scope", why: "it must be a string or an array of strings" };
        let mut names: Vec<&str> = Vec::new();
        for claim in &rules.scope_claims {
            match self.claim(claim) {
                None => {}
                Some(Value::String(text)) => names.extend(text.split(' ')),
                Some(Value::Array(texts)) => {
                    for text in texts {
                        names.push(text.as_str().ok_or(wrong.clone())?);
                    }
                }
                Some(_) => return Err(wrong),
            }
        }
        let names: Vec<&str> = names.iter().filter_map(|name| name.strip_prefix(rules.scope_prefix.as_str())).collect();
        Ok(Scopes::known(&names.join(" ")))
    }

    /// A NumericDate (RFC 7519 2), possibly with a fraction.
    fn time(&self, claim: &'static str) -> Result<Option<f64>, TokenRefusal> {
        match self.claim(claim) {
            None => Ok(None),
            Some(value) => match value.as_f64().filter(|time| (0.0..1e12).contains(time)) {
                Some(time) => Ok(Some(time)),
                None => Err(TokenRefusal::Claim { claim, why: "it must be a number of seconds" }),
            },
        }
    }

    fn id(&self, claim: &'static str) -> Result<Option<&str>, TokenRefusal> {
        match text(&self.claims, claim)? {
            Some(value) if !is_id(value) => {
                Err(TokenRefusal::Claim { claim, why: "it must have 1 to 256 characters, and no control characters" })
            }
            value => Ok(value),
        }
    }
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= CLAIM_CHARS_MAX && !text.chars().any(char::is_control)
}

fn text<'a>(claims: &'a Map<String, Value>, claim: &'static str) -> Result<Option<&'a str>, TokenRefusal> {
    match claims.get(claim) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TokenRefusal::Claim { claim, why: "it must be a string" }),
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenRefusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenRefusal::Malformed("it is not base64url"))
}
