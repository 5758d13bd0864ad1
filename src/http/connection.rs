//! One connection: which protocol it speaks, how long it may take for a head, and how long it may be idle.

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
    held::hold,
    peer::Peer,
    site::Site,
    tls::Tls,
};

/// What HTTP/2 with prior knowledge begins with; no method of HTTP/1 does (RFC 9113 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long the last answer may take to be sent once the connection is to end.
const PARTING: Duration = Duration::from_secs(5);
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// HTTP/2: headers of one request.
const HEADER_LIST_BYTES_MAX: u32 = 32 * 1024;
/// HTTP/2: streams that a client opens and resets again, until its connection is closed (CVE-2023-44487).
const RESETS_MAX: usize = 32;
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// How connections are spoken with, by protocol.
pub(super) struct Protocols {
    pub(super) http1: auto::Builder<TokioExecutor>,
    pub(super) http2: auto::Builder<TokioExecutor>,
}

impl Protocols {
    pub(super) fn new(options: &Options) -> Self {
        let mut http1 = auto::Builder::new(TokioExecutor::new()).http1_only();
        // Timers of our own watch the connection: hyper's would count idle time as time for a head.
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
    pub(super) site: Site,
    pub(super) protocols: Arc<Protocols>,
    pub(super) timeouts: Timeouts,
    pub(super) tls: Option<Tls>,
    pub(super) closing: CancellationToken,
    pub(super) place: ConnectionPermit,
}

impl Connection {
    pub(super) async fn run(self, stream: TcpStream) {
        let evicted = self.place.activity.evicted().clone();
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

    /// Looks at the first bytes, which tell the protocol.
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
                // A prefix of the preface is not idle any more.
                self.place.activity.bytes_arrived();
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
        self.place.activity.bytes_arrived();
        self.http(stream, first, http2).await
    }

    /// Nothing may take longer than the activity allows.
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
        let (site, peer, activity) = (self.site.clone(), self.peer, self.place.activity.clone());
        let service = tower::service_fn(move |mut request: Request<Incoming>| {
            let busy = activity.begin();
            request.extensions_mut().insert(peer);
            let receiving = Receiving::of(&activity);
            let answer = site.answer(request.map(|body| watch(body, receiving)));
            async move { Ok::<_, Infallible>(keep_busy(answer.await, busy)) }
        });
        let builder = if http2 { &self.protocols.http2 } else { &self.protocols.http1 };
        let watched = Watched { stream, first, activity: self.place.activity.clone() };
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
                // HTTP/2 has no heads that a connection waits for: streams come when they come.
                let late = self.is_due(timer.as_mut(), !http2, cx);
                if closing || late {
                    // Whoever is in the middle of a head gets no answer, so that there is nothing to wait for.
                    if !http2 && (late || self.place.activity.is_in_head()) {
                        return Poll::Ready(Ok(()));
                    }
                    connection.as_mut().graceful_shutdown();
                    // The end of the whole server has a limit of its own.
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

    /// Whether the connection has had its time; otherwise the timer wakes it when it will have.
    fn is_due(&self, mut timer: Pin<&mut tokio::time::Sleep>, has_heads: bool, cx: &mut Context<'_>) -> bool {
        loop {
            // While a request runs, its end is looked for now and then: HTTP/2 works on requests elsewhere.
            let due = self.place.activity.due(self.timeouts, has_heads);
            let next = due.unwrap_or_else(|| Instant::now() + self.timeouts.idle);
            if due.is_some_and(|due| due <= Instant::now()) {
                return true;
            }
            // Resetting a timer costs a lock: an earlier one is left to go off, and set anew then.
            if timer.deadline().into_std() > next || timer.is_elapsed() {
                timer.as_mut().reset(next.into());
            }
            if timer.as_mut().poll(cx).is_pending() {
                return false;
            }
        }
    }
}

/// The body, which tells when it has come to its end.
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

/// A stream of events goes on after its head.
fn keep_busy(answer: Response<Body>, busy: Busy) -> Response<Body> {
    let kind = answer.headers().get(header::CONTENT_TYPE);
    match kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        true => answer.map(|body| hold(body, busy)),
        false => answer,
    }
}

/// A stream that begins with what was read of it already, and tells when bytes arrive.
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
