//! What helps when it is not known who the customer is.

/// What helps after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The customer signs in, again or at all.
    SignIn,
    /// The integrator mends something; the customer can do nothing.
    Integrator,
    /// Time.
    Later,
}
