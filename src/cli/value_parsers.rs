//! Value parsers of arguments: times and names of enum variants.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::{
    Deserializer,
    de::{DeserializeOwned, Error as _, Visitor, value::Error},
    forward_to_deserialize_any,
};

use crate::domain::{Clock, Timestamp, moment};

/// Parses a variant of `T` by its JSON name; a wrong one is answered with all names.
pub(super) fn variant<T: DeserializeOwned + Clone + Send + Sync + 'static>() -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words::<T>()).try_map(|word| serde_json::from_value::<T>(word.into()))
}

/// The JSON names of an enum's variants, captured from its `Deserialize`.
fn words<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut words = Words(&[]);
    let _ = T::deserialize(&mut words);
    words.0
}

struct Words(&'static [&'static str]);

impl<'de> Deserializer<'de> for &mut Words {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("only words are read"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.0 = words;
        Err(Error::custom("only words are read"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A time in the past: RFC 3339, a date (its start in UTC), or an age such as 90s, 15m, 1h, 2d or 1w.
pub(super) fn since(text: &str) -> Result<Timestamp, String> {
    moment(text, Clock::system().now(), false)
}

/// The same; a date means the end of that day.
pub(super) fn until(text: &str) -> Result<Timestamp, String> {
    moment(text, Clock::system().now(), true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{desk::Verdict, inbox::EventState};

    #[test]
    fn the_words_of_an_enum_are_those_that_it_reads() {
        for word in words::<Verdict>() {
            assert_eq!(serde_json::from_value::<Verdict>((*word).into()).unwrap().as_str(), *word);
        }
        assert!(words::<Verdict>().contains(&"guest_unproven") && words::<EventState>().contains(&"quarantined"));
    }
}
