//! Black-box tests: the real binary, reached as its users reach it. `support` starts it all.

mod bad_input;
mod cli;
mod clients;
mod config;
mod conformance;
mod context;
mod effects;
mod import;
mod kill;
mod ownership;
mod protocol;
mod registry;
mod store;
mod support;
