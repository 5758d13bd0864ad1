//! Options of the authentication: one flat table, so that a user can override a single key of a vendor file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{Secret, SecretError, SecretReader, SecretRef, TextRef};

/// Authentication at an upstream. `kind` decides which other keys are required and allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "upstream authentication")]
pub struct AuthOptions {
    /// none, api_key, basic, bearer, oauth2 (client credentials, RFC 6749 4.4), jwt (a service token that frontdesk
    /// signs) or session (a login request whose reply holds a token).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// `api_key`: name of the header for the key; `X-API-Key` by default. `oauth2`, `jwt`: name of a header for the
    /// bare token, for upstreams that do not accept `Authorization: Bearer`. `session`: name of the header for the token,
    /// after `prefix`; `Authorization` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// `api_key`: the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretRef>,
    /// `basic`: the user name, or a reference to it, since for some APIs it is the secret. `session`: of a login that
    /// takes `Authorization: Basic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<TextRef>,
    /// `basic`: the password; empty by default. `session` with `username`: required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// `bearer`: the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// `oauth2`: URL of the token endpoint, or a path on the host of `base_url`. For example `/oauth/token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_url: Option<TextRef>,
    /// `oauth2`: the client id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<TextRef>,
    /// `oauth2`: client authentication: `client_secret_basic` (default), `client_secret_post` or `private_key_jwt`.
    /// The latter is an assertion signed with `private_key` (RFC 7523).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_auth: Option<ClientAuth>,
    /// `oauth2` with `client_secret_basic` or `client_secret_post`: the client secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretRef>,
    /// `oauth2`: `client_credentials` (default), or `refresh_token` for vendors that have nothing else for servers. It
    /// needs `store.encryption_key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<Grant>,
    /// `oauth2` with `refresh_token`: the first refresh token, from an authorization at the vendor. Later ones are in the
    /// store. Another first token takes their place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<SecretRef>,
    /// `oauth2`: the scopes to request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// `oauth2`: the audience to request, for servers that need one. `jwt`: the aud claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// `oauth2`: the resource to request (RFC 8707).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// `oauth2` with `private_key_jwt`: the aud claim of the assertion; `token_url` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assertion_audience: Option<String>,
    /// jwt and `private_key_jwt`: the private key in PEM. PKCS #8, or PKCS #1 for RSA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<SecretRef>,
    /// jwt and `private_key_jwt`: RS256 (default) or ES256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// jwt and `private_key_jwt`: the kid header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// `jwt`: the iss claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// `jwt`: the sub claim; issuer by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// `jwt`: lifetime of a token in seconds, 30 to 300; 300 by default. `session`: the same of the vendor's token, where
    /// the reply does not say it. A token without any lifetime is used until it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub lifetime_s: Option<u32>,
    /// `session`: URL of the login, or a path on the host of `base_url`. For example `/auth/login`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_url: Option<TextRef>,
    /// `session`: POST (default), GET or PUT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_method: Option<LoginMethod>,
    /// `session`: headers of the login request; each is a text or a reference to a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_headers: Option<BTreeMap<String, TextRef>>,
    /// `session`: body of the login request. At any depth `{ env = "NAME" }` or `{ file = "PATH" }` is replaced by that
    /// secret. For example `{ email = "desk@example.com", password = { env = "SHOP_PASSWORD" } }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_body: Option<serde_json::Map<String, Value>>,
    /// `session`: how `login_body` is sent: `json` (default) or `form`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_encoding: Option<LoginEncoding>,
    /// `session`: JSON pointer (RFC 6901) to the token in the login's reply. For example `/data/access_token`; empty if
    /// the body itself is the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_pointer: Option<String>,
    /// `session`: name of the header of the login's reply that holds the token, instead of `token_pointer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_header: Option<String>,
    /// `session`: name of the cookie that the login sets, instead of `token_pointer`. It is sent back as that cookie,
    /// unless `cookie` or `header` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_cookie: Option<String>,
    /// `session`: further headers of every request, with JSON pointers to their values in the login's reply. For
    /// example `{ X-User-Id = "/data/userId" }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_headers: Option<BTreeMap<String, String>>,
    /// `session`: JSON pointer to the token's lifetime, or its end, in the login's reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_pointer: Option<String>,
    /// `session` with `expires_pointer`: seconds (`s`, default), milliseconds (`ms`), or the `time` at which it ends (RFC
    /// 3339, or seconds since 1970).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_unit: Option<ExpiresUnit>,
    /// `oauth2`, `jwt`, `session`: what stands before the token in the header, as `Zoho-oauthtoken `. `Bearer ` by
    /// default, or nothing if `header` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// `session`: name of the cookie that the token is sent as, instead of `header`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    #[default]
    None,
    ApiKey,
    Basic,
    Bearer,
    Oauth2,
    Jwt,
    Session,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum LoginMethod {
    Get,
    #[default]
    Post,
    Put,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoginEncoding {
    #[default]
    Json,
    Form,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpiresUnit {
    #[default]
    S,
    Ms,
    Time,
}

/// Client authentication at the token endpoint (OpenID Connect Core 9).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    #[default]
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    #[default]
    ClientCredentials,
    RefreshToken,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Algorithm {
    #[default]
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "ES256")]
    Es256,
}

/// Why the options are invalid. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("auth.{key}: {why}")]
    Value { key: &'static str, why: String },
    #[error("failed to read auth.{key}")]
    Secret {
        key: &'static str,
        #[source]
        source: SecretError,
    },
}

impl AuthError {
    pub(super) fn value(key: &'static str, why: impl Into<String>) -> Self {
        Self::Value { key, why: why.into() }
    }
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ApiKey => "api_key",
            Self::Basic => "basic",
            Self::Bearer => "bearer",
            Self::Oauth2 => "oauth2",
            Self::Jwt => "jwt",
            Self::Session => "session",
        }
    }

    /// The keys that this kind allows besides `kind`.
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::ApiKey => &["header", "key"],
            Self::Basic => &["username", "password"],
            Self::Bearer => &["token"],
            Self::Oauth2 => &[
                "header",
                "prefix",
                "grant",
                "refresh_token",
                "token_url",
                "client_id",
                "client_auth",
                "client_secret",
                "scopes",
                "audience",
                "resource",
                "assertion_audience",
                "private_key",
                "algorithm",
                "key_id",
            ],
            Self::Jwt => &[
                "header",
                "prefix",
                "private_key",
                "algorithm",
                "key_id",
                "issuer",
                "subject",
                "audience",
                "lifetime_s",
            ],
            Self::Session => &[
                "login_url",
                "login_method",
                "login_headers",
                "login_body",
                "login_encoding",
                "username",
                "password",
                "token_pointer",
                "token_header",
                "token_cookie",
                "token_headers",
                "expires_pointer",
                "expires_unit",
                "lifetime_s",
                "header",
                "prefix",
                "cookie",
            ],
        }
    }
}

impl AuthOptions {
    /// Overlays these options on those of a vendor file, key by key. With another `kind` nothing is taken from the
    /// vendor file.
    pub fn over(&self, lower: &Self) -> Self {
        if self.kind.is_some() && self.kind != lower.kind {
            return self.clone();
        }
        macro_rules! layered {
            ($($key:ident),*) => { Self { $($key: self.$key.clone().or_else(|| lower.$key.clone())),* } };
        }
        let mut layered = layered!(
            kind,
            header,
            key,
            username,
            password,
            token,
            token_url,
            client_id,
            client_auth,
            client_secret,
            grant,
            refresh_token,
            scopes,
            audience,
            resource,
            assertion_audience,
            private_key,
            algorithm,
            key_id,
            issuer,
            subject,
            lifetime_s,
            login_url,
            login_method,
            login_headers,
            login_body,
            login_encoding,
            token_pointer,
            token_header,
            token_cookie,
            token_headers,
            expires_pointer,
            expires_unit,
            prefix,
            cookie
        );
        // Another client authentication drops the credential of the lower one.
        if self.client_auth.is_some_and(|own| own != lower.client_auth.unwrap_or_default()) {
            match self.client_auth {
                Some(ClientAuth::PrivateKeyJwt) => layered.client_secret = self.client_secret.clone(),
                _ => layered.private_key = self.private_key.clone(),
            }
        }
        layered
    }

    pub(super) fn secret(
        &self,
        key: &'static str,
        place: &Option<SecretRef>,
        secrets: SecretReader<'_>,
    ) -> Result<Secret, AuthError> {
        let place = place.as_ref().ok_or_else(|| self.missing(key))?;
        secrets(place).map_err(|source| AuthError::Secret { key, source })
    }

    pub(super) fn text(
        &self,
        key: &'static str,
        text: &Option<TextRef>,
        secrets: SecretReader<'_>,
    ) -> Result<String, AuthError> {
        let text = text.as_ref().ok_or_else(|| self.missing(key))?;
        text.read(secrets).map_err(|source| AuthError::Secret { key, source })
    }

    pub(super) fn missing(&self, key: &'static str) -> AuthError {
        AuthError::value(key, format!("is missing; kind {} needs it", self.kind.unwrap_or_default().as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(toml: &str) -> AuthOptions {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn a_single_key_overrides_and_another_kind_starts_afresh() {
        let vendor =
            options("kind = 'oauth2'\ntoken_url = '/oauth/tokens'\nclient_id = { env = 'ID' }\nscopes = ['read']");
        let layered = options("scopes = ['read', 'write']").over(&vendor);
        assert_eq!(layered.scopes.unwrap().len(), 2);
        assert_eq!(layered.token_url, vendor.token_url);
        let basic = options("kind = 'basic'\nusername = 'u'\npassword = { env = 'P' }").over(&vendor);
        assert!(basic.token_url.is_none() && basic.check().is_ok());
        let vendor = options("kind = 'oauth2'\nclient_secret = { env = 'S' }");
        let by_key = options("client_auth = 'private_key_jwt'\nprivate_key = { file = 'k' }").over(&vendor);
        assert!(by_key.client_secret.is_none() && by_key.check().is_ok());
    }
}
