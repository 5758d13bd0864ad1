//! The keys of `[console.openid]`.

use serde::{Deserialize, Serialize};

use super::Role;
use crate::domain::SecretRef;

/// Signing in by an OpenID provider. `https://HOST/console/login/callback` is to be registered there as redirect URI.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenIdOptions {
    /// The issuer, as its discovery document has it, as `https://login.example.com`.
    pub issuer: String,
    /// The client's id at the provider.
    pub client_id: String,
    /// Its secret. None for a public client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretRef>,
    /// What is asked for; `openid` must be among them.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// Claim with the name for the audit.
    #[serde(default = "default_name_claim")]
    pub name_claim: String,
    /// Claim with the person's groups or roles: a string or a list of them. A name that begins with `/` is a JSON
    /// Pointer, as `/realm_access/roles`.
    #[serde(default = "default_role_claim")]
    pub role_claim: String,
    /// Which of its values give which role. Whoever has none of them is not let in.
    pub roles: RoleValues,
}

/// Values of the claim for each role. The highest role that fits counts.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoleValues {
    /// Values of those who may look.
    pub viewer: Vec<String>,
    /// Values of those who put things right.
    pub operator: Vec<String>,
    /// Values of those who may see what customers wrote.
    pub lead: Vec<String>,
}

fn default_scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

fn default_name_claim() -> String {
    "email".to_owned()
}

fn default_role_claim() -> String {
    "roles".to_owned()
}

impl RoleValues {
    /// The highest role that a value gives.
    pub(super) fn of(&self, values: &[String]) -> Option<Role> {
        let has = |wanted: &[String]| wanted.iter().any(|wanted| values.contains(wanted));
        [(Role::Lead, &self.lead), (Role::Operator, &self.operator), (Role::Viewer, &self.viewer)]
            .into_iter()
            .find_map(|(role, wanted)| has(wanted).then_some(role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_role_counts_and_nobody_has_one_by_default() {
        let list = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        let roles =
            RoleValues { viewer: list(&["support"]), operator: list(&["oncall"]), lead: list(&["leads", "cto"]) };
        assert_eq!(roles.of(&list(&["support", "cto"])), Some(Role::Lead));
        assert_eq!(roles.of(&list(&["oncall", "support"])), Some(Role::Operator));
        assert_eq!(roles.of(&list(&["Support", ""])), None);
        assert_eq!(RoleValues::default().of(&list(&["support"])), None);
    }
}
