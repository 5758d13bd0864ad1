//! Profiles that one token could fit: they are refused at the start, so that no token is judged by the wrong one.

use super::TokenProfile;

/// Two profiles that one token could fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "one token could fit both {first} and {second}; let them differ in header, issuer, algorithm, or the kid of every key"
)]
pub struct Overlap {
    pub first: String,
    pub second: String,
}

pub(super) fn first(profiles: &[TokenProfile]) -> Option<Overlap> {
    let pairs = profiles.iter().enumerate().flat_map(|(n, one)| profiles[n + 1..].iter().map(move |two| (one, two)));
    pairs
        .into_iter()
        .find(|(one, two)| one.name == two.name || overlap(one, two))
        .map(|(one, two)| Overlap { first: one.name.clone(), second: two.name.clone() })
}

/// An audience tells nothing apart: a token may have several.
fn overlap(one: &TokenProfile, two: &TokenProfile) -> bool {
    let issuers_differ = one.issuer.is_some() && two.issuer.is_some() && one.issuer != two.issuer;
    let algorithms_differ = !one.algorithms().iter().any(|algorithm| two.algorithms().contains(algorithm));
    let kids_differ = match (one.kids(), two.kids()) {
        (Some(one), Some(two)) => !one.iter().any(|kid| two.contains(kid)),
        _ => false,
    };
    one.header == two.header && !issuers_differ && !algorithms_differ && !kids_differ
}
