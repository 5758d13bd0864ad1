//! The listener: a connection cap, timers that `axum::serve` does not set, and an end that loses no answer.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{Options, peer::Peer};

/// After a failed accept (no descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why serving ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("failed to listen on {listen}: {}", match source.kind() {
        io::ErrorKind::AddrInUse => "the port is in use; stop the other process or choose another http.listen",
        _ => "choose another http.listen",
    })]
    Listen {
        listen: std::net::SocketAddr,
        #[source]
        source: io::Error,
    },
}

/// Serves until `closing` is cancelled, then lets running requests end, for at most the drain timeout.
pub async fn serve(listener: TcpListener, router: Router, options: &Options, closing: CancellationToken) {
    // HTTP/1.1 alone: with HTTP/2 beside it, no timer runs before the first bytes have told which of the two it is.
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_millis(options.head_timeout_ms));
    let places = Arc::new(Semaphore::new(options.connections_max));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = closing.cancelled() => break,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers are small and awaited; waiting to fill a segment only delays them.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone().map_request(peer.marker()));
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = &*error as &dyn std::error::Error, "connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    let drain = Duration::from_millis(options.drain_timeout_ms);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(drain_ms = options.drain_timeout_ms, "requests were still running when the drain timeout ended");
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(tokio::net::TcpStream, Peer, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, Peer(address.ip()), place))
}
