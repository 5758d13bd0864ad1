//! Says to open pages that something has changed; they fetch the changed part again. However many are open, the store is
//! asked once a second.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::sync::Mutex;

use super::{
    Console, ConsoleError, Reply,
    visit::{Visit, address},
};

/// Pause between two looks at the version.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest silence, after which a proxy could close the stream.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// The session is looked up again this often.
const SESSION_EVERY: Duration = Duration::from_secs(20);

/// The version that was seen last, for all streams.
#[derive(Default)]
pub(super) struct Live {
    seen: Mutex<Option<(Instant, u64)>>,
}

impl Live {
    /// The version of what the store has, at most a second ago.
    pub(super) async fn version(&self, console: &Console) -> Result<u64, ConsoleError> {
        let mut seen = self.seen.lock().await;
        match *seen {
            Some((at, version)) if at.elapsed() < PAUSE => Ok(version),
            _ => {
                let version = console.parts.records.version().await?;
                *seen = Some((Instant::now(), version));
                Ok(version)
            }
        }
    }
}

/// Where a stream stands.
struct Open {
    console: Arc<Console>,
    token: super::Token,
    version: Option<u64>,
    spoken: Instant,
    checked: Instant,
}

/// Where a page listens, so that it is told of what has changed since it was made.
pub(super) fn address_of(visit: &Visit<'_>) -> String {
    address("/live", &[("since", Some(format!("{:x}", visit.seen)))])
}

/// An event stream: `changed` whenever something has changed, and a comment now and then.
pub(super) fn stream_of(console: &Arc<Console>, visit: &Visit<'_>) -> Reply {
    let now = Instant::now();
    let since = visit.request.query.text("since").and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let open = Open { console: console.clone(), token: visit.token.clone(), version: since, spoken: now, checked: now };
    // The first octets tell the browser that the stream is open.
    let begin = stream::once(async { Bytes::from_static(b"retry: 3000\n\n") });
    Reply::events(begin.chain(stream::unfold(open, next)).boxed())
}

/// What is sent next; None ends the stream, and the browser comes again.
async fn next(mut open: Open) -> Option<(Bytes, Open)> {
    loop {
        tokio::time::sleep(PAUSE).await;
        if open.checked.elapsed() >= SESSION_EVERY {
            open.console.session(&open.token).await.ok().flatten()?;
            open.checked = Instant::now();
        }
        let version = open.console.live.version(&open.console).await.ok()?;
        let changed = open.version.replace(version).is_some_and(|before| before != version);
        if changed || open.spoken.elapsed() >= SILENCE_MAX {
            open.spoken = Instant::now();
            let said: &'static [u8] = if changed { b"event: changed\ndata: \n\n" } else { b":\n\n" };
            return Some((Bytes::from_static(said), open));
        }
    }
}
