//! Orders, as the customer who placed them may see them.

use serde::{Deserialize, Serialize};

use super::{CustomerId, Day, Email, Link, Money, OrderId, Timestamp};

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
}

/// Whose order it is: a customer's, or a guest's, who is known by email alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderOwner {
    Customer(CustomerId),
    Guest,
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
    pub quantity: u32,
    pub sku: Option<String>,
    pub unit_price: Option<Money>,
}

/// What the order costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub subtotal: Option<Money>,
    pub shipping: Option<Money>,
    pub tax: Option<Money>,
    pub total: Money,
}

/// Money that went back to the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    pub amount: Money,
    pub refunded_at: Timestamp,
}

/// As much of the delivery address as a chat needs: never street or name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipTo {
    pub city: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
}
