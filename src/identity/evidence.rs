//! The credentials that came with a call, as a transport collects them: unverified, and not yet read.

use std::{net::IpAddr, sync::Arc};

use super::{Refusal, agents::Agent};
use crate::domain::Secret;

/// The header that carries the customer context over HTTP, where the agent's carriers name no other.
pub const CONTEXT_HEADER: &str = "customer-context";
/// The member of `_meta` that carries the customer context over any transport.
pub const CONTEXT_META: &str = "io.frontdesk/customer-context";
/// The argument that carries the customer context, for agents that may send it so.
pub const CONTEXT_ARGUMENT: &str = "customer_context";

/// The header that carries the handle of a verification.
pub const VERIFICATION_HEADER: &str = "customer-verification";
/// The member of `_meta` that carries the handle of a verification.
pub const VERIFICATION_META: &str = "io.frontdesk/verification";
/// The argument that carries the handle of a verification.
pub const VERIFICATION_ARGUMENT: &str = "verification";

/// The header that carries the reason of a member of staff for reading a customer's order, by plain HTTP.
pub const STAFF_REASON_HEADER: &str = "staff-reason";
/// The member of `_meta` that carries it by MCP.
pub const STAFF_REASON_META: &str = "io.frontdesk/staff-reason";

pub(super) const NOT_ASCII: &str = "is not ASCII";

/// The credentials that came with a call. All but `agent` and `peer` are unverified. `Debug` hides the secrets.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The authenticated agent, where agents authenticate.
    pub agent: Option<Arc<Agent>>,
    /// The address that the request came from; None over stdio.
    pub peer: Option<IpAddr>,
    /// The headers that some carrier, profile or assertion names, taken out of the request.
    pub headers: Vec<CarriedHeader>,
    /// The customer context in `_meta`.
    pub context_meta: Option<Carried>,
    /// The customer context among the arguments.
    pub context_input: Option<Carried>,
    /// Whether there is one that this agent may not send there.
    pub input_not_taken: bool,
    /// Handles of verifications: in `_meta`, and among the arguments. That of the header is among `headers`.
    pub verifications: Vec<Carried>,
    /// The customer beside the arguments of a call by plain HTTP.
    pub customer_member: Option<serde_json::Value>,
    /// The reason of a member of staff.
    pub staff_reason: Option<StaffReason>,
}

/// A header that carries something about the customer.
#[derive(Debug, Clone)]
pub struct CarriedHeader {
    /// In lower case.
    pub name: String,
    /// Malformed if it is not ASCII.
    pub value: Carried,
}

/// A member of JSON that should be a string, or a header.
#[derive(Debug, Clone)]
pub enum Carried {
    Text(Secret),
    Malformed,
}

impl Carried {
    pub fn of(value: &serde_json::Value) -> Self {
        value.as_str().map_or(Self::Malformed, |text| Self::Text(Secret::new(text.to_owned())))
    }

    pub(super) fn text(&self, otherwise: &'static str) -> Result<&Secret, Refusal> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Malformed => Err(Refusal::Malformed(otherwise)),
        }
    }
}

/// The reason of a member of staff, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StaffReason {
    Text(String),
    Malformed,
}

impl Evidence {
    /// The value of a header that may come once. `name` is in lower case.
    pub(super) fn header(&self, name: &str) -> Result<Option<&Secret>, Refusal> {
        let mut values = self.headers.iter().filter(|header| header.name == name).map(|header| &header.value);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Refusal::Header { name: name.to_owned(), why: "came more than once" }),
            (Some(Carried::Malformed), None) => Err(Refusal::Header { name: name.to_owned(), why: NOT_ASCII }),
            (Some(Carried::Text(value)), None) => Ok(Some(value)),
            (None, None) => Ok(None),
        }
    }

    /// A header that holds something; a blank one counts as none.
    pub(super) fn filled_header(&self, name: &str) -> Result<Option<&Secret>, Refusal> {
        Ok(self.header(name)?.filter(|value| !value.expose().trim().is_empty()))
    }

    /// The handle of a verification. Those of several carriers must be equal.
    pub fn verification(&self) -> Result<Option<&Secret>, Refusal> {
        let mut found = self.header(VERIFICATION_HEADER)?;
        for carried in &self.verifications {
            let text = carried.text("the handle of the verification is not a string")?;
            if found.is_some_and(|found| found.expose() != text.expose()) {
                return Err(Refusal::CarriersDiffer("the handles of verifications"));
            }
            found = Some(text);
        }
        Ok(found)
    }

    /// The customer's token; None if it is blank. Header, `_meta` and argument may all hold it if they are equal.
    pub(super) fn context(&self, header: &str) -> Result<Option<&Secret>, Refusal> {
        let mut found = self.header(header)?;
        for (carried, malformed) in [
            (&self.context_meta, "the member of _meta is not a string"),
            (&self.context_input, "the argument customer_context is not a string"),
        ] {
            let Some(carried) = carried else { continue };
            let text = carried.text(malformed)?;
            if found.is_some_and(|found| found.expose() != text.expose()) {
                return Err(Refusal::CarriersDiffer("the customer contexts in header, _meta and argument"));
            }
            found = Some(text);
        }
        Ok(found.filter(|token| !token.expose().trim().is_empty()))
    }
}
