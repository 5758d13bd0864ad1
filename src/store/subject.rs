//! The data subject of an erasure, export or restore: every id by which a person or a conversation is known here.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{
    StoreError, contacts,
    data_map::{DATA_MAP, Key},
    keyed_hash::HashKey,
};
use crate::{
    desk::EffectKey,
    domain::{ContactId, CustomerId, Email, Invalid, SystemId},
};

/// What an operator names: a customer, an email address or one conversation.
#[derive(Debug, Clone, Default)]
pub struct SubjectQuery {
    customers: Vec<CustomerId>,
    /// Spellings of the customer id that chat platforms may use.
    names: BTreeSet<String>,
    conversation: Option<String>,
    email: Option<Email>,
}

impl SubjectQuery {
    /// Parses `cus_ada` (of the `usual` system), `shop:42`, or an id that contains a colon itself, such as
    /// `gid://shopify/Customer/7`. An ambiguous id is searched for in both readings.
    pub fn customer(usual: &SystemId, text: &str) -> Result<Self, Invalid> {
        let customers = CustomerId::readings(usual, text)?;
        let mut names = BTreeSet::from([text.to_owned()]);
        for id in &customers {
            names.insert(id.to_string());
            if id.system() == usual {
                names.insert(id.id().to_owned());
            }
        }
        Ok(Self { customers, names, ..Self::default() })
    }

    /// Somebody of whom only an email address is known: what they did after a one-time code, and their guest orders.
    pub fn email(email: Email) -> Self {
        Self { email: Some(email), ..Self::default() }
    }

    pub fn conversation(id: &str) -> Self {
        Self { conversation: Some(id.to_owned()), ..Self::default() }
    }

    /// Descriptions of the searched ids, for display.
    pub fn looked_for(&self) -> Vec<String> {
        let conversation = self.conversation.iter().map(|id| format!("conversation {id}"));
        let customers = self.customers.iter().map(|id| format!("customer {id}"));
        let names = self.names.iter().filter(|name| !self.customers.iter().any(|id| id.to_string() == **name));
        let email = self.email.iter().map(|email| format!("address {email}"));
        let names = names.map(|name| format!("{name} as a platform writes it"));
        conversation.chain(email).chain(customers).chain(names).collect()
    }
}

/// The resolved ids that rows are found by. SQL gets it as one JSON document.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Subject {
    pub(super) customers: BTreeSet<String>,
    pub(super) names: BTreeSet<String>,
    pub(super) contacts: BTreeSet<String>,
    /// Canonical addresses on the contact and the orders: guest orders have no other id.
    pub(super) emails: BTreeSet<String>,
    /// Set only if the operator named a conversation.
    pub(super) conversations: BTreeSet<String>,
    /// Numbers of the subject's orders.
    pub(super) orders: BTreeSet<String>,
    contact_scopes: BTreeSet<String>,
    customer_hashes: BTreeSet<String>,
    conversation_hashes: BTreeSet<String>,
    mentions: BTreeSet<String>,
    mention_hashes: BTreeSet<String>,
    by_hash: bool,
}

/// The subject as keyed hashes, for the erasure log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HashedSubject {
    customers: BTreeSet<String>,
    names: BTreeSet<String>,
    contacts: BTreeSet<String>,
    emails: BTreeSet<String>,
    conversations: BTreeSet<String>,
    mentions: BTreeSet<String>,
}

impl Subject {
    /// Resolves all known ids of the same person.
    pub(super) fn find(connection: &Connection, key: &HashKey, query: &SubjectQuery) -> Result<Self, StoreError> {
        let mut subject = Self {
            customers: query.customers.iter().map(ToString::to_string).collect(),
            names: query.names.clone(),
            conversations: query.conversation.iter().cloned().collect(),
            emails: query.email.iter().map(|email| email.canonical().to_owned()).collect(),
            ..Self::default()
        };
        // A linked id that is shared with another customer is left out.
        let linked: Vec<String> = subject.texts(
            connection,
            "SELECT linked FROM customer_links AS mine
             WHERE customer IN (SELECT value FROM json_each(?1, '$.customers')) AND NOT EXISTS (
                 SELECT 1 FROM customer_links AS other WHERE other.linked = mine.linked
                   AND other.customer NOT IN (SELECT value FROM json_each(?1, '$.customers')))",
        )?;
        subject.names.extend(linked.iter().cloned());
        subject.customers.extend(linked);
        subject.complete(connection, key)?;
        Ok(subject)
    }

    /// Resolves the subject of a logged erasure: hashes every id in this store and compares.
    pub(super) fn of_hashes(
        connection: &Connection,
        key: &HashKey,
        hashed: &HashedSubject,
    ) -> Result<Self, StoreError> {
        let mut subject = Self { by_hash: true, mention_hashes: hashed.mentions.clone(), ..Self::default() };
        for (entry, id) in DATA_MAP.iter().flat_map(|entry| entry.found_by.iter().map(move |id| (entry, id))) {
            let Some((expression, hashes, found)) = (match *id {
                Key::Customer(column) => Some((column, &hashed.customers, &mut subject.customers)),
                Key::Name(column) => Some((column, &hashed.names, &mut subject.names)),
                Key::Contact(column) => Some((column, &hashed.contacts, &mut subject.contacts)),
                Key::Email(column) => Some((column, &hashed.emails, &mut subject.emails)),
                Key::Conversation(column) => Some((column, &hashed.conversations, &mut subject.conversations)),
                Key::CustomerHash(_) | Key::ConversationHash(_) | Key::ContactScope(_) | Key::RowOf { .. } => None,
            }) else {
                continue;
            };
            if hashes.is_empty() {
                continue;
            }
            let sql = format!("SELECT DISTINCT {expression} FROM {} WHERE {expression} IS NOT NULL", entry.table);
            let mut statement = connection.prepare(&sql)?;
            for value in statement.query_map([], |row| row.get::<_, String>(0))? {
                let value = value?;
                if hashes.contains(&key.hash(&value)) {
                    found.insert(value);
                }
            }
        }
        subject.complete(connection, key)?;
        // The ledger and the audit hold these very hashes.
        subject.customer_hashes.extend(hashed.customers.iter().cloned());
        subject.conversation_hashes.extend(hashed.conversations.iter().cloned());
        Ok(subject)
    }

    fn complete(&mut self, connection: &Connection, key: &HashKey) -> Result<(), StoreError> {
        let owned = "json_extract(doc, '$.owner.customer') IN (SELECT value FROM json_each(?1, '$.customers'))";
        // A typed address is unverified and does not prove ownership of guest orders.
        let emails = self.texts(
            connection,
            &format!(
                "SELECT email_canonical FROM contacts WHERE customer IN (SELECT value FROM json_each(?1, '$.customers'))
                   AND email_canonical IS NOT NULL AND customer NOT LIKE 'typed:%'
                 UNION SELECT canonical_email(json_extract(doc, '$.email')) FROM orders
                 WHERE {owned} AND canonical_email(json_extract(doc, '$.email')) IS NOT NULL"
            ),
        )?;
        self.emails.extend(emails);
        // The id under which a one-time code for such an address made somebody known.
        let by_code = self.emails.iter().filter_map(|email| Email::parse(email).ok());
        let by_code: Vec<String> = by_code.map(|email| CustomerId::of_address(&email).to_string()).collect();
        self.names.extend(by_code.iter().cloned());
        self.customers.extend(by_code);
        for customer in &self.customers {
            self.contacts.insert(customer.clone());
            if let Ok(id) = CustomerId::parse(customer) {
                self.contacts.insert(contacts::contact_key(&id));
            }
        }
        for contact in self.contacts.iter().filter_map(|id| ContactId::parse(id).ok()) {
            let effect_key = EffectKey::of_contact_id(&contact);
            self.contact_scopes.insert(effect_key.as_bytes().iter().map(|octet| format!("{octet:02x}")).collect());
        }
        let orders = DATA_MAP.iter().find(|entry| entry.table == "orders").and_then(|orders| orders.condition());
        if let Some(orders) = orders {
            let numbers = self.texts(connection, &format!("SELECT number FROM orders WHERE {orders}"))?;
            self.orders.extend(numbers);
        }
        // Ids of the subject's conversations: they identify a body that names no customer.
        let talks = self.texts(
            connection,
            "SELECT conversation FROM tickets WHERE conversation IS NOT NULL
               AND customer IN (SELECT value FROM json_each(?1, '$.customers'))
             UNION SELECT conversation FROM conversation_tickets
             WHERE customer IN (SELECT value FROM json_each(?1, '$.customers'))
             UNION SELECT conversation FROM events WHERE conversation IS NOT NULL
               AND customer IN (SELECT value FROM json_each(?1, '$.names'))",
        )?;
        self.mentions.extend(talks);
        let ids = [&self.customers, &self.names, &self.emails, &self.conversations];
        self.mentions.extend(ids.into_iter().flatten().cloned());
        // Vendor files write a vendor's customer id as `vendor:id`; the vendor's own payloads have the bare id.
        let bare: Vec<String> =
            self.customers.iter().filter_map(|id| id.split_once(':')).map(|(_, id)| id.to_owned()).collect();
        self.mentions.extend(bare);
        self.mention_hashes.extend(self.mentions.iter().map(|id| key.hash(id)));
        self.customer_hashes.extend(self.customers.iter().map(|id| key.hash(id)));
        self.conversation_hashes.extend(self.conversations.iter().map(|id| key.hash(id)));
        Ok(())
    }

    /// The subject as keyed hashes.
    pub(super) fn hashed(&self, key: &HashKey) -> HashedSubject {
        let hashes = |ids: &BTreeSet<String>| ids.iter().map(|id| key.hash(id)).collect();
        HashedSubject {
            customers: hashes(&self.customers),
            names: hashes(&self.names),
            contacts: hashes(&self.contacts),
            emails: hashes(&self.emails),
            conversations: hashes(&self.conversations),
            mentions: self.mention_hashes.clone(),
        }
    }

    /// Ids of the person that `query` does not name.
    pub(super) fn linked(&self, query: &SubjectQuery) -> Vec<String> {
        self.customers
            .iter()
            .filter(|id| !query.customers.iter().any(|named| named.to_string() == **id))
            // What every address has, whether it was ever used or not, tells nothing.
            .filter(|id| !id.starts_with(&format!("{}:", SystemId::CODE)))
            .cloned()
            .collect()
    }

    /// The subject as JSON, the parameter of SQL conditions.
    pub(super) fn document(&self) -> Result<String, StoreError> {
        Ok(serde_json::to_string(self)?)
    }

    fn texts(&self, connection: &Connection, sql: &str) -> Result<Vec<String>, StoreError> {
        let mut statement = connection.prepare(sql)?;
        let found = statement.query_map([self.document()?], |row| row.get(0))?;
        Ok(found.collect::<Result<_, _>>()?)
    }
}
