//! A refused call: a stable code for programs, and one sentence for the model.

use crate::desk::Verdict;

/// Why a call had no result. The names are part of the interface: programs branch on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The record does not exist, is another customer's, or is not provably this customer's.
    NotFound,
    /// It could not be confirmed who the customer is.
    NotConfirmed,
    /// What should say who the customer is is wrong: the integrator has to mend it.
    Integration,
    /// The customer needs a higher level of authentication.
    StepUp,
    /// Too many calls, or too many denied look-ups.
    Slowed,
    InvalidArguments,
    /// The idempotency key was used with other arguments.
    KeyReused,
    /// It was done before the customer's records were erased, and is not repeated.
    Erased,
    /// A system behind the tool does not answer.
    Unavailable,
    /// A system behind the tool wants fewer requests.
    Busy,
    /// A system behind the tool did not accept a value.
    NotAccepted,
    /// Only the company can repair it.
    Misconfigured,
    /// A write that may have been done.
    InDoubt,
    /// A part of the call was done.
    PartlyDone,
    /// The deadline has passed.
    Timeout,
    Cancelled,
    /// A fault of this program.
    Failed,
    /// The one-time code is wrong.
    CodeWrong,
    /// There is no valid one-time code to check.
    CodeExpired,
}

impl Code {
    pub const ALL: &[Self] = &[
        Self::NotFound,
        Self::NotConfirmed,
        Self::Integration,
        Self::StepUp,
        Self::Slowed,
        Self::InvalidArguments,
        Self::KeyReused,
        Self::Erased,
        Self::Unavailable,
        Self::Busy,
        Self::NotAccepted,
        Self::Misconfigured,
        Self::InDoubt,
        Self::PartlyDone,
        Self::Timeout,
        Self::Cancelled,
        Self::Failed,
        Self::CodeWrong,
        Self::CodeExpired,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::NotConfirmed => "not_confirmed",
            Self::Integration => "integration",
            Self::StepUp => "step_up",
            Self::Slowed => "slowed",
            Self::InvalidArguments => "invalid_arguments",
            Self::KeyReused => "key_reused",
            Self::Erased => "erased",
            Self::Unavailable => "unavailable",
            Self::Busy => "busy",
            Self::NotAccepted => "not_accepted",
            Self::Misconfigured => "misconfigured",
            Self::InDoubt => "in_doubt",
            Self::PartlyDone => "partly_done",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::CodeWrong => "code_wrong",
            Self::CodeExpired => "code_expired",
        }
    }

    /// The code of a refusal that is audited as `verdict`.
    pub(super) fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::StepUp => Self::StepUp,
            Verdict::RateLimited => Self::Slowed,
            Verdict::IdentityRefused | Verdict::ScopeRefused => Self::NotConfirmed,
            Verdict::KeyReused => Self::KeyReused,
            Verdict::InvalidArguments => Self::InvalidArguments,
            Verdict::InDoubt => Self::InDoubt,
            Verdict::Absent | Verdict::Foreign | Verdict::Unreadable | Verdict::GuestUnproven => Self::NotFound,
            Verdict::CodeWrong => Self::CodeWrong,
            Verdict::CodeExpired => Self::CodeExpired,
            Verdict::Allowed
            | Verdict::Staff
            | Verdict::Failed
            | Verdict::CodeSent
            | Verdict::CodeLimited
            | Verdict::CodeFailed
            | Verdict::CodeRight => Self::Failed,
        }
    }
}

/// A call without a result. Contains nothing that an upstream sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: Code,
    /// For the model: what to do next.
    pub sentence: String,
    /// After how many seconds the same call may succeed, where that is known.
    pub retry_after_s: Option<u64>,
}

impl Refused {
    pub fn new(code: Code, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into(), retry_after_s: None }
    }

    pub(super) fn again_in(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }
}
