//! Signing as Standard Webhooks asks (standardwebhooks.com, version 1): HMAC-SHA-256 over id, time and body.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, header::InvalidHeaderValue};
use sha2::Sha256;

use crate::domain::{Secret, Timestamp};

const PREFIX: &str = "whsec_";

/// The key of a receiver.
pub struct StandardKey(Hmac<Sha256>);

impl StandardKey {
    /// `whsec_` and base64, or the octets of any other text. None if the base64 is none.
    pub fn parse(secret: &Secret) -> Option<Self> {
        let key = match secret.expose().strip_prefix(PREFIX) {
            // With its padding or without.
            Some(coded) => STANDARD_NO_PAD.decode(coded.trim_end_matches('=')).ok().filter(|key| !key.is_empty())?,
            None => secret.expose().as_bytes().to_vec(),
        };
        Hmac::new_from_slice(&key).ok().map(Self)
    }

    /// The three headers of a message.
    pub fn headers(&self, id: &str, at: Timestamp, body: &[u8]) -> Result<HeaderMap, InvalidHeaderValue> {
        let at = at.unix_s().to_string();
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{at}.").as_bytes());
        mac.update(body);
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", HeaderValue::from_str(id)?);
        headers.insert("webhook-timestamp", HeaderValue::from_str(&at)?);
        headers.insert("webhook-signature", HeaderValue::from_str(&signature)?);
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(secret: &str) -> String {
        let at = Timestamp::from_unix_ms(1_614_265_330_000).unwrap();
        let key = StandardKey::parse(&Secret::new(secret.to_owned())).unwrap();
        let headers = key.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#).unwrap();
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        headers["webhook-signature"].to_str().unwrap().to_owned()
    }

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn it_signs_as_other_implementations_do() {
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), expected);
        assert_ne!(sign("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), expected, "a text is taken as it is");
        assert!(StandardKey::parse(&Secret::new("whsec_?".to_owned())).is_none());
    }
}
