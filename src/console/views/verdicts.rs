//! Verdicts and customers of the audit, for display.

use crate::desk::Verdict;

/// How a verdict is shown.
pub(super) fn mood(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed | Verdict::CodeRight | Verdict::CodeSent => "",
        Verdict::Failed | Verdict::InDoubt | Verdict::CodeFailed => "bad",
        _ => "warn",
    }
}

/// Enough of a hash to tell customers apart.
pub(super) fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

/// A verdict in words.
pub(super) fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed => "allowed",
        Verdict::Staff => "shown to staff",
        Verdict::Absent => "denied: there is no such record",
        Verdict::Foreign => "denied: it is another customer's",
        Verdict::Unreadable => "denied: the reply does not say whose it is",
        Verdict::GuestUnproven => "denied: a guest order, and the address is not proven",
        Verdict::StepUp => "denied: the customer has to sign in",
        Verdict::IdentityRefused => "denied: it is not known who the customer is",
        Verdict::ScopeRefused => "denied: the agent's token lacks the scope",
        Verdict::InvalidArguments => "denied: the arguments cannot be used",
        Verdict::RateLimited => "slowed: too many calls",
        Verdict::KeyReused => "denied: the idempotency key was used with other arguments",
        Verdict::Failed => "failed: a system did not do it",
        Verdict::InDoubt => "in doubt: it is not known whether a system has done it",
        Verdict::CodeSent => "a one-time code was sent",
        Verdict::CodeFailed => "a one-time code was refused by its sender",
        Verdict::CodeLimited => "a one-time code was kept back by a limit",
        Verdict::CodeRight => "the one-time code was right",
        Verdict::CodeWrong => "the one-time code was wrong",
        Verdict::CodeExpired => "the one-time code was over",
    }
}
