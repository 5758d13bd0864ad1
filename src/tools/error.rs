//! Errors for two audiences: sentences that tell the model what to do next, and causes for the log.

use crate::{
    desk::{DeskError, PortError, PortErrorKind, System, Verdict},
    domain::Level,
    telemetry::causes,
};

/// Why a call failed. The model sees [`ToolError::sentence`] and nothing else.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The agent can act on it.
    #[error("refused: {0}")]
    Refused(String),
    /// Refused because of the caller or the arguments, and not audited yet.
    #[error("refused: {sentence}")]
    Unrecorded { verdict: Verdict, sentence: String },
    #[error("there is no tool of that name")]
    UnknownTool,
    #[error("a system behind the tool failed")]
    Port(#[source] PortError),
    /// A write whose answer was lost. Already audited.
    #[error("it is not known whether the {system} has done it")]
    InDoubt { system: System, can_settle: bool },
    /// A part of the call took effect.
    #[error("only a part was done")]
    Partly {
        /// For the model only, since it contains values.
        said: String,
        #[source]
        rest: Box<ToolError>,
    },
    #[error("failed to render the output")]
    Render(#[source] serde_json::Error),
}

impl ToolError {
    pub(super) fn refused(sentence: impl Into<String>) -> Self {
        Self::Refused(sentence.into())
    }

    pub(super) fn invalid(sentence: impl Into<String>) -> Self {
        Self::Unrecorded { verdict: Verdict::InvalidArguments, sentence: sentence.into() }
    }

    /// Arguments that passed the schema check but not deserialization.
    pub(super) fn arguments(error: &serde_json::Error) -> Self {
        Self::invalid(format!(
            "The arguments were not accepted: {error}. Ask the customer for a correct value, or leave that argument out, \
             and call again."
        ))
    }

    /// The customer needs a higher level of authentication.
    pub(super) fn step_up(needed: Level) -> Self {
        let sentence = match needed {
            Level::Anonymous | Level::Otp => {
                "The customer's identity is not confirmed yet. Ask the customer to confirm the one-time code sent to \
                 their email or phone, then try again."
            }
            Level::Verified => {
                "This needs a signed-in customer. Ask the customer to sign in to their account, then try again."
            }
        };
        Self::Unrecorded { verdict: Verdict::StepUp, sentence: sentence.to_owned() }
    }

    /// Whether a system behind the tool failed, which is not audited yet.
    pub(super) fn is_failure(&self) -> bool {
        match self {
            Self::Port(_) | Self::Render(_) => true,
            Self::Partly { rest, .. } => rest.is_failure(),
            _ => false,
        }
    }

    /// The same refusal with an alternative added.
    pub(super) fn or(self, way_out: &str) -> Self {
        match self {
            Self::Refused(sentence) => Self::Refused(format!("{sentence} {way_out}")),
            Self::Unrecorded { verdict, sentence } => {
                Self::Unrecorded { verdict, sentence: format!("{sentence} {way_out}") }
            }
            other => other,
        }
    }

    /// The sentence for the model. Contains nothing that an upstream sent.
    pub fn sentence(&self) -> String {
        match self {
            Self::Refused(sentence) | Self::Unrecorded { sentence, .. } => sentence.clone(),
            Self::UnknownTool => "There is no tool of that name; call tools/list for those there are.".to_owned(),
            Self::Port(error) => port_sentence(error),
            Self::Partly { said, .. } => said.clone(),
            Self::InDoubt { system, can_settle: true } => format!(
                "It is not certain yet whether the {system} has done this. Tell the customer honestly that it is being \
                 checked. Repeat exactly the same call in a minute to find out; it is not done twice."
            ),
            Self::InDoubt { system, can_settle: false } => format!(
                "It is not known whether the {system} has done this, and it cannot be found out from here. Tell the \
                 customer honestly that the team has to check, and do not try it again in other words."
            ),
            Self::Render(_) => {
                "The tool failed. Tell the customer that it could not be done, and offer a ticket.".to_owned()
            }
        }
    }
}

/// Default sentences for errors of the desk.
impl From<DeskError> for ToolError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::NotFound => Self::refused("There is no such record for this customer."),
            DeskError::KeyReused => Self::refused(
                "This idempotency key was used for another request. Use a new key for a new request, or repeat the \
                 first one unchanged.",
            ),
            DeskError::SlowDown(wait) => Self::Unrecorded {
                verdict: Verdict::RateLimited,
                sentence: format!(
                    "Too many order numbers were asked for that are not this customer's. Wait {}, then try again with the \
                     number on the confirmation email, or offer to open a ticket without one.",
                    in_words(wait.seconds())
                ),
            },
            DeskError::Erased => Self::refused(
                "The same request was done before, and the records of it were erased at the customer's wish. It is not done \
                 again; if the customer asks for something new, say it in other words.",
            ),
            DeskError::NoCustomer => Self::step_up(Level::Verified),
            DeskError::InDoubt { system, can_settle, source } => {
                if let Some(error) = &source {
                    tracing::error!(error = causes(error), "a write is in doubt");
                }
                Self::InDoubt { system, can_settle }
            }
            DeskError::Partly { error, .. } => Self::from(*error),
            DeskError::Port(PortError { kind: PortErrorKind::EmailRequired, .. }) => Self::step_up(Level::Otp),
            DeskError::Port(error) => Self::Port(error),
        }
    }
}

pub(super) fn in_words(seconds: u64) -> String {
    match seconds {
        1 => "a second".to_owned(),
        60 => "a minute".to_owned(),
        2..=120 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// The sentence for a failed system. Contains nothing that it sent.
fn port_sentence(error: &PortError) -> String {
    use PortErrorKind as Kind;
    let system = error.system;
    match &error.kind {
        Kind::Unavailable { .. } | Kind::Unexpected | Kind::Unreadable | Kind::NotDone { .. } | Kind::Unprocessable => {
            format!(
                "The {system} does not answer right now. Tell the customer that it could not be done yet, and try again in a \
             minute; repeating the same call is safe."
            )
        }
        Kind::Denied => format!(
            "The {system} is not accessible at the moment, which only the company can repair. Tell the customer that it \
             cannot be done right now; trying again does not help."
        ),
        Kind::Forbidden | Kind::Misconfigured => {
            let next = match system {
                System::Helpdesk => "Hand the conversation over to a person",
                _ => "Open a ticket with create_ticket, or hand the conversation over to a person",
            };
            format!(
                "The {system} cannot do this as it is set up, which only the company can repair; nothing has been done. No \
                 value of the customer is the reason: do not ask for one again, and do not repeat the call. {next}."
            )
        }
        Kind::RateLimited { retry_after } => {
            let wait = retry_after.map_or(60, |wait| wait.as_secs());
            let wait = in_words(if wait == 0 { 60 } else { wait });
            format!("The {system} is busy. Repeat the same call in {wait}; nothing has been done so far.")
        }
        Kind::Invalid { field: Some(field), .. } => format!(
            "The {system} did not accept {field}; nothing has been done. Ask the customer for a correct value and call \
             again."
        ),
        Kind::Invalid { field: None, .. } | Kind::Closed => format!(
            "The {system} did not accept this; nothing has been done, and it does not say which value is the reason. Call \
             again only if one is plainly wrong; otherwise say honestly that it cannot be done, and offer a person."
        ),
        Kind::EmailRequired => ToolError::step_up(Level::Otp).sentence(),
    }
}

/// Why the configuration of the tools is invalid.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("tools.order_id_pattern is not a regular expression")]
    Pattern(#[source] regex_lite::Error),
    #[error("tools.contact_fields must not hold {0}: who the customer is must not change in a chat")]
    IdentityField(String),
    #[error("tools.contact_fields must not hold note: update_crm has an argument of that name")]
    NoteField,
    #[error("tools.{key} names {name}, which is not a tool; the tools are {known}")]
    UnknownTool { key: &'static str, name: String, known: String },
    #[error("tools.ignored_arguments must not hold {name}: {tool} has an argument of that name")]
    IgnoredArgument { tool: &'static str, name: String },
    #[error("tools.deadlines_ms.{0} must be 100 to 120000")]
    Deadline(String),
    #[error("the input schema of {tool} has a keyword that is not enforced: {keyword}")]
    Keyword { tool: &'static str, keyword: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_company_has_to_repair_is_not_asked_of_the_customer() {
        for (system, next) in [
            (System::Crm, "Open a ticket"),
            (System::OrderSystem, "Open a ticket"),
            (System::Helpdesk, "Hand the conversation"),
        ] {
            for kind in [PortErrorKind::Misconfigured, PortErrorKind::Forbidden] {
                let said = ToolError::Port(PortError::new(system, kind, "a field")).sentence();
                assert!(said.contains(next) && said.contains("only the company can repair"), "{said}");
                assert!(!said.contains("correct") && !said.contains("Check the values"), "{said}");
                assert_eq!(said.contains("create_ticket"), system != System::Helpdesk, "{said}");
            }
        }
    }
}
