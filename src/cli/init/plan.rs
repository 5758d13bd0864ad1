//! The planned configuration, from flags and answers.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, anyhow, bail};
use serde_json::Value;

use super::{
    answers::Answers,
    ask::{Asker, Question},
    identity::{self, Identity},
    needs::{self, Kind, Variable},
};
use crate::{
    connectors::{Library, Setting, VendorFile},
    desk::BUILTIN,
    mail::is_sender,
    upstream::{BaseUrl, auth::Grant},
    webhooks::{NativeKind, NativeSource, Scheme},
};

/// The ports in `[desk]`, with the records of each.
const PORTS: [(&str, &str); 3] = [("orders", "Orders"), ("helpdesk", "Tickets"), ("crm", "Contacts")];
const STORE: &str = "frontdesk.db";
const NONE: &str = "none";
pub(super) const MAIL_USERNAME: &str = "MAIL_USERNAME";
pub(super) const MAIL_PASSWORD: &str = "MAIL_PASSWORD";

/// The planned configuration.
pub(super) struct Plan {
    /// None for the default.
    pub store: Option<String>,
    pub identity: Identity,
    /// Ports served by a connector instead of the embedded store.
    pub ports: Vec<(&'static str, String)>,
    pub upstreams: Vec<Upstream>,
    pub webhooks: Vec<Webhook>,
    /// What sends one-time codes; none if they stay off.
    pub mail: Option<Mail>,
    /// The lines of `.env`.
    pub variables: Vec<Variable>,
}

/// The mail server of one-time codes.
pub(super) struct Mail {
    pub host: String,
    pub port: Option<u16>,
    pub from: String,
}

pub(super) struct Upstream {
    pub name: String,
    pub title: String,
    pub base_url: Option<String>,
    /// Its helpdesk opens no ticket without an email address.
    pub needs_email: bool,
    pub settings: BTreeMap<String, Value>,
    /// It signs in with a refresh token, which the store keeps encrypted.
    pub refreshes: bool,
}

pub(super) struct Webhook {
    pub name: String,
    /// Whether it reports customers' conversations.
    pub conversations: bool,
    pub variable: String,
    pub settings: BTreeMap<String, Value>,
}

impl Plan {
    pub(super) fn make(answers: Answers, yes: bool, directory: &Path) -> anyhow::Result<Self> {
        let library = Library::shipped();
        let files: Vec<VendorFile> = library.names().map(|name| library.parse(name)).collect::<Result<_, _>>()?;
        let mut asker = Asker::new(yes);
        let store = asker.ask(
            &Question { flag: "--store", text: "Store file", default: Some(STORE) },
            answers.store.as_deref(),
            |text| judge_store(text, directory),
        )?;
        let mut values = Values::parse(&answers)?;
        let (webhooks, mut variables) = webhooks(&mut asker, &files, &answers, &mut values)?;
        let ports = ports(&mut asker, &files, &answers)?;
        let upstreams = upstreams(&mut asker, &files, &ports, &mut values, &mut variables)?;
        values.all_used()?;
        let identity = identity::of(&mut asker, &answers)?;
        let mail = mail(&answers)?;
        asker.finish()?;
        if let Identity::Secret { .. } = identity {
            let about = "Customer contexts (HS256): your backend signs them with this secret.".to_owned();
            let (name, kind) = ("CONTEXT_SECRET".to_owned(), Kind::Secret);
            variables.insert(0, Variable { name, about, kind, value: Some(secret()?) });
        }
        if upstreams.iter().any(|upstream| upstream.refreshes) {
            let about = "The store's own key: the refresh tokens in it are encrypted under it.".to_owned();
            let (name, kind) = ("STORE_ENCRYPTION_KEY".to_owned(), Kind::Secret);
            variables.insert(0, Variable { name, about, kind, value: Some(secret()?) });
        }
        if mail.is_some() {
            for name in [MAIL_USERNAME, MAIL_PASSWORD] {
                let about = "The account at the mail server that sends one-time codes.".to_owned();
                variables.push(Variable { name: name.to_owned(), about, kind: Kind::Secret, value: None });
            }
        }
        let store = Some(store).filter(|store| store != STORE);
        Ok(Self { store, identity, ports, upstreams, webhooks, mail, variables })
    }

    /// Variables that only the company can fill in.
    pub(super) fn empty(&self) -> impl Iterator<Item = &Variable> {
        self.variables.iter().filter(|variable| variable.value.is_none())
    }
}

fn mail(answers: &Answers) -> anyhow::Result<Option<Mail>> {
    let (Some(server), Some(from)) = (&answers.mail_server, &answers.mail_from) else { return Ok(None) };
    if !is_sender(from) {
        bail!("--mail-from {from}: write an address, as desk@example.com or Acme <desk@example.com>");
    }
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => bail!("--mail-server {server}: {port} is no port; write HOST or HOST:PORT"),
        },
        None => (server.as_str(), None),
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
        bail!("--mail-server {server}: write the name of the mail server, as smtp.example.com");
    }
    Ok(Some(Mail { host: host.to_owned(), port, from: from.clone() }))
}

/// 32 random bytes in hexadecimal.
fn secret() -> anyhow::Result<String> {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(|_| anyhow!("the system gives no random numbers"))?;
    Ok(random.iter().map(|octet| format!("{octet:02x}")).collect())
}

fn judge_store(text: &str, directory: &Path) -> Result<String, String> {
    let path = directory.join(text);
    let parent = path.parent().unwrap_or(directory);
    match text {
        _ if path.is_dir() => Err(format!("{} is a directory; name a file", path.display())),
        _ if parent != directory && !parent.is_dir() => Err(format!("there is no directory {}", parent.display())),
        text => Ok(text.to_owned()),
    }
}

/// Values of `--base-url` and `--setting`, by connector. One that no chosen connector uses is an error.
struct Values {
    base_urls: BTreeMap<String, String>,
    settings: BTreeMap<(String, String), String>,
}

impl Values {
    fn parse(answers: &Answers) -> anyhow::Result<Self> {
        let (mut base_urls, mut settings) = (BTreeMap::new(), BTreeMap::new());
        for given in &answers.base_urls {
            let pair = given.split_once('=').filter(|(name, _)| !name.contains(['/', ':']));
            let (name, url) = pair.with_context(|| format!("--base-url {given}: write CONNECTOR=URL"))?;
            base_urls.insert(name.to_owned(), url.to_owned());
        }
        for given in &answers.settings {
            let parts = given.split_once('=').and_then(|(key, value)| Some((key.split_once('.')?, value)));
            let ((connector, name), value) =
                parts.with_context(|| format!("--setting {given}: write CONNECTOR.NAME=VALUE"))?;
            settings.insert((connector.to_owned(), name.to_owned()), value.to_owned());
        }
        Ok(Self { base_urls, settings })
    }

    fn all_used(&self) -> anyhow::Result<()> {
        if let Some(name) = self.base_urls.keys().next() {
            bail!(
                "--base-url {name}: no such connector was chosen with --orders, --helpdesk or --crm, or it takes none"
            );
        }
        if let Some((connector, name)) = self.settings.keys().next() {
            bail!(
                "--setting {connector}.{name}: no chosen connector has it; see frontdesk connectors show {connector}"
            );
        }
        Ok(())
    }

    /// Reads a connector's given settings and asks for required ones.
    fn settings(
        &mut self,
        asker: &mut Asker,
        file: &VendorFile,
        declared: &BTreeMap<String, Setting>,
    ) -> anyhow::Result<BTreeMap<String, Value>> {
        let mut settings = BTreeMap::new();
        for (name, setting) in declared {
            let given = self.settings.remove(&(file.name.clone(), name.clone()));
            if given.is_none() && !setting.required {
                continue;
            }
            let flag = format!("--setting {}.{name}=…", file.name);
            let text = format!("{}: {name}: {}", file.title, setting.about.trim());
            let question = Question { flag: &flag, text: &text, default: None };
            let read = |text: &str| needs::typed(file, name, setting, text).map_err(|why| why.to_string());
            settings.insert(name.clone(), asker.ask(&question, given.as_deref(), read)?);
        }
        Ok(settings)
    }
}

fn native<'a>() -> impl Iterator<Item = &'a str> {
    NativeSource::ALL.into_iter().map(|kind| kind.name())
}

fn webhooks(
    asker: &mut Asker,
    files: &[VendorFile],
    answers: &Answers,
    values: &mut Values,
) -> anyhow::Result<(Vec<Webhook>, Vec<Variable>)> {
    let senders: Vec<&VendorFile> = files.iter().filter(|file| file.webhook.is_some()).collect();
    let known: Vec<&str> = native().chain(senders.iter().map(|file| file.name.as_str())).collect();
    let read = |text: &str| -> Result<Vec<String>, String> {
        let mut names: Vec<String> = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty() && *name != NONE) {
            if !known.contains(&name) {
                return Err(format!("there is no source {name}; there are {}, or {NONE}", known.join(", ")));
            }
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    };
    let text = format!("Sources of webhooks, with commas ({}, or {NONE})", known.join(", "));
    let question = Question { flag: "--webhooks", text: &text, default: Some("escalation") };
    let (mut webhooks, mut variables) = (Vec::new(), Vec::new());
    for name in asker.ask(&question, answers.webhooks.as_deref(), read)? {
        let file = senders.iter().find(|file| file.name == name);
        let section = file.and_then(|file| file.webhook.as_ref());
        let ours = section.is_none_or(|section| matches!(section.signature, Scheme::Static(_)));
        let settings = match (file, section) {
            (Some(file), Some(section)) => values.settings(asker, file, &section.settings)?,
            _ => BTreeMap::new(),
        };
        let variable = format!("{}_WEBHOOK_SECRET", name.to_uppercase().replace('-', "_"));
        let about = match (ours, file) {
            (true, _) => format!("Webhooks at /webhooks/{name}: give the sender this secret."),
            (false, file) => format!(
                "Webhooks at /webhooks/{name}: `frontdesk connectors show {name}` says where {} has the secret.",
                file.map_or(name.as_str(), |file| file.title.as_str())
            ),
        };
        let value = if ours { Some(secret()?) } else { None };
        variables.push(Variable { name: variable.clone(), about, kind: Kind::Secret, value });
        let conversations = match section {
            Some(section) => section.events.contains("conversation"),
            None => name != NativeKind::CmsUpdate.name(),
        };
        webhooks.push(Webhook { name, conversations, variable, settings });
    }
    Ok((webhooks, variables))
}

/// Asks which connector serves each port.
fn ports(asker: &mut Asker, files: &[VendorFile], answers: &Answers) -> anyhow::Result<Vec<(&'static str, String)>> {
    let given = [&answers.orders, &answers.helpdesk, &answers.crm];
    let mut chosen = Vec::new();
    for ((port, holds), given) in PORTS.into_iter().zip(given) {
        let of_port = files.iter().filter(|file| file.ports().contains(&port));
        let known: Vec<&str> = std::iter::once(BUILTIN).chain(of_port.map(|file| file.name.as_str())).collect();
        let (flag, text) = (format!("--{port}"), format!("{holds} ({})", known.join(", ")));
        let read = |text: &str| match known.contains(&text) {
            true => Ok(text.to_owned()),
            false => Err(format!("{text} has no {port}; there are {}", known.join(", "))),
        };
        let question = Question { flag: &flag, text: &text, default: Some(BUILTIN) };
        let system = asker.ask(&question, given.as_deref(), read)?;
        if system != BUILTIN {
            chosen.push((port, system));
        }
    }
    Ok(chosen)
}

fn upstreams(
    asker: &mut Asker,
    files: &[VendorFile],
    ports: &[(&'static str, String)],
    values: &mut Values,
    variables: &mut Vec<Variable>,
) -> anyhow::Result<Vec<Upstream>> {
    let mut upstreams: Vec<Upstream> = Vec::new();
    for (_, name) in ports {
        if upstreams.iter().any(|upstream| upstream.name == *name) {
            continue;
        }
        let Some(file) = files.iter().find(|file| file.name == *name) else { continue };
        let of_it: Vec<&str> = ports.iter().filter(|(_, system)| system == name).map(|(port, _)| *port).collect();
        let (named, needs_address) = needs::of_ports(file, &of_it);
        let given = values.base_urls.remove(name);
        let base_url = match needs_address || given.is_some() {
            false => None,
            true => {
                let example = file.base_url_example.as_deref().unwrap_or("https://api.example.com");
                let (flag, text) =
                    (format!("--base-url {name}={example}"), format!("Address of {}, as {example}", file.title));
                let read = |text: &str| match BaseUrl::parse(text, false) {
                    Ok(_) => Ok(text.to_owned()),
                    Err(why) => Err(why.to_string()),
                };
                let question = Question { flag: &flag, text: &text, default: None };
                Some(asker.ask(&question, given.as_deref(), read)?)
            }
        };
        let settings = values.settings(asker, file, &file.settings)?;
        for (variable, kind) in named {
            // A given base URL is written to the configuration instead.
            if kind == Kind::Address && base_url.is_some() {
                continue;
            }
            let about = format!(
                "{} ({}): `frontdesk connectors show {name}` says where this is had.",
                file.title,
                of_it.join(", ")
            );
            variables.push(Variable { name: variable, about, kind, value: None });
        }
        let helpdesk = file.helpdesk.as_ref().filter(|_| of_it.contains(&"helpdesk"));
        let needs_email = helpdesk.is_some_and(|helpdesk| helpdesk.needs_email);
        let refreshes = file.auth.grant == Some(Grant::RefreshToken);
        upstreams.push(Upstream {
            name: name.clone(),
            title: file.title.clone(),
            base_url,
            needs_email,
            settings,
            refreshes,
        });
    }
    Ok(upstreams)
}
