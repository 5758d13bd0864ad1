//! What a document holds that is not known.

/// Names the type of a node, or says that the document is of no known form. Never holds its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unknown {
    #[error("holds a node of the type {0}, which is not known here")]
    Node(String),
    #[error("is no document of rich text of a form that is known here")]
    Document,
}

/// Longest name of a type that is repeated.
const NAME_CHARS_MAX: usize = 60;

impl Unknown {
    /// A node of this type.
    pub(super) fn node(name: &str) -> Self {
        let name: String = name.chars().take(NAME_CHARS_MAX).filter(|c| is_name(*c)).collect();
        Self::Node(if name.is_empty() { "(none)".to_owned() } else { name })
    }
}

/// Characters that names of types are made of.
pub(super) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/')
}
