//! An authorization server as a resource server sees it: metadata, keys, and tokens with any claims.

use std::sync::{Arc, Mutex};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{Answer, Setup, Vendor};

/// The audience of its tokens.
pub const RESOURCE: &str = "https://desk.example.com/mcp";

/// Key pairs for tests only: the private key as the second line of its PEM, and the public key as in a JWK.
const KEYS: [(&str, &str); 2] = [
    ("MC4CAQAwBQYDK2VwBCIEID7bGSV9eEiieznV4MgFewRqET/p23URQ7vnAJTMXHT4", "Zj1NpqqNzKImnCdMcLjwy6e-THUtKCYGjZLOLID281A"),
    ("MC4CAQAwBQYDK2VwBCIEILGoLOsbNwAOBqVqB4kJjaQxoIJaO7wy1pVDzqXI6bM+", "sVNEXrGxUL3KKa0rMrMM6W-v88xd7O49VU8IoKjdEko"),
];

pub struct Issuer {
    pub url: String,
    vendor: Vendor,
    /// Indices of the published keys.
    published: Arc<Mutex<Vec<usize>>>,
}

impl Issuer {
    pub fn start() -> Self {
        let published = Arc::new(Mutex::new(vec![0]));
        let keys = published.clone();
        let own = Arc::new(Mutex::new(String::new()));
        let url = own.clone();
        let vendor = Vendor::start(move |seen| match seen.path.as_str() {
            "/.well-known/openid-configuration" => {
                let url = url.lock().unwrap();
                Answer::json(200, json!({ "issuer": *url, "jwks_uri": format!("{url}/jwks") }))
            }
            "/jwks" => {
                let keys: Vec<Value> = keys.lock().unwrap().iter().map(|n| jwk(*n)).collect();
                Answer::json(200, json!({ "keys": keys }))
            }
            _ => Answer::text(404, ""),
        });
        own.lock().unwrap().clone_from(&vendor.url);
        Self { url: vendor.url.clone(), vendor, published }
    }

    /// Publishes these keys from now on.
    pub fn publish(&self, keys: &[usize]) {
        *self.published.lock().unwrap() = keys.to_vec();
    }

    /// Number of times that its keys were fetched.
    pub fn fetches(&self) -> usize {
        self.vendor.seen().iter().filter(|seen| seen.path == "/jwks").count()
    }

    /// Valid claims of a person, with every scope that agents need.
    pub fn claims(&self) -> Value {
        let now = jiff::Timestamp::now().as_second();
        json!({
            "iss": self.url, "aud": RESOURCE, "sub": "cus_ada", "client_id": "agent-1", "iat": now, "exp": now + 600,
            "scope": "orders:read tickets:write crm:write articles:read", "auth_time": now,
        })
    }

    pub fn with(&self, member: &str, value: Value) -> Value {
        let mut claims = self.claims();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(member)),
            value => claims[member] = value,
        }
        claims
    }

    pub fn header(&self, key: usize) -> Header {
        let typ = Some("at+jwt".to_owned());
        Header { typ, kid: Some(format!("key-{key}")), ..Header::new(Algorithm::EdDSA) }
    }

    pub fn token(&self, claims: &Value) -> String {
        self.sign(0, &self.header(0), claims)
    }

    /// Signs with a key, whatever the header says.
    pub fn sign(&self, key: usize, header: &Header, claims: &Value) -> String {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", KEYS[key].0);
        jsonwebtoken::encode(header, claims, &EncodingKey::from_ed_pem(pem.as_bytes()).unwrap()).unwrap()
    }

    /// The octets of its public key, which a forger may try as the secret of an HMAC.
    pub fn public_octets(&self) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(KEYS[0].1).unwrap()
    }
}

fn jwk(key: usize) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": format!("key-{key}"), "x": KEYS[key].1 })
}

impl Setup {
    /// Requires authentication of agents, by static tokens or tokens of the issuer.
    pub fn agents(self, issuer: &Issuer) -> Self {
        self.config(&format!(
            "[agents]\nauthentication = \"required\"\nresource = \"{RESOURCE}\"\n\
             [[agents.issuers]]\nissuer = \"{}\"\nperson_claim = \"auth_time\"\n",
            issuer.url
        ))
    }

    /// A static token, as `frontdesk token new` prints it.
    pub fn token(&self, arguments: &[&str]) -> String {
        if !self.store().exists() {
            self.import(std::path::Path::new("/dev/null"));
        }
        let output = super::frontdesk(self.path(), &[&["token", "new"], arguments].concat());
        assert!(output.status.success(), "{}", super::stderr(&output));
        super::stdout(&output).trim().to_owned()
    }
}
