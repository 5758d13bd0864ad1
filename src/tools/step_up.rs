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
    desk::{Handle, Verdict},
    domain::{Customer, Email, Level, Secret},
    identity::{Caller, Evidence, Origin, Refusal, Resolved, Subject, VERIFICATION_ARGUMENT},
};

/// Why a call has no caller.
#[derive(Debug)]
pub enum NoCaller {
    /// Its evidence is missing or wrong.
    Refused(Refusal),
    /// The model can do something about it; the sentence says what.
    Told { verdict: Verdict, error: ToolError, caller: Box<Caller> },
    /// What is proven could not be looked up.
    Failed(ToolError),
}

const NOT_THE_HANDLE: &str = "verification is not that of this conversation, which the host sends beside the call. Call again \
    without verification.";
const NO_HANDLE: &str = "verification must be the string that send_verification_code returned. Call again with it, or without \
    verification.";

impl Registry {
    /// Takes the handle of a verification out of the arguments, where one-time codes are enabled.
    pub fn take_verification(&self, arguments: &mut Map<String, Value>) -> Option<Value> {
        self.desk().verifications()?;
        arguments.shift_remove(VERIFICATION_ARGUMENT).filter(|value| !arguments::is_blank(value))
    }

    /// The caller of a call, with the address that the conversation has proven. `typed` is the handle among the
    /// arguments; they get it back if the tool takes it itself.
    pub async fn step_up(
        &self,
        spec: &Spec,
        evidence: &Evidence,
        typed: Option<Value>,
        resolved: Result<Resolved, Refusal>,
        arguments: &mut Map<String, Value>,
    ) -> Result<CallerSource, NoCaller> {
        let enabled = self.desk().verifications().is_some();
        let (mut caller, refusal) = match resolved {
            Ok(Resolved::FromArgument) => return Ok(CallerSource::Argument),
            Ok(Resolved::Caller(caller)) if !enabled => return Ok(CallerSource::Caller(caller)),
            Ok(Resolved::Caller(caller)) => (*caller, None),
            Err(refusal) if enabled && refusal.is_absence() => {
                (Caller::nobody(evidence.agent.as_ref().map(|agent| agent.id.clone())), Some(refusal))
            }
            Err(refusal) => return Err(NoCaller::Refused(refusal)),
        };
        let beside = evidence.verification().map_err(NoCaller::Refused)?;
        let handle = the_handle(beside, typed).map_err(|sentence| NoCaller::Told {
            verdict: Verdict::InvalidArguments,
            error: ToolError::invalid(sentence),
            caller: Box::new(caller.clone()),
        })?;
        caller.code_conversation = handle.as_ref().and_then(|handle| self.desk().code_conversation(&caller, handle));
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
            (None, Some(_)) => Err(NoCaller::Told {
                verdict: Verdict::StepUp,
                error: ToolError::step_up_at(self.desk(), spec.level),
                caller: Box::new(caller),
            }),
        }
    }
}

/// The handle that came beside the call, or among its arguments. Where both came they agree, or the model is told to
/// leave its own out.
fn the_handle(beside: Option<&Secret>, typed: Option<Value>) -> Result<Option<Handle>, &'static str> {
    let typed = match typed {
        Some(Value::String(typed)) => Some(Secret::new(typed)),
        Some(_) => return Err(NO_HANDLE),
        None => None,
    };
    match (beside, &typed) {
        (Some(beside), Some(typed)) if beside.expose() != typed.expose() => Err(NOT_THE_HANDLE),
        (beside, typed) => Ok(beside.or(typed.as_ref()).map(Handle::sent)),
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

/// Adds the argument by which a call says what it has proven.
pub(super) fn offer(spec: &mut Spec) {
    if let Some(properties) = spec.input_schema.get_mut("properties").and_then(Value::as_object_mut)
        && !spec.for_nobody
    {
        // Each word counts for every tool.
        let description = "From send_verification_code.";
        properties.insert(VERIFICATION_ARGUMENT.to_owned(), json!({ "type": "string", "description": description }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AgentId, CustomerId};

    #[test]
    fn a_code_adds_an_address_and_takes_nothing() {
        let email = |text: &str| Email::parse(text).unwrap();
        let caller = raised(Caller::nobody(None), email("ada@example.com"));
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
            Caller { subject: Subject::Customer(own), ..Caller::nobody(AgentId::parse("bot").ok()) },
            email("ada@example.com"),
        );
        let customer = caller.customer().unwrap();
        assert!(customer.owns(&shop) && customer.level == Level::Verified);
        assert_eq!(customer.verified_email(), Some(&email("own@example.com")));
        assert!(customer.proven_emails().any(|proven| *proven == email("ada@example.com")));
    }
}
