//! OAuth 2 scopes (RFC 6749 3.3) of this server: what an agent may do.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::parsed::{Invalid, text_conversions};

/// One scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Scope {
    OrdersRead,
    TicketsWrite,
    CrmWrite,
    ArticlesRead,
    /// Any customer's orders, for members of staff.
    OrdersReadAny,
    /// To send customers one-time codes, and to check them.
    CustomersVerify,
    /// To name the customer in headers, unsigned.
    CustomersAssert,
}

impl Scope {
    pub const ALL: [Self; 7] = [
        Self::OrdersRead,
        Self::TicketsWrite,
        Self::CrmWrite,
        Self::ArticlesRead,
        Self::OrdersReadAny,
        Self::CustomersVerify,
        Self::CustomersAssert,
    ];
    /// The scopes of an agent that may call every tool.
    pub const AGENTS: [Self; 4] = [Self::OrdersRead, Self::TicketsWrite, Self::CrmWrite, Self::ArticlesRead];

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(Invalid::new(
            "scope",
            "must be orders:read, tickets:write, crm:write, articles:read, orders:read:any, customers:verify or \
             customers:assert",
        ))
    }

    pub fn as_str(&self) -> &'static str {
        match self {
            Self::OrdersRead => "orders:read",
            Self::TicketsWrite => "tickets:write",
            Self::CrmWrite => "crm:write",
            Self::ArticlesRead => "articles:read",
            Self::OrdersReadAny => "orders:read:any",
            Self::CustomersVerify => "customers:verify",
            Self::CustomersAssert => "customers:assert",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

text_conversions!(Scope);

/// A set of scopes, written as in RFC 6749 3.3: separated by spaces, in a fixed order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Parses the scopes of this server and ignores others: a token may hold those of other resources.
    pub fn known(text: &str) -> Self {
        text.split(' ').filter_map(|name| Scope::parse(name).ok()).collect()
    }

    /// Whether the set includes `needed`. `orders:read:any` includes `orders:read`.
    pub fn allow(self, needed: Scope) -> bool {
        let wider = needed == Scope::OrdersRead && self.has(Scope::OrdersReadAny);
        self.has(needed) || wider
    }

    /// Whether the set has exactly this scope.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The set with one more scope.
    pub fn with(self, scope: Scope) -> Self {
        Self(self.0 | scope.bit())
    }

    /// The scopes of an agent that may call every tool that there is.
    pub fn of_agents(sends_codes: bool) -> Self {
        let codes = sends_codes.then_some(Scope::CustomersVerify);
        Scope::AGENTS.into_iter().chain(codes).collect()
    }

    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::default(), Self::with)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, scope) in self.iter().enumerate() {
            write!(f, "{}{scope}", if n == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_scopes_are_somebody_elses_and_any_implies_own() {
        let scopes = Scopes::known("openid crm:write  orders:read:any orders:reads ORDERS:READ");
        assert_eq!(scopes.to_string(), "crm:write orders:read:any");
        assert!(scopes.allow(Scope::OrdersRead) && scopes.allow(Scope::CrmWrite));
        assert!(!scopes.allow(Scope::TicketsWrite));
        assert!(!Scopes::known("orders:read").allow(Scope::OrdersReadAny));
        assert_eq!(Scopes::known(&scopes.to_string()), scopes);
    }
}
