//! The parts of a message that checks need before rmcp parses it, and JSON-RPC refusals.

use std::{borrow::Cow, convert::Infallible, fmt};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use rmcp::model::ErrorCode;
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use super::message::{self, CAPABILITIES_META, Refusal};
use crate::identity::STAFF_REASON_META;

pub(super) type Answer = Response<BoxBody<Bytes, Infallible>>;

/// The parts of a message that headers repeat and checks need.
#[derive(Deserialize)]
pub(super) struct Envelope {
    /// None for a notification. An id of null cannot be answered.
    #[serde(default, deserialize_with = "present")]
    pub(super) id: Option<Value>,
    pub(super) method: Option<String>,
    params: Option<Params>,
}

/// Deserializes a present member, null included.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Envelope {
    pub(super) fn id(&self) -> Value {
        self.id.clone().unwrap_or_default()
    }

    pub(super) fn has_odd_cursor(&self) -> bool {
        let cursor = self.params.as_ref().and_then(|params| params.cursor.as_ref());
        self.method.as_deref().is_some_and(|method| method.ends_with("/list"))
            && cursor.is_some_and(|cursor| !message::is_cursor(cursor))
    }

    /// Whether the client's self-description may need repair before rmcp parses it.
    pub(super) fn describes_itself_oddly(&self) -> bool {
        self.method.as_deref() == Some("initialize") || self.params.as_ref().is_some_and(|params| params.meta.is_odd)
    }

    /// The name of the tool or prompt, or the URI of the resource.
    pub(super) fn name(&self) -> Option<&str> {
        let params = self.params.as_ref()?;
        let of_resource = self.method.as_deref().is_some_and(|method| method.starts_with("resources/"));
        if of_resource { params.uri.as_ref() } else { params.name.as_ref() }.and_then(Value::as_str)
    }

    /// Whether a member of staff says why they ask.
    pub(super) fn is_of_staff(&self) -> bool {
        self.params.as_ref().is_some_and(|params| params.meta.staff_reason)
    }
}

#[derive(Deserialize)]
struct Params {
    name: Option<Value>,
    uri: Option<Value>,
    cursor: Option<Value>,
    #[serde(rename = "_meta", default)]
    meta: Meta,
}

/// The parts of `_meta` that decide the required scope, and whether rmcp can parse it.
#[derive(Default)]
struct Meta {
    staff_reason: bool,
    is_odd: bool,
}

impl<'de> Deserialize<'de> for Meta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Meta;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Meta, A::Error> {
                let mut meta = Meta::default();
                while let Some(name) = members.next_key::<Cow<'de, str>>()? {
                    match &*name {
                        CAPABILITIES_META => meta.is_odd = !message::can_be_read(&members.next_value()?),
                        STAFF_REASON_META => {
                            members.next_value::<IgnoredAny>()?;
                            meta.staff_reason = true;
                        }
                        _ => drop(members.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(meta)
            }

            fn visit_unit<E: de::Error>(self) -> Result<Meta, E> {
                Ok(Meta::default())
            }
        }
        deserializer.deserialize_any(Members)
    }
}

pub(super) fn refuse(status: StatusCode, id: Value, code: ErrorCode, why: &str) -> Box<Answer> {
    refused(status, &Refusal::new(id, code, why.to_owned()))
}

pub(super) fn refused(status: StatusCode, refusal: &Refusal) -> Box<Answer> {
    let mut answer = Response::new(Full::new(Bytes::from(refusal.to_json().to_string())).boxed());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Box::new(answer)
}
