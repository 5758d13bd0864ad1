//! One request to a token endpoint or a login, and its reply, read within limits.

use http::{HeaderMap, StatusCode};

/// Longest reply that is read.
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// A reply with any status. No `Debug`: it holds tokens.
pub(in crate::upstream) struct Reply {
    pub(in crate::upstream) status: StatusCode,
    pub(in crate::upstream) headers: HeaderMap,
    /// Without a byte order mark.
    pub(in crate::upstream) body: Vec<u8>,
}

/// Sends the request and reads the reply. The error is why there is none, without the URL.
pub(in crate::upstream) async fn exchange(
    http: &reqwest::Client,
    request: reqwest::Request,
) -> Result<Reply, &'static str> {
    let mut response = http.execute(request).await.map_err(why)?;
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(why)? {
        if body.len() + chunk.len() > REPLY_BYTES_MAX {
            return Err("its reply is too long");
        }
        body.extend_from_slice(&chunk);
    }
    if let Some(rest) = body.strip_prefix(b"\xef\xbb\xbf") {
        body = rest.to_vec();
    }
    Ok(Reply { status, headers, body })
}

pub(super) fn why(error: reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it took too long"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}
