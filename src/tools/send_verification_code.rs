//! `send_verification_code`: sends a one-time code to the customer's address.

use std::fmt;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    error::{ToolError, minutes_in_words},
    tool::{Hints, Tool},
};
use crate::{
    desk::{Call, Desk, Handle},
    domain::{Customer, Email, Level, Scope, Secret},
};

pub(super) struct SendVerificationCode;

#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    /// May be empty after a sign-in.
    email: Option<String>,
    // That of an earlier code, which the new one replaces.
    verification: Option<String>,
}

// The answer is the same whether the address exists, and whether a limit kept the code back.
#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    // How long the code is valid.
    minutes: u32,
    // For the later calls; absent if the conversation itself is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<String>,
}

#[async_trait]
impl Tool for SendVerificationCode {
    const NAME: &'static str = "send_verification_code";
    const TITLE: &'static str = "Send code";
    const DESCRIPTION: &'static str = "Email the customer a one-time code. Use it when a tool asks for one. It cannot \
        tell which addresses are known.";
    const HINTS: Hints = Hints { read_only: false, destructive: false, idempotent: false, open_world: true };
    const LEVEL: Level = Level::Anonymous;
    const SCOPE: Scope = Scope::CustomersVerify;
    const FOR_NOBODY: bool = true;

    type Input = Input;
    type Output = Output;

    async fn call(&self, desk: &Desk, call: &Call, input: Input) -> Result<Output, ToolError> {
        let to = match &input.email {
            Some(text) => Email::parse(text.trim()).ok().filter(Email::is_mailbox).ok_or_else(|| {
                ToolError::invalid(
                    "email is not an address of the form name@example.com. Ask the customer to spell it, then call again.",
                )
            })?,
            None => proven(call).filter(|email| email.is_mailbox()).cloned().ok_or_else(|| {
                ToolError::invalid(
                    "No address of this customer is known. Ask for the email address of their order or account, and call \
                     again with it as email.",
                )
            })?,
        };
        let sent = desk.send_code(call, to, handle(input.verification).as_ref()).await?;
        Ok(Output { minutes: sent.minutes, verification: sent.handle.map(|handle| handle.expose().to_owned()) })
    }
}

/// The address that the caller's context proves.
fn proven(call: &Call) -> Option<&Email> {
    call.caller.customer().and_then(Customer::verified_email)
}

pub(super) fn handle(text: Option<String>) -> Option<Handle> {
    text.map(|text| Handle::sent(&Secret::new(text)))
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "If that mailbox exists, a code of six digits is on its way; it is valid for {}. Ask the customer for it, then call \
             check_verification_code.",
            minutes_in_words(self.minutes)
        )?;
        match &self.verification {
            Some(handle) => write!(f, " Send verification = {handle} with that call and all later ones."),
            None => Ok(()),
        }
    }
}
