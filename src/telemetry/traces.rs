//! Traces by OpenTelemetry (OTLP over HTTP), linked to those of callers and upstreams by W3C Trace Context.

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

/// Time limit for sending the last spans at shutdown.
const FLUSH: Duration = Duration::from_secs(3);

/// Traces of requests and events, exported to an OpenTelemetry collector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "traces")]
pub struct Options {
    /// Base URL of a collector that accepts OTLP over HTTP, as `http://127.0.0.1:4318`. Without it there are no
    /// traces. `/v1/traces` is added to it, and the encoding is protobuf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Name of this service in traces (resource attribute `service.name`).
    pub service_name: String,
    /// Share of traces that are exported, 0 to 1. The sampling decision of the caller is ignored.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { endpoint: None, service_name: "frontdesk".to_owned(), sample: 1.0 }
    }
}

/// HTTP client for the exporter. Called on a thread of its own, so it may block.
pub trait Post: Send + Sync {
    fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Box<dyn std::error::Error + Send + Sync>>;
}

/// Why the exporter could not be built.
#[derive(Debug, thiserror::Error)]
#[error("traces.endpoint cannot be used")]
pub struct TracesError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Sends batches of spans. Logs once when they begin to be lost, and once when they arrive again.
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

/// Sampler for a share of all traces, whatever the caller decided. For the trace of a caller it decides by a keyed hash
/// of the trace id: without the key of this process nobody can choose an id that is sampled.
#[derive(Debug, Clone)]
struct ShareSampler {
    sample: f64,
    own: Sampler,
    key: RandomState,
}

impl ShareSampler {
    fn new(sample: f64) -> Self {
        Self { sample, own: Sampler::TraceIdRatioBased(sample), key: RandomState::new() }
    }

    fn samples(&self, trace: TraceId) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a share is no more exact than that")]
        let at = self.key.hash_one(trace.to_bytes()) as f64 / u64::MAX as f64;
        self.sample >= 1.0 || at < self.sample
    }
}

impl ShouldSample for ShareSampler {
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
            true => self.samples(trace),
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

/// The tracer of this process. Dropping it sends the remaining spans.
pub struct Traces(SdkTracerProvider);

impl Drop for Traces {
    fn drop(&mut self) {
        let _ = self.0.shutdown_with_timeout(FLUSH);
    }
}

/// The subscriber layer that exports our own spans. Log events are not exported.
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
        .with_sampler(ShareSampler::new(options.sample))
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

/// The span of an HTTP request, kept in the extensions of that request. A tool call names it as its parent: cheaper
/// than entering it in every layer between.
#[derive(Debug, Clone)]
pub struct RequestSpan(pub Span);

impl RequestSpan {
    /// The span of the request, or [`Span::none`].
    pub(crate) fn of(extensions: &http::Extensions) -> Span {
        extensions.get::<Self>().map_or_else(Span::none, |span| span.0.clone())
    }
}

/// Whether this process exports traces.
static SENT: AtomicBool = AtomicBool::new(false);

/// A span field that only traces need: `None`, and so not in the log either, where traces are off.
pub(crate) fn if_traced<T>(value: T) -> Option<T> {
    SENT.load(Ordering::Relaxed).then_some(value)
}

/// Makes the span a child of the caller's `traceparent` (W3C Trace Context 3.2). Ignores a malformed one.
pub(crate) fn join(span: &Span, traceparent: Option<&str>) {
    if let Some(parent) = traceparent.and_then(if_traced).and_then(parse) {
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// The `traceparent` of the current span, for outgoing requests. None where traces are off.
pub(crate) fn traceparent() -> Option<String> {
    if_traced(())?;
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
        let share = ShareSampler::new(0.25);
        // A sampler by ratio alone would keep all of these, since they are the smallest ids.
        let kept = (1..=1000_u128).filter(|id| share.samples(TraceId::from(*id))).count();
        assert!((150..350).contains(&kept), "{kept} of 1000");
        assert!((1..=1000_u128).all(|id| ShareSampler::new(1.0).samples(TraceId::from(id))
            && !ShareSampler::new(0.0).samples(TraceId::from(id))));
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
