//! Who is signed in: sessions in the store, by the hash of a token that only the browser has.

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::{ConsoleError, Role};
use crate::domain::{Secret, Timestamp};

/// Storage of sessions and of links to sign in.
#[async_trait]
pub trait Sessions: Send + Sync {
    async fn add_link(&self, hash: &TokenHash, link: Link) -> Result<(), ConsoleError>;

    /// What the link is for, if it is still good.
    async fn link(&self, hash: &TokenHash, now: Timestamp) -> Result<Option<Link>, ConsoleError>;

    /// The same, and it is used up. Of concurrent callers one gets it.
    async fn take_link(&self, hash: &TokenHash, now: Timestamp) -> Result<Option<Link>, ConsoleError>;

    async fn begin(&self, hash: &TokenHash, session: NewSession) -> Result<(), ConsoleError>;

    /// The session, if it has not ended and was used since `used_since`.
    async fn session(
        &self,
        hash: &TokenHash,
        now: Timestamp,
        used_since: Timestamp,
    ) -> Result<Option<StoredSession>, ConsoleError>;

    /// Records that the session was used.
    async fn used(&self, id: i64, now: Timestamp) -> Result<(), ConsoleError>;

    /// All that have not ended, newest first.
    async fn sessions(&self, now: Timestamp, used_since: Timestamp) -> Result<Vec<StoredSession>, ConsoleError>;

    /// Ends a session. False if there is none.
    async fn end(&self, id: i64) -> Result<bool, ConsoleError>;
}

/// A link to sign in once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub person: String,
    pub role: Role,
    pub expires_at: Timestamp,
}

/// How somebody signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedInBy {
    /// By a link that the command line made.
    Link,
    /// By the OpenID provider.
    OpenId,
}

/// A session before it is stored.
#[derive(Debug, Clone)]
pub struct NewSession {
    pub person: String,
    pub role: Role,
    pub by: SignedInBy,
    pub at: Timestamp,
    pub expires_at: Timestamp,
}

/// A stored session.
#[derive(Debug, Clone)]
pub struct StoredSession {
    pub id: i64,
    pub person: String,
    pub role: Role,
    pub by: SignedInBy,
    pub began_at: Timestamp,
    pub used_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A token of 256 random bits: of a session or of a link.
#[derive(Debug, Clone)]
pub struct Token(Secret);

/// What the store knows of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl SignedInBy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::OpenId => "openid",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Link, Self::OpenId].into_iter().find(|way| way.as_str() == text)
    }
}

impl Token {
    pub fn fresh() -> Result<Self, getrandom::Error> {
        let mut octets = [0; 32];
        getrandom::fill(&mut octets)?;
        Ok(Self(Secret::new(hex(&octets))))
    }

    /// A token that somebody sent.
    pub(super) fn sent(text: &str) -> Self {
        Self(Secret::new(text.to_owned()))
    }

    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.expose()).into())
    }

    /// What every form of the session carries, so that no other site can send one.
    pub(super) fn csrf(&self) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(self.expose().as_bytes()).map(|mac| mac.chain_update("csrf"));
        mac.map(|mac| hex(&mac.finalize().into_bytes())).unwrap_or_default()
    }

    /// Whether a form carries it. Digests are compared, so that the time shows nothing.
    pub(super) fn is_csrf(&self, sent: &str) -> bool {
        Sha256::digest(self.csrf()) == Sha256::digest(sent)
    }
}

impl TokenHash {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_carries_what_its_own_session_has() {
        let (one, other) = (Token::fresh().unwrap(), Token::fresh().unwrap());
        assert_eq!(one.expose().len(), 64);
        assert!(one.is_csrf(&one.csrf()) && !one.is_csrf(&other.csrf()) && !one.is_csrf(""));
        assert!(!one.csrf().contains(one.expose()) && one.hash() != other.hash());
        assert_eq!(Token::sent(one.expose()).hash(), one.hash());
    }
}
