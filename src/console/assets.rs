//! The files that pages load, each under an address with a hash of it.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::header;
use sha2::{Digest, Sha256};

use super::{Reply, Request};

/// A file that is compiled in.
pub(super) struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
}

/// All of them.
pub(super) const ASSETS: &[Asset] = &[
    Asset { name: "console.css", content_type: "text/css; charset=utf-8", content: include_str!("assets/console.css") },
    Asset {
        name: "console.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_str!("assets/console.js"),
    },
    Asset { name: "icon.svg", content_type: "image/svg+xml", content: include_str!("assets/icon.svg") },
    Asset {
        name: "htmx.min.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_str!("assets/htmx.min.js"),
    },
];

/// The address of an asset, below the console's.
pub(super) fn address(name: &str) -> String {
    let content = ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| asset.content);
    let hash = Sha256::digest(content);
    format!("{}/assets/{:02x}{:02x}{:02x}{:02x}/{name}", super::PATH, hash[0], hash[1], hash[2], hash[3])
}

/// The asset of a name, compressed if the browser takes it.
pub(super) fn answer(name: &str, request: &Request) -> Option<Reply> {
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    let takes_gzip = request.header(header::ACCEPT_ENCODING).is_some_and(|value| {
        value.split(',').any(|coding| {
            let (name, rest) = coding.split_once(';').unwrap_or((coding, ""));
            name.trim().eq_ignore_ascii_case("gzip") && rest.trim() != "q=0"
        })
    });
    Some(match takes_gzip.then(|| compressed(asset.content)).flatten() {
        Some(compressed) => Reply::asset(asset.content_type, compressed, true),
        None => Reply::asset(asset.content_type, Bytes::from_static(asset.content.as_bytes()), false),
    })
}

/// Browsers ask for it once, so it is not kept.
fn compressed(content: &str) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_bytes()).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// htmx 4.0.1, as npm has it.
    #[test]
    fn what_others_wrote_is_as_they_wrote_it() {
        let wanted = include_str!("assets/htmx.min.js.sha256");
        let hash: String =
            Sha256::digest(include_str!("assets/htmx.min.js")).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(wanted.split_whitespace().next(), Some(hash.as_str()));
    }
}
