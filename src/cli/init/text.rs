//! Generates the files' text: commented, without keys that have their defaults.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

use super::{
    identity::Identity,
    needs::Variable,
    plan::{MAIL_PASSWORD, MAIL_USERNAME, Mail, Plan},
};

/// Ignored files: secrets, and files of a store.
const IGNORED: [&str; 10] = [
    ".env",
    "*.db",
    "*.db-wal",
    "*.db-shm",
    "*.db-erasures",
    "*.replaced",
    ".frontdesk-worker-*",
    ".frontdesk-token-*",
    "*.token",
    "*.key",
];

/// Text of `frontdesk.toml`. Paths below `beside` are written relative to it.
pub(super) fn config(plan: &Plan, beside: Option<&Path>) -> String {
    let mut text =
        "# What is not here has its default. `frontdesk check` says what is wrong, `frontdesk check --print` what is \
        in effect.\n# Secrets are in .env beside this file.\n"
            .to_owned();
    let encrypts = plan.upstreams.iter().any(|upstream| upstream.refreshes);
    if plan.store.is_some() || encrypts {
        text.push_str("\n[store]\n");
    }
    if let Some(store) = &plan.store {
        text.push_str(&format!("path = {}\n", quoted(store)));
    }
    if encrypts {
        text.push_str("encryption_key = { env = \"STORE_ENCRYPTION_KEY\" }\n");
    }
    text.push_str(&identity(plan, beside));
    text.push_str(&verification(plan));
    if !plan.ports.is_empty() {
        text.push_str("\n# Which system does what; what is not named is in the embedded store.\n[desk]\n");
        plan.ports.iter().for_each(|(port, system)| text.push_str(&format!("{port} = {}\n", quoted(system))));
        if plan.upstreams.iter().any(|upstream| upstream.needs_email) {
            text.push_str(
                "# fallback_requester = \"support@example.com\"    # for escalations without an email address\n",
            );
        }
    }
    for upstream in &plan.upstreams {
        let name = &upstream.name;
        text.push_str(&format!(
            "\n# {}. Its rights and settings: frontdesk connectors show {name}\n[upstreams.{name}]\n",
            upstream.title
        ));
        if let Some(url) = &upstream.base_url {
            text.push_str(&format!("base_url = {}\n", quoted(url)));
        }
        text.push_str(&settings(&format!("upstreams.{name}"), &upstream.settings));
    }
    for webhook in &plan.webhooks {
        let name = &webhook.name;
        text.push_str(&format!("\n# POST /webhooks/{name}\n[webhooks.{name}]\n"));
        text.push_str(&format!("secrets = [{{ env = {} }}]\n", quoted(&webhook.variable)));
        if webhook.conversations {
            text.push_str(
                "# customers = \"signed_in\"    # where the sender knows its customers by a login of theirs\n",
            );
        }
        text.push_str(&settings(&format!("webhooks.{name}"), &webhook.settings));
    }
    text
}

fn identity(plan: &Plan, beside: Option<&Path>) -> String {
    let keys = "\n[[identity.context.keys]]\n";
    let context = |issuer: &str| {
        let about =
            "# Your backend signs a customer context for each call; `frontdesk context mint` makes one by hand.";
        // With an external order system, customer ids are usually that system's.
        let elsewhere = plan.ports.iter().find(|(port, _)| *port == "orders").map(|(_, system)| {
            format!("# subject_system = {}    # where sub is the customer's id there\n", quoted(system))
        });
        format!(
            "\n{about}\n[identity]\nmode = \"context\"\n{}\n[identity.context]\nissuer = {}\n",
            elsewhere.unwrap_or_default(),
            quoted(issuer)
        )
    };
    match &plan.identity {
        Identity::Secret { issuer } => {
            format!("{}{keys}alg = \"HS256\"\nsecret = {{ env = \"CONTEXT_SECRET\" }}\n", context(issuer))
        }
        Identity::PublicKey { issuer, file, algorithm } => {
            let file = beside.and_then(|beside| file.strip_prefix(beside).ok()).unwrap_or(file);
            format!(
                "{}{keys}alg = \"{}\"\npublic_key = {{ file = {} }}\n",
                context(issuer),
                algorithm.name(),
                quoted(&file.display().to_string())
            )
        }
        Identity::Fixed { customer, email } => {
            let email = email.as_ref().map(|email| format!("email = {}\n", quoted(email)));
            format!(
                "\n# Every call acts for this customer.\n[identity]\nmode = \"fixed\"\ncustomer = {}\n{}",
                quoted(customer),
                email.unwrap_or_default()
            )
        }
        Identity::Token { issuer, resource, person_claim } => format!(
            "\n# The sub of the access token is the customer.\n[identity]\nmode = \"token\"\n\
             \n[agents]\nauthentication = \"required\"\n# The aud of access tokens, and the address of /mcp as agents know it.\n\
             resource = {}\n\n[[agents.issuers]]\nissuer = {}\n# A claim that tokens of signed-in people alone have.\n\
             person_claim = {}\n",
            quoted(resource),
            quoted(issuer),
            quoted(person_claim)
        ),
    }
}

/// Port of mail servers that encrypt from the first octet.
const IMPLICIT: u16 = 465;

fn verification(plan: &Plan) -> String {
    let about = "One-time codes by mail, for customers who are not signed in";
    let Some(Mail { host, port, from }) = &plan.mail else {
        return format!(
            "\n# {about}: remove the # in front, or see connector twilio-verify.\n# [verification]\n# enabled = true\n\
             # from = \"Acme <desk@example.com>\"\n#\n# [verification.smtp]\n# host = \"smtp.example.com\"    # port 587; 465 \
             with tls = \"implicit\"\n# username = {{ env = \"{MAIL_USERNAME}\" }}\n# password = {{ env = \"{MAIL_PASSWORD}\" }}\n"
        );
    };
    let port = match port {
        Some(IMPLICIT) => "tls = \"implicit\"\n".to_owned(),
        Some(port) => format!("port = {port}\n"),
        None => String::new(),
    };
    format!(
        "\n# {about}.\n[verification]\nenabled = true\nfrom = {}\n\n[verification.smtp]\nhost = {}\n{port}\
         username = {{ env = \"{MAIL_USERNAME}\" }}\npassword = {{ env = \"{MAIL_PASSWORD}\" }}\n",
        quoted(from),
        quoted(host)
    )
}

fn settings(of: &str, settings: &BTreeMap<String, Value>) -> String {
    if settings.is_empty() {
        return String::new();
    }
    let lines = settings.iter().map(|(name, value)| {
        let value = toml::Value::try_from(value).map_or_else(|_| quoted(&value.to_string()), |value| value.to_string());
        format!("{name} = {value}\n")
    });
    format!("\n[{of}.settings]\n{}", lines.collect::<String>())
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Text of `.env`.
pub(super) fn dot_env(plan: &Plan) -> String {
    let head = "# Secrets of frontdesk.toml: for their owner alone, and never under version control.\n";
    format!("{head}{}", variables(plan.variables.iter()))
}

/// Lines of `.env`, each with its purpose in a comment above.
pub(super) fn variables<'a>(variables: impl Iterator<Item = &'a Variable>) -> String {
    let (mut text, mut above) = (String::new(), "");
    for Variable { name, about, value, .. } in variables {
        if above != about {
            text.push_str(&format!("\n# {about}\n"));
        }
        above = about;
        text.push_str(&format!("{name}={}\n", value.as_deref().unwrap_or_default()));
    }
    text
}

/// Text of `.gitignore`: the existing lines and the missing ones.
pub(super) fn ignore(there: Option<&str>, plan: &Plan) -> String {
    let there = there.unwrap_or_default();
    let store = plan.store.iter().filter(|store| !store.ends_with(".db") && !store.starts_with(['/', '.']));
    let store = store.flat_map(|store| ["", "-wal", "-shm", "-erasures"].map(|end| format!("/{store}{end}")));
    let wanted = IGNORED.into_iter().map(str::to_owned).chain(store);
    let known: Vec<&str> = there.lines().map(|line| line.trim().trim_start_matches('/')).collect();
    let missing: Vec<String> =
        wanted.filter(|line| !known.contains(&line.trim_start_matches('/'))).map(|line| line + "\n").collect();
    let end = if there.is_empty() || there.ends_with('\n') { "" } else { "\n" };
    format!("{there}{end}{}", missing.concat())
}
