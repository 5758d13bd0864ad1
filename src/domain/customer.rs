//! The caller of a tool and the customer that the call acts for.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Email, Language,
    parsed::{Invalid, text_conversions},
};

/// The system that issued a customer id, as `builtin` or `shopify`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct SystemId(String);

impl SystemId {
    /// The system of the embedded store.
    pub fn builtin() -> Self {
        Self("builtin".to_owned())
    }

    /// Reserved for customers of whom only an address is known, proven by a one-time code.
    pub const CODE: &str = "code";

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if text.len() > 32 || !text.starts_with(|c: char| c.is_ascii_lowercase()) || !text.chars().all(rest) {
            return Err(Invalid::new("system", "must be lower case letters, digits, - and _, at most 32"));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_conversions!(SystemId);

/// The id of a customer with the system that issued it, written `shop:42`: customer 42 of the shop is not customer 42
/// of the helpdesk.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CustomerId {
    system: SystemId,
    id: String,
}

impl CustomerId {
    pub fn new(system: SystemId, id: &str) -> Result<Self, Invalid> {
        const WHAT: &str = "customer id";
        if id.is_empty() || id.chars().count() > 128 {
            return Err(Invalid::new(WHAT, "must have 1 to 128 characters"));
        }
        if id.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Invalid::new(WHAT, "must not contain white space or control characters"));
        }
        Ok(Self { system, id: id.to_owned() })
    }

    /// The id of a customer of whom only an address is known, proven by a one-time code: the same for every conversation
    /// of that address, and of a system that no other customer has.
    pub fn of_address(email: &Email) -> Self {
        let hash = Sha256::digest(email.canonical().as_bytes());
        let id = hash[..16].iter().map(|octet| format!("{octet:02x}")).collect();
        Self { system: SystemId(SystemId::CODE.to_owned()), id }
    }

    /// Parses `system:id`; the system is required.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let (system, id) =
            text.split_once(':').ok_or(Invalid::new("customer id", "must name its system, as shopify:123"))?;
        Self::new(SystemId::parse(system)?, id)
    }

    /// Parses `system:id`, or a bare id, which gets `system`. A URI, as `gid://shopify/Customer/7`, is a bare id: its
    /// scheme is no system.
    pub fn parse_or_in(system: &SystemId, text: &str) -> Result<Self, Invalid> {
        match text.contains(':') && !text.contains("://") {
            true => Self::parse(text),
            false => Self::new(system.clone(), text),
        }
    }

    /// Every way to parse `text`: as `system:id`, and as a bare id of `system` that holds a colon, as
    /// `gid://shopify/Customer/7`.
    pub fn readings(system: &SystemId, text: &str) -> Result<Vec<Self>, Invalid> {
        let bare = Self::new(system.clone(), text)?;
        let named = Self::parse(text).ok().filter(|named| *named != bare);
        Ok(named.into_iter().chain([bare]).collect())
    }

    pub fn system(&self) -> &SystemId {
        &self.system
    }

    /// The id inside its system.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.system, self.id)
    }
}

impl TryFrom<String> for CustomerId {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl FromStr for CustomerId {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text)
    }
}

impl From<CustomerId> for String {
    fn from(value: CustomerId) -> String {
        value.to_string()
    }
}

/// How well the customer is authenticated. A higher level includes the lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Not authenticated.
    Anonymous,
    /// By a one-time code sent to the customer's mailbox or phone.
    Otp,
    /// Signed in.
    Verified,
}

/// The customer that a call acts for, as stated by the backend that authenticated them.
#[derive(Debug, Clone)]
pub struct Customer {
    pub id: CustomerId,
    /// Ids of the same person in other systems.
    pub linked: Vec<CustomerId>,
    pub level: Level,
    pub email: Option<Email>,
    pub email_verified: bool,
    pub name: Option<String>,
    /// The language in which they read help articles.
    pub language: Option<Language>,
    /// The visitor typed name and address and is not authenticated. The address receives replies and proves nothing.
    pub typed: bool,
    /// An address that is proven by a one-time code, which is worth less than the customer's sign-in: it serves no tool
    /// that asks for level `verified`. It proves no id: `level` stays what the context says about the customer.
    pub email_by_code: Option<Email>,
}

impl Customer {
    /// Somebody of whom nothing is known but an address that they have proven by a one-time code.
    pub fn by_code(email: Email) -> Self {
        Self {
            id: CustomerId::of_address(&email),
            linked: Vec::new(),
            level: Level::Anonymous,
            email: None,
            email_verified: false,
            name: None,
            language: None,
            typed: false,
            email_by_code: Some(email),
        }
    }

    /// The level that the customer has reached: that of the context, or `otp` by a one-time code.
    pub fn reached(&self) -> Level {
        match self.email_by_code {
            Some(_) => self.level.max(Level::Otp),
            None => self.level,
        }
    }

    /// Whether `id` is one of this customer's ids. The ids of an anonymous customer with a one-time code are claimed, and
    /// the code proves an address alone.
    pub fn owns(&self, id: &CustomerId) -> bool {
        let claimed = self.level == Level::Anonymous && self.email_by_code.is_some();
        !claimed && self.ids().any(|own| own == id)
    }

    /// All ids of this customer, the subject first.
    pub fn ids(&self) -> impl Iterator<Item = &CustomerId> {
        std::iter::once(&self.id).chain(&self.linked)
    }

    /// The email address, if it is verified and the customer is authenticated; otherwise the one that is proven by a
    /// one-time code.
    pub fn verified_email(&self) -> Option<&Email> {
        self.proven_emails().next()
    }

    /// Every address that is proven, the customer's own first.
    pub fn proven_emails(&self) -> impl Iterator<Item = &Email> {
        let own = self.email.as_ref().filter(|_| self.email_verified && self.level > Level::Anonymous);
        own.into_iter().chain(&self.email_by_code)
    }

    /// The address for replies: the verified one, or the one that a visitor typed.
    pub fn address(&self) -> Option<&Email> {
        self.verified_email().or(self.email.as_ref().filter(|_| self.typed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_the_form_of_an_address_has_no_system_of_its_own() {
        let read = |text| CustomerId::parse_or_in(&SystemId::builtin(), text).unwrap().to_string();
        assert_eq!(read("42"), "builtin:42");
        assert_eq!(read("shop:42"), "shop:42");
        assert_eq!(read("gid://shopify/Customer/7"), "builtin:gid://shopify/Customer/7");
    }

    #[test]
    fn a_code_proves_an_address_and_no_id() {
        let email = |text| Email::parse(text).unwrap();
        let nobody = Customer::by_code(email("Ada@example.com"));
        assert_eq!((nobody.level, nobody.reached()), (Level::Anonymous, Level::Otp));
        assert_eq!(nobody.verified_email(), Some(&email("ada@example.com")));
        assert_eq!(nobody.id, CustomerId::of_address(&email("ada@EXAMPLE.com")));
        assert_ne!(nobody.id, CustomerId::of_address(&email("ada@example.org")));
        let shop = CustomerId::parse("shop:42").unwrap();
        let visitor =
            Customer { id: shop.clone(), email: Some(email("x@example.com")), email_verified: true, ..nobody };
        assert!(!visitor.owns(&shop));
        assert_eq!(visitor.proven_emails().collect::<Vec<_>>(), [&email("ada@example.com")]);
        let signed_in = Customer { level: Level::Verified, ..visitor };
        assert!(signed_in.owns(&shop));
        assert_eq!(signed_in.reached(), Level::Verified);
        assert_eq!(signed_in.proven_emails().collect::<Vec<_>>(), [&email("x@example.com"), &email("ada@example.com")]);
    }
}
