//! Sends and checks one-time codes. Nothing is looked up about an address, and the sender's verdict reaches only log and
//! metrics: whoever asks learns nothing about an address, whatever it is.

use std::sync::Arc;

use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::{
    AuditRecord, Call, Decision, Desk, DeskError, PortError, System, Verdict,
    code_texts::CodeTexts,
    verification::{
        Checked, CodeMessage, CodeSender, Handle, NewCode, OneTimeCode, VerificationBook, VerificationKey,
        VerificationOptions,
    },
};
use crate::{
    domain::{AgentId, CustomerId, EffectId, Email},
    identity::{Caller, Subject},
    limits::Limiter,
    telemetry::{causes, metrics},
};

/// One-time codes, where they are enabled.
pub struct Verifications {
    book: Arc<dyn VerificationBook>,
    sender: Arc<dyn CodeSender>,
    /// Codes on their way, which shutdown waits for.
    on_their_way: TaskTracker,
    options: VerificationOptions,
    texts: CodeTexts,
    conversations: Limiter<VerificationKey>,
    agents: Limiter<Option<AgentId>>,
    addresses: Limiter<AddressAtAgent>,
}

/// An address at one agent, and whether a context names the conversation: strangers without a context do not use up what
/// the visitors of a backend may ask for, nor those of one agent what is for another.
type AddressAtAgent = (Option<AgentId>, bool, Email);

/// A code was sent, or sounds like it.
#[derive(Debug)]
pub struct SentCode {
    /// To be sent with later calls, where no context names the conversation.
    pub handle: Option<Handle>,
    /// How long the code is valid.
    pub minutes: u32,
}

impl Verifications {
    pub fn new(
        book: Arc<dyn VerificationBook>,
        sender: Arc<dyn CodeSender>,
        on_their_way: TaskTracker,
        options: VerificationOptions,
        texts: CodeTexts,
    ) -> Self {
        Self {
            conversations: Limiter::hourly("code_conversation", options.conversation_per_hour),
            agents: Limiter::hourly("code_agent", options.agent_per_hour),
            addresses: Limiter::hourly("code_address", options.address_per_hour),
            book,
            sender,
            on_their_way,
            options,
            texts,
        }
    }

    pub fn options(&self) -> &VerificationOptions {
        &self.options
    }

    /// Whether a limit keeps the code back. The narrowest counts first, so that who is over it costs nobody else.
    fn keeps_back(&self, key: VerificationKey, caller: &Caller, to: &Email) -> bool {
        let agent = &caller.agent;
        let address = (agent.clone(), caller.conversation.is_some(), to.clone());
        self.conversations.check(&key).is_err()
            || self.agents.check(agent).is_err()
            || self.addresses.check(&address).is_err()
    }

    /// Hands the code over in a task of its own: the answer does not wait for it.
    fn send(&self, message: CodeMessage) {
        let sender = self.sender.clone();
        let sending = async move {
            let sent = sender.send(&message).await;
            metrics::code_delivery(sent.is_ok());
            if let Err(error) = sent {
                tracing::error!(error = causes(&error), "failed to send a one-time code");
            }
        };
        self.on_their_way.spawn(sending.in_current_span());
    }
}

impl Desk {
    /// One-time codes, if they are enabled.
    pub fn verifications(&self) -> Option<&Verifications> {
        self.verifications.as_ref()
    }

    /// The address that the conversation has proven by a code.
    pub async fn proven_address(&self, caller: &Caller, handle: Option<&Handle>) -> Result<Option<Email>, DeskError> {
        match (self.verifications(), key(caller, handle)) {
            (Some(verifications), Some(key)) => Ok(verifications.book.proven(&key, self.now()).await?),
            _ => Ok(None),
        }
    }

    /// Sends a code to an address. Over a limit nothing is sent, and the answer is the same.
    pub async fn send_code(&self, call: &Call, to: Email, handle: Option<&Handle>) -> Result<SentCode, DeskError> {
        let verifications = self.enabled()?;
        let (caller, options, now) = (&call.caller, &verifications.options, self.now());
        let (key, handle) = match key(caller, handle) {
            Some(key) if caller.conversation.is_some() => (key, None),
            // A handle that nobody was given is no handle: its sender could have chosen it for somebody else.
            Some(key) if verifications.book.knows(&key).await? => (key, handle.cloned()),
            _ => {
                let handle = Handle::fresh().map_err(no_random_numbers)?;
                (VerificationKey::of_handle(caller.agent.as_ref(), id(caller), &handle), Some(handle))
            }
        };
        let kept_back = verifications.keeps_back(key, caller, &to);
        let code = OneTimeCode::fresh().map_err(no_random_numbers)?;
        let new = NewCode {
            key,
            email: to.clone(),
            code: code.clone(),
            kept_back,
            tries: options.tries,
            now,
            expires_at: options.code_expires_at(now),
            customer: id(caller).cloned().unwrap_or_else(|| CustomerId::of_address(&to)),
            conversation: caller.conversation.clone(),
        };
        verifications.book.begin(new).await?;
        self.note_code(call, if kept_back { Verdict::CodeLimited } else { Verdict::CodeSent }).await?;
        if kept_back {
            tracing::warn!("a one-time code was not sent: too many for the conversation, the agent or the address");
        } else {
            let wanted = caller.customer().and_then(|customer| customer.language.as_ref());
            let (language, text) =
                verifications.texts.render(wanted, &options.language, code.expose(), options.code_minutes);
            let (minutes, effect) = (options.code_minutes, EffectId::fresh());
            verifications.send(CodeMessage { to, code, language, minutes, text, effect });
        }
        Ok(SentCode { handle, minutes: options.code_minutes })
    }

    /// Checks the code that a customer typed.
    pub async fn check_code(
        &self,
        call: &Call,
        typed: &OneTimeCode,
        handle: Option<&Handle>,
    ) -> Result<Checked, DeskError> {
        let verifications = self.enabled()?;
        let now = self.now();
        let checked = match key(&call.caller, handle) {
            Some(key) => verifications.book.check(&key, typed, now, verifications.options.proven_until(now)).await?,
            None => Checked::Nothing,
        };
        self.note_code(
            call,
            match checked {
                Checked::Right(_) => Verdict::CodeRight,
                Checked::Wrong { .. } => Verdict::CodeWrong,
                Checked::Expired | Checked::Nothing => Verdict::CodeExpired,
            },
        )
        .await?;
        Ok(checked)
    }

    fn enabled(&self) -> Result<&Verifications, PortError> {
        self.verifications().ok_or_else(|| PortError::not_done(System::Verification, "one-time codes are not enabled"))
    }

    async fn note_code(&self, call: &Call, verdict: Verdict) -> Result<(), PortError> {
        self.record(AuditRecord::of(call, self.now(), Decision::new(verdict))).await
    }
}

/// What the verification of a call belongs to: the conversation that a context names, else the handle.
fn key(caller: &Caller, handle: Option<&Handle>) -> Option<VerificationKey> {
    let agent = caller.agent.as_ref();
    match (&caller.subject, &caller.conversation, handle) {
        (Subject::Staff(_) | Subject::Claimed(_), ..) => None,
        (_, Some(conversation), _) => Some(VerificationKey::of_conversation(agent, id(caller), conversation)),
        (_, None, Some(handle)) => Some(VerificationKey::of_handle(agent, id(caller), handle)),
        (_, None, None) => None,
    }
}

fn id(caller: &Caller) -> Option<&CustomerId> {
    caller.customer().map(|customer| &customer.id)
}

fn no_random_numbers(error: getrandom::Error) -> PortError {
    PortError::not_done(System::Verification, error)
}
