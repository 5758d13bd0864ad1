//! The load: keep-alive connections that each post one signed event after the other, each event once.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use frontdesk::{
    domain::{Clock, Secret},
    webhooks::{NativeKind, NativeSource, Source},
};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy, rt::TokioExecutor};

pub const SECRET: &str = "a secret of the bench";
pub const PATH: &str = "/webhooks/chatbot";

#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub senders: usize,
    pub events: usize,
}

pub struct Measured {
    took: Duration,
    sorted: Vec<Duration>,
    /// CPU time of the server.
    pub cpu: Duration,
}

impl Measured {
    /// Events per second.
    pub fn rate(&self) -> f64 {
        self.sorted.len() as f64 / self.took.as_secs_f64()
    }

    pub fn at(&self, percentile: usize) -> Duration {
        let last = self.sorted.len().saturating_sub(1);
        self.sorted.get((self.sorted.len() * percentile / 100).min(last)).copied().unwrap_or_default()
    }

    pub fn cpu_per_event(&self) -> Duration {
        self.cpu / u32::try_from(self.sorted.len().max(1)).unwrap_or(u32::MAX)
    }
}

impl Load {
    /// Posts all events. Errs unless every one is acknowledged.
    pub async fn run(self, url: &str, name: &str) -> Result<Measured> {
        let source = source()?;
        let share = self.events.div_ceil(self.senders);
        let mut requests = Vec::new();
        // Signed beforehand, so that the sender's work is not measured.
        for sender in 0..self.senders {
            let bodies = (0..share).map(|n| body(&format!("{name}-{}-{sender}-{n}", self.senders)));
            requests.push(bodies.map(|body| request(url, &source, body)).collect::<Result<Vec<_>>>()?);
        }
        let started = Instant::now();
        let mut senders = tokio::task::JoinSet::new();
        for requests in requests {
            senders.spawn(async move {
                let client = legacy::Client::builder(TokioExecutor::new()).build_http();
                let mut times = Vec::with_capacity(requests.len());
                for request in requests {
                    let started = Instant::now();
                    let response = client.request(request).await?;
                    let status = response.status();
                    let body = response.into_body().collect().await?.to_bytes();
                    ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&body));
                    times.push(started.elapsed());
                }
                Ok(times)
            });
        }
        let mut sorted = Vec::with_capacity(self.events);
        while let Some(times) = senders.join_next().await {
            sorted.extend(times??);
        }
        let took = started.elapsed();
        sorted.sort();
        Ok(Measured { took, sorted, cpu: Duration::ZERO })
    }
}

/// The source that receives the load.
pub fn source() -> Result<NativeSource> {
    Ok(NativeSource::new("chatbot", NativeKind::Chatbot, &[Secret::new(SECRET.to_owned())])?)
}

fn request(url: &str, source: &NativeSource, body: String) -> Result<Request<Full<Bytes>>> {
    let mut request = Request::post(url).header("content-type", "application/json").body(Full::default())?;
    request.headers_mut().extend(source.verifier().sign(PATH, "", body.as_bytes(), Clock::system().now()));
    *request.body_mut() = Full::from(body);
    Ok(request)
}

/// About as long as a real event.
fn body(conversation: &str) -> String {
    format!(
        r#"{{"event":"conversation.escalated","timestamp":"2026-03-30T14:22:00Z","data":{{"conversationId":"{conversation}","customerId":"cust_456","customerEmail":"test@example.com","messages":[{{"role":"user","content":"I need help"}},{{"role":"assistant","content":"Let me connect you with a human agent."}}],"metadata":{{"agentConfidence":0.25,"escalationReason":"low_confidence","detectedIntent":"general_inquiry","sessionDurationSeconds":45}}}}}}"#
    )
}
