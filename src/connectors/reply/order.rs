//! Converts a `reply` filter's output to an order: the owner first, then member by member, so that an unreadable member
//! loses only itself.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    CustomerOut, Word, at,
    members::{Members, Source},
    read,
};
use crate::domain::{
    Currency, Day, Email, LineItem, Link, Order, OrderId, OrderOwner, OrderPart, OrderStatus, Quantity, Refund, ShipTo,
    SystemId, Timestamp, Totals, Tracking,
};

/// The output for an order. Only its number is required; other unreadable members are left out and reported.
#[derive(Debug, Deserialize)]
pub(in crate::connectors) struct OrderOut(Map<String, Value>);

/// An order, the reply's unreadable members, and the amounts that were rounded.
#[derive(Debug)]
pub(in crate::connectors) struct ReadOrder {
    pub(in crate::connectors) order: Order,
    pub(in crate::connectors) faults: Vec<String>,
    pub(in crate::connectors) rounded: Vec<String>,
}

impl OrderOut {
    pub(in crate::connectors) fn order(self, system: &SystemId) -> Result<ReadOrder, String> {
        let mut all = Members::new(self.0);
        let id = read::<Word>(all.remove("id").unwrap_or_default()).map_err(|why| format!("id: {why}"))?;
        let id = OrderId::parse(&id.0).map_err(at("id"))?;
        let owner = owner(&mut all, system);
        // An unreadable address is dropped: it proves nothing.
        let email = all.take("email", None, |text: String| Email::parse(&text).map_err(at("email")));
        let currency = all
            .take("currency", None, |code: String| Currency::parse(&code.to_ascii_uppercase()).map_err(at("currency")));
        let totals = Totals {
            subtotal: all.amount("subtotal", OrderPart::Totals, currency),
            shipping: all.amount("shipping", OrderPart::Totals, currency),
            tax: all.amount("tax", OrderPart::Totals, currency),
            total: all.amount("total", OrderPart::Totals, currency),
        };
        let items = all.list("items", OrderPart::Items, |item| {
            let sku = item.word("sku", OrderPart::Items);
            let name = item.word("name", OrderPart::Items).or_else(|| sku.clone());
            let quantity = item.needed("quantity", OrderPart::Items, |number: Word| {
                Quantity::parse(&number.0).map_err(at("quantity"))
            });
            let unit_price = item.amount("unit_price", OrderPart::Prices, currency);
            if name.is_none() {
                item.fault("name", OrderPart::Items, "is missing");
            }
            Some(LineItem { name: name?, quantity, sku, unit_price })
        });
        let refunds = all.list("refunds", OrderPart::Refunds, |refund| {
            let refunded_at = refund.take("at", Some(OrderPart::Refunds), |text: String| time("at", &text));
            refund.require("amount", OrderPart::Refunds);
            let amount = refund.amount("amount", OrderPart::Refunds, currency)?;
            Some(Refund { amount, refunded_at })
        });
        let tracking = all.list("tracking", OrderPart::Tracking, |parcel| {
            let (carrier, number) =
                (parcel.word("carrier", OrderPart::Tracking), parcel.word("number", OrderPart::Tracking));
            // An unsafe link is dropped; carrier and number still help.
            let url = parcel.take("url", Some(OrderPart::Tracking), |url: String| Link::parse(&url).map_err(at("url")));
            (carrier.is_some() || number.is_some() || url.is_some()).then_some(Tracking { carrier, number, url })
        });
        let ship_to = all.object("ship_to", OrderPart::ShipTo, |to| {
            let (city, country) = (to.word("city", OrderPart::ShipTo), to.word("country", OrderPart::ShipTo));
            (city.is_some() || country.is_some()).then_some(ShipTo { city, country })
        });
        let word: String = all.take("status", Some(OrderPart::Status), Ok).unwrap_or_default();
        let (status, detail) = status(&word);
        let said = all.word("status_detail", OrderPart::Status);
        let placed_at = all.take("placed_at", Some(OrderPart::PlacedAt), |text: String| time("placed_at", &text));
        let estimated_delivery =
            all.take("estimated_delivery", Some(OrderPart::EstimatedDelivery), |text: String| day(&text));
        let Source { faults, rounded, unreadable } = all.end();
        let order = Order {
            id,
            owner,
            email,
            status,
            status_detail: said.or(detail).filter(|word| !word.eq_ignore_ascii_case(status.words())),
            placed_at,
            estimated_delivery,
            tracking,
            items,
            totals: (totals != Totals::default()).then_some(totals),
            refunds,
            ship_to,
            unreadable,
        };
        Ok(ReadOrder { order, faults, rounded })
    }
}

/// An absent customer is a guest; an unreadable one makes the owner unreadable, so that nobody owns the order.
fn owner(all: &mut Members, system: &SystemId) -> OrderOwner {
    let Some(value) = all.remove("customer") else { return OrderOwner::Guest };
    match read::<CustomerOut>(value).and_then(|customer| customer.id(system)) {
        Ok(Some(id)) => OrderOwner::Customer(id),
        Ok(None) | Err(_) => {
            all.note("customer", "cannot be read");
            OrderOwner::Unreadable
        }
    }
}

/// Parses RFC 3339, and offsets without a colon such as +0000.
fn time(member: &'static str, text: &str) -> Result<Timestamp, String> {
    let (front, back) = text.split_at_checked(text.len().saturating_sub(5)).unwrap_or((text, ""));
    let compact = back.starts_with(['+', '-']) && back[1..].bytes().all(|b| b.is_ascii_digit()) && back.len() == 5;
    let written: Cow<'_, str> = match compact && text.contains('T') {
        true => format!("{front}{}:{}", &back[..3], &back[3..]).into(),
        false => text.into(),
    };
    Timestamp::parse(&written).map_err(at(member))
}

/// Parses a date, or the date of a time.
fn day(text: &str) -> Result<Day, String> {
    Day::parse(text.split(['T', ' ']).next().unwrap_or(text)).map_err(at("estimated_delivery"))
}

/// A known status, or `Unknown` with the vendor's word.
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
            "tracking": [{ "carrier": "DHL", "number": 123, "url": "https://example.com/123" }],
            "items": [{ "name": "Keyboard", "quantity": 1, "unit_price": 119.9 }],
            "currency": "GBP", "total": "123.95", "refunds": [{ "amount": "5", "at": "2026-11-15T00:00:00Z" }],
            "ship_to": { "city": "London", "country": "GB" },
        }))
        .unwrap();
        assert_eq!(full.owner, OrderOwner::Customer(CustomerId::parse("shop:42").unwrap()));
        assert_eq!(full.placed_at.unwrap().to_string(), "2026-11-14T09:12:00Z");
        assert_eq!(full.estimated_delivery.unwrap().as_str(), "2026-11-27");
        assert_eq!(full.items[0].unit_price.unwrap().amount_minor, 11_990);
        assert_eq!(full.tracking[0].number.as_deref(), Some("123"));
        let bare = order(json!({ "id": "A-1", "customer": null, "status": "Beamed up" })).unwrap();
        assert_eq!((bare.owner, bare.status), (OrderOwner::Guest, OrderStatus::Unknown));
        assert_eq!(bare.status_detail.as_deref(), Some("Beamed up"));
        let loose = json!({
            "id": "1", "status": "shipped", "status_detail": "Shipped", "currency": "gbp", "total": 5,
            "items": [{ "name": "n", "quantity": 2.0 }, { "name": "m", "quantity": "3" },
                { "name": "kg", "quantity": 0.75 }],
        });
        let loose = order(loose).unwrap();
        assert_eq!((loose.status_detail, loose.totals.unwrap().total.unwrap().amount_minor), (None, 500));
        let quantities: Vec<_> = loose.items.iter().map(|item| item.quantity.clone().unwrap().to_string()).collect();
        assert_eq!(quantities, ["2", "3", "0.75"]);
        let named = order(json!({ "id": "1", "customer": { "system": "erp", "id": 7 }, "status": "pending" })).unwrap();
        assert_eq!(named.owner, OrderOwner::Customer(CustomerId::parse("erp:7").unwrap()));
    }

    #[test]
    fn amounts_are_decimals_or_units_with_digits_and_rounding_is_said() {
        let read = read_order(json!({
            "id": "1", "customer": "7", "currency": "EUR", "subtotal": { "minor": 12900, "digits": 2 },
            "shipping": { "minor": "490" }, "tax": { "minor": 24_715, "digits": 3 }, "total": 0.1 + 0.2,
            "items": [{ "name": "Lamp", "quantity": 1, "unit_price": 10 },
                { "name": "Screw", "quantity": 200, "unit_price": 0.125 }],
            "refunds": [{ "amount": { "minor": 500.0, "digits": 2 } }],
        }))
        .unwrap();
        let totals = read.order.totals.unwrap();
        let minor = |amount: Option<crate::domain::Money>| amount.unwrap().amount_minor;
        assert_eq!(
            [totals.subtotal, totals.shipping, totals.tax, totals.total].map(minor),
            [12_900, 490, 2_472, 30],
            "{:?}",
            read.faults
        );
        assert_eq!(read.order.items.iter().map(|item| minor(item.unit_price)).collect::<Vec<_>>(), [1_000, 13]);
        assert_eq!(read.order.refunds[0].amount.amount_minor, 500);
        assert!(read.faults.is_empty() && read.order.unreadable.is_empty(), "{:?}", read.faults);
        let which: Vec<&str> = read.rounded.iter().map(|which| which.split(':').next().unwrap()).collect();
        assert_eq!(which, ["tax", "total", "items[1].unit_price"]);
        // What is no amount costs itself alone, and is named.
        for (odd, said) in [
            (json!({ "minor": 1.5, "digits": 2 }), "minor: must be an integer"),
            (json!({ "digits": 2 }), "missing field `minor`"),
            (json!({ "minor": 1, "digit": 2 }), "unknown field `digit`"),
            (json!({ "minor": 1, "digits": "2" }), "expected u32, is a string"),
            (json!({ "minor": [] }), "expected a string or a number, is an array"),
            (json!(true), "expected a string or a number, is a boolean"),
            (json!("a lot"), "must be a decimal number"),
        ] {
            let item = json!({ "name": "Screw", "quantity": 1, "unit_price": odd });
            let read = read_order(json!({ "id": "1", "currency": "EUR", "items": [item] })).unwrap();
            assert_eq!((read.order.items.len(), read.order.items[0].unit_price), (1, None), "{odd}");
            let fault = &read.faults[0];
            assert!(fault.starts_with("items[0].unit_price: ") && fault.contains(said), "{odd}: {fault}");
        }
    }

    #[test]
    fn a_misfit_names_the_member_and_no_value() {
        assert!(order(json!({ "status": "shipped" })).unwrap_err().starts_with("id: "));
        for misfit in [json!({ "id": "CANARY/..", "status": "x" }), json!({ "id": ["CANARY"] }), json!("CANARY")] {
            let error = read_order(misfit).unwrap_err();
            assert!(!error.contains("CANARY"), "{error}");
        }
    }

    #[test]
    fn an_owner_that_cannot_be_read_is_nobody_and_an_address_that_cannot_be_is_none() {
        for nobody in [
            json!("CANARY CANARY"),
            json!(["CANARY"]),
            json!({ "ref": 1 }),
            json!({ "system": "shop", "id": "" }),
            json!(true),
            json!({}),
            json!([]),
        ] {
            let read = read_order(json!({ "id": "1", "customer": nobody, "email": "ada@example.com" })).unwrap();
            assert_eq!((read.order.owner, read.faults.len()), (OrderOwner::Unreadable, 1), "{nobody}");
            assert!(!read.faults[0].contains("CANARY"), "{:?}", read.faults);
        }
        for guest in [json!(null), json!(""), json!(" ")] {
            assert_eq!(order(json!({ "id": "1", "customer": guest })).unwrap().owner, OrderOwner::Guest);
        }
        for none in [json!("n/a"), json!("a@example.com, b@example.com"), json!(7), json!({})] {
            let read = read_order(json!({ "id": "1", "customer": "7", "email": none })).unwrap();
            assert_eq!((read.order.email, read.faults.len()), (None, 1), "{none}");
            assert!(read.order.unreadable.is_empty(), "nothing that is shown is missing");
        }
    }

    #[test]
    fn what_else_cannot_be_read_is_left_out_and_named() {
        use OrderPart::{EstimatedDelivery, Items, Other, PlacedAt, Prices, Refunds, ShipTo, Status, Totals, Tracking};
        for (name, value, part) in [
            ("status", json!(5), Status),
            ("items", json!("CANARY"), Items),
            ("items", json!([{ "name": "n", "quantity": "CANARY" }]), Items),
            ("items", json!([{ "name": "n" }]), Items),
            ("items", json!([{ "quantity": 1 }]), Items),
            ("items", json!([5]), Items),
            ("items", json!([{ "name": "n", "quantity": 1, "unit_price": "5.00" }]), Prices),
            ("items", json!([{ "name": "n", "quantity": 1, "CANARY": 1 }]), Other),
            ("placed_at", json!("2026-11-14 09:12:00"), PlacedAt),
            ("estimated_delivery", json!("CANARY"), EstimatedDelivery),
            ("refunds", json!([{ "at": "2026-11-14T09:12:00Z" }]), Refunds),
            ("ship_to", json!("CANARY"), ShipTo),
            ("total", json!("5.00"), Totals),
            ("tracking", json!([{ "number": 1, "url": "javascript:CANARY" }]), Tracking),
            ("nosuch", json!("CANARY"), Other),
        ] {
            let mut output = json!({ "id": "1", "customer": "7", "status": "shipped" });
            output[name] = value;
            let read = read_order(output).unwrap();
            assert!(read.faults.len() == 1 && read.faults[0].starts_with(name), "{name}: {:?}", read.faults);
            assert!(!read.faults[0].contains("CANARY"), "{:?}", read.faults);
            assert_eq!(read.order.unreadable.into_iter().collect::<Vec<_>>(), [part], "{name}");
        }
        // What can be shown of it is there.
        let odd = json!({
            "id": "1", "status": "shipped", "currency": "GBP", "total": "10.0.5", "tax": "1.00",
            "items": [{ "name": "n", "quantity": "many" }, { "sku": "S", "quantity": 2 }, null, { "quantity": 3 }],
            "refunds": [{ "amount": "1", "at": "yesterday" }],
            "tracking": [{}, { "url": "" }], "ship_to": { "city": "" },
        });
        let odd = read_order(odd).unwrap().order;
        assert_eq!(odd.totals.as_ref().unwrap().total, None);
        assert_eq!(odd.totals.unwrap().tax.unwrap().amount_minor, 100);
        assert_eq!(odd.items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>(), ["n", "S"]);
        assert_eq!((odd.refunds[0].amount.amount_minor, odd.refunds[0].refunded_at), (100, None));
        assert_eq!((odd.tracking, odd.ship_to), (Vec::new(), None), "empty is not present");
        assert_eq!(odd.unreadable.into_iter().collect::<Vec<_>>(), [Items, Totals, Refunds]);
    }
}
