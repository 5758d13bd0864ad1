//! Logging, metrics and traces. None of them ever holds a body, a token, an email address or a transcript.

pub mod build;
mod declared;
pub(crate) mod failpoint;
pub mod live;
mod log_throttle;
pub mod metrics;
pub mod traces;

use std::sync::Arc;

pub(crate) use log_throttle::LogThrottle;

use serde::{Deserialize, Serialize};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    filter::{Targets, filter_fn},
    fmt,
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// The error message and those of its sources, each once, for one log line. Our errors hold no text of a vendor's
/// reply.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !parts.contains(&text) {
            parts.push(text);
        }
        source = cause.source();
    }
    parts.join(": ")
}

/// Logging to standard error.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "log")]
pub struct Options {
    /// Format of log lines: text for people, json (one object a line) for log collectors.
    pub format: Format,
    /// Least severe level that frontdesk itself logs. Libraries log at warn or above; the MCP library, which would log
    /// tool arguments, at error.
    pub level: Level,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

fn lines<S>(format: Format) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = fmt::layer().with_writer(std::io::stderr);
    match format {
        Format::Text => layer.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    }
}

/// Starts logging to standard error, and tracing if `post` is given to send spans. Process-wide; a second call changes
/// nothing. Keep the returned value until the process ends: dropping it flushes spans.
pub fn init(
    options: &Options,
    traces: &traces::Options,
    post: Option<Arc<dyn traces::Post>>,
) -> Result<Option<traces::Traces>, traces::TracesError> {
    let targets = targets(options);
    // Fails only when a logger is set already: by an earlier call in the same process.
    let traces_guard = match post {
        Some(post) => {
            let (spans, guard) = traces::layer(traces, post)?;
            let _ =
                tracing_subscriber::registry().with(spans).with(lines(options.format).with_filter(targets)).try_init();
            Some(guard)
        }
        // One filter for the whole subscriber is cheaper than one for each layer.
        None => {
            let _ = tracing_subscriber::registry().with(lines(options.format)).with(targets).try_init();
            None
        }
    };
    log_panics();
    Ok(traces_guard)
}

/// Starts logging, and shows what happens while it happens.
pub fn init_live(options: &Options, show: impl Fn(live::Happening) + Send + Sync + 'static) {
    let shown = live::Live(show).with_filter(filter_fn(|metadata| metadata.target() == live::TARGET));
    let logged = lines(options.format).with_filter(targets(options));
    let _ = tracing_subscriber::registry().with(shown).with(logged).try_init();
    log_panics();
}

fn targets(options: &Options) -> Targets {
    let level = match options.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("frontdesk", level)
        .with_target(live::TARGET, LevelFilter::OFF)
        .with_target("rmcp", LevelFilter::ERROR)
}

fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        // The panic message may hold personal data; the location is enough to find the code.
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}
