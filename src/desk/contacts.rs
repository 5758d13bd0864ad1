//! Contacts: fields and notes. Each is an effect of its own and audited by itself.

use serde::{Deserialize, Serialize};

use super::{
    Begin, Call, Decision, Desk, DeskError, Effect, EffectKey, Plan, System, Verdict,
    effects::{Outcome, Write, unreadable},
    ports::customer,
};
use crate::domain::{ContactFields, ContactId, Customer, EffectId, FieldName, FieldValue, NoteId, Timestamp};

/// A contact after an update.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContactUpdate {
    pub contact_id: ContactId,
    /// Fields whose values changed.
    pub changed: Vec<ContactChange>,
    /// Fields left unchanged, because a later request has set them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub superseded: Vec<FieldName>,
    pub note_id: Option<NoteId>,
}

/// One field that changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContactChange {
    pub field: FieldName,
    pub from: Option<FieldValue>,
    pub to: FieldValue,
}

/// The update, and whether it is audited already.
pub(super) struct Saved {
    pub(super) update: ContactUpdate,
    pub(super) recorded: bool,
}

/// A change to a contact.
pub(super) struct Change {
    pub(super) fields: ContactFields,
    pub(super) note: Option<String>,
    /// When the conversation ended that the fields are about: of two ends the later one counts.
    pub(super) ended: Option<Timestamp>,
}

/// Receipt of a note. Up to store format 6 it was the whole update if the caller had sent an idempotency key.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Noted {
    Note(NoteId),
    Update(ContactUpdate),
}

impl Desk {
    /// Changes contact fields and adds a note, for the customer of the call.
    ///
    /// Fields are compared with the current record, so A→B→A ends at A. A note, and everything under the caller's
    /// idempotency key, is done once. [`DeskError::Partly`]: the fields are saved, and the note is not.
    pub async fn update_contact(
        &self,
        call: &Call,
        fields: ContactFields,
        note: Option<String>,
    ) -> Result<ContactUpdate, DeskError> {
        self.change_contact(call, &Change { fields, note, ended: None }).await
    }

    /// Records the result of a conversation that ended at `at`: always its note, and its fields unless a later end is
    /// recorded.
    pub async fn end_conversation(
        &self,
        call: &Call,
        fields: ContactFields,
        note: String,
        at: Timestamp,
    ) -> Result<ContactUpdate, DeskError> {
        self.change_contact(call, &Change { fields, note: Some(note), ended: Some(at) }).await
    }

    async fn change_contact(&self, call: &Call, change: &Change) -> Result<ContactUpdate, DeskError> {
        let customer = customer(&call.caller)?;
        let mut update = match call.idempotency_key.is_some() {
            true => self.save_once(call, customer, change).await?,
            false => {
                let _lock = self.lock_contact(customer, change).await;
                let Saved { update, recorded } = self.save(call, customer, change, &EffectId::fresh(), true).await?;
                if !recorded && (change.note.is_none() || !update.changed.is_empty()) {
                    self.note(call, describe(&update).effect(effect_of(&update))).await?;
                }
                update
            }
        };
        let Some(text) = &change.note else { return Ok(update) };
        match self.add_note(call, customer, &update.contact_id, text).await {
            Ok(note_id) => {
                update.note_id = Some(note_id);
                Ok(update)
            }
            Err(error) if change.fields.is_empty() => Err(error),
            Err(error) => Err(DeskError::Partly { done: Box::new(update), error: Box::new(error) }),
        }
    }

    /// Saves the fields once under the caller's idempotency key, whatever happened to the note. A repeat never
    /// overwrites a value that another request has set since.
    async fn save_once(&self, call: &Call, customer: &Customer, change: &Change) -> Result<ContactUpdate, DeskError> {
        let _lock = self.lock_contact(customer, change).await;
        let claim = self.claim(EffectKey::of_fields(call, &customer.id), call)?;
        let mut begun = self.ledger.begin(&claim).await?;
        if let Begin::InDoubt { effect, .. } = &begun
            && !self.ledger.join(effect).await?
        {
            begun = self.ledger.begin(&claim).await?;
        }
        let (effect, first) = match begun {
            Begin::Fresh { effect } => (effect, true),
            Begin::InDoubt { effect, .. } => (effect, false),
            Begin::Done { receipt } => {
                let update: ContactUpdate = serde_json::from_value(receipt).map_err(unreadable)?;
                if change.note.is_none() {
                    self.note(call, describe(&update).effect(Effect::Repeated)).await?;
                }
                return Ok(update);
            }
            Begin::KeyReused => {
                self.note(call, Decision::new(Verdict::KeyReused)).await?;
                return Err(DeskError::KeyReused);
            }
            Begin::Erased => return Err(self.erased(call).await?),
        };
        match self.save(call, customer, change, &effect, first).await {
            Ok(Saved { update, recorded }) => {
                let decision = match recorded {
                    true => Decision::new(Verdict::Allowed).on("contact", &update.contact_id),
                    false => describe(&update).effect(effect_of(&update)),
                };
                self.finish(call, &effect, &update, decision).await?;
                Ok(update)
            }
            Err(error) => {
                let certain = match &error {
                    DeskError::Port(error) => error.is_not_done() && (first || error.is_verdict()),
                    error => first && !matches!(error, DeskError::InDoubt { .. }),
                };
                match certain {
                    true => self.ledger.release(&effect).await?,
                    false => self.ledger.leave(&effect).await?,
                }
                Err(error)
            }
        }
    }

    async fn add_note(
        &self,
        call: &Call,
        customer: &Customer,
        contact: &ContactId,
        text: &str,
    ) -> Result<NoteId, DeskError> {
        let write = Write {
            system: System::Crm,
            settlement: self.crm.note_settlement(),
            describe: |noted: &Noted| {
                let decision = Decision::new(Verdict::Allowed).on("contact", contact);
                match noted.id() {
                    Some(id) => decision.on("note", id),
                    None => decision,
                }
            },
            find: async |_| Ok(None),
            write: async |effect: EffectId| {
                let note_id = self.crm.add_note(contact, text, &effect).await?;
                Ok(Outcome { effect: Effect::Changed, receipt: Noted::Note(note_id) })
            },
            plan: Plan::default(),
        };
        let noted = self.once(call, &customer.id, write).await?.receipt;
        noted.id().cloned().ok_or_else(|| unreadable("a note without an id").into())
    }
}

impl Noted {
    fn id(&self) -> Option<&NoteId> {
        match self {
            Self::Note(id) => Some(id),
            Self::Update(update) => update.note_id.as_ref(),
        }
    }
}

/// The audit decision of an update: ids and field names, no values.
fn describe(update: &ContactUpdate) -> Decision {
    let mut decision = Decision::new(Verdict::Allowed).on("contact", &update.contact_id);
    decision.fields = update.changed.iter().map(|change| change.field.to_string()).collect();
    decision
}

fn effect_of(update: &ContactUpdate) -> Effect {
    match update.changed.is_empty() {
        true => Effect::Repeated,
        false => Effect::Changed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_ledger_kept_of_notes_before_is_read() {
        let update = r#"{ "contact_id": "c1", "changed": [], "note_id": "N-7" }"#;
        for kept in ["\"N-7\"", update] {
            let noted: Noted = serde_json::from_str(kept).unwrap();
            assert_eq!(noted.id().unwrap().as_str(), "N-7", "{kept}");
        }
    }
}
