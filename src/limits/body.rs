//! Reads request bodies within a size and a time limit each, and a memory budget for all of them.

use std::{sync::Arc, time::Duration};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bodies up to this length need no permit; most are shorter.
const FREE_BYTES: usize = 16 * 1024;
/// Bound on all longer bodies together while they are being read.
const SHARED_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of one permit.
const STEP_BYTES: usize = 16 * 1024;
/// How much of a body beyond its limit is still read and discarded: a client that is still writing would otherwise see
/// a broken connection instead of the response.
const DISCARDED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is longer than {0} bytes")]
    TooLong(usize),
    #[error("the body took too long to arrive")]
    TooSlow,
    #[error("the body could not be read to its end")]
    Broken,
    #[error("too many long bodies are being read")]
    NoRoom,
}

impl BodyError {
    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Whether the body is declared as JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Reads bodies. Clones share the memory budget.
#[derive(Debug, Clone)]
pub struct BodyReader {
    pub bytes_max: usize,
    pub timeout: Duration,
    shared: Arc<Semaphore>,
}

impl BodyReader {
    pub fn new(bytes_max: usize, timeout: Duration) -> Self {
        Self { bytes_max, timeout, shared: Arc::new(Semaphore::new(SHARED_BYTES / STEP_BYTES)) }
    }

    /// Reads the whole body.
    pub async fn read<B: http_body::Body + Send>(&self, body: B) -> Result<Bytes, BodyError> {
        self.read_up_to(self.bytes_max, body).await
    }

    /// The whole body, under a limit of its own.
    pub async fn read_up_to<B: http_body::Body + Send>(&self, bytes_max: usize, body: B) -> Result<Bytes, BodyError> {
        tokio::time::timeout(self.timeout, self.collect(bytes_max, body)).await.unwrap_or(Err(BodyError::TooSlow))
    }

    async fn collect<B: http_body::Body + Send>(&self, bytes_max: usize, body: B) -> Result<Bytes, BodyError> {
        let mut body = std::pin::pin!(body);
        let (mut kept, mut seen, mut reservation) =
            (BytesMut::new(), 0, Reservation { bytes: FREE_BYTES, permits: None });
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
            seen += data.remaining();
            if seen <= bytes_max {
                self.reserve(&mut reservation, seen)?;
                kept.put(data);
            } else {
                kept.clear();
                if seen > bytes_max + DISCARDED_BYTES_MAX {
                    break;
                }
            }
        }
        match seen > bytes_max {
            true => Err(BodyError::TooLong(bytes_max)),
            false => Ok(kept.freeze()),
        }
    }

    fn reserve(&self, reservation: &mut Reservation, bytes: usize) -> Result<(), BodyError> {
        let steps = bytes.saturating_sub(reservation.bytes).div_ceil(STEP_BYTES);
        if steps == 0 {
            return Ok(());
        }
        let wanted = u32::try_from(steps).map_err(|_| BodyError::NoRoom)?;
        let more = self.shared.clone().try_acquire_many_owned(wanted).map_err(|_| BodyError::NoRoom)?;
        match &mut reservation.permits {
            Some(permits) => permits.merge(more),
            None => reservation.permits = Some(more),
        }
        reservation.bytes += steps * STEP_BYTES;
        Ok(())
    }

    /// Drains a body that is not needed, without a permit. Returns it if it has at most `FREE_BYTES`, an empty one if
    /// it is longer, and None if it is over `bytes_max`, too slow or broken.
    pub async fn discard<B: http_body::Body + Send>(&self, body: B) -> Option<Bytes> {
        let reading = async {
            let (mut body, mut kept, mut seen) = (std::pin::pin!(body), BytesMut::new(), 0);
            while let Some(frame) = body.frame().await {
                let Ok(data) = frame.ok()?.into_data() else { continue };
                seen += data.remaining();
                if seen > self.bytes_max {
                    return None;
                }
                if seen <= FREE_BYTES {
                    kept.put(data);
                } else {
                    kept.clear();
                }
            }
            Some(kept.freeze())
        };
        tokio::time::timeout(self.timeout, reading).await.unwrap_or_default()
    }
}

/// The memory that a body has reserved so far.
struct Reservation {
    bytes: usize,
    permits: Option<OwnedSemaphorePermit>,
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn long_bodies_share_their_room_and_short_ones_need_none() {
        let bodies = BodyReader::new(256 * 1024, Duration::from_secs(1));
        let all = bodies.shared.clone().try_acquire_many_owned((SHARED_BYTES / STEP_BYTES) as u32).unwrap();
        let read =
            async |length: usize| bodies.read(Full::new(Bytes::from(vec![0; length]))).await.map(|body| body.len());
        assert_eq!(read(FREE_BYTES).await, Ok(FREE_BYTES));
        assert_eq!(read(FREE_BYTES + 1).await, Err(BodyError::NoRoom));
        drop(all);
        assert_eq!(read(256 * 1024).await, Ok(256 * 1024));
        assert_eq!(read(256 * 1024 + 1).await, Err(BodyError::TooLong(256 * 1024)));
        assert_eq!(bodies.shared.available_permits(), SHARED_BYTES / STEP_BYTES, "all of it is given back");
    }
}
