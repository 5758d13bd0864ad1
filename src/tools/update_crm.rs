//! `update_crm`: corrects a few contact fields and leaves a note, for a customer who is signed in.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Options,
    error::{RegistryError, ToolError},
    tool::{Hints, Tool},
};
use crate::{
    desk::{Call, Desk},
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

#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// A remark for the staff, in plain text.
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
    contact_id: String,
    /// Only the fields that are different now.
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
        for the staff. Use it when the customer states a new value themselves; send only the fields that change. Do not \
        use it to guess or complete data, and not for anything that needs an answer: that is create_ticket. The email \
        address cannot be changed here.";
    const HINTS: Hints = Hints { read_only: false, destructive: true, idempotent: true, open_world: false };
    const LEVEL: Level = Level::Verified;
    const SCOPE: Scope = Scope::CrmWrite;

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
        let update = desk.update_contact(call, fields, note).await?;
        Ok(Output {
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
            "type": "string", "maxLength": 64,
            "description": "With + and country code, for example +44 20 7946 0199."
        }),
        "language" => json!({ "type": "string", "maxLength": 35, "description": "BCP 47, for example en or pt-BR." }),
        _ => json!({ "type": "string", "maxLength": 255 }),
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.changed.as_slice() {
            [] => write!(f, "The contact was up to date already.")?,
            changed => {
                write!(f, "Changed")?;
                for (n, change) in changed.iter().enumerate() {
                    write!(f, "{} {} to {}", if n == 0 { "" } else { "," }, change.field, change.to)?;
                }
                write!(f, ".")?;
            }
        }
        match &self.note_id {
            Some(_) => write!(f, " The note is saved."),
            None => Ok(()),
        }
    }
}
