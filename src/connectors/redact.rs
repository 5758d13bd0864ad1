//! Replaces what a real exchange holds by made-up values of the same shape, the same one for the same.
//!
//! What stays: the names of members, booleans, null, zero, words and numbers that the vendor file itself mentions, the
//! words of our own inputs and currency codes. Everything else is a token (letters and digits without anything between
//! them) that gets another one of the same length and kind; dates stay dates and addresses become those of example.com.

use std::collections::{BTreeMap, BTreeSet};

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::file::{ErrorRule, Step, VendorFile};
use crate::domain::Currency;

/// Words of our own inputs and results.
const OURS: &str = "low normal high urgent open pending solved closed processing shipped out for delivery delivered cancelled returned refunded unknown guest unreadable done true false null https http www example com";
/// Shortest token that must not be left.
const TELLING_CHARS_MIN: usize = 3;

/// The replacements of one exchange.
pub(super) struct Redactor {
    words: BTreeSet<String>,
    /// Names of members, which are not looked for in the result.
    names: BTreeSet<String>,
    originals: BTreeSet<String>,
    replaced: BTreeMap<String, String>,
    given: BTreeSet<String>,
    patterns: Patterns,
}

struct Patterns {
    email: Regex,
    host: Regex,
    time: Regex,
    written_time: Regex,
    day: Regex,
    odd_name: Regex,
}

impl Redactor {
    /// `kept` are further values that stay, such as settings.
    pub(super) fn new<'a>(file: &VendorFile, kept: impl IntoIterator<Item = &'a Value>) -> Self {
        let pattern = |text: &str| Regex::new(text).unwrap_or_else(|_| unreachable!("the patterns are good ones"));
        let mut words: BTreeSet<String> = tokens(OURS).map(str::to_lowercase).collect();
        let (literal, name) = (pattern(r#""((?:[^"\\]|\\.)*)""#), pattern(r"([A-Za-z_][A-Za-z0-9_]*)\s*:"));
        let number = pattern(r"\b[0-9]+\b");
        for code in filters(file) {
            for found in literal.captures_iter(code).chain(name.captures_iter(code)) {
                words.extend(tokens(&found[1]).map(str::to_lowercase));
            }
            words.extend(number.find_iter(code).map(|found| found.as_str().to_owned()));
            if code.starts_with('/') {
                words.extend(tokens(code).map(str::to_lowercase));
            }
        }
        for value in kept {
            each_scalar(value, &mut |text| words.extend(tokens(text).map(str::to_lowercase)));
        }
        Self {
            words,
            names: BTreeSet::new(),
            originals: BTreeSet::new(),
            replaced: BTreeMap::new(),
            given: BTreeSet::new(),
            patterns: Patterns {
                email: pattern(r"[^\s@<>,;:/?=&]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"),
                host: pattern(r"^https?://([^/?#]+)"),
                time: pattern(
                    r"^(\d{4}-\d{2}-\d{2})(?:([T ])(\d{2}:\d{2})(:\d{2})?(\.\d+)?\s?(Z|[+-]\d{2}:?\d{2})?)?$",
                ),
                written_time: pattern(r"^[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} (.{1,6})$"),
                day: pattern(r"^(\d{1,2})([./])(\d{1,2})[./](\d{2,4})$"),
                odd_name: pattern(r"[\s@]|[0-9]{4}|^[0-9]+$|[^\x21-\x7e]"),
            },
        }
    }

    /// Notes what must not be left. Called with everything before anything is replaced.
    pub(super) fn see(&mut self, value: &Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    match self.patterns.odd_name.is_match(name) {
                        true => self.see_text(name),
                        false => self.names.extend(tokens(name).map(str::to_lowercase)),
                    }
                    self.see(member);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.see(item)),
            Value::String(text) => self.see_text(text),
            Value::Number(number) => self.see_text(&number.to_string()),
            Value::Null | Value::Bool(_) => {}
        }
    }

    pub(super) fn see_text(&mut self, text: &str) {
        let telling = tokens(text).filter(|token| !is_currency(token)).map(str::to_lowercase);
        let telling: Vec<String> = telling.filter(|token| !self.stays(token)).collect();
        self.originals.extend(telling);
    }

    /// The first original token that a value still holds.
    pub(super) fn left_in(&self, value: &Value) -> Option<String> {
        let mut left = None;
        each_scalar(value, &mut |text| left = left.take().or_else(|| self.left_in_text(text)));
        left
    }

    fn left_in_text(&self, text: &str) -> Option<String> {
        tokens(text).map(str::to_lowercase).find(|token| {
            token.chars().count() >= TELLING_CHARS_MIN
                && self.originals.contains(token)
                && !self.names.contains(token)
                && !self.given.contains(token)
        })
    }

    pub(super) fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let one = |(name, member): (&String, &Value)| {
                    let name = match self.patterns.odd_name.is_match(name) {
                        true => self.text(name),
                        false => name.clone(),
                    };
                    (name, self.value(member))
                };
                Value::Object(members.iter().map(one).collect::<Map<_, _>>())
            }
            Value::Array(items) => Value::Array(items.iter().map(|item| self.value(item)).collect()),
            Value::String(text) => Value::String(self.text(text)),
            Value::Number(number) => self.number(&number.to_string()),
            other => other.clone(),
        }
    }

    fn number(&mut self, text: &str) -> Value {
        let is_time = matches!(text.len(), 10 | 13) && text.starts_with('1');
        let made = match is_time {
            // Seconds or milliseconds since 1970.
            true => match self.replaced.get(text) {
                Some(known) => known.clone(),
                None => {
                    let made = format!("17{}", digits(text.len() - 2));
                    self.remember(text, made)
                }
            },
            false => self.tokens(text),
        };
        serde_json::from_str(&made).unwrap_or(Value::from(7))
    }

    pub(super) fn text(&mut self, text: &str) -> String {
        if let Some(made) = self.date(text) {
            return made;
        }
        let mut made = String::new();
        let mut rest = text;
        while let Some(found) = self.patterns.email.find(rest) {
            let (before, after) = (&rest[..found.start()], &rest[found.end()..]);
            let email = found.as_str();
            made.push_str(&self.plain(before));
            made.push_str(&self.email(email));
            rest = after;
        }
        made + &self.plain(rest)
    }

    fn plain(&mut self, text: &str) -> String {
        let Some(host) = self.patterns.host.captures(text).and_then(|found| found.get(1)) else {
            return self.tokens(text);
        };
        if tokens(host.as_str()).all(|token| self.words.contains(&token.to_lowercase())) {
            return text[..host.end()].to_owned() + &self.tokens(&text[host.end()..]);
        }
        format!("{}example.com{}", &text[..host.start()], self.tokens(&text[host.end()..]))
    }

    fn email(&mut self, email: &str) -> String {
        let key = email.to_lowercase();
        if let Some(known) = self.replaced.get(&key) {
            return known.clone();
        }
        let local = key.split('@').next().unwrap_or_default().to_owned();
        let mut made = format!("{}@example.com", self.tokens(&local));
        while self.given.contains(&made) {
            made.insert(0, 'x');
        }
        self.remember(&key, made)
    }

    fn date(&mut self, text: &str) -> Option<String> {
        if let Some(known) = self.replaced.get(text).filter(|_| text.len() > 5 && !text.contains('@')) {
            return Some(known.clone());
        }
        let (month, day, hour) = (fastrand::u32(1..=9), fastrand::u32(10..=28), fastrand::u32(10..=23));
        let minute = fastrand::u32(10..=59);
        let made = if let Some(parts) = self.patterns.time.captures(text) {
            let part = |n| parts.get(n).map_or("", |part| part.as_str());
            let mut made = format!("2025-0{month}-{day}");
            if parts.get(2).is_some() {
                made += &format!("{}{hour}:{minute}", part(2));
                if parts.get(4).is_some() {
                    made += &format!(":{}", fastrand::u32(10..=59));
                }
                if let Some(fraction) = parts.get(5) {
                    made += &format!(".{}", digits(fraction.as_str().len() - 1));
                }
                made += if text.contains(" Z") { " " } else { "" };
                made += match part(6) {
                    "" => "",
                    "Z" => "Z",
                    offset if offset.contains(':') => "+00:00",
                    _ => "+0000",
                };
            }
            made
        } else if let Some(parts) = self.patterns.written_time.captures(text) {
            let names = ["Mon, 06 Jan", "Tue, 11 Mar", "Wed, 14 May", "Thu, 17 Jul", "Fri, 19 Sep", "Sat, 22 Nov"];
            let name = names[fastrand::usize(..names.len())];
            let zone = if parts[1].starts_with(['+', '-']) { "+0000" } else { "GMT" };
            format!("{name} 2025 {hour}:{minute}:{} {zone}", fastrand::u32(10..=59))
        } else if let Some(parts) = self.patterns.day.captures(text) {
            let (one, other) = (two(&parts[1]), two(&parts[3]));
            let year = if parts[4].len() == 2 { "25" } else { "2025" };
            format!("{one}{0}{other}{0}{year}", &parts[2])
        } else {
            return None;
        };
        Some(self.remember(text, made))
    }

    fn tokens(&mut self, text: &str) -> String {
        let (mut made, mut token) = (String::new(), String::new());
        for c in text.chars() {
            match c.is_alphanumeric() {
                true => token.push(c),
                false => {
                    made.push_str(&self.token(&std::mem::take(&mut token)));
                    made.push(c);
                }
            }
        }
        made + &self.token(&token)
    }

    fn stays(&self, lowercase: &str) -> bool {
        lowercase.is_empty() || self.words.contains(lowercase) || lowercase.bytes().all(|octet| octet == b'0')
    }

    fn token(&mut self, token: &str) -> String {
        let key = token.to_lowercase();
        if self.stays(&key) || is_currency(token) {
            return token.to_owned();
        }
        let made = match self.replaced.get(&key) {
            Some(known) => known.clone(),
            None => {
                let mut made = like(&key);
                // Two different ones stay different, and none is another's original, as far as there is room.
                for _ in 0..50 {
                    let taken = self.given.contains(&made) || self.originals.contains(&made) || self.stays(&made);
                    if !taken {
                        break;
                    }
                    made = like(&key);
                }
                self.remember(&key, made)
            }
        };
        // The letters' case is that of this occurrence.
        made.chars()
            .zip(token.chars())
            .map(|(made, original)| if original.is_uppercase() { made.to_ascii_uppercase() } else { made })
            .collect()
    }

    fn remember(&mut self, original: &str, made: String) -> String {
        self.given.insert(made.to_lowercase());
        self.given.extend(tokens(&made).map(str::to_lowercase).collect::<Vec<_>>());
        self.replaced.insert(original.to_owned(), made.clone());
        made
    }
}

fn is_currency(token: &str) -> bool {
    token.len() == 3 && token.bytes().all(|octet| octet.is_ascii_uppercase()) && Currency::parse(token).is_ok()
}

/// A random token of the same length and kind, in lower case.
fn like(token: &str) -> String {
    let is_hex = token.len() >= 8
        && token.bytes().all(|octet| octet.is_ascii_hexdigit())
        && token.bytes().any(|octet| octet.is_ascii_digit());
    let pick = |from: &str| char::from(from.as_bytes()[fastrand::usize(..from.len())]);
    let mut first = true;
    token
        .chars()
        .map(|c| {
            let begins = std::mem::take(&mut first);
            match c {
                '0' if begins => '0',
                c if c.is_ascii_digit() => pick(if begins { "123456789" } else { "0123456789" }),
                c if is_hex && c.is_ascii_alphabetic() => pick("abcdef"),
                'a' | 'e' | 'i' | 'o' | 'u' => pick("aeiou"),
                _ => pick("bcdfghjklmnprstvw"),
            }
        })
        .collect()
}

fn digits(count: usize) -> String {
    (0..count).map(|_| fastrand::digit(10)).collect()
}

/// A day or month of the same number of digits.
fn two(written: &str) -> String {
    if written.len() == 2 { format!("1{}", fastrand::u8(0..=2)) } else { fastrand::u8(1..=9).to_string() }
}

/// Runs of letters and digits.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|token| !token.is_empty())
}

fn each_scalar(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Object(members) => members.values().for_each(|member| each_scalar(member, found)),
        Value::Array(items) => items.iter().for_each(|item| each_scalar(item, found)),
        Value::String(text) => found(text),
        Value::Number(number) => found(&number.to_string()),
        Value::Null | Value::Bool(_) => {}
    }
}

/// All filters of a file's operations.
fn filters(file: &VendorFile) -> impl Iterator<Item = &str> {
    fn of_rules(rules: &[ErrorRule]) -> impl Iterator<Item = &str> {
        rules.iter().flat_map(|rule| [&rule.when, &rule.field, &rule.retry_after_s]).flatten().map(String::as_str)
    }
    fn of_step(step: &Step) -> impl Iterator<Item = &str> {
        let sent = [&step.params, &step.query, &step.body, &step.form, &step.variables];
        let own = sent.into_iter().chain([&step.reply, &step.complete, &step.when]);
        let own = own.flatten().map(String::as_str);
        own.chain(step.path.as_deref()).chain(of_rules(&step.errors))
    }
    let operations = file.operations();
    let steps = operations.into_iter().flat_map(|(_, steps)| &steps.0).flat_map(of_step);
    let webhook = file.webhook.iter().flat_map(|section| section.identity.iter().chain([&section.events]));
    let shared = std::iter::once(file.definitions.as_str()).chain(of_rules(&file.errors));
    shared.chain(steps).chain(webhook.map(String::as_str))
}
