//! What tells an access token, which is an agent's, from an ID token, which is a customer's. Both sides ask here, so
//! that no token is taken by both.

use super::jws::{Claims, Header};

/// Claims of access tokens that ID tokens do not have: scopes and client (RFC 9068 2.2), and Microsoft Entra's names.
const MARKS: &[&str] = &["scope", "scp", "client_id", "appid", "idtyp"];

/// Whether a token says of itself that it is an access token, or at least no ID token.
pub(super) fn is_access_token(header: &Header, claims: &Claims) -> bool {
    // Cognito and Keycloak say in a claim what a token is for.
    let is_other = |claim, own: &str| {
        claims.get(claim).is_some_and(|word| !word.as_str().is_some_and(|word| word.eq_ignore_ascii_case(own)))
    };
    header.typ().eq_ignore_ascii_case("at+jwt")
        || is_other("token_use", "id")
        || is_other("typ", "ID")
        || MARKS.iter().any(|claim| claims.get(claim).is_some())
}

/// Whether a token was made for one of these.
pub(super) fn is_for(audiences: &[&str], any_of: &[String]) -> bool {
    any_of.iter().any(|own| audiences.contains(&own.as_str()))
}
