//! Contacts, changed by their owners.

use serde::{Deserialize, Serialize};

use super::{
    Call, Decision, Desk, DeskError, Effect, OwnedContact, PortError, Scope, Settlement, Verdict,
    effects::{Outcome, Write},
    ports::customer,
};
use crate::domain::{ContactFields, ContactId, Customer, EffectId, FieldName, FieldValue, NoteId};

/// A contact after an update.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContactUpdate {
    pub contact_id: ContactId,
    /// Only what is different now.
    pub changed: Vec<ContactChange>,
    pub note_id: Option<NoteId>,
}

/// One field that changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContactChange {
    pub field: FieldName,
    pub from: Option<FieldValue>,
    pub to: FieldValue,
}

impl Desk {
    /// Changes contact fields and adds a note, for the customer of the call.
    ///
    /// Fields are compared with the record as it is now, so A→B→A ends at A. A note, or anything under the caller's own
    /// idempotency key, is done once.
    pub async fn update_contact(
        &self,
        call: &Call,
        fields: ContactFields,
        note: Option<String>,
    ) -> Result<ContactUpdate, DeskError> {
        let customer = customer(&call.caller)?;
        if call.idempotency_key.is_some() {
            let write = Write {
                system: "CRM",
                // Fields are compared with the record; only a note can be doubled.
                settlement: if note.is_some() { self.crm.note_settlement() } else { Settlement::UNIQUE },
                describe,
                find: async |_| Ok(None),
                write: async |effect: EffectId| {
                    let saved = self.save_fields(call, customer, &fields, Some(&effect)).await;
                    let mut update = if note.is_some() { saved.map_err(without_note)? } else { saved? };
                    if let Some(text) = &note {
                        update.note_id = Some(self.crm.add_note(&update.contact_id, text, &effect).await?);
                    }
                    Ok(Outcome { effect: effect_of(&update), receipt: update })
                },
            };
            return Ok(self.once(call, &customer.id, write).await?.receipt);
        }
        let update = self.save_fields(call, customer, &fields, None).await?;
        let Some(text) = &note else {
            self.note(call, describe(&update).effect(effect_of(&update))).await?;
            return Ok(update);
        };
        let with_note = |note_id: &NoteId| ContactUpdate { note_id: Some(note_id.clone()), ..update.clone() };
        let write = Write {
            system: "CRM",
            settlement: self.crm.note_settlement(),
            describe: |note_id: &NoteId| {
                let decision = describe(&with_note(note_id));
                if update.changed.is_empty() { decision } else { decision.effect(Effect::Changed) }
            },
            find: async |_| Ok(None),
            write: async |effect: EffectId| {
                let note_id = self.crm.add_note(&update.contact_id, text, &effect).await?;
                Ok(Outcome { effect: Effect::Changed, receipt: note_id })
            },
        };
        let noted = self.once(call, &customer.id, write).await?;
        Ok(with_note(&noted.receipt))
    }

    async fn save_fields(
        &self,
        call: &Call,
        customer: &Customer,
        fields: &ContactFields,
        effect: Option<&EffectId>,
    ) -> Result<ContactUpdate, DeskError> {
        // Two calls that both find nothing would both make a contact.
        let _turn = match self.crm.keyed_by_customer() {
            true => None,
            false => Some(self.turns.take(Scope::of_contact(&customer.id)).await),
        };
        let found = self.crm.find_contact(customer).await.map_err(PortError::before_any_write)?;
        let owned = match found {
            None => None,
            Some(found) => match OwnedContact::check(customer, found) {
                Ok(owned) => Some(owned),
                Err(verdict) => {
                    self.note(call, Decision::new(verdict)).await?;
                    if !self.crm.keyed_by_customer() {
                        return Err(DeskError::NotFound);
                    }
                    None
                }
            },
        };
        let contact = owned.as_ref().map(OwnedContact::contact);
        let saved = self.crm.save_contact(customer, contact, fields, effect).await?;
        let changed = fields
            .iter()
            .filter(|(field, to)| saved.before.get(*field) != Some(*to))
            .map(|(field, to)| ContactChange {
                field: field.clone(),
                from: saved.before.get(field).cloned(),
                to: to.clone(),
            })
            .collect();
        Ok(ContactUpdate { contact_id: saved.id, changed, note_id: None })
    }
}

/// Before the note, nothing has been done that could be doubled: a failure there leaves no doubt.
fn without_note(error: DeskError) -> DeskError {
    match error {
        DeskError::Port(PortError::Unavailable { system, closed_for, source }) => {
            DeskError::Port(PortError::NotDone { system, closed_for, source })
        }
        DeskError::Port(PortError::Unexpected { system, source }) => {
            DeskError::Port(PortError::NotDone { system, closed_for: None, source })
        }
        error => error,
    }
}

/// What the audit says of an update: references and names, no values.
fn describe(update: &ContactUpdate) -> Decision {
    let mut decision = Decision::new(Verdict::Allowed).on("contact", &update.contact_id);
    decision.objects.extend(update.note_id.iter().map(|id| format!("note:{id}")));
    decision.fields = update.changed.iter().map(|change| change.field.to_string()).collect();
    decision
}

fn effect_of(update: &ContactUpdate) -> Effect {
    match update.changed.is_empty() && update.note_id.is_none() {
        true => Effect::Repeated,
        false => Effect::Changed,
    }
}
