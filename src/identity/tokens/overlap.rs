//! Profiles that one token could fit: they are refused at the start, so that no token is judged by the wrong one.

use super::{Claims, TokenProfile};
use crate::identity::token_kind;

/// Two profiles that one token could fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "one token could fit both {first} and {second}; let them differ in header, issuer, algorithm, audience, or the kid of \
     every key"
)]
pub struct Overlap {
    pub first: String,
    pub second: String,
}

pub(super) fn first(profiles: &[TokenProfile]) -> Option<Overlap> {
    let pairs = profiles.iter().enumerate().flat_map(|(n, one)| profiles[n + 1..].iter().map(move |two| (one, two)));
    pairs
        .into_iter()
        .find(|(one, two)| overlap(one, two))
        .map(|(one, two)| Overlap { first: one.name.clone(), second: two.name.clone() })
}

/// The one profile of these that a token fits. Where several fit, its audiences have to decide.
pub(super) fn the_one<'a, T>(
    fitting: impl Iterator<Item = &'a T>,
    profile: impl Fn(&T) -> &TokenProfile,
    claims: &Claims,
) -> Option<&'a T> {
    let fitting: Vec<&T> = fitting.collect();
    match fitting.as_slice() {
        [one] => Some(one),
        several => {
            let audiences = claims.audiences().ok().flatten().unwrap_or_default();
            let mut named = several.iter().filter(|one| token_kind::is_for(&audiences, &profile(one).audiences));
            named.next().filter(|_| named.next().is_none()).copied()
        }
    }
}

fn overlap(one: &TokenProfile, two: &TokenProfile) -> bool {
    let issuers_differ = one.issuer.is_some() && two.issuer.is_some() && one.issuer != two.issuer;
    let algorithms_differ = !one.algorithms().iter().any(|algorithm| two.algorithms().contains(algorithm));
    let kids_differ = match (one.kids(), two.kids()) {
        (Some(one), Some(two)) => !one.iter().any(|kid| two.contains(kid)),
        _ => false,
    };
    let audiences_differ = !one.audiences.is_empty()
        && !two.audiences.is_empty()
        && !one.audiences.iter().any(|audience| two.audiences.contains(audience));
    one.header == two.header && !issuers_differ && !algorithms_differ && !kids_differ && !audiences_differ
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        domain::{Level, Secret, SystemId},
        identity::{Algorithm, ContextKey, EmailProof, KeyMaterial, PublishedKeys, TokenKeys, jws::Jws},
    };

    fn profile() -> impl Strategy<Value = TokenProfile> {
        let header = prop_oneof![Just(None), Just(Some("x-one".to_owned())), Just(Some("x-two".to_owned()))];
        let issuer = prop_oneof![Just(None), Just(Some("a".to_owned())), Just(Some("b".to_owned()))];
        let algorithm = prop_oneof![Just(Algorithm::Hs256), Just(Algorithm::EdDsa), Just(Algorithm::Rs256)];
        let kid = prop_oneof![Just(None), Just(Some("k1".to_owned())), Just(Some("k2".to_owned()))];
        let material = KeyMaterial::Shared(Secret::new("s".to_owned()));
        let key = (algorithm.clone(), kid).prop_map(move |(algorithm, kid)| ContextKey {
            algorithm,
            kid,
            material: material.clone(),
        });
        let configured = proptest::collection::vec(key, 1..3).prop_map(TokenKeys::Configured);
        let published = proptest::collection::vec(algorithm, 1..3)
            .prop_map(|algorithms| TokenKeys::Published { at: PublishedKeys::Discovered, algorithms });
        let audiences = proptest::sample::subsequence(vec!["web".to_owned(), "ios".to_owned(), "tv".to_owned()], 0..3);
        let parts = (header, issuer, prop_oneof![configured, published], audiences, any::<u32>());
        parts.prop_map(|(header, issuer, keys, audiences, n)| TokenProfile {
            name: n.to_string(),
            header,
            keys,
            issuer,
            audiences,
            clients: Vec::new(),
            customer_claim: "sub".to_owned(),
            system: SystemId::builtin(),
            email_claim: None,
            email_proof: EmailProof::Never,
            name_claim: None,
            conversation_claim: None,
            locale_claim: None,
            level: Level::Otp,
            lifetime_s_max: 900,
            nobody: Vec::new(),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_token_fits_two_profiles_that_may_stand_beside_each_other(
            (one, two) in (profile(), profile()),
            header in prop_oneof![Just(None), Just(Some("x-one")), Just(Some("x-two"))],
            alg in prop_oneof![Just("HS256"), Just("EdDSA"), Just("RS256"), Just("none")],
            kid in prop_oneof![Just(None), Just(Some("k1")), Just(Some("k2")), Just(Some("k3"))],
            iss in prop_oneof![Just(None), Just(Some("a")), Just(Some("b")), Just(Some("c"))],
            aud in proptest::sample::subsequence(vec!["web", "ios", "tv", "mcp"], 0..4),
        ) {
            let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let token = format!("{}.{}.", part(json!({ "alg": alg, "kid": kid })), part(json!({ "iss": iss, "aud": aud })));
            let jws = Jws::read(&token).unwrap();
            let claims = jws.claims().unwrap();
            let fits = |profile: &TokenProfile| profile.fits(header, &jws.header, &claims);
            if !fits(&one) || !fits(&two) || first(&[one.clone(), two.clone()]).is_some() {
                return Ok(());
            }
            // Both fit and may stand beside each other: the audience decides, in whatever order they are written.
            let chosen = |profiles: [&TokenProfile; 2]| {
                the_one(profiles.into_iter(), |profile| profile, &claims).map(|profile| profile.name.clone())
            };
            let has = |profile: &TokenProfile| profile.audiences.iter().any(|own| aud.contains(&own.as_str()));
            let expected = match (has(&one), has(&two)) {
                (true, false) => Some(one.name.clone()),
                (false, true) => Some(two.name.clone()),
                _ => None,
            };
            prop_assert_eq!(chosen([&one, &two]), expected.clone());
            prop_assert_eq!(chosen([&two, &one]), expected);
        }
    }
}
