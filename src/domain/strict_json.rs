//! JSON in which no object has a member twice. Readers differ in which of two members counts (RFC 8259 4), so that
//! whoever writes a part of a document could change another part of it.

use std::{cell::RefCell, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Longest name that an error repeats, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Why a document was not read.
#[derive(Debug, thiserror::Error)]
pub enum StrictJsonError {
    #[error("the member {0:?} is there twice")]
    Twice(String),
    #[error(transparent)]
    Syntax(serde_json::Error),
}

/// Reads a document, unless an object at any depth has a member twice.
pub fn strict_json(bytes: &[u8]) -> Result<Value, StrictJsonError> {
    let twice = RefCell::new(None);
    let mut document = serde_json::Deserializer::from_slice(bytes);
    let read = Reader { twice: &twice }.deserialize(&mut document).and_then(|value| document.end().map(|()| value));
    read.map_err(|error| match twice.into_inner() {
        Some(name) => StrictJsonError::Twice(name),
        None => StrictJsonError::Syntax(error),
    })
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    /// The name that came twice.
    twice: &'a RefCell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if all.contains_key(&name) {
                *self.twice.borrow_mut() = Some(name.chars().take(NAME_CHARS_MAX).collect());
                return Err(de::Error::custom("a member is there twice"));
            }
            let value = members.next_value_seed(self)?;
            all.insert(name, value);
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i32>().prop_map(|number| Value::from(f64::from(number) / 4.0)),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c\"\\\\]{0,2}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Writes the first member of some object twice.
    fn doubled(value: &Value) -> Option<(String, String)> {
        match value {
            Value::Object(members) => {
                let (name, first) = members.iter().next()?;
                let rest: String =
                    members.iter().map(|(name, value)| format!(", {}: {value}", Value::from(name.as_str()))).collect();
                Some((format!("{{ {}: {first}{rest} }}", Value::from(name.as_str())), name.clone()))
            }
            Value::Array(items) => {
                let (n, (text, name)) = items.iter().enumerate().find_map(|(n, item)| Some((n, doubled(item)?)))?;
                let mut texts: Vec<String> = items.iter().map(Value::to_string).collect();
                texts[n] = text;
                Some((format!("[{}]", texts.join(", ")), name))
            }
            _ => None,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_is_read_as_it_was_written_unless_a_member_is_there_twice(value in value()) {
            prop_assert_eq!(&strict_json(value.to_string().as_bytes()).unwrap(), &value);
            if let Some((text, name)) = doubled(&value) {
                let error = strict_json(text.as_bytes()).unwrap_err();
                prop_assert!(matches!(&error, StrictJsonError::Twice(twice) if *twice == name), "{}: {}", text, error);
            }
        }

        #[test]
        fn what_is_no_json_is_refused_as_ever(text in "[\\[\\]{}\",:0-9a-z .-]{0,24}") {
            let usual = serde_json::from_str::<Value>(&text);
            match (strict_json(text.as_bytes()), usual) {
                (Ok(read), Ok(usual)) => prop_assert_eq!(read, usual),
                (Err(StrictJsonError::Syntax(error)), Err(usual)) => {
                    prop_assert_eq!(error.to_string(), usual.to_string())
                }
                (Err(StrictJsonError::Twice(_)), _) => {}
                (read, usual) => prop_assert!(false, "{}: {:?} {:?}", text, read, usual),
            }
        }
    }

    #[test]
    fn names_that_are_written_differently_are_the_same() {
        let error = strict_json(br#"{"a":{"customer":1,"\u0063ustomer":2}}"#).unwrap_err();
        assert_eq!(error.to_string(), "the member \"customer\" is there twice");
        assert!(strict_json(br#"{"a":{"b":1},"c":{"b":1}}"#).is_ok());
        assert!(strict_json("[".repeat(1000).as_bytes()).is_err(), "no depth overflows the stack");
    }
}
