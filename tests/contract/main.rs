//! Tests of the library alone, without a process and without HTTP: contracts of engines, models at random, registries.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail at once")]

mod articles_random;
mod compile_fail;
mod one_token;
mod ownership;
mod parking;
mod queue;
mod queue_engines;
mod queue_random;
mod registry;
mod schemes;
mod store;
mod store_articles;
mod support;
mod token_presets;
mod vendor_texts;
