//! The server under load: its configuration, a read-only view of its store, and events posted one by one.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use frontdesk::{domain::Clock, webhooks::Source};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::{
    load,
    process::{self, Server},
    vendor::Vendor,
};

/// Pause between two queries of the store.
const POLL_EVERY: Duration = Duration::from_micros(200);

pub struct Frontdesk {
    pub server: Server,
    pub store: Store,
    http: reqwest::Client,
    _directory: tempfile::TempDir,
}

/// The store, read only.
pub struct Store(Connection);

/// Number of events by state.
#[derive(Debug, Default)]
pub struct Counts {
    /// Pending and claimed events.
    pub waiting: usize,
    pub dead: usize,
    pub done: usize,
}

impl Frontdesk {
    /// Tickets go to the vendor, and all else to the embedded store. `limits` is TOML for the configuration.
    pub fn start(vendor: &Vendor, limits: &str) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let config = directory.path().join("frontdesk.toml");
        std::fs::write(
            &config,
            format!(
                "{}[identity]\nmode = \"fixed\"\ncustomer = \"cus_ada\"\n[log]\nlevel = \"error\"\n\
                 [webhooks.chatbot]\nsecrets = [{{ env = \"WEBHOOK_SECRET\" }}]\n\
                 [desk]\nhelpdesk = \"help\"\n\
                 [upstreams.help]\nconnector = \"zendesk\"\nbase_url = \"{}\"\nlimits = {{ {limits} }}\n\
                 auth = {{ kind = \"bearer\", token = {{ env = \"VENDOR_TOKEN\" }} }}\n",
                process::UNLIMITED,
                vendor.url
            ),
        )?;
        let server = Server::start(
            Command::new(env!("CARGO_BIN_EXE_frontdesk"))
                .args(["serve", "--listen", "127.0.0.1:0", "--config"])
                .arg(&config)
                .env("WEBHOOK_SECRET", load::SECRET)
                .env("VENDOR_TOKEN", "token")
                .env("NO_PROXY", "127.0.0.1"),
        )?;
        let store = Store::open(&directory.path().join("frontdesk.db"))?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { server, store, http, _directory: directory })
    }

    pub fn webhooks_url(&self) -> String {
        self.server.url.replace("/mcp", load::PATH)
    }

    /// Posts escalations, each of another conversation.
    pub async fn post_escalations(&self, senders: usize, events: usize) -> Result<load::Measured> {
        load::Load { senders, events }.run(&self.webhooks_url(), "escalated").await
    }

    /// Posts the end of a conversation, which needs the embedded CRM alone.
    pub async fn post_ended(&self, conversation: &str) -> Result<()> {
        let body = ended(conversation);
        let headers = load::source()?.verifier().sign(load::PATH, "", body.as_bytes(), Clock::system().now());
        let request = self.http.post(self.webhooks_url()).header("content-type", "application/json");
        let status = request.headers(headers).body(body).send().await?.status();
        ensure!(status == 200, "an event was answered {status}");
        Ok(())
    }

    /// Time from the acknowledgement until the store shows the event as done.
    pub async fn time_ended(&self, conversation: &str) -> Result<Duration> {
        self.post_ended(conversation).await?;
        let acknowledged = Instant::now();
        while !self.store.is_done(conversation)? {
            ensure!(acknowledged.elapsed() < Duration::from_secs(60), "{conversation} is not done after a minute");
            // A blocking sleep, since Tokio's timer is too coarse: this is the main thread, and the vendor runs on
            // others.
            std::thread::sleep(POLL_EVERY);
        }
        Ok(acknowledged.elapsed())
    }
}

impl Store {
    fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        Ok(Self(connection))
    }

    pub fn counts(&self) -> Result<Counts> {
        let mut counts = Counts::default();
        let mut statement = self.0.prepare_cached("SELECT state, n FROM event_counts")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let state: String = row.get(0)?;
            let n = usize::try_from(row.get::<_, i64>(1)?)?;
            match state.as_str() {
                "pending" | "claimed" => counts.waiting += n,
                "done" => counts.done = n,
                _ => counts.dead += n,
            }
        }
        Ok(counts)
    }

    /// The error of a dead letter, if there is one.
    pub fn dead_letter(&self) -> Result<Option<String>> {
        let mut statement =
            self.0.prepare_cached("SELECT coalesce(error, '') FROM events WHERE state = 'dead' LIMIT 1")?;
        Ok(statement.query_row([], |row| row.get(0)).optional()?)
    }

    fn is_done(&self, conversation: &str) -> Result<bool> {
        let mut statement = self.0.prepare_cached("SELECT state FROM events WHERE conversation = ?1")?;
        let state: String = statement
            .query_row([conversation], |row| row.get(0))
            .context("an acknowledged event is not in the store")?;
        ensure!(state != "dead", "{conversation} is a dead letter");
        Ok(state == "done")
    }
}

fn ended(conversation: &str) -> String {
    format!(
        r#"{{"event":"conversation.ended","timestamp":"2026-03-30T14:25:00Z","data":{{"conversationId":"{conversation}","customerId":"cust_{conversation}","customerEmail":"test@example.com","messages":[{{"role":"user","content":"Thanks, that helps."}},{{"role":"assistant","content":"You are welcome."}}],"metadata":{{"resolved":true,"detectedIntent":"returns","durationSeconds":180}}}}}}"#
    )
}
