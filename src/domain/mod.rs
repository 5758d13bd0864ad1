//! Domain types: orders, tickets, contacts, articles, customers, events. Imports nothing of ours and no transport.
//!
//! Values are parsed on construction: an invalid id, email or amount cannot exist.

mod address;
mod article;
mod contact;
mod customer;
mod email;
mod event;
mod ids;
mod language;
mod link;
mod loopback;
mod moment;
mod money;
mod normalised;
mod order;
mod parsed;
mod quantity;
mod record;
mod schedule;
mod scope;
mod secret;
mod strict_json;
pub mod text;
mod ticket;
mod time;
mod waiting;

pub use address::{AllowedAddresses, NotAnAddress};
pub use article::{Article, ArticleContent, ArticleEntry, ArticleHit, ArticleMark, ArticleState};
pub use contact::{Contact, ContactFields, FieldName, FieldValue};
pub use customer::{Customer, CustomerId, Level, SystemId};
pub use email::Email;
pub use event::{ConversationDetails, EndedConversation, Escalation, Event, Message, Speaker};
pub use ids::{AgentId, ArticleId, ContactId, ConversationId, EffectId, NoteId, OrderId, TicketId};
pub use language::Language;
pub use link::Link;
pub use loopback::{is_loopback, is_loopback_origin, names_loopback};
pub use moment::moment;
pub use money::{Currency, Money, Rounded};
pub use order::{LineItem, Order, OrderOwner, OrderPart, OrderStatus, Refund, ShipTo, Totals, Tracking};
pub use parsed::Invalid;
pub use quantity::Quantity;
pub use record::Record;
pub use schedule::Schedule;
pub(crate) use schedule::retry_after;
pub use scope::{Scope, Scopes};
pub use secret::{OCTETS_MIN, Secret, SecretError, SecretReader, SecretRef, TextRef};
pub use strict_json::{StrictJsonError, strict_json};
pub use ticket::{Comment, NewTicket, Priority, Ticket, TicketStatus};
pub use time::{Clock, Day, Timestamp};
pub use waiting::{Away, WaitCause};
