//! What each claim of a token means here, for the integrator.

use super::tokens::{EmailProof, TokenProfile};

/// What a claim of a customer context gives; None if it is not used.
pub(super) fn of_context(claim: &str) -> Option<String> {
    let meaning = match claim {
        "iss" => "issuer, compared",
        "aud" => "audience, compared",
        "sub" => "customer id",
        "iat" => "issued at",
        "exp" => "expires at",
        "nbf" => "not before",
        "lvl" => "level",
        "cid" => "conversation",
        "azp" => "agent, compared",
        "email" => "email address",
        "email_verified" => "proves the address",
        "name" => "name",
        "locale" => "language",
        "linked" => "customer ids in other systems",
        "jti" => "id, for the audit and context revoke --jti",
        _ => return None,
    };
    Some(meaning.to_owned())
}

/// What a claim of a token gives by its profile; None if it is not used.
pub(super) fn of_profile(profile: &TokenProfile, claim: &str) -> Option<String> {
    let mut meanings: Vec<String> = Vec::new();
    let proof = match &profile.email_proof {
        EmailProof::Claim(claim) => Some(claim),
        EmailProof::Never | EmailProof::Always => None,
    };
    let named = [
        (Some(&profile.customer_claim), format!("customer id in {}", profile.system)),
        (profile.email_claim.as_ref(), "email address".to_owned()),
        (proof, "proves the address".to_owned()),
        (profile.name_claim.as_ref(), "name".to_owned()),
        (profile.conversation_claim.as_ref(), "conversation".to_owned()),
        (profile.locale_claim.as_ref(), "language".to_owned()),
    ];
    meanings.extend(named.into_iter().filter(|(name, _)| name.is_some_and(|name| top(name) == claim)).map(|(_, m)| m));
    meanings.extend(profile.nobody.iter().filter(|(name, _)| top(name) == claim).map(|_| "whether anybody".to_owned()));
    let fixed = match claim {
        "iss" if profile.issuer.is_some() => Some("issuer, compared"),
        "aud" if profile.audiences.is_empty() => Some("audience, must not be that of agents"),
        "aud" => Some("audience, compared"),
        "azp" => Some("client, compared"),
        "iat" => Some("issued at"),
        "exp" => Some("expires at"),
        "nbf" => Some("not before"),
        "jti" => Some("id, for the audit and context revoke --jti"),
        "typ" | "token_use" | "scope" | "scp" | "client_id" | "appid" | "idtyp" => {
            Some("tells access tokens from ID tokens")
        }
        _ => None,
    };
    meanings.extend(fixed.map(str::to_owned));
    (!meanings.is_empty()).then(|| meanings.join("; "))
}

/// The claim that holds the value; `name` may be a JSON Pointer into it.
fn top(name: &str) -> String {
    match name.strip_prefix('/') {
        Some(path) => path.split('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~"),
        None => name.to_owned(),
    }
}
