//! Contacts, changed by their owners.

use serde::{Deserialize, Serialize};

use super::{Call, Decision, Desk, DeskError, Effect, OwnedContact, Verdict, effects::Outcome, ports::customer};
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
            let write = async |effect: EffectId| {
                let mut update = self.save_fields(call, customer, &fields).await?;
                if let Some(text) = &note {
                    update.note_id = Some(self.crm.add_note(&update.contact_id, text, &effect).await?);
                }
                Ok(Outcome { decision: decision(&update), receipt: update })
            };
            return Ok(self.once(call, &customer.id, write).await?.receipt);
        }
        let mut update = self.save_fields(call, customer, &fields).await?;
        match &note {
            None => self.note(call, decision(&update)).await?,
            Some(text) => {
                let write = async |effect| {
                    let note_id = self.crm.add_note(&update.contact_id, text, &effect).await?;
                    update.note_id = Some(note_id.clone());
                    Ok(Outcome { receipt: note_id, decision: decision(&update) })
                };
                let note_id = self.once(call, &customer.id, write).await?.receipt;
                update.note_id = Some(note_id);
            }
        }
        Ok(update)
    }

    async fn save_fields(
        &self,
        call: &Call,
        customer: &Customer,
        fields: &ContactFields,
    ) -> Result<ContactUpdate, DeskError> {
        let owned = match self.crm.find_contact(customer).await? {
            None => None,
            Some(found) => match OwnedContact::check(customer, found) {
                Ok(owned) => Some(owned),
                Err(verdict) => {
                    self.note(call, Decision::new(verdict)).await?;
                    None
                }
            },
        };
        let id = owned.as_ref().map(|owned| &owned.contact().id);
        let saved = self.crm.save_contact(customer, id, fields).await?;
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

fn decision(update: &ContactUpdate) -> Decision {
    let touched = !update.changed.is_empty() || update.note_id.is_some();
    let mut decision = Decision::new(Verdict::Allowed).on("contact", &update.contact_id).effect(if touched {
        Effect::Changed
    } else {
        Effect::Repeated
    });
    decision.fields = update.changed.iter().map(|change| change.field.to_string()).collect();
    decision.objects.extend(update.note_id.iter().map(|id| format!("note:{id}")));
    decision
}
