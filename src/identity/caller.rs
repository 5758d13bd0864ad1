//! The result of identity: which agent calls, and for whom.

use std::{borrow::Cow, sync::Arc};

use crate::domain::{AgentId, ConversationId, Customer, Email, Timestamp};

/// The person a call is about.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A customer named by a signed context, a token, the configuration or a verified webhook.
    Customer(Customer),
    /// Only the address that the agent itself claims, if it claims one (identity mode `argument`).
    Claimed(Option<Email>),
    /// No customer: a member of staff reads an order and gives a reason.
    Staff(StaffMember),
    /// Nobody is known yet: only for the tools that send and check one-time codes.
    Nobody,
}

/// A person of the company who may read any customer's orders. Only this room makes one, from an access token.
#[derive(Debug, Clone)]
pub struct StaffMember {
    id: String,
    reason: String,
}

impl StaffMember {
    pub(super) fn new(id: String, reason: String) -> Self {
        Self { id, reason }
    }

    /// The `sub` of the access token.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Why they read it, in their own words, for the audit.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// How the customer of a call was determined, for the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// By a signed customer context beside the call.
    Context,
    /// By a signed customer context that came among the arguments.
    Argument,
    /// By a token of this entry of `identity.tokens`.
    Token(Arc<str>),
    /// By this agent, which may assert customers.
    Asserted(AgentId),
    /// By the access token of the customer.
    AccessToken,
    /// By the configuration.
    Fixed,
    /// By a one-time code alone.
    Code,
}

impl Origin {
    pub fn in_words(&self) -> Cow<'static, str> {
        match self {
            Self::Context => "customer context".into(),
            Self::Argument => "customer context as argument".into(),
            Self::Token(profile) => format!("token of {profile}").into(),
            Self::Asserted(agent) => format!("asserted by {agent}").into(),
            Self::AccessToken => "access token".into(),
            Self::Fixed => "configuration".into(),
            Self::Code => "one-time code".into(),
        }
    }
}

/// The agent that calls, and the person the call is about.
#[derive(Debug, Clone)]
pub struct Caller {
    pub subject: Subject,
    pub agent: Option<AgentId>,
    pub conversation: Option<ConversationId>,
    /// What the audit calls the conversation where no context names it and the call has the handle of a verification.
    pub code_conversation: Option<ConversationId>,
    /// The id of the customer context (`jti`), for the audit.
    pub context_id: Option<String>,
    /// How the customer was determined, where a tool was called.
    pub origin: Option<Origin>,
    /// When the customer's token was issued: a revocation ends those before it.
    pub issued_at: Option<Timestamp>,
}

impl Caller {
    /// A caller of whom nothing but the subject is known.
    pub fn of(subject: Subject) -> Self {
        Self {
            subject,
            agent: None,
            conversation: None,
            code_conversation: None,
            context_id: None,
            origin: None,
            issued_at: None,
        }
    }

    /// A caller of whom nothing but the agent is known.
    pub fn nobody(agent: Option<AgentId>) -> Self {
        Self { agent, ..Self::of(Subject::Nobody) }
    }

    /// The customer, if a trusted backend named one.
    pub fn customer(&self) -> Option<&Customer> {
        match &self.subject {
            Subject::Customer(customer) => Some(customer),
            Subject::Claimed(_) | Subject::Staff(_) | Subject::Nobody => None,
        }
    }

    /// The member of staff, if the call is theirs.
    pub fn staff(&self) -> Option<&StaffMember> {
        match &self.subject {
            Subject::Staff(member) => Some(member),
            Subject::Customer(_) | Subject::Claimed(_) | Subject::Nobody => None,
        }
    }
}
