//! The cost of authentication, limits and metrics: the same build with all of them off and on, in one run.

use std::process::Command;

use anyhow::{Result, ensure};
use axum::{Json, Router, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use crate::{
    load::{Era, Load},
    median, process,
    process::Server,
    ratio, round, say,
};

const RESOURCE: &str = "http://127.0.0.1/mcp";
/// A key for benches only: an Ed25519 seed and its public key (RFC 8032 7.1, test 1).
const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// Limits that are checked and never reached, metrics on, agents authenticated.
const GUARDED: &str = "[limits]\nagent_per_minute = 90000000\nagent_burst = 90000000\ncustomer_per_minute = 90000000\n\
    customer_burst = 90000000\n[operations]\nlisten = \"127.0.0.1:0\"\n[agents]\nauthentication = \"required\"\n";

/// Serves the keys of an authorization server. Returns its URL.
async fn issuer() -> Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "bench", "x": PUBLIC }] });
    let router = Router::new().route("/jwks", get(async move || Json(keys)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

fn access_token(issuer: &str) -> Result<String> {
    let octets = (0..SEED.len()).step_by(2).map(|at| u8::from_str_radix(&SEED[at..at + 2], 16));
    let mut der = URL_SAFE_NO_PAD.decode("MC4CAQAwBQYDK2VwBCIEIA")?;
    der.extend(octets.collect::<Result<Vec<_>, _>>()?);
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({
        "iss": issuer, "aud": RESOURCE, "sub": "bench", "client_id": "bench", "iat": now, "exp": now + 3600,
        "scope": "orders:read tickets:write crm:write articles:read",
    });
    let header =
        Header { typ: Some("at+jwt".to_owned()), kid: Some("bench".to_owned()), ..Header::new(Algorithm::EdDSA) };
    Ok(jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(&der))?)
}

fn static_token(store: &tempfile::TempDir) -> Result<String> {
    let made = Command::new(process::FRONTDESK)
        .args(["token", "new", "bench", "--store"])
        .arg(store.path().join("frontdesk.db"))
        .current_dir(store.path())
        .output()?;
    ensure!(made.status.success(), "no token was made");
    Ok(String::from_utf8(made.stdout)?.trim().to_owned())
}

pub async fn measure(rounds: usize, calls: usize) -> Result<()> {
    let stores = [process::sample_store()?, process::sample_store()?, process::sample_store()?];
    let issuer = issuer().await?;
    let off = Server::frontdesk(&stores[0], process::UNLIMITED)?;
    let by_static = Server::frontdesk(&stores[1], GUARDED)?;
    let issuers = format!(
        "{GUARDED}resource = \"{RESOURCE}\"\n[[agents.issuers]]\nissuer = \"{issuer}\"\njwks_url = \"{issuer}/jwks\"\n"
    );
    let by_jwt = Server::frontdesk(&stores[2], &issuers)?;
    let servers = [
        ("all of them off", &off, None),
        ("on, static token", &by_static, Some(static_token(&stores[1])?)),
        ("on, JWT access token", &by_jwt, Some(access_token(&issuer)?)),
    ];
    say(format_args!(
        "\n{:<34}{:>10}{:>18}{:>12}",
        "authentication, limits, metrics", "calls/s", "CPU ms/1000 calls", "ratio"
    ))?;
    for (_, server, token) in &servers {
        Load::lookups(Era::Modern, calls / 4).with_token(token.as_deref()).run(&server.url).await?;
    }
    let mut figures = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (figures, (_, server, token)) in figures.iter_mut().zip(&servers) {
            figures.push(round(server, &Load::lookups(Era::Modern, calls).with_token(token.as_deref())).await?);
        }
    }
    let off = figures[0].clone();
    for (figures, (name, _, _)) in figures.iter().zip(&servers) {
        let (figure, ratio) = (median(figures)?, ratio(figures, &off)?);
        say(format_args!("{name:<34}{:>10.0}{:>18.1}{ratio:>12.2}", figure.per_s, figure.cpu_ms))?;
    }
    Ok(())
}
