//! `check_verification_code`: checks the one-time code that the customer typed.

use std::fmt;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    error::{ToolError, minutes_in_words},
    refused::Code,
    send_verification_code::handle,
    tool::{Hints, Tool},
};
use crate::{
    desk::{Call, Checked, Desk, OneTimeCode},
    domain::{Level, Scope},
};

pub(super) struct CheckVerificationCode;

#[derive(Deserialize, JsonSchema)]
pub(super) struct Input {
    #[schemars(length(min = 1))]
    code: String,
    /// May be empty.
    verification: Option<String>,
}

// The address is confirmed.
#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    confirmed: bool,
    // How long it still is.
    #[serde(skip)]
    #[schemars(skip)]
    minutes: u32,
}

const SEND_AGAIN: &str = "Ask the customer whether to send a new one, and call send_verification_code.";

#[async_trait]
impl Tool for CheckVerificationCode {
    const NAME: &'static str = "check_verification_code";
    const TITLE: &'static str = "Check code";
    const DESCRIPTION: &'static str = "Check the code that the customer received, then repeat the call that asked for it. \
        Use it once they name one. Do not guess.";
    const HINTS: Hints = Hints { read_only: false, destructive: false, idempotent: false, open_world: false };
    const LEVEL: Level = Level::Anonymous;
    const SCOPE: Scope = Scope::CustomersVerify;
    const FOR_NOBODY: bool = true;

    type Input = Input;
    type Output = Output;

    async fn call(&self, desk: &Desk, call: &Call, input: Input) -> Result<Output, ToolError> {
        let code = OneTimeCode::parse(&input.code).ok_or_else(|| {
            ToolError::invalid(
                "A code has six digits, zeros at its beginning too. Ask the customer for all six, and send them as a string; \
                 this did not count as a try.",
            )
        })?;
        match desk.check_code(call, &code, handle(input.verification).as_ref()).await? {
            Checked::Right { until, .. } => {
                let left_ms = until.unix_ms().saturating_sub(desk.now().unix_ms()).max(0);
                Ok(Output { confirmed: true, minutes: u32::try_from(left_ms).unwrap_or(u32::MAX).div_ceil(60_000) })
            }
            Checked::Wrong { left: 0 } => Err(ToolError::refused(
                Code::CodeWrong,
                format!("The code is wrong, and this was the last try for it. {SEND_AGAIN}"),
            )),
            Checked::Wrong { left } => Err(ToolError::refused(
                Code::CodeWrong,
                format!(
                    "The code is wrong. {} left. Ask the customer for all six digits of the newest message, then call \
                 check_verification_code again.",
                    if left == 1 { "One try is".to_owned() } else { format!("{left} tries are") }
                ),
            )),
            Checked::Expired => {
                Err(ToolError::refused(Code::CodeExpired, format!("The code has expired. {SEND_AGAIN}")))
            }
            Checked::Nothing => Err(ToolError::refused(
                Code::CodeExpired,
                format!(
                    "There is no code to check here: none was sent, it has been used, it was tried too often, or verification is \
                 not what send_verification_code returned. If it was confirmed before, go on; otherwise: {SEND_AGAIN}"
                ),
            )),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = minutes_in_words(self.minutes);
        write!(f, "The address is confirmed for {minutes}. Go on with what the customer asked for.")
    }
}
