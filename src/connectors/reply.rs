//! What `reply` filters give, and the domain values that become of it. A misfit names the member.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use super::run::plain;
use crate::domain::{
    Contact, ContactFields, ContactId, Currency, CustomerId, Day, Email, FieldName, FieldValue, Invalid, LineItem,
    Link, Money, NoteId, Order, OrderId, OrderOwner, OrderStatus, Refund, ShipTo, SystemId, Ticket, TicketId,
    TicketStatus, Timestamp, Totals, Tracking,
};

/// Reads a filter's output; the error names the member that is missing or wrong, and no value.
pub(super) fn read<T: DeserializeOwned>(output: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(output).map_err(|error| {
        let path = error.path().to_string();
        let why = error.into_inner().to_string();
        // serde repeats values in `invalid type: string "…"`; what was expected is enough.
        let why = match why.split_once(", expected ") {
            Some((_, expected)) => format!("expected {expected}"),
            None if why.starts_with("missing field") || why.starts_with("unknown field") => why,
            None => "cannot be read".to_owned(),
        };
        if path == "." { why } else { format!("{path}: {why}") }
    })
}

fn at(member: &'static str) -> impl Fn(Invalid) -> String {
    move |invalid| format!("{member}: {}", invalid.why)
}

/// A text that vendors also write as a number. Empty is absent.
#[derive(Debug, Clone)]
struct Word(String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match value {
            Value::String(_) | Value::Number(_) => Ok(Self(plain(&value).unwrap_or_default())),
            _ => Err(serde::de::Error::custom("invalid type, expected a text or a number")),
        }
    }
}

fn filled(word: Option<Word>) -> Option<String> {
    word.map(|word| word.0).filter(|text| !text.is_empty())
}

/// A customer: an id of the connector's own system, or one with its system.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum CustomerOut {
    Named { system: SystemId, id: Word },
    Own(Word),
}

impl CustomerOut {
    fn id(self, own: &SystemId) -> Result<Option<CustomerId>, String> {
        let (system, id) = match self {
            Self::Named { system, id } => (system, id),
            Self::Own(id) => (own.clone(), id),
        };
        if id.0.is_empty() {
            return Ok(None);
        }
        CustomerId::new(system, &id.0).map(Some).map_err(at("customer"))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderOut {
    id: Word,
    customer: Option<CustomerOut>,
    email: Option<String>,
    status: String,
    status_detail: Option<Word>,
    placed_at: Option<String>,
    estimated_delivery: Option<String>,
    #[serde(default)]
    tracking: Vec<TrackingOut>,
    #[serde(default)]
    items: Vec<ItemOut>,
    currency: Option<String>,
    subtotal: Option<Word>,
    shipping: Option<Word>,
    tax: Option<Word>,
    total: Option<Word>,
    #[serde(default)]
    refunds: Vec<RefundOut>,
    ship_to: Option<PlaceOut>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrackingOut {
    carrier: Option<Word>,
    number: Option<Word>,
    url: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemOut {
    name: Word,
    #[serde(deserialize_with = "whole")]
    quantity: u32,
    sku: Option<Word>,
    unit_price: Option<Word>,
}

/// A whole number, also where a vendor writes it as 1.0 or "1".
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let Word(text) = Word::deserialize(deserializer)?;
    let plain = text.strip_suffix(".0").unwrap_or(&text);
    plain.parse().map_err(|_| serde::de::Error::custom("invalid value, expected a whole number"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundOut {
    amount: Word,
    at: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceOut {
    city: Option<Word>,
    country: Option<Word>,
}

impl OrderOut {
    pub(super) fn order(self, system: &SystemId) -> Result<Order, String> {
        let currency = self.currency.as_deref().filter(|code| !code.is_empty()).map(str::to_ascii_uppercase);
        let currency = currency.as_deref().map(Currency::parse).transpose().map_err(at("currency"))?;
        // An amount of nobody knows which currency says nothing.
        let money = |member: &'static str, amount: Option<Word>| -> Result<Option<Money>, String> {
            let (Some(amount), Some(currency)) = (filled(amount), currency) else { return Ok(None) };
            Money::from_decimal(&amount, currency).map(Some).map_err(at(member))
        };
        let totals = match money("total", self.total)? {
            None => None,
            Some(total) => Some(Totals {
                subtotal: money("subtotal", self.subtotal)?,
                shipping: money("shipping", self.shipping)?,
                tax: money("tax", self.tax)?,
                total,
            }),
        };
        let items = self.items.into_iter().map(|item| {
            let unit_price = money("items.unit_price", item.unit_price)?;
            Ok(LineItem { name: item.name.0, quantity: item.quantity, sku: filled(item.sku), unit_price })
        });
        let refunds = self.refunds.into_iter().map(|refund| {
            let amount = money("refunds.amount", Some(refund.amount))?;
            let refunded_at = time("refunds.at", &refund.at)?;
            Ok(amount.map(|amount| Refund { amount, refunded_at }))
        });
        let customer = self.customer.map(|customer| customer.id(system)).transpose()?.flatten();
        let (status, word) = status(&self.status);
        Ok(Order {
            id: OrderId::parse(&self.id.0).map_err(at("id"))?,
            owner: customer.map_or(OrderOwner::Guest, OrderOwner::Customer),
            email: email(self.email)?,
            status,
            status_detail: filled(self.status_detail)
                .or(word)
                .filter(|word| !word.eq_ignore_ascii_case(status.words())),
            placed_at: present(&self.placed_at).map(|text| time("placed_at", text)).transpose()?,
            estimated_delivery: present(&self.estimated_delivery).map(day).transpose()?,
            tracking: self.tracking.into_iter().map(TrackingOut::tracking).collect(),
            items: items.collect::<Result<_, String>>()?,
            totals,
            refunds: refunds.filter_map(Result::transpose).collect::<Result<_, String>>()?,
            ship_to: self.ship_to.map(|to| ShipTo { city: filled(to.city), country: filled(to.country) }),
        })
    }
}

impl TrackingOut {
    /// A link that a customer could not open safely is left out; carrier and number still help.
    fn tracking(self) -> Tracking {
        let url = present(&self.url).and_then(|url| Link::parse(url).ok());
        Tracking { carrier: filled(self.carrier), number: filled(self.number), url }
    }
}

fn present(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn email(text: Option<String>) -> Result<Option<Email>, String> {
    present(&text).map(Email::parse).transpose().map_err(at("email"))
}

/// RFC 3339; the offset that some vendors write as +0000 gets its colon.
fn time(member: &'static str, text: &str) -> Result<Timestamp, String> {
    let (front, back) = text.split_at_checked(text.len().saturating_sub(5)).unwrap_or((text, ""));
    let compact = back.starts_with(['+', '-']) && back[1..].bytes().all(|b| b.is_ascii_digit()) && back.len() == 5;
    let written: Cow<'_, str> = match compact && text.contains('T') {
        true => format!("{front}{}:{}", &back[..3], &back[3..]).into(),
        false => text.into(),
    };
    Timestamp::parse(&written).map_err(at(member))
}

/// A day, or the day of a time.
fn day(text: &str) -> Result<Day, String> {
    Day::parse(text.split(['T', ' ']).next().unwrap_or(text)).map_err(at("estimated_delivery"))
}

/// A status of ours, or unknown with the vendor's word.
fn status(word: &str) -> (OrderStatus, Option<String>) {
    match serde_json::from_value(Value::from(word)) {
        Ok(status) => (status, None),
        Err(_) => (OrderStatus::Unknown, Some(word.to_owned()).filter(|word| !word.is_empty())),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TicketOut {
    id: Word,
    status: Option<String>,
    url: Option<String>,
}

impl TicketOut {
    pub(super) fn ticket(self) -> Result<Ticket, String> {
        let status = self.status.and_then(|word| serde_json::from_value(word.into()).ok());
        Ok(Ticket {
            id: TicketId::parse(&self.id.0).map_err(at("id"))?,
            status: status.unwrap_or(TicketStatus::Unknown),
            url: present(&self.url).and_then(|url| Link::parse(url).ok()),
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContactOut {
    id: Word,
    customer: Option<CustomerOut>,
    email: Option<String>,
    #[serde(default)]
    fields: BTreeMap<FieldName, Option<Word>>,
}

impl ContactOut {
    /// Field values are shown and compared as they are: what is in a CRM already is not ours to refuse.
    pub(super) fn contact(self, system: &SystemId) -> Result<Contact, String> {
        let fields: ContactFields = self
            .fields
            .into_iter()
            .filter_map(|(name, value)| Some((name, FieldValue::stored(filled(value)?))))
            .collect();
        Ok(Contact {
            id: ContactId::parse(&self.id.0).map_err(at("id"))?,
            customer: self.customer.map(|customer| customer.id(system)).transpose()?.flatten(),
            email: email(self.email)?,
            fields,
        })
    }
}

/// Anything that exists now and has an id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdOut {
    id: Word,
}

impl IdOut {
    pub(super) fn contact(&self) -> Result<ContactId, String> {
        ContactId::parse(&self.id.0).map_err(at("id"))
    }

    pub(super) fn note(&self) -> Result<NoteId, String> {
        NoteId::parse(&self.id.0).map_err(at("id"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(output: Value) -> Result<Order, String> {
        read::<OrderOut>(output)?.order(&SystemId::parse("shop").unwrap())
    }

    #[test]
    fn an_order_is_read_as_vendors_write_it() {
        let full = order(json!({
            "id": 1001, "customer": 42, "email": "ada@example.com", "status": "shipped",
            "placed_at": "2026-11-14T09:12:00+0000", "estimated_delivery": "2026-11-27T10:00:00Z",
            "tracking": [{ "carrier": "DHL", "number": 123, "url": "javascript:alert(1)" }],
            "items": [{ "name": "Keyboard", "quantity": 1, "unit_price": 119.9 }],
            "currency": "GBP", "total": "123.95", "refunds": [{ "amount": "5", "at": "2026-11-15T00:00:00Z" }],
            "ship_to": { "city": "London", "country": "GB" },
        }))
        .unwrap();
        assert_eq!(full.owner, OrderOwner::Customer(CustomerId::parse("shop:42").unwrap()));
        assert_eq!(full.placed_at.unwrap().to_string(), "2026-11-14T09:12:00Z");
        assert_eq!(full.estimated_delivery.unwrap().as_str(), "2026-11-27");
        assert_eq!(full.items[0].unit_price.unwrap().amount_minor, 11_990);
        assert_eq!((full.tracking[0].number.as_deref(), &full.tracking[0].url), (Some("123"), &None));
        let bare = order(json!({ "id": "A-1", "customer": null, "status": "Beamed up" })).unwrap();
        assert_eq!((bare.owner, bare.status), (OrderOwner::Guest, OrderStatus::Unknown));
        assert_eq!(bare.status_detail.as_deref(), Some("Beamed up"));
        let loose = json!({
            "id": "1", "status": "shipped", "status_detail": "Shipped", "currency": "gbp", "total": 5,
            "items": [{ "name": "n", "quantity": 2.0 }, { "name": "m", "quantity": "3" }],
        });
        let loose = order(loose).unwrap();
        assert_eq!((loose.status_detail, loose.totals.unwrap().total.amount_minor), (None, 500));
        assert_eq!(loose.items.iter().map(|item| item.quantity).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(order(json!({ "id": "1", "status": "x", "total": "5.00" })).unwrap().totals, None);
        let named = order(json!({ "id": "1", "customer": { "system": "erp", "id": 7 }, "status": "pending" })).unwrap();
        assert_eq!(named.owner, OrderOwner::Customer(CustomerId::parse("erp:7").unwrap()));
    }

    #[test]
    fn a_misfit_names_the_member_and_no_value() {
        assert_eq!(order(json!({ "status": "shipped" })).unwrap_err(), "missing field `id`");
        assert!(order(json!({ "id": "1", "status": 5 })).unwrap_err().starts_with("status: expected a string"));
        assert!(
            order(json!({ "id": "1", "status": "x", "currency": "pounds", "total": "5.00" }))
                .unwrap_err()
                .contains("currency")
        );
        assert!(order(json!({ "id": "1", "status": "x", "currency": "EUR", "total": "CANARY" })).is_err());
        for misfit in [
            json!({ "id": "1", "status": "x", "email": "CANARY" }),
            json!({ "id": "CANARY/..", "status": "x" }),
            json!({ "id": "1", "status": "x", "items": "CANARY" }),
            json!({ "id": "1", "status": "x", "placed_at": "CANARY" }),
            json!({ "id": "1", "status": "x", "items": [{ "name": "n", "quantity": "CANARY" }] }),
        ] {
            let error = order(misfit).unwrap_err();
            assert!(!error.contains("CANARY"), "{error}");
        }
    }
}
