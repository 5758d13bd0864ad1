//! Orders, as the customer who placed them may see them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{CustomerId, Day, Email, Link, Money, OrderId, Quantity, Timestamp};

/// An order of the order system. Not to be shown before its owner is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub id: OrderId,
    pub owner: OrderOwner,
    /// The address on the order: what proves a guest order.
    pub email: Option<Email>,
    pub status: OrderStatus,
    /// The vendor's own word for the status.
    pub status_detail: Option<String>,
    pub placed_at: Option<Timestamp>,
    pub estimated_delivery: Option<Day>,
    pub tracking: Vec<Tracking>,
    pub items: Vec<LineItem>,
    pub totals: Option<Totals>,
    pub refunds: Vec<Refund>,
    pub ship_to: Option<ShipTo>,
    /// What the order system said of it and could not be read, so that nobody takes the rest for all there is.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unreadable: BTreeSet<OrderPart>,
}

/// A part of an order that an answer can be without.
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
    /// Something that is not known here.
    Other,
}

impl OrderPart {
    /// The words for a sentence.
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

/// Whose order it is: a customer's, or a guest's, who is known by email alone. One whose owner cannot be read is nobody's:
/// it is certainly no guest's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderOwner {
    Customer(CustomerId),
    Guest,
    Unreadable,
}

/// Where an order stands. What no vendor word maps to is `unknown`; the vendor's word goes along.
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
    /// The word for a sentence: `out for delivery`.
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

/// One parcel on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracking {
    pub carrier: Option<String>,
    pub number: Option<String>,
    pub url: Option<Link>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineItem {
    pub name: String,
    pub quantity: Option<Quantity>,
    pub sku: Option<String>,
    pub unit_price: Option<Money>,
}

/// What the order costs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub subtotal: Option<Money>,
    pub shipping: Option<Money>,
    pub tax: Option<Money>,
    pub total: Option<Money>,
}

/// Money that went back to the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    pub amount: Money,
    pub refunded_at: Option<Timestamp>,
}

/// As much of the delivery address as a chat needs: never street or name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipTo {
    pub city: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
}
