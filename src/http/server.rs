//! Listener: accepts connections up to the limit, configures HTTP/1 and HTTP/2, and drains requests at shutdown.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Options,
    activity::Timeouts,
    connection::{Connection, Protocols},
    connection_limit::{ConnectionLimit, Counted},
    peer::Peer,
    service::HttpService,
    tls::Tls,
};

/// Pause after a failed accept (no descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// File descriptors reserved for everything but accepted connections.
const DESCRIPTORS_BESIDE: u64 = 256;
/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("failed to listen on {listen}: {}choose another {key}", match source.kind() {
        io::ErrorKind::AddrInUse => "the port is in use; stop the other process or ",
        _ => "",
    })]
    Listen {
        /// The configuration key.
        key: &'static str,
        listen: SocketAddr,
        #[source]
        source: io::Error,
    },
}

/// Serves until `closing` is cancelled, then waits for running requests, at most for the drain timeout.
pub async fn serve(
    listener: TcpListener,
    service: HttpService,
    options: &Options,
    tls: Option<Tls>,
    counted: Counted,
    closing: CancellationToken,
) {
    let protocols = Arc::new(Protocols::new(options));
    let timeouts = Timeouts {
        head: Duration::from_millis(options.head_timeout_ms),
        idle: Duration::from_millis(options.idle_timeout_ms),
    };
    let limit = ConnectionLimit::new(options.connections_max, counted);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = closing.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let permit = tokio::select! {
            permit = limit.acquire() => permit,
            () = closing.cancelled() => break,
        };
        let connection = Connection {
            peer,
            service: service.clone(),
            protocols: protocols.clone(),
            timeouts,
            tls: tls.clone(),
            closing: closing.clone(),
            permit,
        };
        connections.spawn(connection.run(stream));
    }
    drop(listener);
    connections.close();
    let drain = Duration::from_millis(options.drain_timeout_ms);
    if tokio::time::timeout(drain, connections.wait()).await.is_err() {
        tracing::warn!(drain_ms = options.drain_timeout_ms, "requests were still running when the drain timeout ended");
        limit.close_all();
    }
}

async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, Peer)> {
    let (stream, address) = listener.accept().await?;
    // Responses are small, so Nagle's algorithm would only delay them.
    let _ = stream.set_nodelay(true);
    Ok((stream, Peer(address.ip())))
}

/// Raises the limit on file descriptors to the maximum, and warns if that is too low for `connections_max`.
pub fn raise_descriptors(connections_max: usize) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    let have = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let needed = connections_max as u64 + DESCRIPTORS_BESIDE;
    if have < needed {
        tracing::warn!(
            have,
            needed,
            "there are not enough descriptors for http.connections_max; raise the limit (ulimit -n, LimitNOFILE) or lower it"
        );
    }
}
