//! `update_crm`: changes contact fields and adds a note, for a signed-in customer.

use std::{collections::BTreeMap, fmt, time::Duration};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Options,
    error::{RegistryError, ToolError, in_words, wait_s},
    refused::Code,
    tool::{Hints, Tool},
};
use crate::{
    desk::{Call, ContactUpdate, Desk, DeskError, PortError, PortErrorKind, Verdict},
    domain::{FieldName, FieldValue, Level, Scope},
};

pub(super) struct UpdateCrm {
    fields: Vec<FieldName>,
}

impl UpdateCrm {
    pub(super) fn new(options: &Options) -> Result<Self, RegistryError> {
        for field in &options.contact_fields {
            match field.as_str() {
                "note" => return Err(RegistryError::NoteField),
                name if name.contains("email") || name.contains("customer") => {
                    return Err(RegistryError::IdentityField(name.to_owned()));
                }
                _ => {}
            }
        }
        Ok(Self { fields: options.contact_fields.clone() })
    }
}

/// For a signed-in customer without a verified address, who cannot confirm one.
const WITHOUT_EMAIL: &str = "Nothing was changed: contacts are kept by email address, and no proven one of this customer is \
    known. Ask the customer to confirm the one-time code sent to their email address and try again; or, if they cannot, open \
    a ticket with create_ticket that says what to change.";

const NOT_THEIRS: &str = "Nothing was changed: the contact of this customer cannot be changed from here. Open a ticket with \
    create_ticket that says what to change.";

#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// A remark for the staff, plain text.
    #[schemars(length(max = 5_000))]
    note: Option<String>,
    /// The contact fields; [`UpdateCrm::refine`] writes their schema.
    #[serde(flatten)]
    #[schemars(skip)]
    fields: BTreeMap<FieldName, String>,
}

/// What the contact looks like now.
#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// In words.
    #[serde(skip)]
    fields: String,
    contact_id: String,
    // Only the fields that are different now.
    changed: Vec<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note_id: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Change {
    field: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    to: String,
}

#[async_trait]
impl Tool for UpdateCrm {
    const NAME: &'static str = "update_crm";
    const TITLE: &'static str = "Update contact";
    const DESCRIPTION: &'static str = "Correct contact details of the customer in this conversation, or leave a note \
        for the staff. Use it when the customer states a new value; leave out, or empty, what does not change. Do not use \
        it to guess data, nor for what needs an answer or a new email address: that is create_ticket.";
    const HINTS: Hints = Hints { read_only: false, destructive: true, idempotent: true, open_world: false };
    const LEVEL: Level = Level::Verified;
    const SCOPE: Scope = Scope::CrmWrite;
    const TAKES_KEY: bool = true;

    type Input = Input;
    type Output = Output;

    fn refine(&self, input_schema: &mut Map<String, Value>) {
        let mut properties: Map<String, Value> =
            self.fields.iter().map(|field| (field.to_string(), property(field))).collect();
        if let Some(Value::Object(own)) = input_schema.get_mut("properties") {
            properties.append(own);
        }
        input_schema.insert("properties".to_owned(), Value::Object(properties));
        input_schema.remove("additionalProperties");
    }

    /// Phone numbers and languages are accepted in more forms than a pattern can express.
    fn own_patterns(&self) -> &'static [&'static str] {
        &["phone", "language"]
    }

    fn instead_of(&self, argument: &str) -> Option<&'static str> {
        argument.to_lowercase().contains("mail").then_some(
            "the email address says who the customer is, so it is not changed in a chat; if the customer wants another \
             one, open a ticket with create_ticket, and a person changes it",
        )
    }

    async fn call(&self, desk: &Desk, call: &Call, input: Input) -> Result<Output, ToolError> {
        if input.fields.is_empty() && input.note.is_none() {
            return Err(ToolError::invalid("Nothing to change was given. Send at least one field or a note."));
        }
        let mut fields = BTreeMap::new();
        for (name, text) in input.fields {
            let value = FieldValue::parse(&name, &text).map_err(|invalid| {
                ToolError::invalid(format!(
                    "{name} {}. Ask the customer for it and call again, or leave {name} out; nothing was changed.",
                    invalid.why
                ))
            })?;
            fields.insert(name, value);
        }
        let note = input.note.as_deref().map(FieldValue::harmless);
        let update = match desk.update_contact(call, fields, note).await {
            Ok(update) => update,
            Err(DeskError::Partly { done, error }) => {
                let (rest, said) = (note_sentence(&error), fields_sentence(&done));
                return Err(ToolError::Partly { said: format!("{said} {rest}"), rest: Box::new((*error).into()) });
            }
            Err(DeskError::Port(PortError { kind: PortErrorKind::EmailRequired, .. })) => {
                return Err(ToolError::unrecorded(Verdict::StepUp, WITHOUT_EMAIL));
            }
            Err(DeskError::NotFound) => return Err(ToolError::refused(Code::NotFound, NOT_THEIRS)),
            Err(error) => return Err(error.into()),
        };
        Ok(Output {
            fields: fields_sentence(&update),
            contact_id: update.contact_id.to_string(),
            changed: update
                .changed
                .into_iter()
                .map(|change| Change {
                    field: change.field.to_string(),
                    from: change.from.map(|value| value.as_str().to_owned()),
                    to: change.to.as_str().to_owned(),
                })
                .collect(),
            note_id: update.note_id.map(|id| id.to_string()),
        })
    }
}

fn property(field: &FieldName) -> Value {
    match field.as_str() {
        "phone" => json!({
            "type": "string", "pattern": "^([+][1-9][0-9]{6,14})?$",
            "description": "With country code, as +442079460199."
        }),
        "language" => json!({
            "type": "string", "pattern": "^([a-z]{2,3}(-[A-Za-z]{2,4})?)?$", "description": "BCP 47, as pt-BR."
        }),
        _ => json!({ "type": "string", "maxLength": 255 }),
    }
}

/// Says what was done with the fields.
fn fields_sentence(update: &ContactUpdate) -> String {
    let changed: Vec<String> =
        update.changed.iter().map(|change| format!("{} to {}", change.field, change.to.as_str())).collect();
    let superseded: Vec<&str> = update.superseded.iter().map(FieldName::as_str).collect();
    let mut said = match (changed.is_empty(), superseded.is_empty()) {
        (true, true) => "The contact was up to date already.".to_owned(),
        (true, false) => String::new(),
        (false, _) => format!("Changed {}.", changed.join(", ")),
    };
    if !superseded.is_empty() {
        let was = if superseded.len() == 1 { "was" } else { "were" };
        said.push_str(&format!(
            " Left as it is: {}, which {was} set by a later request since. Send the change anew if the customer still wants it.",
            superseded.join(", ")
        ));
    }
    said.trim_start().to_owned()
}

fn not_answering(closed_for: Option<Duration>) -> String {
    let wait = in_words(wait_s(closed_for));
    format!(
        "The note was not saved: the CRM does not answer right now. Repeat exactly the same call in {wait} to save it."
    )
}

/// Says what happened to the note after the fields were saved.
fn note_sentence(error: &DeskError) -> String {
    match error {
        DeskError::InDoubt { can_settle: true, .. } => {
            "It is not certain yet whether the note was saved. Repeat exactly the same call in a minute to find out; nothing \
             is done twice."
        }
        DeskError::InDoubt { .. } => {
            "It is not known whether the note was saved, and it cannot be found out from here. Tell the customer honestly \
             that the team has to check, and do not send the note again in other words."
        }
        DeskError::Port(PortError { kind: PortErrorKind::RateLimited { retry_after }, .. }) => {
            let wait = retry_after.map_or(60, |wait| wait.as_secs());
            let wait = in_words(if wait == 0 { 60 } else { wait });
            return format!("The note was not saved: the CRM is busy. Repeat exactly the same call in {wait} to save it.");
        }
        DeskError::Port(error) if error.is_the_companys() => {
            "The note was not saved: the CRM does not let it in, which only the company can repair. If the staff has to know \
             it, open a ticket with create_ticket."
        }
        DeskError::Port(PortError { kind: PortErrorKind::Invalid { .. } | PortErrorKind::EmailRequired, .. }) => {
            "The note was not saved: the CRM did not accept it, and the same call will not help. If the staff has to know it, \
             open a ticket with create_ticket."
        }
        DeskError::Port(PortError {
            kind: PortErrorKind::Unavailable { closed_for } | PortErrorKind::NotDone { closed_for },
            ..
        }) => return not_answering(*closed_for),
        _ => return not_answering(None),
    }
    .to_owned()
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fields)?;
        match &self.note_id {
            Some(_) => write!(f, " The note is saved."),
            None => Ok(()),
        }
    }
}
