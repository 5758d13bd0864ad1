//! `frontdesk demo`: a temporary server with sample data.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context, bail};
use async_trait::async_trait;
use clap::Args;

use super::{block_on, console, demo_traffic, live, output, secret_file, signals};
use crate::{
    app::{self, App},
    config::{Config, Secrets},
    console::Role,
    desk::{CodeMessage, CodeSender, PortError, System},
    domain::{Clock, Contact, Record, SecretRef},
    identity::Mode,
    import, telemetry,
    webhooks::{Customers, NativeKind, NativeSource, SourceOptions},
};

/// Serve sample data for one customer, and print how to call it
///
/// Shows every call, decision and webhook as one line while it happens: with references, and nothing personal. Starts on a
/// temporary store with two customers, a guest order and a dozen help articles, acts for one of the customers,
/// and removes the store at the end (SIGTERM or Ctrl-C). Takes webhooks at /webhooks/escalation, /webhooks/chatbot and
/// /webhooks/cms-update. Reads no configuration, but these environment variables: PORT, WEBHOOK_SECRET, ORDER_API_URL with
/// ORDER_API_TOKEN, HELPDESK_API_URL with HELPDESK_API_KEY.
#[derive(Args)]
pub(super) struct Demo {
    /// Address and port to listen on [default: 127.0.0.1:8080, or the port in the environment variable PORT]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The customer that every call acts for: cus_ada or cus_grace
    #[arg(long, value_name = "ID", default_value = "cus_ada")]
    customer: String,
    /// Do not show calls, decisions and webhooks as they happen
    #[arg(long)]
    quiet: bool,
    /// Call tools and send webhooks all the time, as a bot and its platform do; the helpdesk is away for half a minute now
    /// and then
    #[arg(long)]
    traffic: bool,
}

impl Demo {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let directory = tempfile::Builder::new().prefix("frontdesk-demo-").tempdir()?;
        let records = import::samples()?;
        let contact = sample_customer(&records, &self.customer)?;
        let mut config = Config::default();
        config.http.listen = match self.listen {
            Some(listen) => listen,
            None => SocketAddr::from(([127, 0, 0, 1], port()?)),
        };
        // Webhooks are signed with WEBHOOK_SECRET, or with a secret generated for the demo.
        let secret = match std::env::var("WEBHOOK_SECRET").ok().filter(|secret| !secret.is_empty()) {
            Some(_) => SecretRef::Env("WEBHOOK_SECRET".to_owned()),
            None => {
                let path = directory.path().join("webhook-secret");
                secret_file::create(&path)?.write(&ulid::Ulid::generate().to_string())?;
                SecretRef::File(path)
            }
        };
        for kind in NativeSource::ALL {
            config.webhooks.insert(
                kind.name().to_owned(),
                SourceOptions {
                    secrets: vec![secret.clone()],
                    customers: Customers::SignedIn,
                    ..SourceOptions::default()
                },
            );
        }
        // A free port, so that the demo can run beside a server.
        config.operations.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.store.path = directory.path().join("frontdesk.db");
        config.identity.mode = Mode::Fixed;
        config.identity.customer = Some(self.customer.clone());
        config.identity.email = contact.email.as_ref().map(ToString::to_string);
        // With these variables, orders or tickets come from an API of the user (connector generic).
        let set = |name| std::env::var(name).is_ok_and(|value| !value.is_empty());
        for (name, system) in
            [("ORDER_API_URL", &mut config.desk.orders), ("HELPDESK_API_URL", &mut config.desk.helpdesk)]
        {
            if set(name) {
                "generic".clone_into(system);
                output::remark(format_args!("{name} is set: its system takes the place of the embedded one"));
            }
        }
        config.check()?;
        // Codes are printed here; there is no mail server.
        config.verification.enabled = true;
        // Who tries codes out asks for many.
        (config.verification.conversation_per_hour, config.verification.address_per_hour) = (0, 0);
        match self.quiet {
            true => _ = telemetry::init(&config.log, &config.traces, None)?,
            false => {
                // What is shown is not logged as well.
                config.log.level = telemetry::Level::Warn;
                telemetry::init_live(&config.log, live::show()?);
            }
        }
        block_on(async {
            let helpdesk = match self.traffic {
                true => Some(demo_traffic::helpdesk(&mut config).await?),
                false => None,
            };
            let codes: Option<Arc<dyn CodeSender>> = Some(Arc::new(Printed));
            let app = App::build_with(&config, &Secrets::default(), Clock::system(), codes)?;
            app.store().import(records).await?;
            let stop = signals::stop()?;
            // There is nothing to reload.
            let (_, never) = tokio::sync::mpsc::channel(1);
            let listening = app.listen().await?;
            let address = listening.main.1;
            output::line(format_args!("listening on http://{address}/mcp"))?;
            let metrics = listening.operations.as_ref().map(|(_, address)| *address);
            let mut addresses = String::new();
            if let Some(operations) = metrics {
                let (link, _) = console::new_link(app.store(), "demo".to_owned(), Role::Lead, &Clock::system()).await?;
                let console = console::address(&format!("http://{operations}"), &link);
                addresses = format!(
                    "\n\nThe console, in a browser (the link is good once, for five minutes):\n  {console}\n\nMetrics and \
                     health:\n  curl -s http://{operations}/metrics\n  curl -s -w '\\n' http://{operations}/health"
                );
            }
            output::line(help(address, &addresses, &self.customer, &config.store.path, &secret, self.traffic)?)?;
            if let Some(helpdesk) = helpdesk {
                let secrets = Secrets::default();
                let source = NativeKind::Escalation.name();
                let signs = secrets.read(&secret)?;
                let source = app::webhook_source(&config, source, &[signs])?;
                tokio::spawn(demo_traffic::serve_helpdesk(helpdesk));
                tokio::spawn(demo_traffic::bot(address, source.into()));
            }
            if !self.quiet {
                output::line("\nCalls, decisions and webhooks as they happen:")?;
            }
            Ok(app.serve(listening, stop, never).await?)
        })
    }
}

/// Prints one-time codes, without the address.
struct Printed;

#[async_trait]
impl CodeSender for Printed {
    async fn send(&self, message: &CodeMessage) -> Result<(), PortError> {
        let of = message.handle_begins.as_ref().map(|begins| format!(" (verification {begins}…)")).unwrap_or_default();
        let line = format!("one-time code for the customer{of}: {}", message.code.expose());
        output::line(line).map_err(|error| PortError::not_done(System::Verification, error))
    }
}

/// The port from the environment variable PORT, which hosting environments set; 8080 by default.
fn port() -> anyhow::Result<u16> {
    match std::env::var("PORT") {
        Ok(port) => port.parse().with_context(|| format!("the environment variable PORT is {port:?}, not a port")),
        Err(_) => Ok(8080),
    }
}

fn sample_customer(records: &[Record], id: &str) -> anyhow::Result<Contact> {
    let contacts: Vec<&Contact> = records
        .iter()
        .filter_map(|record| match record {
            Record::Customer(contact) => Some(contact),
            _ => None,
        })
        .collect();
    match contacts.iter().find(|contact| contact.id.as_str() == id) {
        Some(contact) => Ok((*contact).clone()),
        None => {
            let known: Vec<&str> = contacts.iter().map(|contact| contact.id.as_str()).collect();
            bail!("there is no sample customer {id}; choose one of {}", known.join(", "))
        }
    }
}

/// Commands to paste into another terminal.
fn help(
    address: SocketAddr,
    addresses: &str,
    customer: &str,
    store: &Path,
    secret: &SecretRef,
    traffic: bool,
) -> anyhow::Result<String> {
    let program = std::env::current_exe().context("failed to find this program")?;
    let (program, store) = (program.display(), store.display());
    let secret = match secret {
        SecretRef::Env(_) => "WEBHOOK_SECRET=\"$WEBHOOK_SECRET\"".to_owned(),
        // Generated for this demo and useless afterwards.
        SecretRef::File(path) => format!("WEBHOOK_SECRET={}", std::fs::read_to_string(path)?.trim_end()),
    };
    // With traffic the tickets are in the sample helpdesk.
    let tickets = if traffic { String::new() } else { format!("  {program} tickets list --store {store}\n") };
    let (own, foreign) = if customer == "cus_grace" { ("2001", "1001") } else { ("1001", "2001") };
    Ok(format!(
        r#"
Every call acts for {customer}. Order {own} is theirs; {foreign} is somebody else's, and looks like one that does not exist.

Look up an order (MCP 2025-11-25):
  curl -s -w '\n' http://{address}/mcp -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' -H 'MCP-Protocol-Version: 2025-11-25' -d '{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"lookup_order","arguments":{{"order_id":"{own}"}}}}}}'

The same (MCP 2026-07-28):
  curl -s -w '\n' http://{address}/mcp -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H 'Mcp-Name: lookup_order' -d '{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"lookup_order","arguments":{{"order_id":"{own}"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"curl","version":"8"}},"io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}'

Open a ticket; send it again, and it stays one:
  curl -s -w '\n' http://{address}/mcp -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' -H 'MCP-Protocol-Version: 2025-11-25' -d '{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"create_ticket","arguments":{{"subject":"Wrist rest is missing","description":"The parcel of order {own} came without it.","order_id":"{own}"}}}}}}'

The same by plain HTTP, without MCP; the description for importers is beside it:
  curl -s -w '\n' http://{address}/tools/lookup_order -H 'Content-Type: application/json' -d '{{"order_id":"{own}"}}'
  curl -s -w '\n' http://{address}/openapi.json

Prove an address by a one-time code, which is printed here; the guest's order 3001 then opens:
  curl -s -w '\n' http://{address}/tools/send_verification_code -H 'Content-Type: application/json' -d '{{"email":"guest@example.com"}}'
  curl -s -w '\n' http://{address}/tools/check_verification_code -H 'Content-Type: application/json' -d '{{"code":"CODE","verification":"FDV"}}'
  curl -s -w '\n' http://{address}/tools/lookup_order -H 'Content-Type: application/json' -d '{{"order_id":"3001","verification":"FDV"}}'
  FDV is the verification in the first answer, and CODE the code that is printed for it.

MCP Inspector (Node 22.19 or newer):
  npx -y @modelcontextprotocol/inspector@2.12.0 --cli --server-url http://{address}/mcp --transport http --method tools/call --tool-name lookup_order --tool-arg 'order_id="{own}"' --format json

An agent host over stdio, while this demo runs (JSON of Claude Desktop and others):
  {{"mcpServers":{{"frontdesk":{{"command":"{program}","args":["stdio","--store","{store}","--customer","{customer}"]}}}}}}

Report an escalation as a chatbot platform does (signed webhook); it becomes a ticket:
  {secret} {program} events send escalation --url http://{address} --secret-env WEBHOOK_SECRET

What arrived, and what was decided so far:
  {program} events list --store {store}
{tickets}  {program} audit --store {store}{addresses}

Ctrl-C ends the demo and removes its data."#
    ))
}
