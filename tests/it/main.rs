//! Black-box tests: the real binary, reached as its users reach it. `support` starts it all. Each folder is about one
//! part of the program; CONTRIBUTING.md says what belongs where.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up should fail at once")]

mod support;

mod tools {
    mod arguments;
    mod articles;
    mod texts;
}

mod desk {
    pub mod contacts;
    mod conversation_tickets;
    mod doubts;
    mod effects;
    mod mixed;
    mod settling;
    mod ticket_requests;
}

mod identity {
    mod access_tokens;
    mod agents;
    mod bridge_faults;
    mod bridge_moves;
    mod bridge_tokens;
    pub mod bridges;
    pub mod context;
    mod oauth;
}

/// One-time codes.
mod verification {
    mod limits;
    mod mail;
    mod proofs;
    pub mod sender;
    mod senders;
    mod settings;
}

mod connectors {
    mod drafts;
    mod editors;
    mod engine;
    mod fakes;
    mod helpdesks;
    mod order_replies;
    pub mod outcomes;
    mod probes;
    mod refresh_tokens;
    mod renewal;
    mod sessions;
    mod shipped_probes;
    mod tokens;
    mod trials;
    mod upstreams;
    mod vendor_refusals;
    mod vendors;
}

mod webhooks {
    mod effects;
    mod failures;
    mod handover;
    mod handshakes;
    pub mod inbox_ops;
    mod parking;
    mod receiving;
    mod reconciling;
    mod signatures;
    mod taps;
    mod visitors;
}

mod store {
    mod backup;
    mod erasure;
    mod import;
    mod migration;
    mod retention;
}

mod mcp {
    mod clients;
    mod conformance;
    mod messages;
    mod notify;
    mod protocol;
}

mod http {
    pub mod connections;
    pub mod limits;
    mod transports;
}

mod plain_http {
    mod calls;
    mod customers;
    mod description;
    mod outcomes;
    mod parity;
    mod refusals;
}

mod operations {
    mod alerts;
    mod lifecycle;
    mod monitoring;
    mod secret_files;
    mod traces;
}

/// Pages for people on call.
mod console {
    mod actions;
    mod browser;
    mod openid;
    mod pages;
    mod security;
}

mod cli {
    mod bad_input;
    mod check;
    mod check_identity;
    mod commands;
    mod config;
    mod demo;
    mod init;
    mod inspect;
    mod schemas;
    mod tail;
    mod usage;
}

/// Kills at any moment, full disks, systems that hang, and effects that fail at random.
mod chaos {
    mod contacts_random;
    mod inbox_kill;
    mod inbox_trouble;
    mod kill;
    mod trouble;
}

/// README, the book, and the programs in it, as somebody who reads them uses them.
mod docs {
    mod hosts;
    mod pages;
    mod snippets;
}
