//! Orders, with the parts that the customer who placed them may see.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{CustomerId, Day, Email, Link, Money, OrderId, Quantity, Timestamp};

/// An order of the order system. Its owner has to be checked before it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub id: OrderId,
    pub owner: OrderOwner,
    /// The email address on the order. A guest order is owned by whoever has verified it.
    pub email: Option<Email>,
    pub status: OrderStatus,
    /// The status in the vendor's own words.
    pub status_detail: Option<String>,
    pub placed_at: Option<Timestamp>,
    pub estimated_delivery: Option<Day>,
    pub tracking: Vec<Tracking>,
    pub items: Vec<LineItem>,
    pub totals: Option<Totals>,
    pub refunds: Vec<Refund>,
    pub ship_to: Option<ShipTo>,
    /// Parts that the order system sent and that could not be parsed, so that an answer can say that they are missing.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unreadable: BTreeSet<OrderPart>,
}

/// A part of an order that may be missing from an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderPart {
    Status,
    PlacedAt,
    EstimatedDelivery,
    Tracking,
    Items,
    Prices,
    Totals,
    Refunds,
    ShipTo,
    /// A part that none of the others names.
    Other,
}

impl OrderPart {
    /// The name in a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Self::Status => "the status",
            Self::PlacedAt => "the date of the order",
            Self::EstimatedDelivery => "the estimated delivery",
            Self::Tracking => "tracking",
            Self::Items => "items",
            Self::Prices => "prices of items",
            Self::Totals => "totals",
            Self::Refunds => "refunds",
            Self::ShipTo => "the delivery address",
            Self::Other => "something else",
        }
    }
}

/// The owner of an order: a customer, or a guest, known by email address alone. An order with an unreadable owner
/// belongs to nobody: it must not pass for a guest order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderOwner {
    Customer(CustomerId),
    Guest,
    Unreadable,
}

/// The status of an order. A vendor status without a mapping is `unknown`; `status_detail` holds the vendor's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    Pending,
    Processing,
    Shipped,
    OutForDelivery,
    Delivered,
    Cancelled,
    Returned,
    Refunded,
    Unknown,
}

impl OrderStatus {
    /// The name in a sentence, as `out for delivery`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Shipped => "shipped",
            Self::OutForDelivery => "out for delivery",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
            Self::Returned => "returned",
            Self::Refunded => "refunded",
            Self::Unknown => "unknown",
        }
    }
}

/// The tracking data of one parcel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracking {
    pub carrier: Option<String>,
    pub number: Option<String>,
    pub url: Option<Link>,
}

/// One line item of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineItem {
    pub name: String,
    pub quantity: Option<Quantity>,
    pub sku: Option<String>,
    pub unit_price: Option<Money>,
}

/// The totals of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub subtotal: Option<Money>,
    pub shipping: Option<Money>,
    pub tax: Option<Money>,
    pub total: Option<Money>,
}

/// A refund to the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    pub amount: Money,
    pub refunded_at: Option<Timestamp>,
}

/// City and country of the delivery address: never street or name, which a chat does not need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipTo {
    pub city: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
}
