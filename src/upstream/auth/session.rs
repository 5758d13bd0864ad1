//! Sessions: a login request whose reply holds a token, for vendors that have no OAuth.

use std::sync::Arc;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde_json::{Map, Value};

use super::{
    cache::{CredentialHash, TokenCache, TokenKey},
    exchange::exchange,
    lifetime::Lifetime,
    options::{AuthError, AuthOptions, ExpiresUnit, LoginEncoding, LoginMethod},
    source::{TokenError, TokenGrant, TokenSource},
};
use crate::{
    domain::{Clock, Secret, SecretReader, SecretRef, Timestamp},
    upstream::BaseUrl,
};

/// Longest token.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// A login, with its credentials.
pub(super) struct Login {
    url: Url,
    method: Method,
    headers: HeaderMap,
    body: Option<Secret>,
    place: Place,
    /// Written before the token: a prefix, or the name of a cookie.
    before: String,
    token_headers: Vec<(HeaderName, String)>,
    expiry: Expiry,
    key: TokenKey,
    http: reqwest::Client,
    clock: Clock,
}

/// Where the token is in the reply.
enum Place {
    Pointer(String),
    Header(HeaderName),
    Cookie(String),
}

enum Expiry {
    None,
    Fixed(u32),
    At(String, ExpiresUnit),
}

impl Login {
    pub(super) fn new(
        options: &AuthOptions,
        base: &BaseUrl,
        plain_http: bool,
        secrets: SecretReader<'_>,
        cache: &TokenCache,
    ) -> Result<Self, AuthError> {
        let address = options.text("login_url", &options.login_url, secrets)?;
        let url = base
            .resolve(&address, plain_http)
            .map_err(|error| AuthError::value("login_url", format!("{error} (or a path, as /auth/login)")))?;
        let encoding = options.login_encoding.unwrap_or_default();
        let body = match &options.login_body {
            Some(members) => Some(encoded(&with_secrets(members, secrets)?, encoding)?),
            None => None,
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if body.is_some() {
            let content_type = match encoding {
                LoginEncoding::Json => "application/json",
                LoginEncoding::Form => "application/x-www-form-urlencoded",
            };
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        let mut credential = body.as_ref().map(|body| body.expose().to_owned()).unwrap_or_default();
        if options.username.is_some() {
            let user = options.text("username", &options.username, secrets)?;
            let password = options.secret("password", &options.password, secrets)?;
            let pair = STANDARD.encode(format!("{user}:{}", password.expose()));
            headers.insert(header::AUTHORIZATION, super::sensitive(&format!("Basic {pair}"), "username")?);
            credential.push_str(&pair);
        }
        for (name, text) in options.login_headers.iter().flatten() {
            let value = text.read(secrets).map_err(|source| AuthError::Secret { key: "login_headers", source })?;
            credential.push_str(&value);
            headers.insert(header_name(name, "login_headers")?, super::sensitive(&value, "login_headers")?);
        }
        let place = match (&options.token_pointer, &options.token_header, &options.token_cookie) {
            (Some(pointer), None, None) => Place::Pointer(pointer.clone()),
            (None, Some(name), None) => Place::Header(header_name(name, "token_header")?),
            (None, None, Some(name)) => Place::Cookie(name.clone()),
            _ => {
                let why = "write one of token_pointer, token_header and token_cookie: where the reply holds the token";
                return Err(AuthError::value("token_pointer", why));
            }
        };
        let named = |(name, pointer): (&String, &String)| Ok((header_name(name, "token_headers")?, pointer.clone()));
        let token_headers = options.token_headers.iter().flatten().map(named).collect::<Result<_, AuthError>>()?;
        let key = TokenKey {
            endpoint: url.as_str().to_owned(),
            // What the options say apart from their secrets, which they only refer to.
            client: serde_json::to_string(options).unwrap_or_default(),
            scopes: Vec::new(),
            audience: None,
            resource: None,
            credential: CredentialHash::of(&Secret::new(credential)),
        };
        Ok(Self {
            url: url.url().clone(),
            method: match options.login_method.unwrap_or_default() {
                LoginMethod::Get => Method::GET,
                LoginMethod::Post => Method::POST,
                LoginMethod::Put => Method::PUT,
            },
            headers,
            body,
            before: match (sent_cookie(options), &options.prefix, &options.header) {
                (Some(cookie), ..) => format!("{cookie}="),
                (None, Some(prefix), _) => prefix.clone(),
                (None, None, None) => "Bearer ".to_owned(),
                (None, None, Some(_)) => String::new(),
            },
            place,
            token_headers,
            expiry: match (&options.expires_pointer, options.lifetime_s) {
                (Some(pointer), _) => Expiry::At(pointer.clone(), options.expires_unit.unwrap_or_default()),
                (None, Some(lifetime_s)) => Expiry::Fixed(lifetime_s),
                (None, None) => Expiry::None,
            },
            key,
            http: cache.http().clone(),
            clock: cache.clock().clone(),
        })
    }

    pub(super) fn key(&self) -> TokenKey {
        self.key.clone()
    }

    /// The header that carries the token.
    pub(super) fn header(options: &AuthOptions) -> Result<HeaderName, AuthError> {
        match (sent_cookie(options), &options.header) {
            (Some(_), _) => Ok(header::COOKIE),
            (None, Some(name)) => header_name(name, "header"),
            (None, None) => Ok(header::AUTHORIZATION),
        }
    }

    fn lifetime(&self, body: Option<&Value>, cookie_age_s: Option<f64>) -> Lifetime {
        match &self.expiry {
            Expiry::Fixed(lifetime_s) => Lifetime::Session(Some(f64::from(*lifetime_s))),
            Expiry::None => Lifetime::Session(cookie_age_s),
            Expiry::At(pointer, unit) => {
                let said = body.and_then(|body| body.pointer(pointer));
                said.and_then(|said| seconds(said, *unit, self.clock.now()))
                    .map_or(Lifetime::Unknown, |seconds| Lifetime::Session(Some(seconds)))
            }
        }
    }
}

/// The name of the cookie that the token is sent as, if it is: a token from a cookie goes back as that cookie.
fn sent_cookie(options: &AuthOptions) -> Option<&String> {
    let same = options.token_cookie.as_ref().filter(|_| options.header.is_none());
    options.cookie.as_ref().or(same)
}

fn header_name(name: &str, key: &'static str) -> Result<HeaderName, AuthError> {
    HeaderName::try_from(name).map_err(|_| AuthError::value(key, format!("{name:?} is not a header name")))
}

/// The body with the secrets that it refers to.
fn with_secrets(members: &Map<String, Value>, secrets: SecretReader<'_>) -> Result<Value, AuthError> {
    fn read(value: &Value, secrets: SecretReader<'_>) -> Result<Value, AuthError> {
        Ok(match value {
            Value::Object(members) => match serde_json::from_value::<SecretRef>(value.clone()) {
                Ok(place) => {
                    let secret = secrets(&place).map_err(|source| AuthError::Secret { key: "login_body", source })?;
                    Value::String(secret.expose().to_owned())
                }
                Err(_) => Value::Object(
                    members.iter().map(|(name, value)| Ok((name.clone(), read(value, secrets)?))).collect::<Result<
                        _,
                        AuthError,
                    >>(
                    )?,
                ),
            },
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| read(item, secrets)).collect::<Result<_, AuthError>>()?)
            }
            plain => plain.clone(),
        })
    }
    read(&Value::Object(members.clone()), secrets)
}

fn encoded(body: &Value, encoding: LoginEncoding) -> Result<Secret, AuthError> {
    if encoding == LoginEncoding::Json {
        return Ok(Secret::new(body.to_string()));
    }
    let mut pairs = Vec::new();
    for (name, value) in body.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            _ => return Err(AuthError::value("login_body", format!("{name} cannot stand in a form; write a text"))),
        };
        let form = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        pairs.push(format!("{}={}", form(name), form(&text)));
    }
    Ok(Secret::new(pairs.join("&")))
}

/// A lifetime in seconds.
fn seconds(said: &Value, unit: ExpiresUnit, now: Timestamp) -> Option<f64> {
    let number = match said {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match unit {
        ExpiresUnit::S => number,
        ExpiresUnit::Ms => number.map(|ms| ms / 1000.0),
        ExpiresUnit::Time => {
            let at = match (number, said) {
                (Some(unix_s), _) => unix_s,
                (None, Value::String(text)) => Timestamp::parse(text).ok()?.unix_ms() as f64 / 1000.0,
                (None, _) => return None,
            };
            Some(at - now.unix_ms() as f64 / 1000.0)
        }
    }
}

/// The value of a cookie that the reply sets, and its Max-Age (RFC 6265 5.2).
fn cookie(headers: &HeaderMap, name: &str) -> Option<(String, Option<f64>)> {
    headers.get_all(header::SET_COOKIE).iter().filter_map(|line| line.to_str().ok()).find_map(|line| {
        let mut parts = line.split(';');
        let (found, value) = parts.next()?.split_once('=')?;
        let value = value.trim();
        if found.trim() != name || value.is_empty() {
            return None;
        }
        let age = parts.filter_map(|part| part.split_once('='));
        let age = age.filter(|(name, _)| name.trim().eq_ignore_ascii_case("max-age"));
        Some((value.to_owned(), age.filter_map(|(_, age)| age.trim().parse().ok()).next_back()))
    })
}

/// A token in a body: a string or a number at the pointer. The empty pointer is the whole body, which may be plain text.
fn at(body: Option<&Value>, raw: &[u8], pointer: &str) -> Option<String> {
    match body.map(|body| body.pointer(pointer)) {
        Some(Some(Value::String(text))) => Some(text.clone()),
        Some(Some(Value::Number(number))) => Some(number.to_string()),
        Some(_) => None,
        None if pointer.is_empty() => {
            let text = std::str::from_utf8(raw).ok()?.trim();
            Some(text.to_owned()).filter(|text| !text.contains(char::is_whitespace) && !text.starts_with('<'))
        }
        None => None,
    }
}

#[async_trait]
impl TokenSource for Login {
    async fn fetch(&self) -> Result<TokenGrant, TokenError> {
        let mut request = reqwest::Request::new(self.method.clone(), self.url.clone());
        *request.headers_mut() = self.headers.clone();
        *request.body_mut() = self.body.as_ref().map(|body| body.expose().to_owned().into());
        let reply = exchange(&self.http, request).await.map_err(TokenError::Unreachable)?;
        let status = reply.status.as_u16();
        // A login form answers with a redirect and a cookie.
        let redirects = reply.status.is_redirection() && !matches!(self.place, Place::Pointer(_));
        if !reply.status.is_success() && !redirects {
            return Err(TokenError::Refused { status, code: None });
        }
        let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
        let body = body.as_ref();
        let (token, cookie_age_s) = match &self.place {
            Place::Pointer(pointer) => (at(body, &reply.body, pointer), None),
            Place::Header(name) => {
                (reply.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned), None)
            }
            Place::Cookie(name) => cookie(&reply.headers, name).map_or((None, None), |(value, age)| (Some(value), age)),
        };
        let is_page = body.is_none() && reply.status == StatusCode::OK && reply.body.trim_ascii().starts_with(b"<");
        let absent = || if is_page { TokenError::Unreadable } else { TokenError::NoToken { status } };
        let usable = |token: String| (!token.is_empty() && token.len() <= TOKEN_BYTES_MAX).then_some(token);
        let token = token.and_then(usable).ok_or_else(absent)?;
        let more: Option<Vec<(HeaderName, Secret)>> = self
            .token_headers
            .iter()
            .map(|(name, pointer)| Some((name.clone(), Secret::new(at(body, &reply.body, pointer).and_then(usable)?))))
            .collect();
        Ok(TokenGrant {
            token: Secret::new(format!("{}{token}", self.before)),
            more: more.ok_or_else(absent)?,
            lifetime: self.lifetime(body, cookie_age_s),
        })
    }
}

/// A source for [`super::TokenCache`], with the header that its tokens go into.
pub(super) fn source(
    options: &AuthOptions,
    base: &BaseUrl,
    plain_http: bool,
    secrets: SecretReader<'_>,
    cache: &TokenCache,
) -> Result<(TokenKey, Arc<dyn TokenSource>, HeaderName), AuthError> {
    let login = Login::new(options, base, plain_http, secrets, cache)?;
    Ok((login.key(), Arc::new(login), Login::header(options)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expiries_are_read_in_their_unit() {
        let now = Timestamp::parse("2026-11-27T12:00:00Z").unwrap();
        let read = |said: Value, unit| seconds(&said, unit, now);
        assert_eq!(read(json!(900), ExpiresUnit::S), Some(900.0));
        assert_eq!(read(json!("900"), ExpiresUnit::S), Some(900.0));
        assert_eq!(read(json!(900_000), ExpiresUnit::Ms), Some(900.0));
        assert_eq!(read(json!("2026-11-27T12:15:00Z"), ExpiresUnit::Time), Some(900.0));
        assert_eq!(read(json!(now.unix_ms() / 1000 + 900), ExpiresUnit::Time), Some(900.0));
        assert_eq!(read(json!({}), ExpiresUnit::S), None);
        assert_eq!(read(json!("soon"), ExpiresUnit::Time), None);
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        for line in ["session=; Max-Age=0", "lang=de", "session=abc=; Path=/; max-age=60; HttpOnly"] {
            headers.append(header::SET_COOKIE, HeaderValue::from_static(line));
        }
        assert_eq!(cookie(&headers, "session"), Some(("abc=".to_owned(), Some(60.0))));
        assert_eq!(cookie(&headers, "lang"), Some(("de".to_owned(), None)));
        assert_eq!(cookie(&headers, "Session"), None);
    }

    #[test]
    fn a_whole_body_is_a_token_if_it_is_one() {
        let token = |body: &str| at(serde_json::from_str(body).ok().as_ref(), body.as_bytes(), "");
        assert_eq!(token("\"abc\"").as_deref(), Some("abc"));
        assert_eq!(token("abc.def\n").as_deref(), Some("abc.def"));
        assert_eq!(token("<html>"), None);
        assert_eq!(token("not a token"), None);
        assert_eq!(token("{}"), None);
    }
}
