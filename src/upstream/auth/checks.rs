//! Checks of the authentication's options that need no secret.

use serde_json::{Map, Value};

use super::options::{AuthError, AuthOptions, ClientAuth, Grant, Kind};
use crate::domain::{SecretRef, TextRef};

/// Longest stated lifetime of a session: a year.
const LIFETIME_MAX_S: u32 = 31_536_000;

impl AuthOptions {
    /// Validates the options. A key that `kind` does not use is an error, since it would be ignored.
    pub fn check(&self) -> Result<(), AuthError> {
        let kind = self.kind.unwrap_or_default();
        let set = serde_json::to_value(self).unwrap_or_default();
        let foreign = set
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .find(|name| *name != "kind" && !kind.keys().contains(name));
        if let Some(name) = foreign {
            let known = match kind.keys() {
                [] => "write auth.kind first: api_key, basic, bearer, oauth2, jwt or session".to_owned(),
                keys => format!("kind {} has {}", kind.as_str(), keys.join(", ")),
            };
            return Err(AuthError::value("kind", format!("{name} does not belong to kind {}; {known}", kind.as_str())));
        }
        if kind == Kind::Oauth2 {
            let by_key = self.client_auth == Some(ClientAuth::PrivateKeyJwt);
            if by_key && self.client_secret.is_some() {
                return Err(AuthError::value("client_secret", "is not used by private_key_jwt; remove it"));
            }
            let of_a_key = self.private_key.is_some() || self.assertion_audience.is_some() || self.key_id.is_some();
            if !by_key && (of_a_key || self.algorithm.is_some()) {
                let why =
                    "private_key, algorithm, key_id and assertion_audience are for client_auth = \"private_key_jwt\"";
                return Err(AuthError::value("client_auth", why));
            }
        }
        if self.refresh_token.is_some() && self.grant != Some(Grant::RefreshToken) {
            return Err(AuthError::value("refresh_token", "is for grant = \"refresh_token\"; write that too"));
        }
        if kind == Kind::Basic && self.password.is_none() && matches!(self.username, Some(TextRef::Plain(_))) {
            let why = "stands alone, so it is the secret; write { env = \"NAME\" } or { file = \"PATH\" }";
            return Err(AuthError::value("username", why));
        }
        let (least, most) = if kind == Kind::Session { (1, LIFETIME_MAX_S) } else { (30, 300) };
        if self.lifetime_s.is_some_and(|lifetime_s| !(least..=most).contains(&lifetime_s)) {
            return Err(AuthError::value("lifetime_s", format!("must be {least} to {most}")));
        }
        if kind == Kind::Session { self.check_session() } else { Ok(()) }
    }

    fn check_session(&self) -> Result<(), AuthError> {
        let tokens = [&self.token_pointer, &self.token_header, &self.token_cookie];
        if tokens.into_iter().flatten().count() != 1 {
            let why =
                "write one of token_pointer, token_header and token_cookie: where the login's reply has the token";
            return Err(AuthError::value("token_pointer", why));
        }
        let pointers = [("token_pointer", &self.token_pointer), ("expires_pointer", &self.expires_pointer)];
        let pointers = pointers.into_iter().filter_map(|(key, pointer)| Some((key, pointer.as_ref()?)));
        let named = self.token_headers.iter().flatten().map(|(_, pointer)| ("token_headers", pointer));
        if let Some((key, wrong)) = pointers.chain(named).find(|(_, text)| !text.is_empty() && !text.starts_with('/')) {
            let why = format!("{wrong:?} is not a JSON pointer, as /data/access_token");
            return Err(AuthError::value(key, why));
        }
        if self.expires_pointer.is_some() && self.lifetime_s.is_some() {
            return Err(AuthError::value("lifetime_s", "is what expires_pointer says; write one of the two"));
        }
        if self.expires_unit.is_some() && self.expires_pointer.is_none() {
            return Err(AuthError::value("expires_unit", "is the unit of expires_pointer, which is missing"));
        }
        if self.cookie.is_some() && (self.header.is_some() || self.prefix.is_some()) {
            return Err(AuthError::value("cookie", "is instead of header and prefix; write one or the other"));
        }
        if self.password.is_some() && self.username.is_none() {
            return Err(AuthError::value("username", "is missing beside password; or write both into login_body"));
        }
        let named = |cookie: &&String| cookie.is_empty() || cookie.contains([';', '=', ' ', ','].as_slice());
        if [&self.cookie, &self.token_cookie].into_iter().flatten().any(|cookie| named(&cookie)) {
            return Err(AuthError::value("cookie", "is not the name of a cookie"));
        }
        match self.login_body.as_ref().and_then(written_secret) {
            Some(name) => Err(AuthError::value(
                "login_body",
                format!("{name} stands in the configuration; write {{ env = \"NAME\" }} or {{ file = \"PATH\" }}"),
            )),
            None => Ok(()),
        }
    }
}

/// The name of a member whose value is a secret that is written out, by what such members are called.
fn written_secret(members: &Map<String, Value>) -> Option<&str> {
    members.iter().find_map(|(name, value)| {
        let lower = name.to_ascii_lowercase();
        let is_secret = ["pass", "secret", "token", "pwd", "apikey", "api_key"].iter().any(|word| lower.contains(word));
        match value {
            Value::String(text) if is_secret && !text.is_empty() => Some(name.as_str()),
            Value::Object(inner) if serde_json::from_value::<SecretRef>(value.clone()).is_err() => {
                written_secret(inner)
            }
            Value::Array(items) => items.iter().filter_map(Value::as_object).find_map(written_secret),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(toml: &str) -> AuthOptions {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn keys_that_would_be_ignored_are_errors() {
        for bad in [
            "token = { env = 'T' }",
            "kind = 'bearer'\nusername = 'u'",
            "kind = 'oauth2'\nprivate_key = { file = 'k' }",
            "kind = 'oauth2'\nclient_auth = 'private_key_jwt'\nclient_secret = { env = 'S' }",
            "kind = 'jwt'\nlifetime_s = 301",
            "kind = 'basic'\nusername = 'the-secret-itself'",
            "kind = 'oauth2'\nrefresh_token = { env = 'R' }",
            "kind = 'session'",
            "kind = 'session'\ntoken_pointer = '/t'\ntoken_cookie = 'sid'",
            "kind = 'session'\ntoken_pointer = 'data.token'",
            "kind = 'session'\ntoken_pointer = '/t'\nexpires_pointer = '/e'\nlifetime_s = 60",
            "kind = 'session'\ntoken_pointer = '/t'\nexpires_unit = 'ms'",
            "kind = 'session'\ntoken_pointer = '/t'\ncookie = 'sid'\nprefix = 'Token '",
            "kind = 'session'\ntoken_pointer = '/t'\nlogin_body = { params = { password = 'in-the-open' } }",
            "kind = 'session'\ntoken_pointer = '/t'\npassword = { env = 'P' }",
            "kind = 'bearer'\ntoken = { env = 'T' }\nlogin_url = '/login'",
        ] {
            assert!(options(bad).check().is_err(), "{bad}");
        }
        for good in [
            "kind = 'session'\ntoken_pointer = ''\nlogin_body = { password = { env = 'P' }, user = 'desk' }",
            "kind = 'session'\ntoken_cookie = 'sid'\nlifetime_s = 86400",
        ] {
            options(good).check().unwrap();
        }
    }
}
