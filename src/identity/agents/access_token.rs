//! OAuth 2 access tokens as JWTs (RFC 9068): parsing and validation of claims, pure. The signature is checked
//! elsewhere.

use serde_json::Value;

use super::{Agent, Holder, Person, presets::Form};
use crate::{
    domain::{AgentId, Scopes},
    identity::{
        jws::{Claims, Jws, Misfit, Unreadable},
        token_kind,
    },
};

/// Accepted clock skew of the issuer into the future, in seconds.
const AHEAD_S_MAX: f64 = 30.0;
/// Leeway after expiry, in seconds: clients count the lifetime from when they received the token.
const GRACE_S: f64 = 5.0;
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
    Malformed(Unreadable),
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
    #[error(
        "it was made for a client of identity.tokens, whose tokens are customers', and nothing marks it as an access token"
    )]
    OfCustomer,
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
    /// Audiences of customers' tokens.
    pub(super) of_customers: Vec<String>,
}

/// A parsed token. Nothing is verified.
pub(super) struct Unverified<'a> {
    pub(super) jws: Jws<'a>,
    claims: Claims,
    issuer: String,
}

impl<'a> Unverified<'a> {
    pub(super) fn read(token: &'a str) -> Result<Self, TokenRefusal> {
        let jws = Jws::read(token).map_err(|unreadable| match unreadable {
            Unreadable::TooLong => TokenRefusal::TooLong,
            Unreadable::NotCompact if token.matches('.').count() < 2 => TokenRefusal::Unknown,
            unreadable => TokenRefusal::Malformed(unreadable),
        })?;
        let claims = jws.claims().map_err(TokenRefusal::Malformed)?;
        let issuer = claims.text("iss").map_err(of("iss"))?;
        let issuer = issuer.ok_or(TokenRefusal::Claim { claim: "iss", why: "it is missing" })?.to_owned();
        Ok(Self { jws, claims, issuer })
    }

    /// The unverified issuer: before the signature is checked, only for finding the key.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The agent of the token, and its expiry with leeway in Unix seconds. The signature must have been checked.
    pub(super) fn agent(&self, rules: &Rules, now_s: i64) -> Result<(Agent, i64), TokenRefusal> {
        let typ = self.jws.header.typ();
        if !rules.types.iter().any(|accepted| accepted.eq_ignore_ascii_case(typ)) {
            return Err(TokenRefusal::Typ);
        }
        self.is_access_token(rules)?;
        let audiences = self.claims.audiences().map_err(of("aud"))?;
        if audiences.as_ref().is_some_and(|audiences| token_kind::is_for(audiences, &rules.of_customers))
            && !token_kind::is_access_token(&self.jws.header, &self.claims)
        {
            return Err(TokenRefusal::OfCustomer);
        }
        match audiences {
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
            signed_in: claim.is_some_and(|claim| self.claims.get(claim).is_some()),
        })
    }

    /// Refuses ID tokens (OpenID Connect Core 2), which are for the client, whatever their `aud`.
    fn is_access_token(&self, rules: &Rules) -> Result<(), TokenRefusal> {
        let id_token = ["nonce", "at_hash", "c_hash"].iter().any(|claim| self.claims.get(claim).is_some())
            || self.claims.get("typ").and_then(Value::as_str).is_some_and(|typ| typ.eq_ignore_ascii_case("id"));
        let token_use = self.claims.get("token_use");
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
        let claim = rules.client_claims.iter().find(|claim| self.claims.get(claim).is_some()).ok_or(missing)?;
        let wrong =
            TokenRefusal::Claim { claim: "client_id", why: "it, or what stands for it, must have 1 to 256 characters" };
        let client = self.claims.get(claim).and_then(Value::as_str).filter(|client| is_id(client)).ok_or(wrong)?;
        match rules.clients.is_empty() || rules.clients.iter().any(|named| named == client) {
            true => Ok(client),
            false => Err(TokenRefusal::Client),
        }
    }

    /// The scopes of all scope claims: each a string (RFC 9068 2.2.3), or an array of strings as some servers send it.
    fn scopes(&self, rules: &Rules) -> Result<Scopes, TokenRefusal> {
        let wrong = TokenRefusal::Claim { claim: "scope", why: "it must be a string or an array of strings" };
        let mut names: Vec<&str> = Vec::new();
        for claim in &rules.scope_claims {
            match self.claims.get(claim) {
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

    fn time(&self, claim: &'static str) -> Result<Option<f64>, TokenRefusal> {
        self.claims.time(claim).map_err(of(claim))
    }

    fn id(&self, claim: &'static str) -> Result<Option<&str>, TokenRefusal> {
        match self.claims.text(claim).map_err(of(claim))? {
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

fn of(claim: &'static str) -> impl Fn(Misfit) -> TokenRefusal {
    move |misfit| TokenRefusal::Claim { claim, why: misfit.0 }
}
