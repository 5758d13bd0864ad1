//! The examples of the presets for tokens that others sign: judged as calls are, at their time.

use std::time::Duration;

use frontdesk::{
    config::{IdentityConfig, Secrets},
    domain::{Clock, SystemId},
    identity::{Identity, Sent, TokenPreset},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// A key pair for tests only.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEID7bGSV9eEiieznV4MgFewRqET/p23URQ7vnAJTMXHT4\n\
                       -----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAZj1NpqqNzKImnCdMcLjwy6e+THUtKCYGjZLOLID281A=\n\
                      -----END PUBLIC KEY-----\n";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The same time on a clock of the example's.
fn at(unix_s: i64) -> Clock {
    let clock = Clock::movable();
    clock.set_back(Duration::from_millis((clock.now().unix_ms() - unix_s * 1000).unsigned_abs()));
    clock
}

#[tokio::test]
async fn each_preset_does_what_its_examples_say() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("public.pem"), PUBLIC).unwrap();
    std::fs::write(directory.path().join("secret"), SECRET).unwrap();
    let file = |name: &str| json!({ "file": directory.path().join(name) });
    for preset in TokenPreset::ALL {
        let form = preset.form().unwrap();
        assert!(form.examples.iter().any(|example| example.gives.is_some()), "{}", preset.name());
        assert!(form.examples.iter().any(|example| example.refused.is_some()), "{}", preset.name());
        for example in &form.examples {
            let which = format!("{}: {}", preset.name(), example.title);
            // Signed with another algorithm of the preset: what its key is does not matter here.
            let symmetric = example.header["alg"] == "HS256";
            let key = match symmetric {
                true => json!({ "alg": "HS256", "secret": file("secret") }),
                false => json!({ "alg": "EdDSA", "public_key": file("public.pem") }),
            };
            let mut entry = json!({ "preset": preset.name(), "keys": [key] });
            entry.as_object_mut().unwrap().extend(example.settings.clone());
            let config: IdentityConfig = serde_json::from_value(json!({ "tokens": [entry] })).unwrap();
            let options = config.options(&Default::default(), &Secrets::default()).unwrap();
            let identity = Identity::new(options, SystemId::builtin(), None, at(example.at)).unwrap();
            let algorithm = if symmetric { Algorithm::HS256 } else { Algorithm::EdDSA };
            let typ = example.header.get("typ").and_then(Value::as_str).map(str::to_owned);
            let header = Header { typ, ..Header::new(algorithm) };
            let signing = match symmetric {
                true => EncodingKey::from_secret(SECRET.as_bytes()),
                false => EncodingKey::from_ed_pem(PRIVATE.as_bytes()).unwrap(),
            };
            let token = jsonwebtoken::encode(&header, &example.claims, &signing).unwrap();
            let sent = Sent { header: form.header.as_deref(), ..Sent::default() };
            let inspection = identity.inspect(&token, sent).await;
            match (&example.gives, &example.refused, inspection.outcome) {
                (Some(gives), None, Ok(caller)) => {
                    let customer = caller.customer().unwrap();
                    let mut given = json!({ "customer": customer.id.to_string(), "level": customer.level });
                    if let Some(email) = &customer.email {
                        given["email"] = json!(email.to_string());
                        given["email_verified"] = json!(customer.email_verified);
                    }
                    if let Some(name) = &customer.name {
                        given["name"] = json!(name);
                    }
                    assert_eq!(&given, gives, "{which}");
                }
                (None, Some(refused), Err(refusal)) => {
                    let said = refusal.to_string().replace("no entry of identity.tokens fits", "fits no profile");
                    assert!(said.contains(refused), "{which}: {said}");
                }
                (_, _, outcome) => panic!("{which}: {outcome:?}"),
            }
        }
    }
}
