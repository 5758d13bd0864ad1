//! `frontdesk`: the server that stands between support chatbots and a company's systems. See ARCHITECTURE.md for the map.

pub mod app;
pub mod cli;
pub mod config;
pub mod connectors;
pub mod console;
pub mod desk;
pub mod domain;
pub mod events;
pub mod http;
pub mod identity;
pub mod import;
pub mod inbox;
pub mod limits;
pub mod mail;
pub mod mcp;
pub mod operator;
pub mod store;
pub mod telemetry;
pub mod tools;
pub mod upstream;
pub mod webhooks;
