//! Fields of a contact: finds it, creates it once, and never overwrites a later request's values.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Call, ContactChange, ContactUpdate, Decision, Desk, DeskError, Effect, EffectKey, Fingerprint, OwnedContact, Plan,
    PortError, System, Verdict,
    contacts::{Change, Saved},
    effects::{Once, Outcome, UNDER_WAY_MAX, Write},
    keyed_locks::KeyedLock,
};
use crate::domain::{Contact, ContactFields, ContactId, Customer, EffectId, EndedConversation, FieldName, Timestamp};

/// The field with the end of the last conversation.
const LAST_INTERACTION: &str = EndedConversation::CONTACT_FIELDS[0];

/// Receipt of a created contact.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    contact_id: ContactId,
}

impl Desk {
    /// Serialises changes to a contact in this process: two calls that find none must not both create one, and two ends
    /// of conversations must not overtake each other. Not needed where the CRM keeps contacts by customer id and writes
    /// atomically.
    pub(super) async fn lock_contact(&self, customer: &Customer, change: &Change) -> Option<KeyedLock> {
        match self.crm.keyed_by_customer() && change.ended.is_none() {
            true => None,
            false => Some(self.keyed_locks.take(EffectKey::of_contact(customer)).await),
        }
    }

    /// Saves the fields. `first`: nothing was sent under this effect before.
    pub(super) async fn save(
        &self,
        call: &Call,
        customer: &Customer,
        change: &Change,
        effect: &EffectId,
        first: bool,
    ) -> Result<Saved, DeskError> {
        let found = match self.own_contact(customer).await? {
            Ok(found) => found,
            Err(verdict) => {
                self.note(call, Decision::new(verdict)).await?;
                if !self.crm.keyed_by_customer() {
                    return Err(DeskError::NotFound);
                }
                None
            }
        };
        match found {
            Some(contact) => self.save_into(call, customer, &contact, change, effect, first).await,
            None if self.crm.contact_settlement().is_natural() => self.save_new(call, customer, change, effect).await,
            None => {
                // A lock across processes: a second caller finds the contact that the first has created.
                let lock = self.lock(EffectKey::of_making(customer), call.repeat_window.is_some()).await?;
                let saved = self.save_made(call, customer, change, effect, first).await;
                lock.free().await;
                saved
            }
        }
    }

    /// Creates the contact under the lock, unless another process has.
    async fn save_made(
        &self,
        call: &Call,
        customer: &Customer,
        change: &Change,
        effect: &EffectId,
        first: bool,
    ) -> Result<Saved, DeskError> {
        if let Ok(Some(contact)) = self.own_contact(customer).await? {
            return self.save_into(call, customer, &contact, change, effect, first).await;
        }
        let Once { receipt: Made { contact_id }, repeated, .. } =
            self.make_contact(call, customer, &change.fields).await?;
        if !repeated {
            self.remember_end(&contact_id, change).await?;
            let update = updated(contact_id, &change.fields, &ContactFields::new());
            return Ok(Saved { update, recorded: true });
        }
        // Another process or an earlier attempt created it; a search may not show it yet.
        let found = self.own_contact(customer).await?.ok().flatten();
        let contact = found.unwrap_or_else(|| Contact {
            id: contact_id,
            customer: None,
            email: None,
            fields: ContactFields::new(),
        });
        self.save_into(call, customer, &contact, change, effect, first).await
    }

    /// The customer's contact; or the verdict, for the audit alone, if the one found is not theirs.
    async fn own_contact(&self, customer: &Customer) -> Result<Result<Option<Contact>, Verdict>, DeskError> {
        let found = self.crm.find_contact(customer).await.map_err(PortError::before_any_write)?;
        Ok(found.map(|found| OwnedContact::check(customer, found).map(OwnedContact::into_contact)).transpose())
    }

    async fn save_into(
        &self,
        call: &Call,
        customer: &Customer,
        contact: &Contact,
        change: &Change,
        effect: &EffectId,
        first: bool,
    ) -> Result<Saved, DeskError> {
        let contact_key = EffectKey::of_contact_id(&contact.id);
        // By contact id, whichever customer it was found by: ends of conversations are saved one after the other.
        let _lock = match change.ended {
            Some(_) => Some(self.keyed_locks.take(contact_key).await),
            None => None,
        };
        let mut fields = change.fields.clone();
        let free = match change.ended {
            Some(at) if ends_before(at, contact, self.clock.now()) => Vec::new(),
            Some(at) => match self.ledger.take_end(&contact_key, at).await? {
                true => fields.keys().cloned().collect(),
                false => Vec::new(),
            },
            // The embedded store deduplicates by effect in the transaction.
            None if self.crm.keyed_by_customer() => fields.keys().cloned().collect(),
            None => self.ledger.take_fields(&contact_key, fields.keys().cloned().collect(), effect, first).await?,
        };
        let superseded: Vec<FieldName> = fields.keys().filter(|field| !free.contains(field)).cloned().collect();
        fields.retain(|field, _| free.contains(field));
        if fields.is_empty() && !change.fields.is_empty() {
            let update =
                ContactUpdate { contact_id: contact.id.clone(), changed: Vec::new(), superseded, note_id: None };
            return Ok(Saved { update, recorded: false });
        }
        match self.crm.save_contact(customer, Some(contact), &fields, Some(effect)).await {
            Ok(saved) => {
                let mut update = updated(saved.id, &fields, &saved.before);
                update.superseded = superseded;
                Ok(Saved { update, recorded: false })
            }
            Err(error) if error.is_not_done() => {
                self.ledger.give_back(&contact_key, effect, change.ended).await?;
                Err(error.into())
            }
            Err(error) => Err(self.fields_in_doubt(call, Some(&contact.id), &fields, error).await?),
        }
    }

    /// Saves a new contact at a CRM whose create is idempotent.
    async fn save_new(
        &self,
        call: &Call,
        customer: &Customer,
        change: &Change,
        effect: &EffectId,
    ) -> Result<Saved, DeskError> {
        match self.crm.save_contact(customer, None, &change.fields, Some(effect)).await {
            Ok(saved) => {
                self.remember_end(&saved.id, change).await?;
                Ok(Saved { update: updated(saved.id, &change.fields, &saved.before), recorded: false })
            }
            Err(error) if error.is_not_done() => Err(error.into()),
            Err(error) => Err(self.fields_in_doubt(call, None, &change.fields, error).await?),
        }
    }

    async fn remember_end(&self, contact: &ContactId, change: &Change) -> Result<(), DeskError> {
        if let Some(at) = change.ended {
            self.ledger.take_end(&EffectKey::of_contact_id(contact), at).await?;
        }
        Ok(())
    }

    /// Creates a contact through the ledger, at a CRM whose create is not idempotent.
    async fn make_contact(
        &self,
        call: &Call,
        customer: &Customer,
        fields: &ContactFields,
    ) -> Result<Once<Made>, DeskError> {
        let settlement = self.crm.contact_settlement();
        // After this time a search shows the contact if it exists.
        let window = settlement.search_after().unwrap_or_default().max(UNDER_WAY_MAX) + Duration::from_secs(60);
        let written = AtomicBool::new(false);
        let once = Call {
            fingerprint: Fingerprint::of(b"contact"),
            idempotency_key: None,
            repeat_window: Some(window),
            ..call.clone()
        };
        let write = Write {
            system: System::Crm,
            settlement,
            describe: |made: &Made| {
                let mut decision = Decision::new(Verdict::Allowed).on("contact", &made.contact_id);
                if written.load(Ordering::Relaxed) {
                    decision.fields = names(fields);
                }
                decision
            },
            find: async |_| match self.crm.find_contact(customer).await? {
                Some(found) => {
                    Ok(OwnedContact::check(customer, found).ok().map(|own| Made { contact_id: own.into_contact().id }))
                }
                None => Ok(None),
            },
            write: async |effect: EffectId| {
                let saved = self.crm.save_contact(customer, None, fields, Some(&effect)).await?;
                written.store(true, Ordering::Relaxed);
                Ok(Outcome { receipt: Made { contact_id: saved.id }, effect: Effect::Created })
            },
            plan: Plan::default(),
        };
        self.once_under(EffectKey::of_new_contact(customer), &once, write).await
    }

    /// Reports a doubtful write of fields. It can settle: a repeat sets the same fields again.
    async fn fields_in_doubt(
        &self,
        call: &Call,
        contact: Option<&ContactId>,
        fields: &ContactFields,
        error: PortError,
    ) -> Result<DeskError, DeskError> {
        let mut decision = Decision::new(Verdict::InDoubt);
        decision.objects.extend(contact.map(|id| format!("contact:{id}")));
        decision.fields = names(fields);
        self.note(call, decision).await?;
        Ok(DeskError::InDoubt { system: System::Crm, can_settle: true, source: Some(error) })
    }
}

/// Whether the contact's own field has a later end, written before this store recorded ends.
fn ends_before(at: Timestamp, contact: &Contact, now: Timestamp) -> bool {
    let recorded = contact.fields.iter().find(|(field, _)| field.as_str() == LAST_INTERACTION);
    let recorded = recorded.and_then(|(_, value)| Timestamp::parse(value.as_str()).ok());
    // A time in the future is wrong or not ours.
    recorded.is_some_and(|recorded| at < recorded && recorded <= now)
}

fn names(fields: &ContactFields) -> Vec<String> {
    fields.keys().map(ToString::to_string).collect()
}

fn updated(contact_id: ContactId, fields: &ContactFields, before: &ContactFields) -> ContactUpdate {
    let changed = fields
        .iter()
        .filter(|(field, to)| before.get(*field) != Some(*to))
        .map(|(field, to)| ContactChange { field: field.clone(), from: before.get(field).cloned(), to: to.clone() })
        .collect();
    ContactUpdate { contact_id, changed, superseded: Vec::new(), note_id: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FieldValue;

    #[test]
    fn a_contact_tells_of_a_later_end_unless_it_is_in_the_future() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let before = |recorded: &str, ended: &str| {
            let fields = [(FieldName::parse(LAST_INTERACTION).unwrap(), FieldValue::stored(recorded.to_owned()))];
            let id = ContactId::parse("c1").unwrap();
            let contact = Contact { id, customer: None, email: None, fields: fields.into() };
            ends_before(at(ended), &contact, at("2026-03-30T16:00:00Z"))
        };
        assert!(before("2026-03-30T15:00:00Z", "2026-03-30T14:00:00Z"));
        assert!(!before("2026-03-30T15:00:00Z", "2026-03-30T15:00:00Z"));
        assert!(!before("2026-03-30T13:00:00Z", "2026-03-30T14:00:00Z"));
        assert!(!before("2999-01-01T00:00:00Z", "2026-03-30T14:00:00Z"));
        assert!(!before("yesterday", "2026-03-30T14:00:00Z"));
    }
}
