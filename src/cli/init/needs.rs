//! What a connector requires: an address, secrets and settings, read from its vendor file.

use std::collections::BTreeMap;

use anyhow::bail;
use serde_json::Value;

use crate::{
    connectors::{Setting, VendorFile},
    domain::{SecretRef, TextRef},
};

/// A line of `.env`.
#[derive(Debug, Clone)]
pub(super) struct Variable {
    pub name: String,
    /// Its purpose, written as a comment.
    pub about: String,
    pub kind: Kind,
    /// None if only the company knows it.
    pub value: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A base URL.
    Address,
    /// Another URL, as of a token endpoint.
    Url,
    Secret,
}

/// Environment variables that a vendor file's ports refer to, each once, and whether a base URL is required.
pub(super) fn of_ports(file: &VendorFile, ports: &[&str]) -> (BTreeMap<String, Kind>, bool) {
    let places = [
        ("orders", file.orders.as_ref().map(|port| &port.at)),
        ("helpdesk", file.helpdesk.as_ref().map(|port| &port.at)),
        ("crm", file.crm.as_ref().map(|port| &port.at)),
    ];
    let (mut variables, mut needs_address) = (BTreeMap::new(), false);
    for (_, at) in places.into_iter().filter(|(port, _)| ports.contains(port)) {
        let base = at.and_then(|at| at.base_url.as_ref()).or(file.base_url.as_ref());
        match base {
            Some(TextRef::Kept(SecretRef::Env(name))) => _ = variables.insert(name.clone(), Kind::Address),
            Some(_) => {}
            None => needs_address = true,
        }
        let auth = at.and_then(|at| at.auth.as_ref()).unwrap_or(&file.auth);
        let members = serde_json::to_value(auth).unwrap_or_default();
        collect("auth", &members, &mut variables);
    }
    (variables, needs_address)
}

/// Collects the references to environment variables, at any depth: the body of a login has some.
fn collect(key: &str, value: &Value, variables: &mut BTreeMap<String, Kind>) {
    if let Ok(SecretRef::Env(name)) = serde_json::from_value(value.clone()) {
        variables.insert(name, if key.ends_with("_url") { Kind::Url } else { Kind::Secret });
        return;
    }
    match value {
        Value::Object(members) => members.iter().for_each(|(key, member)| collect(key, member, variables)),
        Value::Array(items) => items.iter().for_each(|item| collect(key, item, variables)),
        _ => {}
    }
}

/// Parses a setting's value by the type of its default, or of the first example that sets it.
pub(super) fn typed(file: &VendorFile, name: &str, setting: &Setting, text: &str) -> anyhow::Result<Value> {
    let of_examples = file.examples.iter().map(|example| &example.settings);
    let of_webhooks = file.webhook_examples.iter().map(|example| &example.settings);
    let example = of_examples.chain(of_webhooks).find_map(|settings| settings.get(name));
    match setting.default.as_ref().or(example) {
        None | Some(Value::String(_) | Value::Null) => Ok(text.into()),
        Some(like) => match serde_json::from_str::<Value>(text) {
            Ok(value) if std::mem::discriminant(&value) == std::mem::discriminant(like) => Ok(value),
            _ => bail!("{text:?} does not fit; write it as {like}"),
        },
    }
}
