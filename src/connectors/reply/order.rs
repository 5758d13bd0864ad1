//! An order as a `reply` filter gives it: read member by member, so that an odd one costs itself alone.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{CustomerOut, Word, at, email, filled, present, read};
use crate::domain::{
    Currency, Day, LineItem, Link, Money, Order, OrderId, OrderOwner, OrderStatus, Refund, ShipTo, SystemId, Timestamp,
    Totals, Tracking,
};

/// Whose an order is has to be readable; what else of it cannot be read is left out, or a misfit would tell that there is
/// an order of somebody else.
#[derive(Debug, Deserialize)]
pub(in crate::connectors) struct OrderOut {
    id: Word,
    customer: Option<CustomerOut>,
    email: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// An order, and the members of the reply that could not be read.
#[derive(Debug)]
pub(in crate::connectors) struct ReadOrder {
    pub(in crate::connectors) order: Order,
    pub(in crate::connectors) faults: Vec<String>,
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
    pub(in crate::connectors) fn order(self, system: &SystemId) -> Result<ReadOrder, String> {
        let customer = self.customer.map(|customer| customer.id(system)).transpose()?.flatten();
        let (id, email) = (OrderId::parse(&self.id.0).map_err(at("id"))?, email(self.email)?);
        let mut rest = Rest { members: self.rest, faults: Vec::new() };
        let currency = rest.take("currency", |code: String| match code.as_str() {
            "" => Ok(None),
            code => Currency::parse(&code.to_ascii_uppercase()).map(Some).map_err(at("currency")),
        });
        let currency = currency.flatten();
        // An amount of nobody knows which currency says nothing.
        let money = |member: &'static str| {
            move |amount: Word| match (filled(Some(amount)), currency) {
                (Some(amount), Some(currency)) => Money::from_decimal(&amount, currency).map(Some).map_err(at(member)),
                _ => Ok(None),
            }
        };
        let total = rest.take("total", money("total")).flatten();
        let parts = [
            rest.take("subtotal", money("subtotal")).flatten(),
            rest.take("shipping", money("shipping")).flatten(),
            rest.take("tax", money("tax")).flatten(),
        ];
        let [subtotal, shipping, tax] = parts;
        let items = rest.take_all("items", |item: ItemOut| {
            let unit_price = item.unit_price.map(money("items.unit_price")).transpose()?.flatten();
            Ok(Some(LineItem { name: item.name.0, quantity: item.quantity, sku: filled(item.sku), unit_price }))
        });
        let refunds = rest.take_all("refunds", |refund: RefundOut| {
            let refunded_at = time("refunds.at", &refund.at)?;
            Ok(money("refunds.amount")(refund.amount)?.map(|amount| Refund { amount, refunded_at }))
        });
        let word: String = rest.take("status", Ok).unwrap_or_default();
        let (status, detail) = status(&word);
        let said = rest.take("status_detail", |word: Word| Ok(filled(Some(word)))).flatten();
        let order = Order {
            id,
            owner: customer.map_or(OrderOwner::Guest, OrderOwner::Customer),
            email,
            status,
            status_detail: said.or(detail).filter(|word| !word.eq_ignore_ascii_case(status.words())),
            placed_at: rest
                .take("placed_at", |text: String| present(&Some(text)).map(|text| time("placed_at", text)).transpose())
                .flatten(),
            estimated_delivery: rest
                .take("estimated_delivery", |text: String| present(&Some(text)).map(day).transpose())
                .flatten(),
            tracking: rest.take_all("tracking", |parcel: TrackingOut| Ok(Some(parcel.tracking()))),
            items,
            totals: total.map(|total| Totals { subtotal, shipping, tax, total }),
            refunds,
            ship_to: rest
                .take("ship_to", |to: PlaceOut| Ok(ShipTo { city: filled(to.city), country: filled(to.country) })),
        };
        Ok(ReadOrder { order, faults: rest.end() })
    }
}

/// Members that are read one by one.
struct Rest {
    members: Map<String, Value>,
    faults: Vec<String>,
}

impl Rest {
    fn take<O: DeserializeOwned, T>(
        &mut self,
        name: &'static str,
        convert: impl FnOnce(O) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.members.remove(name).filter(|value| !value.is_null())?;
        let read = read(value).map_err(|why| format!("{name}: {why}")).and_then(convert);
        read.map_err(|fault| self.faults.push(fault)).ok()
    }

    fn take_all<O: DeserializeOwned, T>(
        &mut self,
        name: &'static str,
        convert: impl Fn(O) -> Result<Option<T>, String>,
    ) -> Vec<T> {
        let items: Vec<Value> = self.take(name, Ok).unwrap_or_default();
        let mut all = Vec::new();
        for item in items {
            match read(item).map_err(|why| format!("{name}: {why}")).and_then(&convert) {
                Ok(item) => all.extend(item),
                Err(fault) => self.faults.push(fault),
            }
        }
        all
    }

    /// What nobody asked for is a mistake in the vendor file.
    fn end(mut self) -> Vec<String> {
        self.faults.extend(self.members.keys().map(|name| format!("{name}: is no member of an order")));
        self.faults
    }
}

impl TrackingOut {
    /// A link that a customer could not open safely is left out; carrier and number still help.
    fn tracking(self) -> Tracking {
        let url = present(&self.url).and_then(|url| Link::parse(url).ok());
        Tracking { carrier: filled(self.carrier), number: filled(self.number), url }
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::CustomerId;

    fn read_order(output: Value) -> Result<ReadOrder, String> {
        read::<OrderOut>(output)?.order(&SystemId::parse("shop").unwrap())
    }

    fn order(output: Value) -> Result<Order, String> {
        let read = read_order(output)?;
        assert_eq!(read.faults, Vec::<String>::new());
        Ok(read.order)
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
        for misfit in [
            json!({ "id": "CANARY/..", "status": "x" }),
            json!({ "id": "1", "email": "CANARY" }),
            json!({ "id": "1", "customer": "CANARY CANARY" }),
            json!({ "id": "1", "customer": ["CANARY"] }),
        ] {
            let error = read_order(misfit).unwrap_err();
            assert!(!error.contains("CANARY"), "{error}");
        }
    }

    #[test]
    fn what_else_cannot_be_read_is_left_out_and_named() {
        for (name, value) in [
            ("status", json!(5)),
            ("currency", json!("CANARY")),
            ("items", json!("CANARY")),
            ("items", json!([{ "name": "n", "quantity": "CANARY" }])),
            ("placed_at", json!("2026-11-14 09:12:00")),
            ("estimated_delivery", json!("CANARY")),
            ("refunds", json!([{ "amount": "1" }])),
            ("ship_to", json!("CANARY")),
            ("nosuch", json!("CANARY")),
        ] {
            let mut output = json!({ "id": "1", "customer": "7", "status": "shipped" });
            output[name] = value;
            let read = read_order(output).unwrap();
            assert!(read.faults.len() == 1 && read.faults[0].starts_with(name), "{name}: {:?}", read.faults);
            assert!(!read.faults[0].contains("CANARY"), "{:?}", read.faults);
        }
        let odd = json!({ "id": "1", "status": "shipped", "currency": "GBP", "total": "10.005", "tax": "1.00" });
        let odd = read_order(odd).unwrap();
        assert!(odd.order.totals.is_none() && odd.faults[0].starts_with("total:"), "{:?}", odd.faults);
    }
}
