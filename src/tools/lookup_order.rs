//! `lookup_order`: status, parcels and items of an order, for the customer who placed it.

use std::fmt;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Options,
    error::{RegistryError, ToolError},
    refused::Code,
    schema::{self, Open},
    tool::{Hints, Tool},
};
use crate::{
    desk::{Call, Desk, DeskError},
    domain::{Level, LineItem, Money, Order, OrderId, OrderPart, OrderStatus, Quantity, Scope},
};

pub(super) struct LookupOrder {
    order_id_pattern: String,
}

impl LookupOrder {
    pub(super) fn new(options: &Options) -> Result<Self, RegistryError> {
        regex_lite::Regex::new(&options.order_id_pattern).map_err(RegistryError::Pattern)?;
        Ok(Self { order_id_pattern: options.order_id_pattern.clone() })
    }
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// As the customer gave it, for example 1001.
    #[schemars(with = "String")]
    order_id: OrderId,
    /// full adds prices, totals, refunds and city; only for questions about money or address. Else empty or summary.
    detail: Option<Detail>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Detail {
    Summary,
    Full,
}

/// An order of the customer. Its schema is short, because every conversation pays for it: what only `full` adds is an
/// object without members there.
#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    order_id: String,
    status: OrderStatus,
    // The shop's own word for the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_detail: Option<String>,
    // RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    placed_at: Option<String>,
    // A day, as 2026-03-30.
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated_delivery: Option<String>,
    tracking: Vec<Parcel>,
    items: Vec<Item>,
    /// subtotal, shipping, tax, total: each amount_minor (12900 is 129.00), currency, display
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Open>")]
    totals: Option<OrderTotals>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<Open>>")]
    refunds: Option<Vec<OrderRefund>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Open>")]
    ship_to: Option<Place>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Option<Vec<String>>")]
    missing: Vec<OrderPart>,
}

#[derive(Serialize, JsonSchema)]
struct Parcel {
    #[serde(skip_serializing_if = "Option::is_none")]
    carrier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Item {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Open>")]
    unit_price: Option<Amount>,
}

#[derive(Serialize)]
struct OrderTotals {
    #[serde(skip_serializing_if = "Option::is_none")]
    subtotal: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tax: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Amount>,
}

#[derive(Serialize)]
struct OrderRefund {
    amount: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    refunded_at: Option<String>,
}

/// An amount of money.
#[derive(Serialize)]
struct Amount {
    // Minor units: 12900 is 129.00 EUR.
    amount_minor: i64,
    // ISO 4217.
    currency: String,
    // The same for reading.
    display: String,
}

#[derive(Serialize)]
struct Place {
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<String>,
    // ISO 3166-1 alpha-2.
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
}

#[async_trait]
impl Tool for LookupOrder {
    const NAME: &'static str = "lookup_order";
    const TITLE: &'static str = "Look up order";
    const DESCRIPTION: &'static str = "Get status, tracking and items of one order of the customer in this conversation. \
        Use it when the customer asks where an order is, what is in it or what it cost; ask for the number if it is \
        missing. It cannot list orders, and changes nothing: for returns, cancellations and complaints use create_ticket.";
    const HINTS: Hints = Hints { read_only: true, destructive: false, idempotent: true, open_world: false };
    const LEVEL: Level = Level::Otp;
    const SCOPE: Scope = Scope::OrdersRead;
    const STAFF_SCOPE: Option<Scope> = Some(Scope::OrdersReadAny);

    type Input = Input;
    type Output = Output;

    fn refine(&self, input_schema: &mut Map<String, Value>) {
        schema::set_pattern(input_schema, "order_id", &self.order_id_pattern);
    }

    async fn call(&self, desk: &Desk, call: &Call, input: Input) -> Result<Output, ToolError> {
        let owned = desk.owned_order(call, &input.order_id).await.map_err(|error| match error {
            DeskError::NotFound => not_found(),
            other => other.into(),
        })?;
        Ok(Output::of(owned.order(), input.detail == Some(Detail::Full)))
    }
}

/// The uniform denial: one sentence for an order that does not exist, is another customer's, is not provably the
/// customer's, or is unreadable.
pub(super) fn not_found() -> ToolError {
    ToolError::refused(
        Code::NotFound,
        "No order with this number can be shown for this customer. Ask the customer to check the number on the confirmation \
         email and which account it was ordered with; if it is right, offer to open a ticket.",
    )
}

impl Output {
    fn of(order: &Order, full: bool) -> Self {
        let link = |url: &crate::domain::Link| url.to_string();
        Self {
            order_id: order.id.to_string(),
            status: order.status,
            status_detail: order.status_detail.clone(),
            placed_at: order.placed_at.as_ref().map(ToString::to_string),
            estimated_delivery: order.estimated_delivery.as_ref().map(ToString::to_string),
            tracking: order
                .tracking
                .iter()
                .map(|parcel| Parcel {
                    carrier: parcel.carrier.clone(),
                    number: parcel.number.clone(),
                    url: parcel.url.as_ref().map(link),
                })
                .collect(),
            items: order.items.iter().map(|item| Item::of(item, full)).collect(),
            totals: order.totals.as_ref().filter(|_| full).map(|totals| OrderTotals {
                subtotal: totals.subtotal.map(Amount::of),
                shipping: totals.shipping.map(Amount::of),
                tax: totals.tax.map(Amount::of),
                total: totals.total.map(Amount::of),
            }),
            refunds: full.then(|| {
                let refund = |refund: &crate::domain::Refund| OrderRefund {
                    amount: Amount::of(refund.amount),
                    refunded_at: refund.refunded_at.as_ref().map(ToString::to_string),
                };
                order.refunds.iter().map(refund).collect()
            }),
            ship_to: order
                .ship_to
                .as_ref()
                .filter(|_| full)
                .map(|place| Place { city: place.city.clone(), country: place.country.clone() }),
            missing: order.unreadable.iter().copied().filter(|part| full || is_in_summary(*part)).collect(),
        }
    }
}

/// Whether a summary includes the part.
fn is_in_summary(part: OrderPart) -> bool {
    !matches!(part, OrderPart::Prices | OrderPart::Totals | OrderPart::Refunds | OrderPart::ShipTo)
}

impl Item {
    fn of(item: &LineItem, full: bool) -> Self {
        Self {
            name: item.name.clone(),
            quantity: item.quantity.clone(),
            sku: item.sku.clone().filter(|_| full),
            unit_price: item.unit_price.filter(|_| full).map(Amount::of),
        }
    }
}

impl Amount {
    fn of(money: Money) -> Self {
        Self { amount_minor: money.amount_minor, currency: money.currency.to_string(), display: money.to_string() }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Order {} is {}", self.order_id, self.status.words())?;
        if let Some(detail) = &self.status_detail {
            write!(f, " ({detail})")?;
        }
        write!(f, ".")?;
        if let Some(placed_at) = &self.placed_at {
            write!(f, " Placed {placed_at}.")?;
        }
        if let Some(day) = &self.estimated_delivery {
            write!(f, " Estimated delivery {day}.")?;
        }
        for parcel in &self.tracking {
            let words = [&parcel.carrier, &parcel.number, &parcel.url];
            let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
            write!(f, " Parcel: {}.", words.join(" "))?;
        }
        if !self.items.is_empty() {
            write!(f, " Items:")?;
        }
        for (n, item) in self.items.iter().enumerate() {
            write!(f, "{} ", if n == 0 { "" } else { "," })?;
            if let Some(quantity) = &item.quantity {
                write!(f, "{quantity} × ")?;
            }
            write!(f, "{}", item.name)?;
            if let Some(sku) = &item.sku {
                write!(f, " [{sku}]")?;
            }
            if let Some(price) = &item.unit_price {
                write!(f, " at {}", price.display)?;
            }
        }
        if !self.items.is_empty() {
            write!(f, ".")?;
        }
        if let Some(totals) = &self.totals {
            for (name, amount) in [
                ("Subtotal", &totals.subtotal),
                ("Shipping", &totals.shipping),
                ("Tax", &totals.tax),
                ("Total", &totals.total),
            ] {
                if let Some(amount) = amount {
                    write!(f, " {name} {}.", amount.display)?;
                }
            }
        }
        for refund in self.refunds.iter().flatten() {
            write!(f, " Refunded {}", refund.amount.display)?;
            if let Some(day) = &refund.refunded_at {
                write!(f, " on {day}")?;
            }
            write!(f, ".")?;
        }
        if let Some(Place { city, country }) = &self.ship_to {
            let place: Vec<&str> = [city, country].into_iter().flatten().map(String::as_str).collect();
            write!(f, " Delivery to {}.", place.join(", "))?;
        }
        if !self.missing.is_empty() {
            let missing: Vec<&str> = self.missing.iter().map(|part| part.words()).collect();
            write!(f, " Incomplete: {} could not be read in full. Tell the customer so.", missing.join(", "))?;
        }
        Ok(())
    }
}
