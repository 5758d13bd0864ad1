//! Connectors: a vendor is a TOML file of requests with jq filters. The engine parses it, runs its operations and maps
//! the replies to domain values.
//!
//! The shipped files are in `connectors/`; docs/reference/connectors.md is their reference.

mod build;
mod compile_error;
mod compiled;
mod connector;
mod distinctions;
pub mod draft;
mod endpoints;
mod example_file;
mod example_result;
mod examples;
mod failure;
mod file;
mod file_values;
mod filter;
mod graphql;
mod graphql_step;
mod input;
mod jq_functions;
mod judge;
mod library;
mod lines;
mod order_number;
mod outputs;
mod probe;
mod record;
mod redact;
mod reply;
mod rich_text;
mod run;
mod schema;
mod sections;
mod seen;
mod shapes;
mod skip;
mod text;
mod text_functions;
mod threads;
mod toml_text;
mod trial;
mod values;
mod vendor;
mod webhook;
mod webhook_examples;
mod webhook_file;
mod webhook_record;

pub use build::{Builder, ConnectorError, Options, Port, UpstreamOptions};
pub use compile_error::CompileError;
pub use connector::Connector;
pub use distinctions::{Bench, Case, Known, PROBED};
pub use example_result::ExampleResult;
pub use examples::run_examples;
pub use failure::{Failure, OperationError};
pub use file::{Meaning, VendorFile};
pub use file_values::Setting;
pub use library::{Library, LibraryError, Origin};
pub use probe::{Asked, Probe, ProbeError};
pub use record::{RecordError, record};
pub use schema::schema;
pub use threads::FilterThreads;
pub use trial::{Gave, Output, Trial, TrialError, TriedStep};
pub use webhook::{WebhookSetup, WebhookSource};
pub use webhook_record::{Captured, Saw, record_webhook};
