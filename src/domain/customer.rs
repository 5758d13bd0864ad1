//! The caller of a tool and the customer that the call acts for.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

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
    /// The address is proven by a one-time code, which is worth less than the customer's sign-in: it serves no tool that
    /// asks for level `verified`.
    pub email_by_code: bool,
}

impl Customer {
    /// Whether `id` is one of this customer's ids.
    pub fn owns(&self, id: &CustomerId) -> bool {
        self.ids().any(|own| own == id)
    }

    /// All ids of this customer, the subject first.
    pub fn ids(&self) -> impl Iterator<Item = &CustomerId> {
        std::iter::once(&self.id).chain(&self.linked)
    }

    /// The email address, if it is verified and the customer is authenticated.
    pub fn verified_email(&self) -> Option<&Email> {
        self.email.as_ref().filter(|_| self.email_verified && self.level > Level::Anonymous)
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
}
