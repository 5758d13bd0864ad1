//! `[[identity.tokens]]`: tokens that others sign, with their preset applied.

use serde::{Deserialize, Serialize};

use super::{ConfigError, Secrets, key::KeyConfig};
use crate::{
    domain::{Level, SystemId},
    identity::{
        Algorithm, CONTEXT_HEADER, EmailProof, EmailVerified, Nobody, PresetForm, PublishedKeys, TokenKeys,
        TokenPreset, TokenProfile, agents::is_safe, header_name,
    },
};

/// Most keys of one profile: the old one and the new one of a rotation.
const KEYS_MAX: usize = 2;
/// Longest life that can be accepted, in seconds.
const LIFETIME_S_MAX: i64 = 30 * 24 * 60 * 60;

/// Tokens of customers that somebody else signs: the shop's login, or a platform.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenConfig {
    /// Name for log and audit; that of the preset by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Product whose tokens these are. It gives the other keys their defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<TokenPreset>,
    /// The header that carries these tokens and nothing else. By default that of the preset; without one they are sent
    /// as customer contexts are, in `Customer-Context` or `_meta`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The keys that verify them, at most two, for a rotation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyConfig>,
    /// URL of the issuer's keys (JWKS), where `keys` is empty. By default discovered from the issuer's metadata (OpenID
    /// Connect Discovery, RFC 8414). https; http only on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// Accepted algorithms of published keys: RS256, ES256, EdDSA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Vec<Algorithm>>,
    /// The required `iss`. Needed with published keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The required `aud`: the client id of the shop at its login, or a list of which a token needs one, as for a web page
    /// and an app. Entries of one issuer may differ in it alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// Accepted values of `azp`, where a token has it; `audience` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<Vec<String>>,
    /// The claim that is the customer's id. A name that begins with `/` is a JSON Pointer (RFC 6901). Without a preset
    /// `sub`. Where it is the email address, tokens that do not prove the address are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_claim: Option<String>,
    /// The system of these ids; `identity.subject_system` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemId>,
    /// The claim that holds the email address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_claim: Option<String>,
    /// Whether that address is proven. Without a preset `never`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<EmailVerified>,
    /// The claim that proves it, for `email_verified = "claim"`: `email_verified`, or `xms_edov` for Microsoft Entra. It
    /// proves the address if it is the boolean `true`; `xms_edov` may be 1 or `"1"`, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified_claim: Option<String>,
    /// The claim that holds the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_claim: Option<String>,
    /// The claim that holds the id of the conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_claim: Option<String>,
    /// The claim that holds the language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale_claim: Option<String>,
    /// The level of customers with such a token. Without a preset `otp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// The longest accepted life, in seconds, from `iat` to `exp`. A token without `exp` ends that long after its
    /// `iat`; one without either is refused. Without a preset 900.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_592_000))]
    pub lifetime_max_s: Option<i64>,
    /// Claims whose value marks the token of somebody who has not signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nobody: Option<Vec<Nobody>>,
}

/// One audience or several.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Several(Vec<String>),
}

impl TokenConfig {
    /// The configured audiences.
    pub fn audiences(&self) -> Vec<String> {
        let all = match &self.audience {
            None => Vec::new(),
            Some(Audience::One(one)) => vec![one.clone()],
            Some(Audience::Several(several)) => several.clone(),
        };
        all.into_iter().filter(|audience| !audience.is_empty()).collect()
    }

    /// Whether all its tokens are signed with a shared secret.
    pub fn is_symmetric(&self) -> bool {
        !self.keys.is_empty() && self.keys.iter().all(|key| key.alg == Algorithm::Hs256)
    }

    /// What its tokens mean, without keys; None where it has a fault.
    pub fn meaning(&self, subject_system: &SystemId) -> Option<TokenProfile> {
        let wrong = |member: &str, why: &str| ConfigError::value(member, why);
        self.profile_with(subject_system, &wrong, |_, _, _| Ok(TokenKeys::Configured(Vec::new()))).ok()
    }

    /// The profile, with the preset's values where this entry says nothing.
    pub(super) fn profile(
        &self,
        n: usize,
        subject_system: &SystemId,
        secrets: &Secrets,
    ) -> Result<TokenProfile, ConfigError> {
        let wrong = |member: &str, why: &str| ConfigError::value(&format!("identity.tokens[{n}].{member}"), why);
        self.profile_with(subject_system, &wrong, |name, issuer, algorithms| {
            self.keys(n, name, issuer, algorithms, secrets)
        })
    }

    fn profile_with(
        &self,
        subject_system: &SystemId,
        wrong: &dyn Fn(&str, &str) -> ConfigError,
        keys: impl FnOnce(&str, Option<&str>, Vec<Algorithm>) -> Result<TokenKeys, ConfigError>,
    ) -> Result<TokenProfile, ConfigError> {
        let form = match self.preset {
            Some(preset) => preset.form().map_err(|error| wrong("preset", error.message()))?,
            None => PresetForm::default(),
        };
        let text =
            |own: &Option<String>, preset: Option<String>| own.clone().or(preset).filter(|text| !text.is_empty());
        let name = text(&self.name, self.preset.map(|preset| preset.name().to_owned()));
        let name = name.ok_or_else(|| wrong("name", "is missing; name the login or platform, or choose a preset"))?;
        let issuer = text(&self.issuer, form.issuer);
        let audiences = self.audiences();
        for needed in &form.needs {
            if match needed.as_str() {
                "issuer" => issuer.is_none(),
                _ => audiences.is_empty(),
            } {
                return Err(wrong(needed, "is needed with this preset: other tokens would be accepted"));
            }
        }
        let email_claim = text(&self.email_claim, form.email_claim);
        let email_verified_claim = text(&self.email_verified_claim, form.email_verified_claim);
        let email_proof = match (self.email_verified.or(form.email_verified), email_verified_claim) {
            (Some(EmailVerified::Always), _) => EmailProof::Always,
            (Some(EmailVerified::Claim), Some(claim)) => EmailProof::Claim(claim),
            (Some(EmailVerified::Claim), None) => {
                return Err(wrong("email_verified_claim", "is needed with email_verified = \"claim\""));
            }
            (Some(EmailVerified::Never) | None, _) => EmailProof::Never,
        };
        let lifetime_s_max = self.lifetime_max_s.or(form.lifetime_max_s).unwrap_or(900);
        if !(1..=LIFETIME_S_MAX).contains(&lifetime_s_max) {
            return Err(wrong("lifetime_max_s", "must be 1 to 2592000"));
        }
        let nobody = self.nobody.clone().unwrap_or(form.nobody);
        Ok(TokenProfile {
            header: text(&self.header, form.header)
                .map(|header| header_name(&header).map_err(|why| wrong("header", why)))
                .transpose()?
                .filter(|header| header != CONTEXT_HEADER),
            keys: keys(&name, issuer.as_deref(), form.algorithms)?,
            clients: self.clients.clone().unwrap_or_else(|| audiences.clone()),
            customer_claim: text(&self.customer_claim, form.customer_claim).unwrap_or_else(|| "sub".to_owned()),
            system: self.system.clone().or(form.system).unwrap_or_else(|| subject_system.clone()),
            email_claim,
            email_proof,
            name_claim: text(&self.name_claim, form.name_claim),
            conversation_claim: text(&self.conversation_claim, form.conversation_claim),
            locale_claim: text(&self.locale_claim, form.locale_claim),
            level: self.level.or(form.level).unwrap_or(Level::Otp),
            lifetime_s_max,
            nobody: nobody.into_iter().map(|nobody| (nobody.claim, nobody.value)).collect(),
            name,
            issuer,
            audiences,
        })
    }

    fn keys(
        &self,
        n: usize,
        name: &str,
        issuer: Option<&str>,
        of_preset: Vec<Algorithm>,
        secrets: &Secrets,
    ) -> Result<TokenKeys, ConfigError> {
        let member = |member: &str| format!("identity.tokens[{n}].{member}");
        let wrong = |key: &str, why: &str| ConfigError::value(&member(key), why);
        let algorithms = self.algorithms.clone().unwrap_or(of_preset);
        if !self.keys.is_empty() {
            if self.keys.len() > KEYS_MAX {
                return Err(wrong("keys", "must be at most two: the old and the new one of a rotation"));
            }
            if self.jwks_url.is_some() {
                return Err(wrong("jwks_url", "leave it out where keys are given"));
            }
            if let Some(other) = self.keys.iter().find(|key| !algorithms.is_empty() && !algorithms.contains(&key.alg)) {
                let why = format!("{name} does not sign with {}", other.alg.name());
                return Err(wrong("keys", &why));
            }
            let keys = self.keys.iter().enumerate();
            let read = |(at, key): (usize, &KeyConfig)| key.verifying(&member(&format!("keys[{at}]")), secrets);
            return keys.map(read).collect::<Result<_, _>>().map(TokenKeys::Configured);
        }
        let published = match algorithms.is_empty() {
            true => vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa],
            false => algorithms,
        };
        if published.contains(&Algorithm::Hs256) {
            return Err(wrong("keys", "is missing: write keys = [{ alg = \"HS256\", secret = { env = \"…\" } }]"));
        }
        let issuer = issuer.ok_or_else(|| wrong("issuer", "is needed where keys are published; or give keys"))?;
        let at = match &self.jwks_url {
            Some(url) if !is_safe(url) => {
                return Err(wrong("jwks_url", "must be an https address (http only on this machine)"));
            }
            Some(url) => PublishedKeys::At(url.clone()),
            None if !is_safe(issuer) => {
                return Err(wrong("issuer", "must be an https address, or give keys or jwks_url"));
            }
            None => PublishedKeys::Discovered,
        };
        Ok(TokenKeys::Published { at, algorithms: published })
    }

    /// Whether its keys are on the network.
    pub fn has_published_keys(&self) -> bool {
        self.keys.is_empty()
    }
}
