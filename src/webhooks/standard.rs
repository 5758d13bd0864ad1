//! The scheme of Standard Webhooks (standardwebhooks.com, version 1), for webhooks that this server sends.

use super::{
    scheme::{Encoding, Hash, HmacScheme, Scheme, SchemeError, SecretForm, TimestampPlace, Unit},
    verifier::Verifier,
};
use crate::domain::Secret;

/// A signer whose key is the octets that `whsec_…` encodes, or any other secret as it is.
pub fn standard(secret: &Secret) -> Result<Verifier, SchemeError> {
    let coded = secret.expose().starts_with("whsec_");
    let scheme = Scheme::Hmac(HmacScheme {
        header: "webhook-signature".to_owned(),
        hash: Hash::Sha256,
        encoding: Encoding::Base64,
        part: None,
        prefix: "v1,".to_owned(),
        several: true,
        signs: "{id}.{timestamp}.{body}".to_owned(),
        id: Some("webhook-id".to_owned()),
        timestamp: Some(TimestampPlace { header: Some("webhook-timestamp".to_owned()), part: None, unit: Unit::S }),
        secret: if coded { SecretForm::Whsec } else { SecretForm::Text },
    });
    Verifier::new(&scheme, std::slice::from_ref(secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn sign(secret: &str) -> String {
        let at = Timestamp::from_unix_ms(1_614_265_330_000).unwrap();
        let key = standard(&Secret::new(secret.to_owned())).unwrap();
        let headers = key.sign("", "msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#, at);
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        headers["webhook-signature"].to_str().unwrap().to_owned()
    }

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn it_signs_as_other_implementations_do() {
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), expected);
        assert_ne!(sign("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), expected, "a text is taken as it is");
        assert!(standard(&Secret::new("whsec_?".to_owned())).is_err());
    }
}
