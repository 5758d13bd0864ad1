//! Why verification of a webhook failed. For the log and `frontdesk events verify`; the sender only gets the status.

/// The check that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("it comes from an address that is not in allowed_ips")]
    Address,
    #[error("the header {0} is missing")]
    Missing(String),
    #[error("the header {0} is there more than once")]
    Repeated(String),
    #[error("the header {header} does not hold {form}")]
    Malformed { header: String, form: String },
    #[error("the header {0} is not among those that are signed")]
    Unsigned(String),
    #[error(
        "no configured secret signs this request so: another secret, or a body that was changed after it was signed"
    )]
    Wrong,
    #[error("the signed time is {seconds} seconds in the past, and at most {} are accepted", super::WINDOW.as_secs())]
    Stale { seconds: u64 },
    #[error("the signed time is {seconds} seconds in the future, and at most {} are accepted", super::WINDOW.as_secs())]
    Early { seconds: u64 },
}

impl Rejection {
    /// The name of the failed check, for examples and metrics.
    pub fn check(&self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Missing(_) => "missing",
            Self::Repeated(_) => "repeated",
            Self::Malformed { .. } => "malformed",
            Self::Unsigned(_) => "unsigned",
            Self::Wrong => "wrong",
            Self::Stale { .. } => "stale",
            Self::Early { .. } => "early",
        }
    }
}
