//! Options of the authentication: one flat table, so that a user can override a single key of a vendor file.

use serde::{Deserialize, Serialize};

use crate::domain::{Secret, SecretError, SecretReader, SecretRef, TextRef};

/// Authentication at an upstream. `kind` decides which other keys are required and allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "upstream authentication")]
pub struct AuthOptions {
    /// none, api_key, basic, bearer, oauth2 (client credentials, RFC 6749 4.4) or jwt (a service token that frontdesk
    /// signs).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// `api_key`: name of the header for the key; `X-API-Key` by default. `oauth2`, `jwt`: name of a header for the
    /// bare token, for upstreams that do not accept `Authorization: Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// `api_key`: the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretRef>,
    /// `basic`: the user name, or a reference to it, since for some APIs it is the secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<TextRef>,
    /// `basic`: the password; empty by default.
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
    /// `jwt`: lifetime of a token in seconds, 30 to 300; 300 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 30, max = 300))]
    pub lifetime_s: Option<u32>,
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
        }
    }

    /// The keys that this kind allows besides `kind`.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::ApiKey => &["header", "key"],
            Self::Basic => &["username", "password"],
            Self::Bearer => &["token"],
            Self::Oauth2 => &[
                "header",
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
            Self::Jwt => {
                &["header", "private_key", "algorithm", "key_id", "issuer", "subject", "audience", "lifetime_s"]
            }
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
            scopes,
            audience,
            resource,
            assertion_audience,
            private_key,
            algorithm,
            key_id,
            issuer,
            subject,
            lifetime_s
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
                [] => "write auth.kind first: api_key, basic, bearer, oauth2 or jwt".to_owned(),
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
        if kind == Kind::Basic && self.password.is_none() && matches!(self.username, Some(TextRef::Plain(_))) {
            let why = "stands alone, so it is the secret; write { env = \"NAME\" } or { file = \"PATH\" }";
            return Err(AuthError::value("username", why));
        }
        if self.lifetime_s.is_some_and(|lifetime_s| !(30..=300).contains(&lifetime_s)) {
            return Err(AuthError::value("lifetime_s", "must be 30 to 300"));
        }
        Ok(())
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

    #[test]
    fn keys_that_would_be_ignored_are_errors() {
        for bad in [
            "token = { env = 'T' }",
            "kind = 'bearer'\nusername = 'u'",
            "kind = 'oauth2'\nprivate_key = { file = 'k' }",
            "kind = 'oauth2'\nclient_auth = 'private_key_jwt'\nclient_secret = { env = 'S' }",
            "kind = 'jwt'\nlifetime_s = 301",
            "kind = 'basic'\nusername = 'the-secret-itself'",
        ] {
            assert!(options(bad).check().is_err(), "{bad}");
        }
    }
}
