//! Black-box tests: the real binary, reached as its users reach it. `support` starts it all.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail at once")]

mod access_tokens;
mod agents;
mod alerts;
mod bad_input;
mod cli;
mod clients;
mod commands;
mod config;
mod conformance;
mod connections;
mod context;
mod effects;
mod import;
mod inbox_kill;
mod inbox_ops;
mod inbox_trouble;
mod kill;
mod limits;
mod mixed;
mod notify;
mod oauth;
mod operations;
mod outcomes;
mod ownership;
mod protocol;
mod queue;
mod queue_random;
mod registry;
mod schemes;
mod settling;
mod signatures;
mod store;
mod store_articles;
mod support;
mod tokens;
mod traces;
mod transports;
mod trouble;
mod upstreams;
mod vendors;
mod webhook_effects;
mod webhook_failures;
mod webhooks;
