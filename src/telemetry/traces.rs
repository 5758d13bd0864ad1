//! Traces by OpenTelemetry (OTLP over HTTP), joined to those of callers and upstreams by W3C Trace Context.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider},
};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SamplingResult, SdkTracerProvider, ShouldSample},
};
use serde::{Deserialize, Serialize};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

/// How long the last spans may take to leave at the end.
const FLUSH: Duration = Duration::from_secs(3);

/// Traces: which way a request took, for a collector of OpenTelemetry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "traces")]
pub struct Options {
    /// Where spans are sent: the address of a collector that takes OTLP over HTTP, as http://127.0.0.1:4318. Left out, there
    /// are no traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The name of this service in traces.
    pub service_name: String,
    /// The share of traces that are kept, 0 to 1, whatever the caller has decided.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { endpoint: None, service_name: "frontdesk".to_owned(), sample: 1.0 }
    }
}

/// The way out. Called on a thread of its own, which it may block.
pub trait Post: Send + Sync {
    fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Box<dyn std::error::Error + Send + Sync>>;
}

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
#[error("traces.endpoint cannot be used")]
pub struct TracesError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Sends, and tells when spans begin and cease to be lost: once each.
struct Client {
    post: Arc<dyn Post>,
    losing: AtomicBool,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answered = self.post.post(request);
        let why = match &answered {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector answered {}", answer.status())),
            Err(error) => Some(super::causes(error.as_ref())),
        };
        super::metrics::trace_export(why.is_none());
        match (why, self.losing.load(Ordering::Relaxed)) {
            (Some(error), false) => {
                self.losing.store(true, Ordering::Relaxed);
                tracing::warn!(
                    error,
                    "traces are being lost; check traces.endpoint (frontdesk check --online asks it)"
                );
            }
            (None, true) => {
                self.losing.store(false, Ordering::Relaxed);
                tracing::info!("traces arrive again");
            }
            _ => {}
        }
        answered
    }
}

/// A share of the traces, whoever began them: a caller must not be able to decide what is sent. Whether the trace of
/// somebody else is kept depends on its id and on a key of this process, so that no id can be chosen that is.
#[derive(Debug, Clone)]
struct Share {
    sample: f64,
    own: Sampler,
    key: RandomState,
}

impl Share {
    fn new(sample: f64) -> Self {
        Self { sample, own: Sampler::TraceIdRatioBased(sample), key: RandomState::new() }
    }

    fn keeps(&self, trace: TraceId) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a share is no more exact than that")]
        let at = self.key.hash_one(trace.to_bytes()) as f64 / u64::MAX as f64;
        self.sample >= 1.0 || at < self.sample
    }
}

impl ShouldSample for Share {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let parents = parent.map(|parent| parent.span().span_context().clone());
        let decided = parents.filter(SpanContext::is_valid).map(|parents| match parents.is_remote() {
            true => self.keeps(trace),
            false => parents.is_sampled(),
        });
        let sampler = match decided {
            Some(true) => &Sampler::AlwaysOn,
            Some(false) => &Sampler::AlwaysOff,
            None => &self.own,
        };
        sampler.should_sample(parent, trace, name, kind, attributes, links)
    }
}

/// The traces of this process, until it is dropped: then what is left is sent.
pub struct Traces(SdkTracerProvider);

impl Drop for Traces {
    fn drop(&mut self) {
        let _ = self.0.shutdown_with_timeout(FLUSH);
    }
}

/// A layer that turns our own spans into traces. Events of the log are not among them.
pub(super) fn layer<S>(options: &Options, post: Arc<dyn Post>) -> Result<(impl Layer<S> + use<S>, Traces), TracesError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let endpoint = options.endpoint.as_deref().unwrap_or_default().trim_end_matches('/');
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Client { post, losing: AtomicBool::new(false) })
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .build()
        .map_err(|error| TracesError(Box::new(error)))?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Share::new(options.sample))
        .with_resource(Resource::builder().with_service_name(options.service_name.clone()).build())
        .build();
    let ours = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("frontdesk"));
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("frontdesk"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_target(false);
    SENT.store(true, Ordering::Relaxed);
    Ok((layer.with_filter(ours), Traces(provider)))
}

/// The span of the request that a message came with, in the extensions of that request. A call of a tool names it as its
/// parent; entering it at every step on the way there would cost more than the steps.
#[derive(Debug, Clone)]
pub struct RequestSpan(pub Span);

impl RequestSpan {
    /// That of a request, or none.
    pub(crate) fn of(extensions: &http::Extensions) -> Span {
        extensions.get::<Self>().map_or_else(Span::none, |span| span.0.clone())
    }
}

/// Whether this process sends traces.
static SENT: AtomicBool = AtomicBool::new(false);

/// What a span has for traces alone: left out of it, and of the log, where there are none.
pub(crate) fn only<T>(value: T) -> Option<T> {
    SENT.load(Ordering::Relaxed).then_some(value)
}

/// Makes a span part of the trace that a caller named (`traceparent`, W3C Trace Context 3.2), if it did so properly.
pub(crate) fn join(span: &Span, traceparent: Option<&str>) {
    if let Some(parent) = traceparent.and_then(only).and_then(parse) {
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// The `traceparent` of what is going on, for whoever is asked next. None where there are no traces.
pub(crate) fn traceparent() -> Option<String> {
    only(())?;
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8() & 1))
}

fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower_hex =
        |part: &str, length| part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    // Later versions may have more parts (3.2.4).
    let known = version != "ff" && (version != "00" || parts.next().is_none());
    let parts = [(version, 2), (trace, 32), (span, 16), (flags, 2)];
    if !known || !parts.iter().all(|(part, length)| lower_hex(part, *length)) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1);
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_caller_can_choose_an_id_that_is_kept() {
        let share = Share::new(0.25);
        // The smallest ids are those that a share of all ids keeps first.
        let kept = (1..=1000_u128).filter(|id| share.keeps(TraceId::from(*id))).count();
        assert!((150..350).contains(&kept), "{kept} of 1000");
        assert!(
            (1..=1000_u128)
                .all(|id| Share::new(1.0).keeps(TraceId::from(id)) && !Share::new(0.0).keeps(TraceId::from(id)))
        );
    }

    #[test]
    fn only_a_proper_traceparent_is_joined() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(parse(good).is_some_and(|span| span.is_remote() && span.is_sampled()));
        assert!(parse(&good.replace("00-", "01-").replace("-01", "-01-more")).is_some());
        for bad in [
            "",
            "00",
            &good.replace("00-", "ff-"),
            &good.to_uppercase(),
            &format!("{good}-more"),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
