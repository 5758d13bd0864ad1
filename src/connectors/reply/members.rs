//! Reads the members of a filter's output one by one: an unreadable one is reported and left out, the others are kept.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Word, amount::Amount, kind, read};
use crate::domain::{Currency, Money, OrderPart};

/// Most faults reported of one order.
const FAULTS_MAX: usize = 16;

/// Members not yet read, and the faults so far.
pub(super) struct Members {
    members: Map<String, Value>,
    source: Source,
}

/// Unreadable members, for the log and for the answer.
#[derive(Default)]
pub(super) struct Source {
    pub(super) faults: Vec<String>,
    /// Amounts that were rounded.
    pub(super) rounded: Vec<String>,
    pub(super) unreadable: BTreeSet<OrderPart>,
}

impl Members {
    /// Null and blank strings count as absent.
    pub(super) fn new(mut members: Map<String, Value>) -> Self {
        members.retain(|_, value| match value {
            Value::Null => false,
            Value::String(text) => !text.trim().is_empty(),
            _ => true,
        });
        Self { members, source: Source::default() }
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name)
    }

    pub(super) fn note(&mut self, name: &str, why: &str) {
        self.source.note(format!("{name}: {why}"));
    }

    pub(super) fn fault(&mut self, name: &str, part: OrderPart, why: &str) {
        self.note(name, why);
        self.source.unreadable.insert(part);
    }

    /// Reads an optional member. `part` is the part of the answer that is missing if it cannot be read.
    pub(super) fn take<O: DeserializeOwned, T>(
        &mut self,
        name: &str,
        part: Option<OrderPart>,
        convert: impl FnOnce(O) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.members.remove(name)?;
        match read(value).and_then(convert) {
            Ok(read) => Some(read),
            Err(why) => {
                self.note(name, &why);
                self.source.unreadable.extend(part);
                None
            }
        }
    }

    /// Notes that a required member is missing.
    pub(super) fn require(&mut self, name: &str, part: OrderPart) {
        if !self.members.contains_key(name) {
            self.fault(name, part, "is missing");
        }
    }

    /// Reads a required member.
    pub(super) fn needed<O: DeserializeOwned, T>(
        &mut self,
        name: &str,
        part: OrderPart,
        convert: impl FnOnce(O) -> Result<T, String>,
    ) -> Option<T> {
        self.require(name, part);
        self.take(name, Some(part), convert)
    }

    /// Reads an optional amount. One that is finer than its currency is rounded and noted.
    pub(super) fn amount(&mut self, name: &str, part: OrderPart, currency: Option<Currency>) -> Option<Money> {
        // An amount without a currency is meaningless.
        let known = || currency.ok_or_else(|| "its currency is not known".to_owned());
        let read = self.take(name, Some(part), |amount: Amount| amount.money(known()?))?;
        if !read.exact {
            let digits = read.money.currency.exponent();
            let why = format!("has more digits than the {digits} of {}, and was rounded", read.money.currency);
            self.source.round(format!("{name}: {why}"));
        }
        Some(read.money)
    }

    pub(super) fn word(&mut self, name: &str, part: OrderPart) -> Option<String> {
        self.take(name, Some(part), |word: Word| Ok(word.0))
    }

    pub(super) fn object<T>(
        &mut self,
        name: &str,
        part: OrderPart,
        convert: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let value = self.members.remove(name)?;
        self.inner(name, part, value, convert)
    }

    pub(super) fn list<T>(&mut self, name: &str, part: OrderPart, convert: impl Fn(&mut Self) -> Option<T>) -> Vec<T> {
        let items: Vec<Value> = self.take(name, Some(part), Ok).unwrap_or_default();
        let there = items.into_iter().enumerate().filter(|(_, item)| !item.is_null());
        there.filter_map(|(n, item)| self.inner(&format!("{name}[{n}]"), part, item, &convert)).collect()
    }

    fn inner<T>(
        &mut self,
        name: &str,
        part: OrderPart,
        value: Value,
        convert: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let Value::Object(members) = value else {
            self.fault(name, part, &format!("expected an object, is {}", kind(&value)));
            return None;
        };
        let mut inner = Self::new(members);
        let converted = convert(&mut inner);
        let Source { faults, rounded, unreadable } = inner.end();
        faults.into_iter().for_each(|fault| self.source.note(format!("{name}.{fault}")));
        rounded.into_iter().for_each(|which| self.source.round(format!("{name}.{which}")));
        self.source.unreadable.extend(unreadable);
        converted
    }

    /// Ends reading. An unknown member is a fault of the vendor file, and may be what is missing elsewhere.
    pub(super) fn end(mut self) -> Source {
        for name in std::mem::take(&mut self.members).keys() {
            // A filter may build member names from data of vendors or customers.
            let ours = name.len() <= 32 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let name = if ours { name } else { "a member" };
            self.fault(name, OrderPart::Other, "is not one that is known here");
        }
        self.source
    }
}

impl Source {
    fn note(&mut self, fault: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    fn round(&mut self, which: String) {
        if self.rounded.len() < FAULTS_MAX {
            self.rounded.push(which);
        }
    }
}
