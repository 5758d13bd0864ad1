//! The embedded CRM. A contact's id is the id of its customer.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Store, StoreError, links};
use crate::{
    desk::{Crm, PortError, SavedContact, Settlement, System},
    domain::{Contact, ContactFields, ContactId, Customer, CustomerId, EffectId, Email, NoteId, SystemId, Timestamp},
};

/// System id of contacts that have a typed address and no verified customer.
const TYPED: &str = "typed";

const COLUMNS: &str = "customer, email, fields";

#[async_trait]
impl Crm for Store {
    async fn find_contact(&self, customer: &Customer) -> Result<Option<Contact>, PortError> {
        self.read(|connection| {
            let mut by_id =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM contacts WHERE customer = ?1"))?;
            for id in customer.ids().filter(|_| !customer.typed) {
                if let Some(found) = by_id.query_and_then([id.to_string()], read)?.next() {
                    return found.map(Some);
                }
            }
            let Some(email) = customer.address() else { return Ok(None) };
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM contacts WHERE email_canonical = ?1 ORDER BY customer"
                ))?
                .query_and_then([email.canonical()], read)?
                .next()
                .transpose()
        })
        .map_err(|error| error.of(System::Crm))
    }

    async fn save_contact(
        &self,
        customer: &Customer,
        contact: Option<&Contact>,
        fields: &ContactFields,
        effect: Option<&EffectId>,
    ) -> Result<SavedContact, PortError> {
        let customer = customer.clone();
        let contact = contact.map(|contact| contact.id.clone());
        let (fields, effect, now) = (fields.clone(), effect.cloned(), self.clock.now());
        self.write(move |transaction| match effect {
            Some(effect) => save_once(transaction, &customer, contact, &fields, (&effect, now)),
            None => save(transaction, &customer, contact, &fields),
        })
        .await
        .map_err(|error| error.of(System::Crm))
    }

    async fn add_note(&self, contact: &ContactId, text: &str, effect: &EffectId) -> Result<NoteId, PortError> {
        let (contact, text, effect, now) = (contact.clone(), text.to_owned(), effect.clone(), self.clock.now());
        self.write(move |transaction| {
            transaction
                .prepare_cached(
                    "INSERT INTO notes (effect, contact, text, at, customer_hash, conversation_hash)
                     SELECT ?1, ?2, ?3, ?4, max(customer_hash), max(conversation_hash) FROM ledger WHERE effect = ?1
                     ON CONFLICT (effect) DO NOTHING",
                )?
                .execute(params![effect.as_str(), contact.as_str(), text, now.unix_ms()])?;
            let n: i64 = transaction
                .prepare_cached("SELECT n FROM notes WHERE effect = ?1")?
                .query_row([effect.as_str()], |row| row.get(0))?;
            Ok(NoteId::parse(&format!("N-{n}"))?)
        })
        .await
        .map_err(|error| error.of(System::Crm))
    }

    fn contact_settlement(&self) -> Settlement {
        Settlement::Unique
    }

    fn note_settlement(&self) -> Settlement {
        Settlement::Unique
    }

    fn keyed_by_customer(&self) -> bool {
        true
    }
}

/// Saves once per effect. A repeat changes nothing and returns the values from before the first save.
fn save_once(
    transaction: &Transaction<'_>,
    customer: &Customer,
    contact: Option<ContactId>,
    fields: &ContactFields,
    (effect, now): (&EffectId, Timestamp),
) -> Result<SavedContact, StoreError> {
    let known: Option<(String, String)> = transaction
        .prepare_cached("SELECT contact, before FROM contact_changes WHERE effect = ?1")?
        .query_row([effect.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((contact, before)) = known {
        return Ok(SavedContact { id: ContactId::parse(&contact)?, before: serde_json::from_str(&before)? });
    }
    let mut saved = save(transaction, customer, contact, fields)?;
    saved.before.retain(|field, _| fields.contains_key(field));
    transaction
        .prepare_cached(
            "INSERT INTO contact_changes (effect, contact, before, customer_hash, at)
             VALUES (?1, ?2, ?3, keyed_hash(?4), ?5)",
        )?
        .execute(params![
            effect.as_str(),
            saved.id.as_str(),
            serde_json::to_string(&saved.before)?,
            customer.id.to_string(),
            now.unix_ms()
        ])?;
    Ok(saved)
}

/// Reads, compares and writes in one transaction, so that `before` holds exactly the values that this write replaced.
fn save(
    transaction: &Transaction<'_>,
    customer: &Customer,
    contact: Option<ContactId>,
    fields: &ContactFields,
) -> Result<SavedContact, StoreError> {
    let id = match contact {
        Some(id) => id,
        None if customer.typed => of_address(transaction, customer)?,
        None => ContactId::parse(&contact_key(&customer.id))?,
    };
    let key = customer_key(&id);
    // Erasure follows links between ids of one person. A typed address is unverified and links nobody.
    let own = CustomerId::parse(&key).ok().filter(|own| !customer.typed || own.system().as_str() == TYPED);
    for other in customer.linked.iter().cloned().chain(own) {
        links::link(transaction, &customer.id, &other)?;
    }
    let stored: Option<String> = transaction
        .prepare_cached("SELECT fields FROM contacts WHERE customer = ?1")?
        .query_row([&key], |row| row.get(0))
        .optional()?;
    let known = stored.is_some();
    let before: ContactFields = stored.map(|doc| serde_json::from_str(&doc)).transpose()?.unwrap_or_default();
    let mut after = before.clone();
    after.extend(fields.clone());
    if !known || after != before {
        let email = customer.address();
        transaction
            .prepare_cached(
                "INSERT INTO contacts (customer, email, email_canonical, fields) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (customer) DO UPDATE SET fields = excluded.fields",
            )?
            .execute(params![
                key,
                email.map(|email| email.as_str()),
                email.map(|email| email.canonical()),
                serde_json::to_string(&after)?
            ])?;
    }
    Ok(SavedContact { id, before })
}

/// The contact of an address that a visitor typed. A new one belongs to no customer, since the address is unverified.
fn of_address(transaction: &Transaction<'_>, customer: &Customer) -> Result<ContactId, StoreError> {
    let address = customer.address().map(Email::canonical);
    let known: Option<String> = transaction
        .prepare_cached("SELECT customer FROM contacts WHERE email_canonical = ?1 ORDER BY customer")?
        .query_row([address], |row| row.get(0))
        .optional()?;
    Ok(match known {
        Some(known) => ContactId::parse(&contact_key(&CustomerId::parse(&known)?))?,
        None => ContactId::parse(&format!("{TYPED}:{}", EffectId::fresh()))?,
    })
}

/// Upserts an imported contact by customer; fields that the record does not name keep their values.
pub(super) fn put(transaction: &Transaction<'_>, contact: &Contact) -> Result<(), StoreError> {
    let email = contact.email.as_ref();
    transaction
        .prepare_cached(
            "INSERT INTO contacts (customer, email, email_canonical, fields) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (customer) DO UPDATE SET email = excluded.email, email_canonical = excluded.email_canonical,
                 fields = json_patch(contacts.fields, excluded.fields)",
        )?
        .execute(params![
            customer_key(&contact.id),
            email.map(|email| email.as_str()),
            email.map(|email| email.canonical()),
            serde_json::to_string(&contact.fields)?
        ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Contact, StoreError> {
    let customer = CustomerId::parse(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
    let email: Option<String> = row.get(1)?;
    let fields: String = row.get(2)?;
    Ok(Contact {
        id: ContactId::parse(&contact_key(&customer))?,
        customer: Some(customer),
        email: email.map(|email| Email::parse(&email)).transpose()?,
        fields: serde_json::from_str(&fields)?,
    })
}

/// The contact id of a customer: `cus_ada` for one of the embedded CRM, `shopify:123` for another system's.
pub(super) fn contact_key(customer: &CustomerId) -> String {
    match *customer.system() == SystemId::builtin() && !customer.id().contains(':') {
        true => customer.id().to_owned(),
        false => customer.to_string(),
    }
}

/// Inverse of [`contact_key`]: the customer id of a contact id.
fn customer_key(contact: &ContactId) -> String {
    match contact.as_str().contains(':') {
        true => contact.to_string(),
        false => format!("{}:{contact}", SystemId::builtin()),
    }
}
