//! Customers that an agent asserts without a signature, for platforms that bind variables to headers and can sign
//! nothing. What such an agent's token is worth, whoever holds it can claim.

use std::{borrow::Cow, net::IpAddr};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Caller, Evidence, Origin, Refusal, Subject, evidence::NOT_ASCII, header_name::header_name, refusal::is_placeholder,
};
use crate::domain::{AgentId, AllowedAddresses, ConversationId, Customer, CustomerId, Email, Level, Scope, SystemId};

/// The name of the member of a call by plain HTTP, for people.
pub(super) const MEMBER: &str = "the member customer";

/// An agent that may name the customer of a call in headers. Its token needs the scope `customers:assert`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssertedOptions {
    /// The agent: the name of its static token, or its OAuth client id.
    pub agent: String,
    /// The system of the customer ids that it names, as `zendesk` or `chatwoot`.
    pub system: SystemId,
    /// The header that holds the customer id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_header: Option<String>,
    /// The header that holds the customer's email address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_header: Option<String>,
    /// The header that says whether the platform has verified who the customer is, as
    /// `X-Chatwoot-Contact-Inbox-Verified`. Where it does not hold `verified_value`, the customer has level `anonymous`.
    /// It does not prove the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_header: Option<String>,
    /// The header that says whether the platform has verified the address. Without it, and without `email_verified`, the
    /// address proves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified_header: Option<String>,
    /// The value of these two headers that means yes; `true` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_value: Option<String>,
    /// Whether the platform verifies every address itself, so that it counts as proven without a header.
    #[serde(default)]
    pub email_verified: bool,
    /// The header that holds the customer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_header: Option<String>,
    /// The header that holds the id of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_header: Option<String>,
    /// Whether calls by plain HTTP may name the customer in the member `customer` beside `arguments`:
    /// `{ "id", "email", "email_verified", "name", "conversation" }`. The model must not fill that member.
    #[serde(default)]
    pub member: bool,
    /// The level of the customer. `verified` lets whoever holds the agent's token change any customer's contact data.
    #[serde(default = "otp")]
    pub level: Level,
    /// Addresses and networks that the agent calls from; any by default. Others are refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
}

fn otp() -> Level {
    Level::Otp
}

/// Why an entry of `identity.asserted` is invalid.
#[derive(Debug, thiserror::Error)]
#[error("identity.asserted[{n}].{member}: {why}")]
pub struct AssertedError {
    n: usize,
    member: &'static str,
    why: String,
}

pub(super) struct Assertions(Vec<Assertion>);

struct Assertion {
    options: AssertedOptions,
    addresses: AllowedAddresses,
}

/// What an agent says about a customer.
#[derive(Default)]
struct Asserted {
    id: Option<String>,
    email: Option<String>,
    verified: bool,
    email_verified: bool,
    name: Option<String>,
    conversation: Option<String>,
}

/// The member `customer` beside the arguments of a call by plain HTTP.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    #[serde(default)]
    id: Value,
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
    name: Option<String>,
    #[serde(default)]
    conversation: Value,
}

impl AssertedOptions {
    /// Where the customer's id comes, for people.
    fn place(&self) -> String {
        match &self.customer_header {
            Some(header) if self.member => format!("the customer's id in the header {header} or in {MEMBER}"),
            Some(header) => format!("the customer's id in the header {header}"),
            None => format!("the customer's id in {MEMBER}"),
        }
    }

    fn headers_mut(&mut self) -> [(&'static str, &mut Option<String>); 6] {
        [
            ("customer_header", &mut self.customer_header),
            ("email_header", &mut self.email_header),
            ("verified_header", &mut self.verified_header),
            ("email_verified_header", &mut self.email_verified_header),
            ("name_header", &mut self.name_header),
            ("conversation_header", &mut self.conversation_header),
        ]
    }
}

impl Assertions {
    pub(super) fn new(entries: Vec<AssertedOptions>) -> Result<Self, AssertedError> {
        let mut assertions: Vec<Assertion> = Vec::new();
        for (n, mut options) in entries.into_iter().enumerate() {
            let wrong = |member, why: &str| AssertedError { n, member, why: why.to_owned() };
            if assertions.iter().any(|other| other.options.agent == options.agent) {
                return Err(wrong("agent", "another entry is for this agent, too"));
            }
            if options.customer_header.is_none() && !options.member {
                return Err(wrong(
                    "customer_header",
                    "is missing: name the header of the customer id, or set member = true",
                ));
            }
            if options.email_verified_header.is_some() && options.email_verified {
                return Err(wrong("email_verified", "leave it out: email_verified_header says so of each address"));
            }
            if options.email_verified_header.is_some() && options.email_header.is_none() {
                return Err(wrong("email_verified_header", "is of no use without email_header"));
            }
            if options.verified_value.is_some()
                && options.verified_header.is_none()
                && options.email_verified_header.is_none()
            {
                return Err(wrong("verified_value", "is of no use without verified_header or email_verified_header"));
            }
            let mut named: Vec<(&'static str, String)> = Vec::new();
            for (member, header) in options.headers_mut() {
                let Some(name) = header else { continue };
                *name = header_name(name).map_err(|why| wrong(member, why))?;
                // One header may speak of the customer and of the address.
                let both = ["verified_header", "email_verified_header"];
                let same = named.iter().find(|(other, taken)| taken == name && both != [*other, member]);
                if let Some((other, _)) = same {
                    return Err(wrong(member, &format!("is the header of {other}, too; each needs its own")));
                }
                named.push((member, name.clone()));
            }
            let addresses =
                AllowedAddresses::parse(&options.addresses).map_err(|error| wrong("addresses", &error.to_string()))?;
            assertions.push(Assertion { options, addresses });
        }
        Ok(Self(assertions))
    }

    /// The headers that some agent names customers in.
    pub(super) fn headers(&self) -> impl Iterator<Item = String> {
        let all = self.0.iter().map(|assertion| assertion.options.clone());
        all.flat_map(|mut options| options.headers_mut().map(|(_, header)| header.take())).flatten()
    }

    /// The header, if any, in which a call of an agent without an entry names a customer.
    pub(super) fn attempted(&self, evidence: &Evidence) -> Option<&str> {
        let agent = evidence.agent.as_ref().map(|agent| agent.id.as_str());
        let others = self.0.iter().map(|entry| &entry.options).filter(|options| Some(options.agent.as_str()) != agent);
        let mut headers = others.filter_map(|options| options.customer_header.as_deref());
        headers.find(|name| !matches!(evidence.filled_header(name), Ok(None)))
    }

    /// How this agent's calls name a customer, for people.
    pub(super) fn place(&self, agent: Option<&AgentId>) -> Option<String> {
        let agent = agent?.as_str();
        self.0.iter().find(|entry| entry.options.agent == agent).map(|entry| entry.options.place())
    }

    /// The caller that the agent asserts; None if it asserts nobody, or may not and has not tried.
    pub(super) fn resolve(&self, evidence: &Evidence) -> Result<Option<Caller>, Refusal> {
        let agent = evidence.agent.as_deref();
        let own = agent.and_then(|agent| self.0.iter().find(|entry| entry.options.agent == agent.id.as_str()));
        let Some((Assertion { options, addresses }, agent)) = own.zip(agent) else {
            return match &evidence.customer_member {
                Some(_) => Err(Refusal::NobodyAsserts(MEMBER.to_owned())),
                None => Ok(None),
            };
        };
        let asserted = match &evidence.customer_member {
            Some(_) if !options.member => return Err(Refusal::NobodyAsserts(MEMBER.to_owned())),
            Some(member) => of_member(member)?,
            None => of_headers(options, evidence)?,
        };
        let Some(id) = asserted.id else {
            return match asserted.email.is_some() || asserted.verified {
                true => {
                    Err(refused(format!("it has no id, and an address alone names nobody; send {}", options.place())))
                }
                false => Ok(None),
            };
        };
        if !agent.scopes.has(Scope::CustomersAssert) {
            return Err(refused("the agent's token does not have the scope customers:assert"));
        }
        if !addresses.admit(evidence.peer) {
            return Err(refused(elsewhere(evidence.peer)));
        }
        let id = CustomerId::new(options.system.clone(), &id).map_err(|invalid| refused(invalid.why))?;
        // An address that cannot be read only counts as absent.
        let email = asserted.email.and_then(|email| Email::parse(&email).ok());
        let known = options.verified_header.is_none() || asserted.verified;
        let is_name = |name: &String| name.chars().count() <= 200 && !name.chars().any(char::is_control);
        let conversation = asserted.conversation.as_deref().map(ConversationId::parse).transpose();
        Ok(Some(Caller {
            agent: Some(agent.id.clone()),
            conversation: conversation.map_err(|invalid| refused(invalid.why))?,
            origin: Some(Origin::Asserted(agent.id.clone())),
            ..Caller::of(Subject::Customer(Customer {
                id,
                linked: Vec::new(),
                level: if known { options.level } else { Level::Anonymous },
                email_verified: email.is_some() && known && (asserted.email_verified || options.email_verified),
                email,
                name: asserted.name.filter(is_name),
                language: None,
                typed: false,
                email_by_code: None,
            }))
        }))
    }
}

fn refused(why: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::Asserted(why.into())
}

/// The call came from an address that is not the agent's.
fn elsewhere(seen: Option<IpAddr>) -> String {
    match seen {
        Some(seen) => format!(
            "it came from {seen}, which is not one of the agent's addresses (identity.asserted.addresses); if that is a \
             proxy of yours, set http.trusted_proxies"
        ),
        None => {
            "it came past the proxies that http.trusted_proxies counts, so that its address is not known".to_owned()
        }
    }
}

fn of_headers(options: &AssertedOptions, evidence: &Evidence) -> Result<Asserted, Refusal> {
    let value = |header: &Option<String>| -> Result<Option<String>, Refusal> {
        let Some(name) = header else { return Ok(None) };
        let value = evidence.filled_header(name).map_err(|refusal| refused(refusal.to_string()))?;
        match value.map(|value| value.expose().trim()) {
            Some(value) if is_placeholder(value) => {
                Err(refused(format!("the header {name} holds a placeholder that the host has not filled in")))
            }
            value => Ok(value.map(str::to_owned)),
        }
    };
    // A name in other letters than ASCII does not make the customer unknown.
    let optional = |header: &Option<String>| match header.as_deref().map(|name| evidence.header(name)) {
        Some(Err(Refusal::Header { why: NOT_ASCII, .. })) => Ok(None),
        _ => value(header),
    };
    let says_yes = |header: &Option<String>| -> Result<bool, Refusal> {
        let yes = options.verified_value.as_deref().unwrap_or("true");
        Ok(value(header)?.is_some_and(|word| word == yes))
    };
    Ok(Asserted {
        id: value(&options.customer_header)?,
        email: optional(&options.email_header)?,
        verified: says_yes(&options.verified_header)?,
        email_verified: says_yes(&options.email_verified_header)?,
        name: optional(&options.name_header)?,
        conversation: value(&options.conversation_header)?,
    })
}

fn of_member(member: &Value) -> Result<Asserted, Refusal> {
    const FORM: &str =
        "the member customer must be an object of id, email, email_verified, name and conversation, and nothing else";
    let member: Member = serde_json::from_value(member.clone()).map_err(|_| refused(FORM))?;
    let text = |text: Option<String>| -> Result<Option<String>, Refusal> {
        match text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) {
            Some(text) if is_placeholder(&text) => {
                Err(refused("the member customer holds a placeholder that the host has not filled in"))
            }
            text => Ok(text),
        }
    };
    let id = |value: Value| match value {
        Value::Null => Ok(None),
        Value::String(id) => text(Some(id)),
        Value::Number(number) if number.is_u64() => Ok(Some(number.to_string())),
        _ => Err(refused("an id in the member customer must be a string or a whole number")),
    };
    Ok(Asserted {
        id: id(member.id)?,
        email: text(member.email)?,
        verified: member.email_verified,
        email_verified: member.email_verified,
        name: text(member.name)?,
        conversation: id(member.conversation)?,
    })
}
