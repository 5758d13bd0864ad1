//! The doctor of webhooks: verifies a pasted request, and tries what commonly happens to a body on its way. It never shows
//! a secret or a signature that would be right.

use askama::Template;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

use crate::{
    console::{
        Action, Reply,
        page::{Frame, Tab, page},
        shown::on_one_line,
        visit::{Fault, Visit},
    },
    domain::{OCTETS_MIN, Secret, Timestamp},
    webhooks::{Mapped, RawWebhook, Rejection, Source},
};

/// Most headers that are read.
const HEADERS_MAX: usize = 64;

#[derive(Template)]
#[template(path = "doctor.html")]
struct Doctor {
    frame: Frame,
    source: String,
    headers: String,
    body: String,
    unwrap: bool,
    verdict: Option<Finding>,
}

/// What the doctor found.
struct Finding {
    mood: &'static str,
    words: String,
    lines: Vec<String>,
}

pub(in crate::console) async fn doctor(visit: &Visit<'_>, source: &str) -> Result<Reply, Fault> {
    visit.require(Action::Doctor)?;
    let route = visit.console.parts.intake.route(source);
    let route = route.ok_or_else(|| Fault::NotFound(format!("There is no webhook source {}.", on_one_line(source))))?;
    let form = &visit.request.form;
    let (headers, body) = (form.raw("headers").unwrap_or_default(), form.raw("body").unwrap_or_default());
    let unwrap = form.text("unwrap").is_some();
    let verdict = if visit.request.method == Method::POST {
        let raw = RawWebhook {
            headers: read_headers(headers)?,
            body: Bytes::from(as_sent(body, unwrap)),
            path: format!("/webhooks/{source}"),
            address: None,
        };
        let other = form.text("secret").map(|secret| with_secret(visit, source, secret)).transpose()?;
        Some(examine(other.as_deref().unwrap_or(route.source.as_ref()), &raw, visit.now).await)
    } else {
        None
    };
    page(&Doctor {
        frame: Frame::of(visit, Tab::Webhooks, &format!("Doctor for {}", on_one_line(source))),
        source: source.to_owned(),
        headers: headers.to_owned(),
        body: body.to_owned(),
        unwrap,
        verdict,
    })
}

fn with_secret(visit: &Visit<'_>, source: &str, secret: &str) -> Result<Box<dyn Source>, Fault> {
    if secret.len() < OCTETS_MIN {
        return Err(Fault::Input(format!("A secret has at least {OCTETS_MIN} characters.")));
    }
    let secret = Secret::new(secret.to_owned());
    visit.console.parts.sources.with_secret(source, secret).map_err(|why| Fault::Input(on_one_line(&why)))
}

/// The body as it was sent: browsers make every line break of a text field CR LF.
fn as_sent(body: &str, unwrap: bool) -> Vec<u8> {
    let body = body.replace("\r\n", "\n");
    let body = if unwrap { body.trim_end_matches('\n') } else { &body };
    body.as_bytes().to_vec()
}

fn read_headers(text: &str) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()).take(HEADERS_MAX) {
        let wrong = || Fault::Input(format!("A header is written as name: value, and not as {}.", on_one_line(line)));
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name = HeaderName::try_from(name.trim()).map_err(|_| wrong())?;
        headers.append(name, HeaderValue::from_str(value.trim()).map_err(|_| wrong())?);
    }
    Ok(headers)
}

/// Verifies the request; where it fails for its body, tries what commonly happens to one.
async fn examine(source: &dyn Source, raw: &RawWebhook, now: Timestamp) -> Finding {
    let rejection = match source.verifier().verify(source.name(), raw, now) {
        Ok(webhook) => return accepted(source, &webhook).await,
        Err(rejection) => rejection,
    };
    let mut lines = vec![format!("A good signature: {}", source.verifier().form())];
    match rejection {
        Rejection::Wrong => {
            let good = variants(&raw.body).into_iter().find(|(_, body)| {
                let other = RawWebhook { body: body.clone(), ..raw.clone() };
                source.verifier().verify(source.name(), &other, now).is_ok()
            });
            match good {
                Some((what, body)) => {
                    lines.push(format!("The signature is right for this body {what}: something on the way has changed it."));
                    lines.push(difference(&raw.body, &body));
                }
                None => lines.push(
                    "It is right for none of the usual changes either (line breaks, spaces of JSON, escapes): compare the \
                     secret with the platform's, and paste the body byte for byte."
                        .to_owned(),
                ),
            }
        }
        Rejection::Stale { .. } | Rejection::Early { .. } => {
            lines.push(
                "Everything else about the signature is right. Old webhooks are refused, so that nobody repeats them."
                    .to_owned(),
            );
        }
        _ => {}
    }
    Finding { mood: "bad", words: on_one_line(&format!("Refused: {rejection}.")), lines }
}

async fn accepted(source: &dyn Source, webhook: &crate::webhooks::VerifiedWebhook) -> Finding {
    let good = |lines: Vec<String>| Finding { mood: "good", words: "The signature is good.".to_owned(), lines };
    match source.map(webhook).await {
        Mapped::Events { events, .. } => good(
            events
                .iter()
                .map(|event| on_one_line(&format!("It is the event {} about {}.", event.kind(), event.subject())))
                .collect(),
        ),
        Mapped::Skipped { why } => good(vec![on_one_line(&format!("It is answered 200 and skipped: {why}."))]),
        Mapped::Unmappable { kind, faults, .. } => Finding {
            mood: "warn",
            words: "The signature is good, and the body cannot be used.".to_owned(),
            lines: vec![on_one_line(&format!("It is a {kind}, with members missing or wrong: {}.", faults.join("; ")))],
        },
        Mapped::NotNow { why } => Finding {
            mood: "warn",
            words: "The signature is good, and the body could not be read now.".to_owned(),
            lines: vec![on_one_line(&why.to_string())],
        },
    }
}

/// The body with what proxies, platforms and the clipboard do to one, each with its name.
fn variants(body: &Bytes) -> Vec<(&'static str, Bytes)> {
    let mut variants: Vec<(&'static str, String)> = Vec::new();
    let Ok(text) = str::from_utf8(body) else { return Vec::new() };
    let trimmed = text.trim_end_matches(['\n', '\r']);
    variants.push(("without the line break at its end", trimmed.to_owned()));
    variants.push(("with a line break at its end", format!("{trimmed}\n")));
    variants.push(("with CR LF at its end", format!("{trimmed}\r\n")));
    variants.push(("with CR LF for every line break", text.replace('\n', "\r\n")));
    variants.push(("with a byte order mark", format!("\u{feff}{text}")));
    if let Ok(value) = serde_json::from_str::<Value>(trimmed) {
        let compact = value.to_string();
        variants.push(("without spaces between its members", compact.clone()));
        variants.push(("with ASCII escapes", ascii(&compact)));
        variants.push(("with slashes escaped", compact.replace('/', "\\/")));
        variants.push(("with slashes and letters escaped", ascii(&compact).replace('/', "\\/")));
        if let Ok(pretty) = serde_json::to_string_pretty(&value) {
            variants.push(("indented by two", pretty));
        }
        variants.push(("with a space after each comma and colon", spaced(&value)));
    }
    variants.into_iter().map(|(what, text)| (what, Bytes::from(text))).collect()
}

/// JSON with letters beyond ASCII as escapes, as PHP and Python write it.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter.is_ascii() {
            true => text.push(letter),
            false => {
                let mut units = [0; 2];
                letter.encode_utf16(&mut units).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
            }
        }
    }
    text
}

/// JSON as Python's `json.dumps` writes it.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let member =
                |(name, value): (&String, &Value)| format!("{}: {}", Value::from(name.as_str()), spaced(value));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Where two bodies begin to differ.
fn difference(pasted: &[u8], signed: &[u8]) -> String {
    let at = pasted.iter().zip(signed).position(|(a, b)| a != b).unwrap_or(pasted.len().min(signed.len()));
    let octet = |octets: &[u8]| octets.get(at).map_or("the end".to_owned(), |octet| format!("0x{octet:02x}"));
    format!(
        "They differ from byte {} on: the pasted one ({} bytes) has {} there, the signed one ({} bytes) {}.",
        at + 1,
        pasted.len(),
        octet(pasted),
        signed.len(),
        octet(signed)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_changes_of_a_body_are_tried() {
        let named = |body: &str, what: &str| {
            let found = variants(&Bytes::from(body.to_owned())).into_iter().find(|(name, _)| *name == what);
            String::from_utf8(found.unwrap().1.to_vec()).unwrap()
        };
        let body = "{\n  \"a\": \"ü/\",\n  \"b\": [1, 2]\n}\n";
        assert_eq!(named(body, "without spaces between its members"), r#"{"a":"ü/","b":[1,2]}"#);
        assert_eq!(named(body, "with a space after each comma and colon"), r#"{"a": "ü/", "b": [1, 2]}"#);
        assert_eq!(named(body, "with slashes and letters escaped"), r#"{"a":"\u00fc\/","b":[1,2]}"#);
        assert_eq!(named("a\nb", "with CR LF for every line break"), "a\r\nb");
        assert!(variants(&Bytes::from_static(&[0xff])).is_empty());
        assert!(difference(b"ab", b"ac").contains("byte 2") && difference(b"ab\n", b"ab").contains("the end"));
    }

    #[test]
    fn a_text_field_is_read_as_it_was_sent() {
        assert_eq!(as_sent("{\r\n}\r\n", false), b"{\n}\n");
        assert_eq!(as_sent("{\r\n}\r\n", true), b"{\n}");
        assert!(read_headers("a: b\r\n\r\nc:d").is_ok_and(|headers| headers.len() == 2 && headers["c"] == "d"));
        assert!(read_headers("no colon").is_err());
    }
}
