//! Handshakes: unsigned requests by which senders test an endpoint before they use it. They are answered and have no
//! effect.

use http::{HeaderMap, header};
use serde::Deserialize;

/// Longest value of a form member or an echoed parameter.
const VALUE_CHARS_MAX: usize = 256;

/// The handshake of one vendor. HEAD and GET without parameters are answered for every source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Handshake {
    /// POST: a form with exactly these members, as WooCommerce's `webhook_id=17`.
    Form(Vec<String>),
    /// GET: the value of this query parameter is returned as plain text.
    Echo(String),
}

impl Handshake {
    /// Whether a POST is this handshake.
    pub(super) fn is_form(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let Self::Form(members) = self else { return false };
        let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_form = kind
            .split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"));
        let pairs = pairs(std::str::from_utf8(body).unwrap_or_default());
        is_form
            && pairs.len() == members.len()
            && members.iter().all(|member| pairs.iter().any(|(name, value)| *name == member && is_word(value)))
    }

    /// The text to return for a GET with this query, if it is this handshake.
    pub(super) fn echo(&self, query: &str) -> Option<String> {
        let Self::Echo(parameter) = self else { return None };
        let pairs = pairs(query);
        let mut values = pairs.iter().filter(|(name, _)| *name == parameter).map(|(_, value)| *value);
        let value = values.next().filter(|value| is_word(value))?;
        values.next().is_none().then(|| value.to_owned())
    }
}

fn pairs(text: &str) -> Vec<(&str, &str)> {
    // More members than any handshake has cannot match.
    text.split('&').take(16).map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect()
}

/// Whether a value has unreserved characters of RFC 3986 only: no percent-decoding is needed, and it cannot be HTML.
fn is_word(value: &str) -> bool {
    let fits = (1..=VALUE_CHARS_MAX).contains(&value.len());
    fits && value.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.~".contains(&octet))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_form_is_a_question_if_it_holds_nothing_else() {
        let question = Handshake::Form(vec!["webhook_id".to_owned()]);
        let form = "application/x-www-form-urlencoded";
        for (kind, body, is) in [
            (form, "webhook_id=17", true),
            ("application/x-www-form-urlencoded; charset=UTF-8", "webhook_id=17", true),
            ("application/json", "webhook_id=17", false),
            (form, "webhook_id=17&x=1", false),
            (form, "webhook_id=17&webhook_id=18", false),
            (form, "webhook_id=", false),
            (form, "webhook_id=%3Cb%3E", false),
            (form, "order_id=17", false),
            (form, "", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(question.is_form(&headers, body.as_bytes()), is, "{kind} {body}");
        }
        assert!(!question.is_form(&HeaderMap::new(), b"webhook_id=17"));
    }

    #[test]
    fn a_word_is_said_back_and_no_page() {
        let question = Handshake::Echo("hub.challenge".to_owned());
        let said = |query: &str| question.echo(query);
        assert_eq!(said("hub.mode=subscribe&hub.challenge=1158201444").as_deref(), Some("1158201444"));
        for query in [
            "",
            "hub.mode=subscribe",
            "hub.challenge=",
            "hub.challenge=<b>",
            "hub.challenge=%3Cb%3E",
            "hub.challenge=1&hub.challenge=2",
        ] {
            assert_eq!(said(query), None, "{query}");
        }
    }
}
