//! Response bodies with a guard that is dropped with them, as a permit or the mark that a connection is busy.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{Error, body::Body};
use bytes::Bytes;
use http_body::{Frame, SizeHint};

struct Guarded<T> {
    body: Body,
    _guard: T,
}

/// Wraps a body so that `guard` is dropped with it.
pub(super) fn guarded<T: Send + Unpin + 'static>(body: Body, guard: T) -> Body {
    Body::new(Guarded { body, _guard: guard })
}

impl<T: Unpin> http_body::Body for Guarded<T> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
