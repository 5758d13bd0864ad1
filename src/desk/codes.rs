//! Sends and checks one-time codes. Nothing is looked up about an address, and the sender's verdict reaches only log and
//! metrics: whoever asks learns nothing about an address, whatever it is.

use std::sync::Arc;

use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::{
    AuditLog, AuditRecord, Call, Decision, Desk, DeskError, Effect, PortError, System, Verdict,
    code_texts::CodeTexts,
    verification::{
        Checked, CodeMessage, CodeSender, Handle, NewCode, OneTimeCode, VerificationBook, VerificationKey,
        VerificationOptions,
    },
};
use crate::{
    domain::{AgentId, Clock, ConversationId, CustomerId, EffectId, Email, Level},
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
    agents: Limiter<(Option<AgentId>, Standing)>,
    addresses: Limiter<(Option<AgentId>, Standing, Email)>,
}

/// Callers of one agent whose codes are counted together: those who are known less cannot use up what is for those who
/// are known better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Standing {
    known: Known,
    /// A context names the conversation.
    in_conversation: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Known {
    /// No context came with the call.
    Nobody,
    /// A context of level `anonymous`.
    Anonymous,
    /// A context of a higher level.
    SignedIn,
}

impl Standing {
    fn of(caller: &Caller) -> Self {
        let known = match caller.customer().map(|customer| customer.level) {
            None => Known::Nobody,
            Some(Level::Anonymous) => Known::Anonymous,
            Some(Level::Otp | Level::Verified) => Known::SignedIn,
        };
        Self { known, in_conversation: caller.conversation.is_some() }
    }
}

/// A limit that keeps a code back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CodeLimit {
    Conversation,
    Agent,
    Address,
}

impl CodeLimit {
    /// As in the names of the options and of the metric.
    fn as_str(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Agent => "agent",
            Self::Address => "address",
        }
    }
}

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

    /// The limit that keeps the code back, if one does. The narrowest counts first, so that who is over it costs nobody
    /// else. An address that the caller's own context proves is not counted: it is theirs, whoever asks for it elsewhere.
    fn keeps_back(&self, key: VerificationKey, caller: &Caller, to: &Email) -> Option<CodeLimit> {
        let (agent, standing) = (caller.agent.clone(), Standing::of(caller));
        let conversation = match id(caller).filter(|_| standing.known == Known::SignedIn && !standing.in_conversation) {
            Some(customer) => VerificationKey::of_customer(agent.as_ref(), customer),
            None => key,
        };
        if self.conversations.check(&conversation).is_err() {
            return Some(CodeLimit::Conversation);
        }
        if self.agents.check(&(agent.clone(), standing)).is_err() {
            return Some(CodeLimit::Agent);
        }
        let is_theirs = caller.customer().is_some_and(|customer| customer.proven_emails().any(|own| own == to));
        let is_over = !is_theirs && self.addresses.check(&(agent, standing, to.clone())).is_err();
        is_over.then_some(CodeLimit::Address)
    }

    /// Hands the code over in a task of its own: the answer does not wait for it. `record` is what the audit has of the
    /// call; a failure is recorded after it.
    fn send(&self, message: CodeMessage, audit: Arc<dyn AuditLog>, record: AuditRecord, clock: Clock) {
        let sender = self.sender.clone();
        let sending = async move {
            let sent = sender.send(&message).await;
            metrics::code_delivery(sent.is_ok());
            let Err(error) = sent else { return };
            tracing::error!(error = causes(&error), "failed to send a one-time code");
            let decision = Decision::new(Verdict::CodeFailed).on("reason", error.kind.as_str());
            if let Err(error) = audit.record(AuditRecord { at: clock.now(), decision, ..record }).await {
                tracing::error!(error = causes(&error), "failed to record that a one-time code did not leave");
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

    /// What the audit calls the conversation of a caller whom no context gives one: a hash of the handle.
    pub fn code_conversation(&self, caller: &Caller, handle: &Handle) -> Option<ConversationId> {
        key(caller, Some(handle)).filter(|_| caller.conversation.is_none())?.in_audit()
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
            kept_back: kept_back.is_some(),
            tries: options.tries,
            now,
            expires_at: options.code_expires_at(now),
            customer: id(caller).cloned().unwrap_or_else(|| CustomerId::of_address(&to)),
            conversation: caller.conversation.clone(),
        };
        verifications.book.begin(new).await?;
        if let Some(limit) = kept_back {
            let limit = limit.as_str();
            tracing::warn!("a one-time code was not sent: it is over verification.{limit}_per_hour");
            self.note_code(call, Some(key), Decision::new(Verdict::CodeLimited).on("limit", limit)).await?;
        } else {
            let record = self.note_code(call, Some(key), Decision::new(Verdict::CodeSent)).await?;
            let wanted = caller.customer().and_then(|customer| customer.language.as_ref());
            let (language, text) =
                verifications.texts.render(wanted, &options.language, code.expose(), options.code_minutes);
            let (minutes, effect) = (options.code_minutes, EffectId::fresh());
            let handle_begins = handle.as_ref().map(Handle::beginning);
            let message = CodeMessage { handle_begins, to, code, language, minutes, text, effect };
            verifications.send(message, self.audit.clone(), record, self.clock.clone());
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
        let key = key(&call.caller, handle);
        let checked = match key {
            Some(key) => verifications.book.check(&key, typed, now, verifications.options.proven_until(now)).await?,
            None => Checked::Nothing,
        };
        let decision = match checked {
            Checked::Right { again: false, .. } => Decision::new(Verdict::CodeRight),
            Checked::Right { again: true, .. } => Decision::new(Verdict::CodeRight).effect(Effect::Repeated),
            Checked::Wrong { .. } => Decision::new(Verdict::CodeWrong),
            Checked::Expired | Checked::Nothing => Decision::new(Verdict::CodeExpired),
        };
        self.note_code(call, key, decision).await?;
        Ok(checked)
    }

    fn enabled(&self) -> Result<&Verifications, PortError> {
        self.verifications().ok_or_else(|| PortError::not_done(System::Verification, "one-time codes are not enabled"))
    }

    /// Audits a decision about a code. Where no context names the conversation, the record has the hash of its key, so
    /// that one who guesses can be told from many who mistype.
    async fn note_code(
        &self,
        call: &Call,
        key: Option<VerificationKey>,
        decision: Decision,
    ) -> Result<AuditRecord, PortError> {
        let mut record = AuditRecord::of(call, self.now(), decision);
        record.conversation = record.conversation.or_else(|| key?.in_audit());
        self.record(record.clone()).await?;
        Ok(record)
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
