//! Black-box tests: the real binary, reached as its users reach it. `support` starts it all.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail at once")]

mod bad_input;
mod cli;
mod clients;
mod config;
mod conformance;
mod context;
mod effects;
mod import;
mod kill;
mod mixed;
mod oauth;
mod outcomes;
mod ownership;
mod protocol;
mod registry;
mod settling;
mod store;
mod support;
mod tokens;
mod trouble;
mod upstreams;
mod vendors;
