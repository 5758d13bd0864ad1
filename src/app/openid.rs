//! The OpenID provider of the console: the upstream room's client, and the identity room's verifier.

use std::sync::Arc;

use async_trait::async_trait;

use super::{AppError, agents};
use crate::{
    config::{Config, ConfigError, Secrets},
    console::{Asked, ConsoleError, Identified, OpenId},
    domain::Clock,
    identity::IdTokens,
    upstream::{Authorization, OpenIdClient},
};

struct Provider {
    client: OpenIdClient,
    tokens: IdTokens,
    name_claim: String,
    role_claim: String,
    clock: Clock,
}

/// The configured provider, if there is one.
pub(super) fn provider(config: &Config, secrets: &Secrets, clock: &Clock) -> Result<Option<Arc<dyn OpenId>>, AppError> {
    let Some(options) = &config.console.openid else { return Ok(None) };
    let secret = options.client_secret.as_ref().map(|secret| {
        let failed = |source| ConfigError::Secret { key: "console.openid.client_secret".to_owned(), source };
        secrets.read(secret).map_err(failed)
    });
    let (issuer, id) = (options.issuer.clone(), options.client_id.clone());
    let failed = |error: crate::upstream::OpenIdError| ConfigError::value("console.openid", error.to_string());
    let client = OpenIdClient::new(issuer.clone(), id.clone(), secret.transpose()?, options.scopes.clone());
    Ok(Some(Arc::new(Provider {
        client: client.map_err(failed)?,
        tokens: IdTokens::new(issuer, id, agents::published()?),
        name_claim: options.name_claim.clone(),
        role_claim: options.role_claim.clone(),
        clock: clock.clone(),
    })))
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> ConsoleError {
    ConsoleError(Box::new(error))
}

fn of_client(asked: &Asked) -> Authorization {
    Authorization {
        redirect_uri: asked.redirect_uri.clone(),
        state: asked.state.clone(),
        nonce: asked.nonce.clone(),
        verifier: asked.verifier.clone(),
        again: asked.again,
    }
}

#[async_trait]
impl OpenId for Provider {
    async fn authorization_url(&self, asked: &Asked) -> Result<String, ConsoleError> {
        self.client.authorization_url(&of_client(asked)).await.map_err(failed)
    }

    async fn identify(&self, code: &str, asked: &Asked) -> Result<Identified, ConsoleError> {
        let token = self.client.exchange(code, &of_client(asked)).await.map_err(failed)?;
        let token = self.tokens.verify(token.expose(), &asked.nonce, self.clock.now()).await.map_err(failed)?;
        // Without the claim the audit has who it is by the provider's own id.
        let name = token.text(&self.name_claim).or_else(|| token.text("sub")).unwrap_or_default();
        Ok(Identified {
            name: name.chars().filter(|letter| !letter.is_control()).take(100).collect(),
            roles: token.texts(&self.role_claim).into_iter().map(str::to_owned).collect(),
            signed_in_at_s: token.signed_in_at_s(),
        })
    }
}
