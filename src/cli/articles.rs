//! `frontdesk articles`: what agents see of help articles, what wrote it, and reconciliation with the CMS.

use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};

use super::{
    ConfigArgs,
    existing_store::with_store,
    output::{self, remark},
};
use crate::{
    app::Reconciliations,
    config::Loaded,
    desk::{ArticleIndex, ArticleReader, KnowledgeBase, Reconciliation, ReconciliationState},
    domain::{ArticleId, Clock, Language, Level},
    store::Store,
};

/// Look at the help articles, and reconcile them with the CMS
#[derive(Args)]
pub(super) struct Articles {
    #[command(subcommand)]
    command: ArticlesCommand,
}

#[derive(Subcommand)]
enum ArticlesCommand {
    List(List),
    Show(Show),
    Search(Search),
    Reconcile(Reconcile),
}

/// List the articles that are shown, and what wrote them
#[derive(Args)]
struct List {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only those of this source; `imported` for those of none
    #[arg(long)]
    source: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// JSON Lines instead of a table
    #[arg(long)]
    json: bool,
}

/// Show one article with its text, in every language
#[derive(Args)]
struct Show {
    /// Article id
    id: ArticleId,
    #[command(flatten)]
    config: ConfigArgs,
    /// JSON Lines instead of text
    #[arg(long)]
    json: bool,
}

/// Search as an agent does
#[derive(Args)]
struct Search {
    /// What to search for
    query: String,
    #[command(flatten)]
    config: ConfigArgs,
    /// The customer's language, as de
    #[arg(long)]
    language: Option<Language>,
    /// The customer's level: anonymous, otp or verified
    #[arg(long, default_value = "anonymous")]
    level: String,
    /// At most this many
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// JSON Lines instead of a table
    #[arg(long)]
    json: bool,
}

/// Compare the articles with what the CMS lists, and take over what differs
///
/// A running server does it, or this command where none runs. Removals of more than 10 articles or 10 %, or by an empty
/// listing, wait for --apply.
#[derive(Args)]
struct Reconcile {
    /// Sources [default: all of articles.sources]
    sources: Vec<String>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Remove everything that is not listed any more, however much it is
    #[arg(long)]
    apply: bool,
    /// JSON Lines instead of text
    #[arg(long)]
    json: bool,
}

const TITLES: &[&str] = &["article", "language", "source", "written by", "audience", "updated", "title"];
const LEVELS: [(&str, Level); 3] =
    [("anonymous", Level::Anonymous), ("otp", Level::Otp), ("verified", Level::Verified)];

fn audience(level: Level) -> String {
    LEVELS.iter().find(|(_, one)| *one == level).map(|(name, _)| (*name).to_owned()).unwrap_or_default()
}

/// How often progress is read.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How long a server may take to begin.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(30);

impl Articles {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            ArticlesCommand::List(list) => list.run(),
            ArticlesCommand::Show(show) => show.run(),
            ArticlesCommand::Search(search) => search.run(),
            ArticlesCommand::Reconcile(reconcile) => reconcile.run(),
        }
    }
}

impl List {
    fn run(self) -> anyhow::Result<()> {
        let source = self.source.as_deref();
        let articles =
            with_store(&self.config, async |store, _| Ok(store.stored_articles(None, source, self.limit).await?))?;
        output::list(self.json, TITLES, &articles, |article| {
            vec![
                article.article.clone(),
                article.variant.clone().unwrap_or_default(),
                article.source.clone().unwrap_or_else(|| "imported".to_owned()),
                article.written_by(),
                audience(article.audience),
                article.updated_at.to_string(),
                article.title.clone(),
            ]
        })
    }
}

impl Show {
    fn run(self) -> anyhow::Result<()> {
        let found =
            with_store(&self.config, async |store, _| Ok(store.stored_articles(Some(&self.id), None, 1000).await?))?;
        if found.is_empty() {
            bail!("no article {} is shown; see frontdesk articles list", self.id);
        }
        for article in found {
            if self.json {
                output::json(&article)?;
                continue;
            }
            output::line(format_args!(
                "{} {}: {}\nsource {}, written by {}\nfor {}, updated {}\n{}\n\n{}\n",
                article.article,
                article.variant.as_deref().unwrap_or("-"),
                article.title,
                article.source.as_deref().unwrap_or("imported"),
                article.written_by(),
                audience(article.audience),
                article.updated_at,
                article.url.as_deref().unwrap_or("-"),
                article.body.as_deref().unwrap_or_default()
            ))?;
        }
        Ok(())
    }
}

impl Search {
    fn run(self) -> anyhow::Result<()> {
        let named = LEVELS.iter().find(|(name, _)| *name == self.level);
        let Some((_, level)) = named.copied() else {
            bail!("--level {}: must be anonymous, otp or verified", self.level);
        };
        let hits = with_store(&self.config, async |store, loaded: &Loaded| {
            let articles = &loaded.config.articles;
            let reader = ArticleReader {
                level,
                wanted: self.language.iter().cloned().collect(),
                fallback: articles.fallback.clone().unwrap_or_else(|| vec![articles.language.clone()]),
            };
            let hits = store.search(&self.query, &reader, self.limit).await?;
            let hits = hits.into_iter().map(|hit| {
                serde_json::json!({
                    "article_id": hit.id, "language": hit.variant, "title": hit.title, "excerpt": hit.excerpt,
                    "url": hit.url, "updated_at": hit.updated_at,
                })
            });
            Ok(hits.collect::<Vec<_>>())
        })?;
        let text = |hit: &serde_json::Value, name: &str| hit[name].as_str().unwrap_or_default().to_owned();
        output::list(self.json, &["article", "language", "title", "excerpt"], &hits, |hit| {
            vec![text(hit, "article_id"), text(hit, "language"), text(hit, "title"), text(hit, "excerpt")]
        })
    }
}

impl Reconcile {
    fn run(self) -> anyhow::Result<()> {
        with_store(&self.config, async |store, loaded| {
            let configured = &loaded.config.articles.sources;
            if configured.is_empty() {
                bail!(
                    "articles.sources names no source; write articles.sources = [\"NAME\"] with upstreams that list articles"
                );
            }
            if let Some(unknown) = self.sources.iter().find(|source| !configured.contains(source)) {
                bail!("articles.sources does not name {unknown}; it names {}", configured.join(", "));
            }
            let sources = if self.sources.is_empty() { configured } else { &self.sources };
            let mut failed = Vec::new();
            for source in sources {
                let done = self.one(store, loaded, source).await?;
                if self.json {
                    output::json(&done)?;
                } else {
                    output::line(said(&done))?;
                }
                if done.state != ReconciliationState::Done {
                    failed.push(source.as_str());
                }
            }
            match failed.as_slice() {
                [] => Ok(()),
                failed => Err(anyhow!("not all is reconciled: {}", failed.join(", "))),
            }
        })
    }

    /// Has a source reconciled by the server that works events off, or here where there is none.
    async fn one(&self, store: &Store, loaded: &Loaded, source: &str) -> anyhow::Result<Reconciliation> {
        let asked = store.ask(source, self.apply).await?;
        let path = &loaded.config.store.path;
        if let Some(_alone) = Store::sole_worker(path)? {
            let here = Reconciliations::build(&loaded.config, &loaded.secrets, store, &Clock::system())?;
            while let Some(done) = here.next(true).await? {
                if done.id == asked.id {
                    return Ok(done);
                }
            }
            bail!("the reconciliation was taken by another process; call again");
        }
        let started = std::time::Instant::now();
        let mut pages = 0;
        loop {
            let now = store.reconciliation(asked.id).await?.ok_or_else(|| anyhow!("the reconciliation is gone"))?;
            if now.state.is_over() {
                return Ok(now);
            }
            if now.state == ReconciliationState::Asked && started.elapsed() > BEGIN_TIMEOUT {
                bail!(
                    "the server that works events off has not begun within {} s; does its articles.sources name {source}?",
                    BEGIN_TIMEOUT.as_secs()
                );
            }
            if now.counts.pages != pages && !self.json {
                pages = now.counts.pages;
                remark(format_args!("{source}: {pages} pages, {} articles", now.counts.listed));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn said(done: &Reconciliation) -> String {
    let counts = done.counts;
    let mut said = format!(
        "{}: {}, {} listed, {} written, {} removed, {} skipped",
        done.source,
        done.state.as_str(),
        counts.listed,
        counts.written,
        counts.removed,
        counts.skipped
    );
    if let Some(why) = &done.error {
        said.push_str(&format!("\n  {why}"));
    }
    if done.state == ReconciliationState::Waiting {
        said.push_str(&format!(
            "\n  {} articles stay; look, and run it again with --apply to remove them",
            counts.waiting
        ));
    }
    said
}
