//! No token is an agent's and a customer's at once, whatever it claims: both verifiers, for the same issuer and its keys.

use std::{
    cell::Cell,
    sync::{Arc, LazyLock},
};

use async_trait::async_trait;
use bytes::Bytes;
use frontdesk::{
    config::{IdentityConfig, Secrets},
    domain::{Clock, Secret, SystemId},
    identity::{
        Identity, Sent,
        agents::{Agents, FetchError, KeyFetcher, Options},
    },
    store::Store,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

const ISSUER: &str = "https://login.example.com";
const RESOURCE: &str = "https://desk.example.com/mcp";
/// A key pair for tests only.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEID7bGSV9eEiieznV4MgFewRqET/p23URQ7vnAJTMXHT4\n\
                       -----END PRIVATE KEY-----\n";

struct Login;

#[async_trait]
impl KeyFetcher for Login {
    async fn fetch(&self, _: &str) -> Result<Bytes, FetchError> {
        let x = "Zj1NpqqNzKImnCdMcLjwy6e-THUtKCYGjZLOLID281A";
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k1", "x": x });
        Ok(json!({ "keys": [key] }).to_string().into())
    }
}

fn agents(store: &Store, preset: &str, of_customers: &[String]) -> Agents {
    let options: Options = serde_json::from_value(json!({
        "authentication": "required",
        "resource": RESOURCE,
        "issuers": [{
            "issuer": ISSUER, "jwks_url": format!("{ISSUER}/jwks"), "preset": preset, "types": ["at+jwt", "JWT", ""],
            "clients": ["agent-1", "shop-web"],
        }],
    }))
    .unwrap();
    let fetcher: Arc<dyn KeyFetcher> = Arc::new(Login);
    Agents::new(&options, of_customers, Arc::new(store.clone()), &fetcher, Clock::system()).unwrap()
}

fn customers(profile: Value) -> (Identity, Vec<String>) {
    let config: IdentityConfig = serde_json::from_value(json!({ "tokens": [profile] })).unwrap();
    let agents: Options = serde_json::from_value(json!({ "resource": RESOURCE })).unwrap();
    let options = config.options(&agents, &Secrets::default()).unwrap();
    let fetcher: Arc<dyn KeyFetcher> = Arc::new(Login);
    let identity = Identity::new(options, SystemId::builtin(), Some(&fetcher), Clock::system()).unwrap();
    (identity, config.customer_audiences())
}

/// A claim that may be there, with one of these values.
fn maybe(
    name: &'static str,
    values: &'static LazyLock<Vec<Value>>,
) -> impl Strategy<Value = Option<(&'static str, Value)>> {
    prop_oneof![2 => Just(None), 1 => select(values.as_slice()).prop_map(move |value| Some((name, value)))]
}

macro_rules! values {
    ($($value:expr),*) => {{
        static VALUES: LazyLock<Vec<Value>> = LazyLock::new(|| vec![$(json!($value)),*]);
        &VALUES
    }};
}

fn claims() -> impl Strategy<Value = Value> {
    let aud = values!(
        RESOURCE,
        "shop-web",
        "shop-ios",
        "other",
        [RESOURCE, "shop-web"],
        [RESOURCE, "other"],
        ["shop-web", "other"],
        [RESOURCE]
    );
    let who = (
        maybe("scope", values!("orders:read", "openid email", ["orders:read"], "")),
        maybe("scp", values!(["orders:read"], "orders:read")),
        maybe("client_id", values!("agent-1", "shop-web")),
        maybe("appid", values!("agent-1", "shop-web")),
        maybe("cid", values!("agent-1")),
        maybe("azp", values!("agent-1", "shop-web")),
        maybe("roles", values!(["orders:read"])),
    );
    let kind = (
        maybe("idtyp", values!("app", "user")),
        maybe("token_use", values!("id", "access", 1)),
        maybe("typ", values!("ID", "Bearer", Value::Null)),
        maybe("nonce", values!("n")),
        maybe("at_hash", values!("h")),
        maybe("email", values!("ada@example.com")),
    );
    (maybe("aud", aud), who, kind).prop_map(|(aud, who, kind)| {
        let now = Clock::system().now().unix_s();
        let mut claims = json!({ "iss": ISSUER, "sub": "cus_ada", "iat": now, "exp": now + 300 });
        let (a, b, c, d, e, f, g) = who;
        let (h, i, j, k, l, m) = kind;
        for (name, value) in [aud, a, b, c, d, e, f, g, h, i, j, k, l, m].into_iter().flatten() {
            claims[name] = value;
        }
        claims
    })
}

#[test]
fn no_token_is_taken_from_an_agent_and_from_a_customer() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("store.db"), Clock::system()).unwrap();
    let jwks = format!("{ISSUER}/jwks");
    let profiles = [
        json!({ "preset": "oidc-id-token", "issuer": ISSUER, "audience": "shop-web", "jwks_url": jwks }),
        json!({
            "preset": "oidc-id-token", "issuer": ISSUER, "audience": ["shop-web", "shop-ios"], "jwks_url": jwks,
            "clients": ["agent-1", "shop-web"],
        }),
        json!({ "name": "any", "issuer": ISSUER, "jwks_url": jwks, "clients": ["agent-1"] }),
    ];
    let key = EncodingKey::from_ed_pem(PRIVATE.as_bytes()).unwrap();
    let (of_agents, of_customers) = (Cell::new(0), Cell::new(0));
    for profile in profiles {
        let (identity, audiences) = customers(profile);
        for preset in ["rfc9068", "okta", "entra-v1", "auth0", "cognito"] {
            let agents = agents(&store, preset, &audiences);
            let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
            let typ = select(vec![None, Some("JWT"), Some("at+jwt"), Some("application/at+jwt")]);
            proptest!(config, |(claims in claims(), typ in typ)| {
                let typ = typ.map(str::to_owned);
                let header = Header { typ, kid: Some("k1".to_owned()), ..Header::new(Algorithm::EdDSA) };
                let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
                let agent = runtime.block_on(agents.authenticate(&Secret::new(token.clone())));
                let customer = runtime.block_on(identity.inspect(&token, Sent::default())).outcome;
                of_agents.set(of_agents.get() + usize::from(agent.is_ok()));
                of_customers.set(of_customers.get() + usize::from(customer.is_ok()));
                prop_assert!(agent.is_err() || customer.is_err(), "{preset}: {header:?} {claims}");
                // Nor is one that only a customer could have an agent's: made for the shop, and by nothing marked.
                let marked = ["scope", "scp", "client_id", "appid", "idtyp"].iter().any(|name| !claims[name].is_null())
                    || header.typ.as_ref().is_some_and(|typ| typ.ends_with("at+jwt"))
                    || claims["token_use"].as_str().is_some_and(|word| word != "id")
                    || claims["typ"] == "Bearer";
                let for_shop = audiences.iter().any(|own| claims["aud"].to_string().contains(own.as_str()));
                prop_assert!(agent.is_err() || marked || !for_shop, "{preset}: {claims}");
            });
        }
    }
    assert!(of_agents.get() > 50 && of_customers.get() > 50, "{of_agents:?} {of_customers:?}: the test sees both");
}
