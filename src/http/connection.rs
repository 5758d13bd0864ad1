//! One connection: detects the protocol, and enforces the time limits for heads and idle time.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{Request, Response, header},
};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use super::{
    Options,
    activity::{Activity, Busy, Receiving, Timeouts},
    connection_limit::ConnectionPermit,
    guarded_body::guarded,
    peer::Peer,
    service::HttpService,
    tls::Tls,
};

/// The connection preface of HTTP/2 with prior knowledge (RFC 9113 3.4). No HTTP/1 request begins so.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Time limit for sending the last response when an idle connection is closed.
const PARTING: Duration = Duration::from_secs(5);
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// HTTP/2: longest header list of a request.
const HEADER_LIST_BYTES_MAX: u32 = 32 * 1024;
/// HTTP/2: streams that a client may open and reset before its connection is closed (CVE-2023-44487).
const RESETS_MAX: usize = 32;
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// The hyper configuration for each protocol.
pub(super) struct Protocols {
    pub(super) http1: auto::Builder<TokioExecutor>,
    pub(super) http2: auto::Builder<TokioExecutor>,
}

impl Protocols {
    pub(super) fn new(options: &Options) -> Self {
        let mut http1 = auto::Builder::new(TokioExecutor::new()).http1_only();
        // `Activity` has the time limits: hyper's own would count idle time as time for a head.
        http1.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX);
        let mut http2 = auto::Builder::new(TokioExecutor::new()).http2_only();
        http2
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(options.streams_max)
            .max_header_list_size(HEADER_LIST_BYTES_MAX)
            .max_pending_accept_reset_streams(RESETS_MAX)
            .max_local_error_reset_streams(RESETS_MAX)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_WITHIN);
        Self { http1, http2 }
    }
}

pub(super) struct Connection {
    pub(super) peer: Peer,
    pub(super) service: HttpService,
    pub(super) protocols: Arc<Protocols>,
    pub(super) timeouts: Timeouts,
    pub(super) tls: Option<Tls>,
    pub(super) closing: CancellationToken,
    pub(super) permit: ConnectionPermit,
}

impl Connection {
    pub(super) async fn run(self, stream: TcpStream) {
        let evicted = self.permit.activity.evicted().clone();
        let ended = tokio::select! {
            ended = self.speak(stream) => ended,
            () = evicted.cancelled() => return,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended early");
        }
    }

    async fn speak(&self, stream: TcpStream) -> io::Result<()> {
        let Some(tls) = &self.tls else { return self.sniff(stream).await };
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long");
        let stream = tokio::select! {
            stream = tokio::time::timeout(self.timeouts.head, tls.accept(stream)) => stream.map_err(|_| late())??,
            () = self.closing.cancelled() => return Ok(()),
        };
        match tls.negotiated_http2(&stream) {
            true => self.http(stream, Vec::new(), true).await,
            false => self.sniff(stream).await,
        }
    }

    /// Detects HTTP/2 by the first bytes.
    async fn sniff<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, mut stream: S) -> io::Result<()> {
        let mut first = Vec::with_capacity(PREFACE.len());
        let sniffing = async {
            loop {
                let mut byte = [0; PREFACE.len()];
                let wanted = PREFACE.len() - first.len();
                let read = stream.read(&mut byte[..wanted]).await?;
                first.extend_from_slice(&byte[..read]);
                if !PREFACE.starts_with(&first) || first.len() == PREFACE.len() {
                    return Ok(Some(()));
                }
                if read == 0 {
                    return Ok(None);
                }
                // From the first byte on the connection is not idle.
                self.permit.activity.bytes_arrived();
            }
        };
        let sniffed = tokio::select! {
            sniffed = self.in_time(sniffing) => sniffed?,
            () = self.closing.cancelled() => return Ok(()),
        };
        if sniffed.is_none() {
            return Ok(());
        }
        let http2 = first == PREFACE;
        self.permit.activity.bytes_arrived();
        self.http(stream, first, http2).await
    }

    /// Runs `work` until the connection is due to be closed.
    async fn in_time<T>(&self, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let mut work = pin!(work);
        let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            match self.is_due(timer.as_mut(), true, cx) {
                true => Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nothing came"))),
                false => Poll::Pending,
            }
        })
        .await
    }

    async fn http<S>(&self, stream: S, first: Vec<u8>, http2: bool) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (routes, peer, activity) = (self.service.clone(), self.peer, self.permit.activity.clone());
        let service = tower::service_fn(move |mut request: Request<Incoming>| {
            let busy = activity.begin();
            request.extensions_mut().insert(peer);
            let receiving = Receiving::of(&activity);
            let answer = routes.answer(request.map(|body| watch(body, receiving)));
            async move { Ok::<_, Infallible>(keep_busy(answer.await, busy)) }
        });
        let builder = if http2 { &self.protocols.http2 } else { &self.protocols.http1 };
        let watched = Watched { stream, first, activity: self.permit.activity.clone() };
        let mut connection =
            pin!(builder.serve_connection(TokioIo::new(watched), TowerToHyperService::new(service)).into_owned());
        let mut closing = pin!(self.closing.cancelled());
        let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
        let mut parting = None;
        poll_fn(|cx| {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended.map_err(io::Error::other));
            }
            if parting.is_none() {
                let closing = closing.as_mut().poll(cx).is_ready();
                // The time limit for heads is for HTTP/1 alone: in HTTP/2 heads are frames among others.
                let late = self.is_due(timer.as_mut(), !http2, cx);
                if closing || late {
                    // An unfinished head gets no response, so there is nothing to wait for.
                    if !http2 && (late || self.permit.activity.is_in_head()) {
                        return Poll::Ready(Ok(()));
                    }
                    connection.as_mut().graceful_shutdown();
                    // At shutdown the drain timeout of the server is the limit.
                    let limit = if late { PARTING } else { Duration::MAX };
                    parting = Some(Box::pin(tokio::time::sleep(limit.min(Duration::from_secs(3600)))));
                    cx.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
            match parting.as_mut().map(|timer| timer.as_mut().poll(cx)) {
                Some(Poll::Ready(())) => Poll::Ready(Ok(())),
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// Whether the connection is due to be closed; otherwise sets the timer to wake the task when it is.
    fn is_due(&self, mut timer: Pin<&mut tokio::time::Sleep>, has_heads: bool, cx: &mut Context<'_>) -> bool {
        loop {
            // While a request runs, this polls for its end: HTTP/2 runs requests on other tasks.
            let due = self.permit.activity.due(self.timeouts, has_heads);
            let next = due.unwrap_or_else(|| Instant::now() + self.timeouts.idle);
            if due.is_some_and(|due| due <= Instant::now()) {
                return true;
            }
            // Resetting a timer takes a lock, so a timer that is set earlier is left to fire and is reset then.
            if timer.deadline().into_std() > next || timer.is_elapsed() {
                timer.as_mut().reset(next.into());
            }
            if timer.as_mut().poll(cx).is_pending() {
                return false;
            }
        }
    }
}

/// Wraps the body so that `receiving` ends with it.
fn watch(body: Incoming, mut receiving: Receiving) -> Body {
    if body.is_end_stream() {
        receiving.ended();
        return Body::new(body);
    }
    Body::new(Arriving { body, receiving })
}

struct Arriving {
    body: Incoming,
    receiving: Receiving,
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.receiving.ended();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Keeps the connection busy while an event stream is open.
fn keep_busy(answer: Response<Body>, busy: Busy) -> Response<Body> {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    match kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        true => answer.map(|body| guarded(body, busy)),
        false => answer,
    }
}

/// A stream that returns the bytes already read first, and reports when further bytes arrive.
struct Watched<S> {
    stream: S,
    first: Vec<u8>,
    activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let taken = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first[..taken]);
            self.first.drain(..taken);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.bytes_arrived();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
