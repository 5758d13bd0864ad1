//! Signature schemes of the shipped vendor files: vectors of other implementations, and whatever may arrive.

use frontdesk::{
    connectors::{FilterThreads, Library, WebhookSetup, WebhookSource},
    domain::{Secret, Timestamp},
    webhooks::{NativeSource, RawWebhook, Rejection, Source, Verifier},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::block_on;

type Headers = Vec<(&'static str, &'static str)>;

const KEY: &str = "golden-secret";
const BODY: &str = r#"{"type":"article.unpublished","data":{"articleId":"returns"}}"#;
const AT: &str = "2026-11-24T12:00:00Z";

fn verifier(vendor: &str, secret: &str) -> Verifier {
    let webhook = Library::shipped().parse(vendor).unwrap().webhook.unwrap();
    Verifier::new(&webhook.signature, &[Secret::new(secret.to_owned())]).unwrap()
}

fn raw(vendor: &str, headers: HeaderMap, body: &[u8]) -> RawWebhook {
    RawWebhook { headers, body: body.to_vec().into(), path: format!("/webhooks/{vendor}"), address: None }
}

/// Made with `printf %s "$SIGNED" | openssl dgst -sha256 -hmac golden-secret` (`-sha1`; `-binary | openssl base64`), and with
/// `Webhook(secret).sign(id, time, body)` of the Python packages standardwebhooks 1.1.0 and svix 2.9.1, which agree.
#[test]
fn signatures_of_other_implementations_are_good() {
    let first = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let second = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let standard = |signature| {
        vec![
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1795521600"),
            ("webhook-signature", signature),
        ]
    };
    let vectors: Vec<(&str, &str, Headers)> = vec![
        ("standard-webhooks", first, standard("v1,FHv+bXtm1HDAxsk+859zlscv0quzJ06X2OcwoPcqkfc=")),
        ("standard-webhooks", second, standard("v1,Y7e521BmrV1m6w4s6rJxJ1/S03gN3CTkiERAG1y1uLc=")),
        ("intercom", KEY, vec![("x-hub-signature", "sha1=a206519d000e0821bf933b8543e90fa4d6799f23")]),
        ("woocommerce", KEY, vec![("x-wc-webhook-signature", "euJLJvWRfb4MFtcnzxL3goMh73+sTaEauGdgO0HIeTo=")]),
        (
            "zendesk",
            KEY,
            vec![
                ("x-zendesk-webhook-signature", "nfrJuvVw+czIPHl5at9Q0sCGYwcyqqy7UFKEUl1l+Vw="),
                ("x-zendesk-webhook-signature-timestamp", AT),
            ],
        ),
        (
            "chatwoot",
            KEY,
            vec![
                ("x-chatwoot-signature", "sha256=d7a5b327e1c867d7b3d7d6993d2a024850a4752bc32dfbe013fe83102ca2fb82"),
                ("x-chatwoot-timestamp", "1795521600"),
            ],
        ),
        (
            "ghost",
            KEY,
            vec![(
                "x-ghost-signature",
                "sha256=6f771a00f750b1fda4f94562ecc973e834d10ad29eb503e0777b52f42d6d0afa, t=1795521600000",
            )],
        ),
        (
            "sanity",
            KEY,
            vec![("sanity-webhook-signature", "t=1795521600000,v1=eUocSnYEa5ZuWXLI4DDle2Hcj2nJuckoo7rMZDVMl18")],
        ),
        (
            "notion",
            KEY,
            vec![("x-notion-signature", "sha256=7ae24b26f5917dbe0c16d727cf12f7828321ef7fac4da11ab867603b41c8793a")],
        ),
        (
            "payload",
            KEY,
            vec![
                ("x-payload-signature", "sha256=794a1c4a76046b966e5972c8e030e57b61dc8f69c9b9c928a3bacc64354c975f"),
                ("x-payload-time", "1795521600000"),
            ],
        ),
        (
            "contentful",
            KEY,
            vec![
                ("x-contentful-signature", "e48b3fc17b99384e33a74aada899b1b99865cb9d16942505a6f977aad7a4bc7d"),
                ("x-contentful-signed-headers", "x-contentful-signed-headers,x-contentful-timestamp"),
                ("x-contentful-timestamp", "1795521600000"),
            ],
        ),
    ];
    let at = Timestamp::parse(AT).unwrap();
    for (vendor, secret, headers) in vectors {
        let map: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let verifier = verifier(vendor, secret);
        assert!(verifier.verify(vendor, &raw(vendor, map.clone(), BODY.as_bytes()), at).is_ok(), "{vendor}");
        // We sign alike, and a change of any header or of the body is noticed.
        let own = verifier.sign(&format!("/webhooks/{vendor}"), "msg_p5jXN8AQM9LWM0D4loKWxJek", BODY.as_bytes(), at);
        if !["ghost", "contentful"].contains(&vendor) {
            assert_eq!(own, map, "{vendor}");
        }
        assert!(verifier.verify(vendor, &raw(vendor, own, BODY.as_bytes()), at).is_ok(), "{vendor}");
        let changed = BODY.replace("returns", "return");
        let answer = verifier.verify(vendor, &raw(vendor, map.clone(), changed.as_bytes()), at);
        assert_eq!(answer.err(), Some(Rejection::Wrong), "{vendor}");
        for name in map.keys() {
            let mut less = map.clone();
            less.remove(name);
            let answer = verifier.verify(vendor, &raw(vendor, less, BODY.as_bytes()), at);
            assert_eq!(answer.err(), Some(Rejection::Missing(name.to_string())), "{vendor} {name}");
        }
    }
}

#[test]
fn the_window_is_300_seconds_on_both_sides() {
    let signed = Timestamp::parse(AT).unwrap();
    for vendor in ["standard-webhooks", "zendesk", "chatwoot", "ghost", "sanity", "contentful", "payload"] {
        let secret = if vendor == "standard-webhooks" { "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" } else { KEY };
        let verifier = verifier(vendor, secret);
        let headers = verifier.sign(&format!("/webhooks/{vendor}"), "msg_1", BODY.as_bytes(), signed);
        for (away_ms, check) in [
            (-301_000, Some("early")),
            (-300_001, Some("early")),
            (-300_000, None),
            (-299_000, None),
            (299_000, None),
            (300_000, None),
            (300_001, Some("stale")),
            (301_000, Some("stale")),
        ] {
            let now = Timestamp::from_unix_ms(signed.unix_ms() + away_ms).unwrap();
            let answer = verifier.verify(vendor, &raw(vendor, headers.clone(), BODY.as_bytes()), now);
            assert_eq!(answer.err().map(|rejection| rejection.check()), check, "{vendor} {away_ms}");
        }
    }
}

/// Every source that is shipped, with the scheme's headers.
fn sources() -> Vec<(Box<dyn Source>, Vec<HeaderName>)> {
    let at = Timestamp::parse(AT).unwrap();
    let library = Library::shipped();
    let threads = FilterThreads::start("test");
    let secret = |vendor: &str| {
        let text = if vendor == "standard-webhooks" { "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" } else { KEY };
        [Secret::new(text.to_owned())]
    };
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    for kind in NativeSource::ALL {
        sources.push(Box::new(NativeSource::new(kind.name(), kind, &secret("")).unwrap()));
    }
    for name in library.names().filter(|name| library.parse(name).unwrap().webhook.is_some()) {
        let settings = match name {
            "contentful" => [("content_type".to_owned(), "helpArticle".into())].into(),
            "sanity" => [("type".to_owned(), "helpArticle".into())].into(),
            _ => Default::default(),
        };
        let setup = WebhookSetup { name, connector: name, secrets: &secret(name), settings: &settings };
        sources.push(Box::new(WebhookSource::build(&library, &threads, &setup).unwrap()));
    }
    let headers = |source: &dyn Source| source.verifier().sign("/", "m", b"", at).keys().cloned().collect();
    sources
        .into_iter()
        .map(|source| {
            let headers = headers(&*source);
            (source, headers)
        })
        .collect()
}

/// A body that somebody sends: a sample with some of its nodes replaced, or bytes.
fn changed(sample: &[u8], seed: &[(u8, u8)]) -> Vec<u8> {
    fn nodes(value: &Value, at: &str, all: &mut Vec<String>) {
        all.push(at.to_owned());
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                nodes(value, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), all);
            }),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(n, value)| nodes(value, &format!("{at}/{n}"), all))
            }
            _ => {}
        }
    }
    let Ok(mut body) = serde_json::from_slice::<Value>(sample) else { return sample.to_vec() };
    for (place, what) in seed {
        let mut all = Vec::new();
        nodes(&body, "", &mut all);
        let place = &all[usize::from(*place) % all.len()];
        let with = match what % 9 {
            0 => Value::Null,
            1 => 5.into(),
            2 => (-1.5e300).into(),
            3 => "".into(),
            4 => "a b\u{0}\u{1F600}".into(),
            5 => Value::Array(vec![]),
            6 => Value::Object(Default::default()),
            7 => true.into(),
            _ => "x".repeat(400).into(),
        };
        if let Some(node) = body.pointer_mut(place) {
            *node = with;
        }
    }
    serde_json::to_vec(&body).unwrap()
}

#[test]
fn whatever_arrives_nothing_unsigned_is_accepted_and_nothing_panics() {
    let sources = sources();
    let at = Timestamp::parse(AT).unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 512, ..Default::default() });
    let values = prop_oneof![
        "[ -~]{0,80}",
        "[0-9a-fA-F]{64}",
        "sha256=[0-9a-f]{64}(, t=[0-9]{1,20})?",
        "sha1=[0-9a-f]{40}",
        "t=[0-9]{13},v1=[A-Za-z0-9_-]{43}",
        "(v1,[A-Za-z0-9+/]{43}= ?){1,3}",
        "[A-Za-z0-9+/]{43}=",
        "17955216[0-9]{2}",
        Just("x-contentful-timestamp,x-contentful-signed-headers".to_owned()),
    ];
    let forged = proptest::collection::vec(values, 0..6);
    let seed = proptest::collection::vec(any::<(u8, u8)>(), 0..4);
    let bytes = proptest::collection::vec(any::<u8>(), 0..64);
    let all = (any::<prop::sample::Index>(), forged, seed, bytes, any::<bool>());
    runner
        .run(&all, |(which, forged, seed, bytes, json)| {
            let (source, names) = &sources[which.index(sources.len())];
            let body = if json { changed(&source.sample().unwrap_or_default(), &seed) } else { bytes };
            let path = format!("/webhooks/{}", source.name());
            let verify =
                |headers, body: &[u8]| source.verifier().verify(source.name(), &raw(source.name(), headers, body), at);
            // Values of the right form, under the right names, by somebody without the secret.
            let mut headers = HeaderMap::new();
            for (n, value) in forged.iter().enumerate() {
                headers.append(names[n % names.len()].clone(), HeaderValue::from_str(value).unwrap());
            }
            prop_assert!(verify(headers, &body).is_err());
            // The signature of another body is none, except where the scheme signs no body at all.
            let good = source.verifier().sign(&path, "msg_1", &body, at);
            let mut other = body.clone();
            other.push(b' ');
            prop_assert!(verify(good.clone(), &other).is_err() || source.verifier().secret_header().is_some());
            // What is signed is mapped to something.
            let webhook = verify(good, &body).unwrap();
            block_on(source.map(&webhook));
            Ok(())
        })
        .unwrap();
}
