//! A proxy on 127.0.0.1 in front of an upstream, which makes faults: for `frontdesk connectors probe`.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use reqwest::Url;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::BaseUrl;

const HEAD_BYTES_MAX: usize = 64 * 1024;
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a slow answer takes at most.
const SLOW: Duration = Duration::from_secs(30);
/// Credentials that nobody has given out.
const WRONG: &str = "frontdesk-probe-wrong";

/// What happens to the next requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// They are passed on.
    None,
    /// They are passed on with credentials that are wrong.
    WrongCredentials,
    /// They are passed on; the connection breaks in the middle of the reply.
    Truncated,
    /// They are passed on; half of the reply is there, and looks whole.
    CutShort,
    /// They are answered here.
    Answer { status: u16, content_type: HeaderValue, body: Bytes },
    /// They are not answered in time.
    Slow,
}

/// The proxy of one upstream. It ends when it is dropped.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    to: BaseUrl,
    http: reqwest::Client,
    /// Headers that carry credentials.
    credentials: Vec<HeaderName>,
    fault: Mutex<Fault>,
    requests: AtomicUsize,
    spoiled: AtomicUsize,
    last: Mutex<(StatusCode, Bytes)>,
}

struct Incoming {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

struct Outgoing {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FaultProxy {
    /// Starts it on a free port. `credentials` are the headers that wrong credentials stand in.
    pub fn start(to: &BaseUrl, credentials: Vec<HeaderName>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            to: to.clone(),
            http,
            credentials,
            fault: Mutex::new(Fault::None),
            requests: AtomicUsize::new(0),
            spoiled: AtomicUsize::new(0),
            last: Mutex::default(),
        });
        let own = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = own.clone();
                tokio::spawn(async move { shared.serve(stream).await });
            }
        });
        Ok(Self { address, shared, task })
    }

    /// Where the upstream is reached through it.
    pub fn base(&self) -> BaseUrl {
        self.shared.to.at(self.address)
    }

    pub fn set(&self, fault: Fault) {
        *lock(&self.shared.fault) = fault;
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Requests whose credentials were made wrong.
    pub fn spoiled(&self) -> usize {
        self.shared.spoiled.load(Ordering::Relaxed)
    }

    /// Status and body of the last reply that was passed on, as it came.
    pub fn last_reply(&self) -> (StatusCode, Bytes) {
        lock(&self.shared.last).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    async fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let Some(incoming) = read(&mut stream).await else { return };
        self.requests.fetch_add(1, Ordering::Relaxed);
        let fault = lock(&self.fault).clone();
        let outgoing = match &fault {
            Fault::Slow => return tokio::time::sleep(SLOW).await,
            Fault::Answer { status, content_type, body } => Some(Outgoing {
                status: StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                headers: HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.clone())]),
                body: body.clone(),
            }),
            _ => self.forward(incoming, fault == Fault::WrongCredentials).await,
        };
        // The upstream cannot be reached: the caller sees a broken connection.
        let Some(outgoing) = outgoing else { return };
        let half = outgoing.body.slice(..outgoing.body.len() / 2);
        let (body, length) = match fault {
            Fault::Truncated => (half, outgoing.body.len().max(1)),
            Fault::CutShort => {
                let half = if half.is_empty() { Bytes::from_static(b"{") } else { half };
                (half.clone(), half.len())
            }
            _ => (outgoing.body.clone(), outgoing.body.len()),
        };
        let mut head = format!("HTTP/1.1 {} -\r\nconnection: close\r\n", outgoing.status.as_u16());
        for (name, value) in &outgoing.headers {
            if let Ok(value) = value.to_str() {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        if outgoing.status != StatusCode::NO_CONTENT {
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        let _ = stream.write_all(format!("{head}\r\n").as_bytes()).await;
        let _ = stream.write_all(&body).await;
        let _ = stream.shutdown().await;
    }

    async fn forward(&self, incoming: Incoming, wrong: bool) -> Option<Outgoing> {
        let mut url = Url::parse(self.to.as_str()).ok()?;
        let (path, query) = incoming.path.split_once('?').map_or((incoming.path.as_str(), None), |(p, q)| (p, Some(q)));
        url.set_path(path);
        url.set_query(query);
        let mut headers = incoming.headers;
        for name in [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::ACCEPT_ENCODING] {
            headers.remove(name);
        }
        if wrong {
            for name in &self.credentials {
                if let Some(value) = headers.get_mut(name) {
                    *value = spoilt(value);
                    self.spoiled.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        let mut request = reqwest::Request::new(incoming.method, url);
        *request.headers_mut() = headers;
        if !incoming.body.is_empty() {
            *request.body_mut() = Some(incoming.body.into());
        }
        let mut response = self.http.execute(request).await.ok()?;
        // Those of the connection are ours.
        let ours = [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::TE, header::UPGRADE];
        let headers = response.headers().iter().filter(|(name, _)| !ours.contains(name));
        let headers = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
        let status = response.status();
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return None;
            }
            body.extend_from_slice(&chunk);
        }
        let body = body.freeze();
        *lock(&self.last) = (status, body.clone());
        Some(Outgoing { status, headers, body })
    }
}

/// Credentials of the same form that are wrong.
fn spoilt(value: &HeaderValue) -> HeaderValue {
    let text = value.to_str().unwrap_or_default();
    let wrong = match text.split_once(' ') {
        Some(("Basic", _)) => format!("Basic {}", STANDARD.encode(format!("{WRONG}:{WRONG}"))),
        Some((scheme, _)) => format!("{scheme} {WRONG}"),
        None => WRONG.to_owned(),
    };
    HeaderValue::from_str(&wrong).unwrap_or(HeaderValue::from_static(WRONG))
}

/// Reads a request of our own client: HTTP/1.1 with a length.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Incoming> {
    let (mut method, mut path) = (Method::GET, String::new());
    let (mut headers, mut octets) = (HeaderMap::new(), 0);
    for n in 0.. {
        let mut line = String::new();
        octets += stream.read_line(&mut line).await.ok()?;
        let line = line.trim_end();
        if octets > HEAD_BYTES_MAX {
            return None;
        }
        match (n, line) {
            (0, first) => {
                let mut words = first.split(' ');
                method = words.next()?.parse().ok()?;
                path = words.next()?.to_owned();
            }
            (_, "") => break,
            (_, line) => {
                let (name, value) = line.split_once(':')?;
                headers.append(name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?);
            }
        }
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut body = vec![0; length.filter(|length| *length <= BODY_BYTES_MAX).unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(Incoming { method, path, headers, body: body.into() })
}
