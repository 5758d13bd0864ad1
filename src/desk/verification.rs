//! One-time codes: the codes, what is decided about one that somebody typed, and the traits of sender and book. Pure: the
//! time is an argument.

use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::{PortError, code_texts::CodeText};
use crate::domain::{AgentId, ConversationId, CustomerId, EffectId, Email, Language, Secret, Timestamp};

/// Sends codes.
#[async_trait]
pub trait CodeSender: Send + Sync {
    /// Hands the code over to whoever delivers it. The error is for the log and the metrics alone, and holds no address.
    async fn send(&self, message: &CodeMessage) -> Result<(), PortError>;
}

/// A code on its way.
#[derive(Debug, Clone)]
pub struct CodeMessage {
    /// The first characters of the handle, for who tries codes out by hand; they are of no use without the others.
    pub handle_begins: Option<String>,
    pub to: Email,
    pub code: OneTimeCode,
    pub language: Language,
    /// How long the code is valid.
    pub minutes: u32,
    /// Subject and text in that language, with the code.
    pub text: CodeText,
    /// The same for every attempt to send it.
    pub effect: EffectId,
}

/// Keeps codes under way, and the addresses that conversations have proven.
#[async_trait]
pub trait VerificationBook: Send + Sync {
    /// Keeps a code in the place of an earlier one of the same key, if that [yields](CodeUnderWay::yields_to).
    async fn begin(&self, code: NewCode) -> Result<(), PortError>;

    /// Judges a typed code. Of several at once, in any process, one can be right: the code is used up with the same
    /// commit that proves its address until `proven_until`. Where no code is under way, the one that has proven the
    /// address is right [again](Checked::Right::again), and prolongs nothing.
    async fn check(
        &self,
        key: &VerificationKey,
        typed: &OneTimeCode,
        now: Timestamp,
        proven_until: Timestamp,
    ) -> Result<Checked, PortError>;

    /// Whether a code was ever kept under the key.
    async fn knows(&self, key: &VerificationKey) -> Result<bool, PortError>;

    /// The address that is proven under the key at this time.
    async fn proven(&self, key: &VerificationKey, now: Timestamp) -> Result<Option<Email>, PortError>;
}

/// A code to keep.
#[derive(Debug, Clone)]
pub struct NewCode {
    pub key: VerificationKey,
    pub email: Email,
    /// Never sent, if `kept_back`, so that what is typed is wrong as it would be otherwise.
    pub code: OneTimeCode,
    /// A limit kept the code back.
    pub kept_back: bool,
    pub tries: u32,
    pub now: Timestamp,
    pub expires_at: Timestamp,
    /// Whose it is, for erasure.
    pub customer: CustomerId,
    pub conversation: Option<ConversationId>,
}

/// What became of a typed code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// The address is proven.
    Right {
        until: Timestamp,
        /// This very code had proven it before: the answer to the first check was lost.
        again: bool,
    },
    Wrong {
        /// Tries that are left.
        left: u32,
    },
    Expired,
    /// No code is under way: none was sent, or it has been used, or there were too many tries.
    Nothing,
}

/// Six digits.
#[derive(Debug, Clone)]
pub struct OneTimeCode(Secret);

impl OneTimeCode {
    const DIGITS: usize = 6;

    pub fn fresh() -> Result<Self, getrandom::Error> {
        // The largest multiple of a million that fits: above it, some codes would be likelier than others.
        const FAIR: u32 = u32::MAX - u32::MAX % 1_000_000;
        loop {
            let number = getrandom::u32()?;
            if number < FAIR {
                return Ok(Self(Secret::new(format!("{:06}", number % 1_000_000))));
            }
        }
    }

    /// Reads what a customer typed: spaces and hyphens between the digits do not count.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        let fits = digits.len() == Self::DIGITS && digits.bytes().all(|octet| octet.is_ascii_digit());
        fits.then(|| Self(Secret::new(digits)))
    }

    /// The digits. Call it only where they are sent or compared.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// The handle of a verification where no context names the conversation: 128 random bits.
#[derive(Debug, Clone)]
pub struct Handle(Secret);

impl Handle {
    pub(super) fn fresh() -> Result<Self, getrandom::Error> {
        let mut octets = [0; 16];
        getrandom::fill(&mut octets)?;
        let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        Ok(Self(Secret::new(format!("fdv_{digits}"))))
    }

    /// What a caller sent as the handle.
    pub fn sent(text: &Secret) -> Self {
        Self(text.clone())
    }

    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    pub(super) fn beginning(&self) -> String {
        self.expose().chars().take(10).collect()
    }
}

/// What a verification belongs to: a conversation or a handle of one agent and one customer. A hash, so that who reads
/// the store learns no handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerificationKey([u8; 32]);

impl VerificationKey {
    pub(super) fn of_conversation(
        agent: Option<&AgentId>,
        customer: Option<&CustomerId>,
        conversation: &ConversationId,
    ) -> Self {
        Self::of("conversation", agent, customer, conversation.as_str())
    }

    pub(super) fn of_handle(agent: Option<&AgentId>, customer: Option<&CustomerId>, handle: &Handle) -> Self {
        Self::of("handle", agent, customer, handle.expose())
    }

    /// What codes for a customer who has signed in are counted by, where no context names the conversation.
    pub(super) fn of_customer(agent: Option<&AgentId>, customer: &CustomerId) -> Self {
        Self::of("customer", agent, Some(customer), "")
    }

    fn of(kind: &str, agent: Option<&AgentId>, customer: Option<&CustomerId>, name: &str) -> Self {
        let customer = customer.map(ToString::to_string).unwrap_or_default();
        let mut hash = Sha256::new();
        // Each part with its length in front, so that no two lists of parts read the same.
        for part in [kind, agent.map_or("", AgentId::as_str), &customer, name] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What the audit calls the conversation.
    pub(super) fn in_audit(&self) -> Option<ConversationId> {
        let digits: String = self.0.iter().take(6).map(|octet| format!("{octet:02x}")).collect();
        ConversationId::parse(&format!("code:{digits}")).ok()
    }
}

/// A code that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeUnderWay {
    pub tries_left: u32,
    pub expires_at: Timestamp,
}

/// What is decided about a typed code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    Right,
    /// With no tries left the code is over.
    Wrong {
        left: u32,
    },
    Expired,
}

impl CodeUnderWay {
    /// `is_equal`: whether the typed code is this one.
    pub fn judge(self, is_equal: bool, now: Timestamp) -> Judgement {
        match (now >= self.expires_at || self.tries_left == 0, is_equal) {
            (true, _) => Judgement::Expired,
            (false, true) => Judgement::Right,
            (false, false) => Judgement::Wrong { left: self.tries_left - 1 },
        }
    }

    /// Whether another code takes its place. One that is kept back by a limit ends none under way.
    pub fn yields_to(self, kept_back: bool, now: Timestamp) -> bool {
        !kept_back || now >= self.expires_at
    }
}

/// How long codes and what they prove are good for, and how many are sent.
#[derive(Debug, Clone)]
pub struct VerificationOptions {
    pub code_minutes: u32,
    pub level_minutes: u32,
    pub tries: u32,
    pub conversation_per_hour: u32,
    pub agent_per_hour: u32,
    pub address_per_hour: u32,
    /// Of customers whose language is not known.
    pub language: Language,
}

impl VerificationOptions {
    pub(super) fn code_expires_at(&self, now: Timestamp) -> Timestamp {
        now.plus(minutes(self.code_minutes))
    }

    pub(super) fn proven_until(&self, now: Timestamp) -> Timestamp {
        now.plus(minutes(self.level_minutes))
    }
}

fn minutes(minutes: u32) -> Duration {
    Duration::from_secs(u64::from(minutes) * 60)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000 + s * 1000).unwrap()
    }

    #[test]
    fn a_code_is_judged_by_time_tries_and_digits_in_this_order() {
        let code = CodeUnderWay { tries_left: 2, expires_at: at(600) };
        assert_eq!(code.judge(true, at(599)), Judgement::Right);
        assert_eq!(code.judge(false, at(599)), Judgement::Wrong { left: 1 });
        assert_eq!(code.judge(true, at(600)), Judgement::Expired, "not a second longer");
        assert_eq!(CodeUnderWay { tries_left: 1, ..code }.judge(false, at(0)), Judgement::Wrong { left: 0 });
        assert_eq!(CodeUnderWay { tries_left: 0, ..code }.judge(true, at(0)), Judgement::Expired);
    }

    #[test]
    fn a_code_that_is_kept_back_ends_none_under_way() {
        let code = CodeUnderWay { tries_left: 5, expires_at: at(600) };
        assert!(code.yields_to(false, at(1)), "a new code takes the place of an older one");
        assert!(!code.yields_to(true, at(599)));
        assert!(code.yields_to(true, at(600)));
    }

    #[test]
    fn codes_are_six_digits_however_they_are_typed() {
        for text in ["123456", " 123 456 ", "123-456", "12 34 56\n"] {
            assert_eq!(
                OneTimeCode::parse(text).map(|code| code.expose().to_owned()).as_deref(),
                Some("123456"),
                "{text:?}"
            );
        }
        for text in ["", "12345", "1234567", "12345a", "\u{661}\u{662}\u{663}456", "123.456", "+12345"] {
            assert!(OneTimeCode::parse(text).is_none(), "{text:?}");
        }
        let codes: BTreeSet<String> = (0..2000).map(|_| OneTimeCode::fresh().unwrap().expose().to_owned()).collect();
        assert!(codes.iter().all(|code| OneTimeCode::parse(code).is_some()));
        assert!(codes.len() > 1950, "{} of 2000 are different", codes.len());
        for digit in '0'..='9' {
            assert!(codes.iter().any(|code| code.starts_with(digit)), "no code begins with {digit}");
        }
        assert_eq!(format!("{:?}", OneTimeCode::fresh().unwrap()), "OneTimeCode(Secret(…))");
    }

    #[test]
    fn a_key_is_of_one_agent_one_customer_and_one_conversation() {
        let (agent, other) = (AgentId::parse("bot").unwrap(), AgentId::parse("bot2").unwrap());
        let customer = CustomerId::parse("shop:1").unwrap();
        let conversation = ConversationId::parse("c1").unwrap();
        let handle = Handle::fresh().unwrap();
        assert!(handle.expose().len() == 36 && handle.expose() != Handle::fresh().unwrap().expose());
        let named = Handle::sent(&Secret::new("c1".to_owned()));
        let keys = [
            VerificationKey::of_conversation(Some(&agent), Some(&customer), &conversation),
            VerificationKey::of_conversation(Some(&other), Some(&customer), &conversation),
            VerificationKey::of_conversation(None, Some(&customer), &conversation),
            VerificationKey::of_conversation(Some(&agent), None, &conversation),
            VerificationKey::of_handle(Some(&agent), None, &named),
            VerificationKey::of_handle(Some(&agent), None, &handle),
            VerificationKey::of_handle(Some(&other), None, &handle),
        ];
        for (n, key) in keys.iter().enumerate() {
            assert!(keys.iter().skip(n + 1).all(|other| other != key), "{n}");
        }
        assert_eq!(
            keys[5],
            VerificationKey::of_handle(Some(&agent), None, &Handle::sent(&Secret::new(handle.expose().to_owned())))
        );
    }
}
