//! The schema of one import line, and its conversion into a [`Record`].

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::domain::{
    Article, ArticleId, Contact, ContactId, Currency, CustomerId, Day, Email, FieldName, FieldValue, Invalid, Language,
    Level, LineItem, Link, Money, Order, OrderId, OrderOwner, OrderStatus, Quantity, Record, Refund, ShipTo, SystemId,
    Timestamp, Totals, Tracking,
};

/// One line of an import file (JSON Lines). Unknown members are errors.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(title = "frontdesk import record")]
pub enum ImportRecord {
    Customer(CustomerLine),
    Order(Box<OrderLine>),
    Article(ArticleLine),
}

/// A customer of the embedded CRM.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomerLine {
    /// For example cus_ada, or shop:42 with a system.
    id: String,
    email: Option<String>,
    /// Contact fields by name, such as first_name, phone (E.164), company, language (BCP 47).
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

/// An order. One without a customer is a guest order, whose owner is known by the email address alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderLine {
    id: String,
    /// The id of the customer who owns it.
    customer: Option<String>,
    email: Option<String>,
    status: OrderStatus,
    /// The shop's own word for the status.
    status_detail: Option<String>,
    /// RFC 3339.
    placed_at: Option<String>,
    /// A date, for example 2026-03-30.
    estimated_delivery: Option<String>,
    #[serde(default)]
    tracking: Vec<TrackingLine>,
    #[serde(default)]
    items: Vec<ItemLine>,
    /// ISO 4217. Required with any amount. Amounts are in minor units, such as cents.
    currency: Option<String>,
    subtotal_minor: Option<i64>,
    shipping_minor: Option<i64>,
    tax_minor: Option<i64>,
    total_minor: Option<i64>,
    #[serde(default)]
    refunds: Vec<RefundLine>,
    ship_to: Option<ShipToLine>,
}

/// A parcel.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrackingLine {
    carrier: Option<String>,
    number: Option<String>,
    url: Option<String>,
}

/// A line of an order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemLine {
    name: String,
    /// A number, for example 2 or 0.75.
    quantity: Quantity,
    sku: Option<String>,
    unit_price_minor: Option<i64>,
}

/// A refund.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundLine {
    amount_minor: i64,
    /// RFC 3339.
    refunded_at: String,
}

/// The destination of an order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShipToLine {
    city: Option<String>,
    /// ISO 3166-1 alpha-2.
    country: Option<String>,
}

/// A published help article.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArticleLine {
    id: String,
    title: String,
    /// Plain text or Markdown.
    body: String,
    /// The language, as de, where the article has several: one line for each.
    language: Option<Language>,
    /// The level from which customers may read it; everybody, if left out.
    audience: Option<Level>,
    url: Option<String>,
    /// RFC 3339.
    updated_at: String,
}

impl TryFrom<ImportRecord> for Record {
    type Error = Invalid;

    fn try_from(line: ImportRecord) -> Result<Self, Invalid> {
        Ok(match line {
            ImportRecord::Customer(line) => Self::Customer(line.contact()?),
            ImportRecord::Order(line) => Self::Order(Box::new(line.order()?.normalised())),
            ImportRecord::Article(line) => Self::Article(line.article()?.normalised()),
        })
    }
}

/// Parses a customer id; one without a system is of the embedded CRM.
fn customer_id(text: &str) -> Result<CustomerId, Invalid> {
    CustomerId::parse_or_in(&SystemId::builtin(), text)
}

impl CustomerLine {
    fn contact(self) -> Result<Contact, Invalid> {
        let mut fields = BTreeMap::new();
        for (name, text) in self.fields {
            let name = FieldName::parse(&name)?;
            let value = FieldValue::parse(&name, &text)?;
            fields.insert(name, value);
        }
        Ok(Contact {
            customer: Some(customer_id(&self.id)?),
            id: ContactId::parse(&self.id)?,
            email: self.email.as_deref().map(Email::parse).transpose()?,
            fields,
        })
    }
}

impl OrderLine {
    fn order(self) -> Result<Order, Invalid> {
        let currency = self.currency.as_deref().map(Currency::parse).transpose()?;
        let money = |amount_minor: i64| match currency {
            Some(currency) => Ok(Money { amount_minor, currency }),
            None => Err(Invalid { what: "currency", why: "must be given with an amount" }),
        };
        let items = self.items.into_iter().map(|item| {
            let ItemLine { name, quantity, sku, unit_price_minor } = item;
            Ok(LineItem { name, quantity: Some(quantity), sku, unit_price: unit_price_minor.map(money).transpose()? })
        });
        let refunds = self.refunds.into_iter().map(|refund| {
            let refunded_at = Some(Timestamp::parse(&refund.refunded_at)?);
            Ok(Refund { amount: money(refund.amount_minor)?, refunded_at })
        });
        let parts = [self.subtotal_minor, self.shipping_minor, self.tax_minor];
        if self.total_minor.is_none() && parts.iter().any(Option::is_some) {
            return Err(Invalid { what: "total_minor", why: "must be given with the other amounts" });
        }
        let totals = match self.total_minor {
            None => None,
            Some(total) => Some(Totals {
                subtotal: self.subtotal_minor.map(money).transpose()?,
                shipping: self.shipping_minor.map(money).transpose()?,
                tax: self.tax_minor.map(money).transpose()?,
                total: Some(money(total)?),
            }),
        };
        let owner = match &self.customer {
            Some(customer) => OrderOwner::Customer(customer_id(customer)?),
            None => OrderOwner::Guest,
        };
        Ok(Order {
            id: OrderId::parse(&self.id)?,
            owner,
            email: self.email.as_deref().map(Email::parse).transpose()?,
            status: self.status,
            status_detail: self.status_detail,
            placed_at: self.placed_at.as_deref().map(Timestamp::parse).transpose()?,
            estimated_delivery: self.estimated_delivery.as_deref().map(Day::parse).transpose()?,
            tracking: self.tracking.into_iter().map(TrackingLine::tracking).collect::<Result<_, _>>()?,
            items: items.collect::<Result<_, Invalid>>()?,
            totals,
            refunds: refunds.collect::<Result<_, Invalid>>()?,
            ship_to: self.ship_to.map(|ShipToLine { city, country }| ShipTo { city, country }),
            unreadable: BTreeSet::new(),
        })
    }
}

impl TrackingLine {
    fn tracking(self) -> Result<Tracking, Invalid> {
        let url = self.url.as_deref().map(Link::parse).transpose()?;
        Ok(Tracking { carrier: self.carrier, number: self.number, url })
    }
}

impl ArticleLine {
    fn article(self) -> Result<Article, Invalid> {
        Ok(Article {
            id: ArticleId::parse(&self.id)?,
            variant: self.language,
            audience: self.audience.unwrap_or(Level::Anonymous),
            title: self.title,
            body: self.body,
            url: self.url.as_deref().map(Link::parse).transpose()?,
            updated_at: Timestamp::parse(&self.updated_at)?,
        })
    }
}
