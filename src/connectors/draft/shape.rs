//! The members of a record in a description: names, types, listed values.

/// The shape of a value.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    /// Listed values of a string.
    pub(super) listed: Vec<String>,
    pub(super) members: Vec<Member>,
    /// Of a list.
    pub(super) item: Option<Box<Shape>>,
}

#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Unknown,
    Text,
    Integer,
    Number,
    Boolean,
    Object,
    List,
}

impl Kind {
    /// With its article.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Unknown => "a value",
            Self::Text => "a string",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Object => "an object",
            Self::List => "a list",
        }
    }
}

impl Shape {
    pub(super) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| snake(&member.name) == name)
    }

    /// The member at a path of names as `billing_address.email`: its path as it is written there, and its shape.
    pub(super) fn at(&self, path: &str) -> Option<(String, &Self)> {
        let (mut shape, mut written) = (self, String::new());
        for name in path.split('.') {
            let member = shape.member(name)?;
            written.push_str(&access(&member.name));
            shape = &member.shape;
        }
        Some((written, shape))
    }

    /// Adds what another schema says of the same value.
    pub(super) fn join(&mut self, other: Self) {
        if self.kind == Kind::Unknown {
            self.kind = other.kind;
        }
        self.listed.extend(other.listed);
        self.item = self.item.take().or(other.item);
        for member in other.members {
            match self.members.iter_mut().find(|known| known.name == member.name) {
                Some(known) => known.required |= member.required,
                None => self.members.push(member),
            }
        }
    }

    /// Neither an object nor a list.
    pub(super) fn is_scalar(&self) -> bool {
        !matches!(self.kind, Kind::Object | Kind::List)
    }
}

/// A member in jq: `.name`, or `["odd-name"]`.
pub(super) fn access(name: &str) -> String {
    let plain =
        name.chars().enumerate().all(|(n, c)| c == '_' || c.is_ascii_alphabetic() || n > 0 && c.is_ascii_digit());
    match plain && !name.is_empty() {
        true => format!(".{name}"),
        false => format!(".[{}]", serde_json::Value::from(name)),
    }
}

/// A name in an object of jq: `name`, or `"odd-name"`.
pub(super) fn key(name: &str) -> String {
    match access(name).strip_prefix('.') {
        Some(plain) if !plain.starts_with('[') => plain.to_owned(),
        _ => serde_json::Value::from(name).to_string(),
    }
}

/// `createdAt` and `created-at` as `created_at`.
pub(super) fn snake(name: &str) -> String {
    let mut made = String::new();
    for (n, c) in name.chars().enumerate() {
        match c {
            '-' | ' ' => made.push('_'),
            c if c.is_uppercase() => {
                if n > 0 && !made.ends_with('_') {
                    made.push('_');
                }
                made.extend(c.to_lowercase());
            }
            c => made.push(c),
        }
    }
    made
}
