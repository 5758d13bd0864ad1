//! Errors for two audiences: sentences that tell the model what to do next, and causes for the log.

use std::time::Duration;

use super::refused::{Code, Refused};
use crate::{
    desk::{Desk, DeskError, PortError, PortErrorKind, System, Verdict},
    domain::Level,
    limits::Wait,
    telemetry::causes,
};

/// How long to wait for a system that wants fewer requests, or may have done something, and does not say, in seconds.
const USUAL_WAIT_S: u64 = 60;
/// How long to wait for a system that did not answer once, in seconds.
pub(super) const SHORT_WAIT_S: u64 = 5;

/// Why a call failed. Agents see what [`ToolError::into_refused`] makes of it, and nothing else.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The agent can act on it.
    #[error("refused: {}", .0.sentence)]
    Refused(Refused),
    /// Refused because of the caller or the arguments, and not audited yet.
    #[error("refused: {}", .refused.sentence)]
    Unrecorded { verdict: Verdict, refused: Refused },
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
    /// A refusal that is audited already.
    pub(super) fn refused(code: Code, sentence: impl Into<String>) -> Self {
        Self::Refused(Refused::new(code, sentence))
    }

    /// A refusal that the registry audits as `verdict`.
    pub(super) fn unrecorded(verdict: Verdict, sentence: impl Into<String>) -> Self {
        Self::Unrecorded { verdict, refused: Refused::new(Code::of(verdict), sentence) }
    }

    pub(super) fn invalid(sentence: impl Into<String>) -> Self {
        Self::unrecorded(Verdict::InvalidArguments, sentence)
    }

    /// The caller has to wait.
    pub(super) fn slowed(wait: Wait, sentence: impl Into<String>) -> Self {
        let refused = Refused::new(Code::Slowed, sentence).again_in(wait.seconds());
        Self::Unrecorded { verdict: Verdict::RateLimited, refused }
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
        Self::unrecorded(Verdict::StepUp, sentence)
    }

    /// The same, where this desk may send one-time codes itself.
    pub(super) fn step_up_at(desk: &Desk, needed: Level) -> Self {
        match needed {
            Level::Anonymous | Level::Otp if desk.verifications().is_some() => Self::step_up_by_code(),
            _ => Self::step_up(needed),
        }
    }

    /// Nothing is proven yet, or not any more, and a one-time code can prove it.
    pub(super) fn step_up_by_code() -> Self {
        let sentence = "The customer is not confirmed yet, or not any more. Ask for the email address of their order or \
                        account and call send_verification_code with it, then check_verification_code with the code that they \
                        receive, then repeat this call; each with the verification that was returned, if any.";
        Self::unrecorded(Verdict::StepUp, sentence)
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
    pub(super) fn or(mut self, way_out: &str) -> Self {
        if let Self::Refused(refused) | Self::Unrecorded { refused, .. } = &mut self {
            refused.sentence = format!("{} {way_out}", refused.sentence);
        }
        self
    }

    /// What the agent may know of it.
    pub fn into_refused(self) -> Refused {
        match self {
            Self::Refused(refused) | Self::Unrecorded { refused, .. } => refused,
            Self::Port(error) => of_port(&error),
            Self::Partly { said, rest } => {
                Refused { code: Code::PartlyDone, sentence: said, retry_after_s: rest.into_refused().retry_after_s }
            }
            Self::InDoubt { system, can_settle: true } => Refused::new(
                Code::InDoubt,
                format!(
                    "It is not certain yet whether the {system} has done this. Tell the customer honestly that it is being \
                     checked. Repeat exactly the same call in a minute to find out; it is not done twice."
                ),
            )
            .again_in(USUAL_WAIT_S),
            Self::InDoubt { system, can_settle: false } => Refused::new(
                Code::InDoubt,
                format!(
                    "It is not known whether the {system} has done this, and it cannot be found out from here. Tell the \
                     customer honestly that the team has to check, and do not try it again in other words."
                ),
            ),
            Self::Render(_) => Refused::new(
                Code::Failed,
                "The tool failed. Tell the customer that it could not be done, and offer a ticket.",
            ),
        }
    }
}

/// Default sentences for errors of the desk.
impl From<DeskError> for ToolError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::NotFound => Self::refused(Code::NotFound, "There is no such record for this customer."),
            DeskError::KeyReused => Self::refused(
                Code::KeyReused,
                "This idempotency key was used for another request. Use a new key for a new request, or repeat the \
                 first one unchanged.",
            ),
            DeskError::SlowDown(wait) => Self::slowed(
                wait,
                format!(
                    "Too many order numbers were asked for that are not this customer's. Wait {}, then try again with the \
                     number on the confirmation email, or offer to open a ticket without one.",
                    in_words(wait.seconds())
                ),
            ),
            DeskError::Erased => Self::refused(
                Code::Erased,
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

pub(super) fn minutes_in_words(minutes: u32) -> String {
    if minutes == 1 { "1 minute".to_owned() } else { format!("{minutes} minutes") }
}

pub(super) fn in_words(seconds: u64) -> String {
    match seconds {
        1 => "a second".to_owned(),
        60 => "a minute".to_owned(),
        2..=120 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// What the agent may know of a failed system. Contains nothing that it sent.
fn of_port(error: &PortError) -> Refused {
    use PortErrorKind as Kind;
    let system = error.system;
    match &error.kind {
        Kind::Unavailable { closed_for } | Kind::NotDone { closed_for } => unavailable(system, *closed_for),
        Kind::Unexpected | Kind::Unreadable | Kind::Unprocessable => unavailable(system, None),
        Kind::Denied => Refused::new(
            Code::Misconfigured,
            format!(
                "The {system} is not accessible at the moment, which only the company can repair. Tell the customer that it \
                 cannot be done right now; trying again does not help."
            ),
        ),
        Kind::Forbidden | Kind::Misconfigured => {
            let next = match system {
                System::Helpdesk => "Hand the conversation over to a person",
                _ => "Open a ticket with create_ticket, or hand the conversation over to a person",
            };
            let sentence = format!(
                "The {system} cannot do this as it is set up, which only the company can repair; nothing has been done. No \
                 value of the customer is the reason: do not ask for one again, and do not repeat the call. {next}."
            );
            Refused::new(Code::Misconfigured, sentence)
        }
        Kind::RateLimited { retry_after } => {
            let wait = retry_after.map(|wait| wait.as_secs()).filter(|wait| *wait > 0).unwrap_or(USUAL_WAIT_S);
            let in_words = in_words(wait);
            let sentence =
                format!("The {system} is busy. Repeat the same call in {in_words}; nothing has been done so far.");
            Refused::new(Code::Busy, sentence).again_in(wait)
        }
        Kind::Invalid { field: Some(field), .. } => Refused::new(
            Code::NotAccepted,
            format!(
                "The {system} did not accept {field}; nothing has been done. Ask the customer for a correct value and call \
                 again."
            ),
        ),
        Kind::Invalid { field: None, .. } | Kind::Closed => Refused::new(
            Code::NotAccepted,
            format!(
                "The {system} did not accept this; nothing has been done, and it does not say which value is the reason. Call \
                 again only if one is plainly wrong; otherwise say honestly that it cannot be done, and offer a person."
            ),
        ),
        Kind::EmailRequired => ToolError::step_up(Level::Otp).into_refused(),
    }
}

/// After how many seconds a system that did not answer is asked again.
pub(super) fn wait_s(closed_for: Option<Duration>) -> u64 {
    closed_for.map_or(SHORT_WAIT_S, |wait| Wait(wait).seconds())
}

/// A system that did not answer, or not in a way that can be read. While its breaker is open no request is sent.
fn unavailable(system: System, closed_for: Option<Duration>) -> Refused {
    let wait_s = wait_s(closed_for);
    let sentence = format!(
        "The {system} does not answer right now. Tell the customer that it could not be done yet, and try again in {}; \
         repeating the same call is safe.",
        in_words(wait_s)
    );
    Refused::new(Code::Unavailable, sentence).again_in(wait_s)
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
    #[error(
        "tools.{key} names {name}, a tool that is there only with verification.enabled = true; set that, or remove it"
    )]
    OnlyWithCodes { key: &'static str, name: String },
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
    fn the_wait_is_that_of_the_breaker_or_a_few_seconds() {
        for (closed_for, wait_s, words) in [
            (None, 5, "in 5 seconds"),
            (Some(Duration::from_millis(11_200)), 12, "in 12 seconds"),
            (Some(Duration::from_millis(300)), 1, "in a second"),
            (Some(Duration::from_secs(300)), 300, "in 5 minutes"),
        ] {
            for kind in [PortErrorKind::Unavailable { closed_for }, PortErrorKind::NotDone { closed_for }] {
                let refused = ToolError::Port(PortError::new(System::Crm, kind, "a time-out")).into_refused();
                assert_eq!((refused.code, refused.retry_after_s), (Code::Unavailable, Some(wait_s)));
                assert!(refused.sentence.contains(words), "{}", refused.sentence);
            }
        }
    }

    #[test]
    fn what_the_company_has_to_repair_is_not_asked_of_the_customer() {
        for (system, next) in [
            (System::Crm, "Open a ticket"),
            (System::OrderSystem, "Open a ticket"),
            (System::Helpdesk, "Hand the conversation"),
        ] {
            for kind in [PortErrorKind::Misconfigured, PortErrorKind::Forbidden] {
                let said = ToolError::Port(PortError::new(system, kind, "a field")).into_refused().sentence;
                assert!(said.contains(next) && said.contains("only the company can repair"), "{said}");
                assert!(!said.contains("correct") && !said.contains("Check the values"), "{said}");
                assert_eq!(said.contains("create_ticket"), system != System::Helpdesk, "{said}");
            }
        }
    }
}
