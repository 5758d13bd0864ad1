//! `frontdesk import`: imports JSON Lines into the embedded store.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use super::{ConfigArgs, block_on, output, signals};
use crate::{
    app::{self, Mirrors},
    domain::{Article, Clock, Record},
    import,
    store::{Imported, Store},
};

/// Bad lines that are reported individually; the rest are counted.
const SHOWN_MAX: usize = 50;

/// Import customers, orders and articles into the embedded store
///
/// Reads JSON Lines: one object per line, with "type": "customer", "order" or "article"; schemas/import.json describes
/// them. Records replace those of the same id (contact fields that a customer line does not name are kept), so
/// importing a file again changes nothing. Bad lines are reported with their numbers; then nothing is written, unless
/// --keep-going is given. An order that would replace another customer's stops the import before anything is written.
/// Ctrl-C stops between batches and prints how many records were written. Articles are also copied to the upstreams in
/// desk.article_mirrors.
#[derive(Args)]
pub(super) struct Import {
    #[command(flatten)]
    config: ConfigArgs,
    /// Files to read; - is standard input
    #[arg(required_unless_present = "samples", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Import the sample records that `frontdesk demo` serves, to try things out with
    #[arg(long, conflicts_with = "files")]
    samples: bool,
    /// Import the good lines despite bad ones (the exit status is still 1)
    #[arg(long)]
    keep_going: bool,
    /// Let orders replace other customers' orders of the same number (#K1 and K1 are one number)
    #[arg(long)]
    change_owners: bool,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

impl Import {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let loaded = self.config.load()?;
        let (mut records, mut bad) = (if self.samples { import::samples()? } else { Vec::new() }, 0);
        let stopped = stop_flag()?;
        for file in &self.files {
            read(file, &mut records, &mut bad, &stopped)?;
        }
        if stopped.load(Ordering::Relaxed) {
            bail!("interrupted while the files were read; nothing was imported");
        }
        if bad > SHOWN_MAX {
            output::remark(format_args!("… and {} more", bad - SHOWN_MAX));
        }
        if bad > 0 && !self.keep_going {
            bail!("{bad} bad lines; nothing was imported. Correct them, or import the good ones with --keep-going");
        }
        let (path, change_owners) = (&loaded.config.store.path, self.change_owners);
        let mirrors = app::article_mirrors(&loaded.config, &loaded.secrets, &Clock::system())?;
        let all = records.len();
        let (imported, not_copied) = block_on(async {
            let articles = if mirrors.is_empty() { Vec::new() } else { articles(&records) };
            let store = Store::open_in(path, Clock::system(), &loaded.config.articles.language)?;
            if !change_owners {
                store.check_owners(&records)?;
            }
            let imported = store.import_until(records, || stopped.load(Ordering::Relaxed)).await;
            store.close().await?;
            let imported = imported?;
            let not_copied = if imported.all() < all { 0 } else { copy(&articles, &mirrors).await };
            Ok((imported, not_copied))
        })?;
        let Imported { customers, orders, articles } = imported;
        match self.json {
            true => output::json(&json!({
                "customers": customers, "orders": orders, "articles": articles, "records": all, "bad_lines": bad,
                "not_copied": not_copied, "complete": imported.all() == all, "store": path,
            }))?,
            false => output::line(format_args!(
                "imported {customers} customers, {orders} orders, {articles} articles into {}",
                path.display()
            ))?,
        }
        if imported.all() < all {
            bail!(
                "interrupted: the first {} of {all} records are written, the others are not; import the same files again to \
                 continue (records are replaced, so nothing is duplicated)",
                imported.all()
            );
        }
        if bad > 0 {
            bail!("{bad} bad lines were skipped");
        }
        if not_copied > 0 {
            bail!("{not_copied} copies of articles failed; import the file again to repeat them");
        }
        Ok(())
    }
}

/// Set by Ctrl-C or SIGTERM; a second signal ends the process.
fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = stopped.clone();
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let waited = block_on(async {
            let stop = signals::stop()?;
            ready.send(())?;
            stop.await;
            flag.store(true, Ordering::Relaxed);
            // Keeps the signal handler alive for the second signal.
            std::future::pending::<()>().await;
            Ok(())
        });
        drop(waited);
    })?;
    is_ready.recv()?;
    Ok(stopped)
}

fn articles(records: &[Record]) -> Vec<Article> {
    let article = |record: &Record| match record {
        Record::Article(article) => Some(article.clone()),
        _ => None,
    };
    records.iter().filter_map(article).collect()
}

/// Copies articles to every mirror, one after the other; returns the number of failed copies.
async fn copy(articles: &[Article], mirrors: &Mirrors) -> usize {
    let mut failed = 0;
    for (name, mirror) in mirrors {
        for article in articles {
            if let Err(error) = mirror.upsert(article).await {
                failed += 1;
                if failed <= SHOWN_MAX {
                    let error = anyhow::Error::new(error);
                    output::remark(format_args!("article {} was not copied to {name}: {error:#}", article.id));
                }
            }
        }
    }
    failed
}

fn read(file: &Path, records: &mut Vec<Record>, bad: &mut usize, stopped: &AtomicBool) -> anyhow::Result<()> {
    let from: Box<dyn BufRead> = match file == Path::new("-") {
        true => Box::new(io::stdin().lock()),
        false => {
            let opened = File::open(file).with_context(|| format!("failed to read {}", file.display()))?;
            Box::new(BufReader::new(opened))
        }
    };
    for line in import::read_lines(from) {
        if stopped.load(Ordering::Relaxed) {
            break;
        }
        match line {
            Ok(record) => records.push(record),
            Err(error) => {
                *bad += 1;
                if *bad <= SHOWN_MAX {
                    output::remark(format_args!("{}: {error}", file.display()));
                }
            }
        }
    }
    Ok(())
}
