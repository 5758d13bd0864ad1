//! Framing over stdio: one message per line, of bounded length.

use std::{io, sync::Arc};

use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    sync::Mutex,
};

/// A line from the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// Longer than the limit; its content was discarded.
    TooLong,
}

pub(super) struct Lines<R> {
    read: BufReader<R>,
    bytes_max: usize,
    /// The part of the next line read so far, since `next` may be cancelled.
    begun: Vec<u8>,
    /// The line exceeds the limit: its rest is skipped.
    overrun: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(read: R, bytes_max: usize) -> Self {
        Self { read: BufReader::new(read), bytes_max, begun: Vec::new(), overrun: false }
    }

    /// Reads the next line without its line break, which the last one may lack. Cancel-safe.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let available = self.read.fill_buf().await?;
            let (taken, ended) = match available.iter().position(|octet| *octet == b'\n') {
                Some(at) => (at + 1, true),
                None => (available.len(), available.is_empty()),
            };
            let at_end = taken == 0;
            if self.overrun || self.begun.len() + taken > self.bytes_max + 1 {
                self.overrun = true;
                self.begun = Vec::new();
            } else {
                self.begun.extend_from_slice(&available[..taken]);
            }
            self.read.consume(taken);
            if !ended {
                continue;
            }
            let overrun = std::mem::take(&mut self.overrun);
            let mut line = std::mem::take(&mut self.begun);
            let kept = line.trim_ascii_end().len();
            line.truncate(kept);
            match (overrun, line.is_empty(), at_end) {
                (true, ..) => return Ok(Some(Line::TooLong)),
                (_, false, _) => return Ok(Some(Line::Whole(line))),
                (_, true, true) => return Ok(None),
                // Empty lines are skipped.
                (_, true, false) => {}
            }
        }
    }
}

/// Writer of messages, one whole line at a time.
pub(super) struct Out<W>(Arc<Mutex<W>>);

impl<W> Clone for Out<W> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<W: AsyncWrite + Unpin> Out<W> {
    pub(super) fn new(write: W) -> Self {
        Self(Arc::new(Mutex::new(write)))
    }

    pub(super) async fn send<T: Serialize + Sync>(&self, message: &T) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        let mut write = self.0.lock().await;
        write.write_all(&line).await?;
        write.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_bounded_and_the_last_one_needs_no_end() {
        let sent: &[u8] = b"one\r\n\n  \nfour\n12345678901\n1234567890\nlast";
        // In pieces of every size: a line may come in many.
        for piece in 1..=sent.len() {
            let (mut to, from) = tokio::io::duplex(piece);
            let sending = tokio::spawn(async move { to.write_all(sent).await });
            let mut lines = Lines::new(from, 10);
            let mut read = Vec::new();
            while let Some(line) = lines.next().await.unwrap() {
                read.push(line);
            }
            sending.await.unwrap().unwrap();
            let whole = |text: &str| Line::Whole(text.as_bytes().to_vec());
            assert_eq!(read, [whole("one"), whole("four"), Line::TooLong, whole("1234567890"), whole("last")]);
        }
    }
}
