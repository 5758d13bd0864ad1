//! Customers that an agent asserts without a signature, for platforms that bind variables to headers and can sign
//! nothing. What such an agent's token is worth, whoever holds it can claim.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Caller, Evidence, Origin, Refusal, Subject, refusal::is_placeholder};
use crate::domain::{AllowedAddresses, ConversationId, Customer, CustomerId, Email, Level, Scope, SystemId};

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
    /// The header that says whether the platform has verified the customer, as `X-Chatwoot-Contact-Inbox-Verified`.
    /// Where it does not hold `verified_value`, the customer has level `anonymous` and the address proves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_header: Option<String>,
    /// The value of `verified_header` that means yes.
    #[serde(default = "yes")]
    pub verified_value: String,
    /// Whether the platform verifies every address itself, so that it counts as proven without `verified_header`.
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

fn yes() -> String {
    "true".to_owned()
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
    fn headers_mut(&mut self) -> [(&'static str, &mut Option<String>); 5] {
        [
            ("customer_header", &mut self.customer_header),
            ("email_header", &mut self.email_header),
            ("verified_header", &mut self.verified_header),
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
            if options.verified_header.is_some() && options.email_verified {
                return Err(wrong("email_verified", "leave it out: verified_header says so of each customer"));
            }
            for (member, header) in options.headers_mut() {
                if let Some(name) = header {
                    *name = header_name(name).map_err(|why| wrong(member, why))?;
                }
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

    /// The caller that the agent asserts; None if it asserts nobody, or may not and has not tried.
    pub(super) fn resolve(&self, evidence: &Evidence) -> Result<Option<Caller>, Refusal> {
        let agent = evidence.agent.as_deref();
        let own = agent.and_then(|agent| self.0.iter().find(|entry| entry.options.agent == agent.id.as_str()));
        let Some((Assertion { options, addresses }, agent)) = own.zip(agent) else {
            return if evidence.customer_member.is_some() { Err(Refusal::NobodyAsserts) } else { Ok(None) };
        };
        let asserted = match &evidence.customer_member {
            Some(_) if !options.member => return Err(Refusal::NobodyAsserts),
            Some(member) => of_member(member)?,
            None => of_headers(options, evidence)?,
        };
        let Some(id) = asserted.id else { return Ok(None) };
        if !agent.scopes.has(Scope::CustomersAssert) {
            return Err(Refusal::Asserted("the agent's token does not have the scope customers:assert"));
        }
        if !addresses.admit(evidence.peer) {
            return Err(Refusal::Asserted("it does not come from one of the agent's addresses"));
        }
        let id = CustomerId::new(options.system.clone(), &id).map_err(|invalid| Refusal::Asserted(invalid.why))?;
        // An address that cannot be read only counts as absent.
        let email = asserted.email.and_then(|email| Email::parse(&email).ok());
        let known = options.verified_header.is_none() || asserted.verified;
        let is_name = |name: &String| name.chars().count() <= 200 && !name.chars().any(char::is_control);
        let conversation = asserted.conversation.as_deref().map(ConversationId::parse).transpose();
        Ok(Some(Caller {
            agent: Some(agent.id.clone()),
            conversation: conversation.map_err(|invalid| Refusal::Asserted(invalid.why))?,
            origin: Some(Origin::Asserted(agent.id.clone())),
            ..Caller::of(Subject::Customer(Customer {
                id,
                linked: Vec::new(),
                level: if known { options.level } else { Level::Anonymous },
                email_verified: email.is_some() && (asserted.verified || options.email_verified),
                email,
                name: asserted.name.filter(is_name),
                language: None,
                typed: false,
                email_by_code: None,
            }))
        }))
    }
}

/// A header name in lower case that the product may take out of requests.
pub(super) fn header_name(name: &str) -> Result<String, &'static str> {
    const OTHERS: &[&str] = &[
        "authorization",
        "host",
        "content-type",
        "content-length",
        "accept",
        "origin",
        "cookie",
        "idempotency-key",
        "prefer",
    ];
    let name = http::HeaderName::try_from(name).map_err(|_| "is not the name of a header")?.as_str().to_owned();
    match OTHERS.contains(&name.as_str()) || name.starts_with("mcp-") {
        true => Err("has a meaning of its own; choose another header"),
        false => Ok(name),
    }
}

fn of_headers(options: &AssertedOptions, evidence: &Evidence) -> Result<Asserted, Refusal> {
    let value = |header: &Option<String>| -> Result<Option<String>, Refusal> {
        let Some(name) = header else { return Ok(None) };
        let Some(value) = evidence.header(name)?.map(|value| value.expose().trim()) else { return Ok(None) };
        match value {
            "" => Ok(None),
            value if is_placeholder(value) => Err(Refusal::Placeholder("a header that names the customer")),
            value => Ok(Some(value.to_owned())),
        }
    };
    Ok(Asserted {
        id: value(&options.customer_header)?,
        email: value(&options.email_header)?,
        verified: value(&options.verified_header)?.is_some_and(|word| word == options.verified_value),
        name: value(&options.name_header)?,
        conversation: value(&options.conversation_header)?,
    })
}

fn of_member(member: &Value) -> Result<Asserted, Refusal> {
    const FORM: &str =
        "the member customer must be an object of id, email, email_verified, name and conversation, and nothing else";
    let member: Member = serde_json::from_value(member.clone()).map_err(|_| Refusal::Asserted(FORM))?;
    let text = |text: Option<String>| -> Result<Option<String>, Refusal> {
        match text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) {
            Some(text) if is_placeholder(&text) => Err(Refusal::Placeholder("the member customer")),
            text => Ok(text),
        }
    };
    let id = |value: Value| match value {
        Value::Null => Ok(None),
        Value::String(id) => text(Some(id)),
        Value::Number(number) if number.is_u64() => Ok(Some(number.to_string())),
        _ => Err(Refusal::Asserted("an id in the member customer must be a string or a whole number")),
    };
    Ok(Asserted {
        id: id(member.id)?,
        email: text(member.email)?,
        verified: member.email_verified,
        name: text(member.name)?,
        conversation: id(member.conversation)?,
    })
}
