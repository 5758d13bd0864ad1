//! Step-up: what a conversation has proven by a one-time code is added to its caller, after the identity is resolved and
//! before the call. A code proves an address, no id, and nothing to a tool that asks for level `verified`.

use serde_json::{Map, Value, json};

use super::{
    arguments,
    error::ToolError,
    registry::{CallerSource, Registry},
    tool::Spec,
};
use crate::{
    desk::Handle,
    domain::{AgentId, Customer, Email, Level},
    identity::{Caller, Carried, Evidence, Origin, Refusal, Resolved, Subject, VERIFICATION_ARGUMENT},
};

/// Why a call has no caller.
#[derive(Debug)]
pub enum NoCaller {
    /// Its evidence is missing or wrong.
    Refused(Refusal),
    /// A one-time code can help; the sentence says how.
    StepUp(ToolError),
    /// What is proven could not be looked up.
    Failed(ToolError),
}

impl Registry {
    /// Moves the handle of a verification from the arguments into the evidence, where one-time codes are enabled.
    pub fn take_verification(&self, arguments: &mut Map<String, Value>, evidence: &mut Evidence) {
        if self.desk().verifications().is_none() {
            return;
        }
        if let Some(value) = arguments.shift_remove(VERIFICATION_ARGUMENT)
            && !arguments::is_blank(&value)
        {
            evidence.verifications.push(Carried::of(&value));
        }
    }

    /// The caller of a call, with the address that the conversation has proven. `arguments` get the handle back if the
    /// tool takes it itself.
    pub async fn step_up(
        &self,
        spec: &Spec,
        evidence: &Evidence,
        resolved: Result<Resolved, Refusal>,
        arguments: &mut Map<String, Value>,
    ) -> Result<CallerSource, NoCaller> {
        let enabled = self.desk().verifications().is_some();
        let (caller, refusal) = match resolved {
            Ok(Resolved::FromArgument) => return Ok(CallerSource::Argument),
            Ok(Resolved::Caller(caller)) if !enabled => return Ok(CallerSource::Caller(caller)),
            Ok(Resolved::Caller(caller)) => (*caller, None),
            Err(refusal) if enabled && refusal.is_absence() => {
                (nobody(evidence.agent.as_ref().map(|agent| &agent.id)), Some(refusal))
            }
            Err(refusal) => return Err(NoCaller::Refused(refusal)),
        };
        let handle = evidence.verification().map_err(NoCaller::Refused)?.map(Handle::sent);
        if spec.for_nobody {
            if let Some(handle) = handle {
                arguments.insert(VERIFICATION_ARGUMENT.to_owned(), handle.expose().into());
            }
            return Ok(CallerSource::Caller(Box::new(caller)));
        }
        let email = match spec.level {
            Level::Verified => None,
            Level::Anonymous | Level::Otp => self
                .desk()
                .proven_address(&caller, handle.as_ref())
                .await
                .map_err(|error| NoCaller::Failed(error.into()))?,
        };
        match (email, refusal) {
            (Some(email), _) => Ok(CallerSource::Caller(Box::new(raised(caller, email)))),
            (None, None) => Ok(CallerSource::Caller(Box::new(caller))),
            (None, Some(refusal)) if spec.level == Level::Verified => Err(NoCaller::Refused(refusal)),
            (None, Some(_)) => Err(NoCaller::StepUp(ToolError::step_up_by_code())),
        }
    }
}

/// The caller with a proven address more.
fn raised(mut caller: Caller, email: Email) -> Caller {
    match &mut caller.subject {
        Subject::Customer(customer) => customer.email_by_code = Some(email),
        Subject::Nobody => {
            caller.subject = Subject::Customer(Customer::by_code(email));
            caller.origin = Some(Origin::Code);
        }
        Subject::Claimed(_) | Subject::Staff(_) => {}
    }
    caller
}

fn nobody(agent: Option<&AgentId>) -> Caller {
    Caller {
        subject: Subject::Nobody,
        agent: agent.cloned(),
        conversation: None,
        context_id: None,
        origin: None,
        issued_at: None,
    }
}

/// Adds the argument by which a call says what it has proven.
pub(super) fn offer(spec: &mut Spec) {
    if let Some(properties) = spec.input_schema.get_mut("properties").and_then(Value::as_object_mut)
        && !spec.for_nobody
    {
        // What it is, the answer of send_verification_code says; here each word counts for every tool.
        properties.insert(VERIFICATION_ARGUMENT.to_owned(), json!({ "type": "string" }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CustomerId;

    #[test]
    fn a_code_adds_an_address_and_takes_nothing() {
        let email = |text: &str| Email::parse(text).unwrap();
        let caller = raised(nobody(None), email("ada@example.com"));
        let customer = caller.customer().unwrap();
        assert_eq!((customer.id.system().as_str(), customer.reached()), ("code", Level::Otp));
        let shop = CustomerId::parse("shop:42").unwrap();
        let own = Customer {
            id: shop.clone(),
            level: Level::Verified,
            email: Some(email("own@example.com")),
            email_verified: true,
            ..Customer::by_code(email("x@example.com"))
        };
        let own = Customer { email_by_code: None, ..own };
        let caller = raised(
            Caller { subject: Subject::Customer(own), ..nobody(AgentId::parse("bot").ok().as_ref()) },
            email("ada@example.com"),
        );
        let customer = caller.customer().unwrap();
        assert!(customer.owns(&shop) && customer.level == Level::Verified);
        assert_eq!(customer.verified_email(), Some(&email("own@example.com")));
        assert!(customer.proven_emails().any(|proven| *proven == email("ada@example.com")));
    }
}
