//! Sample bodies of the native webhook format.

pub(super) const ESCALATED: &str = r#"{"event":"conversation.escalated","timestamp":"2026-03-30T14:22:00Z","data":{"conversationId":"conv_sample","customerId":"cus_ada","customerEmail":"ada@example.com","customerName":"Ada Lovelace","messages":[{"role":"user","content":"My order has not arrived."},{"role":"assistant","content":"Let me connect you with a person."}],"metadata":{"agentConfidence":0.25,"escalationReason":"low_confidence","detectedIntent":"shipping_complaint","sessionDurationSeconds":45}}}"#;
pub(super) const ENDED: &str = r#"{"event":"conversation.ended","timestamp":"2026-03-30T14:25:00Z","data":{"conversationId":"conv_sample","customerId":"cus_ada","customerEmail":"ada@example.com","messages":[{"role":"user","content":"Thanks, that helps."},{"role":"assistant","content":"You are welcome."}],"metadata":{"resolved":true,"detectedIntent":"returns","durationSeconds":180}}}"#;
pub(super) const PUBLISHED: &str = r##"{"articleId":"sample-article","action":"published","title":"How gift wrapping works","content":"Choose gift wrapping at the checkout; it costs 3.00.","url":"https://help.example.com/gift-wrapping"}"##;

#[cfg(test)]
mod tests {
    use crate::{
        domain::{Clock, Secret},
        webhooks::{Mapped, NativeSource, RawWebhook, Source},
    };

    #[test]
    fn samples_are_what_their_source_takes() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for kind in NativeSource::ALL {
            let source = NativeSource::new("own", kind, &[Secret::new("s".to_owned())]).unwrap();
            let (now, body, path) = (Clock::system().now(), source.sample().unwrap(), "/webhooks/own".to_owned());
            let headers = source.verifier().sign(&path, "", &body, now);
            let raw = RawWebhook { headers, body: body.into(), path, address: None };
            let webhook = source.verifier().verify("own", &raw, now).unwrap();
            assert!(matches!(runtime.block_on(source.map(&webhook)), Mapped::Events { .. }), "{}", kind.name());
        }
    }
}
