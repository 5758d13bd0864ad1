//! Test support: a directory with a store and a configuration, the real binary as a server, and clients.

mod connector;
mod desk;
mod http;
mod issuer;
mod person;
mod plain;
mod platform;
mod server;
mod stdio;
mod tools;
mod vendor;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

pub use connector::FIND_TICKET;
pub use desk::desk;
pub use http::{Client, Response, is_error, text};
pub use issuer::{Issuer, RESOURCE};
pub use person::{Person, link, member};
pub use plain::Plain;
pub use platform::{Platform, SECRET, events, rows, settled, sign_hex, signed};
pub use server::{Server, Setup};
pub use stdio::StdioClient;
pub use tools::{Clients, Script, installed, say_skipped, skip};
pub use vendor::{Answer, Seen, Vendor};

/// The supported revisions of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    Legacy,
    Modern,
}

impl Era {
    pub const BOTH: [Self; 2] = [Self::Legacy, Self::Modern];

    pub fn version(self) -> &'static str {
        match self {
            Self::Legacy => "2025-11-25",
            Self::Modern => "2026-07-28",
        }
    }
}

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_frontdesk");

/// The sample records, as a file to import.
pub fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/samples.jsonl")
}

/// Runs the program to its end in a directory, without the environment's configuration.
pub fn frontdesk(directory: &Path, arguments: &[&str]) -> Output {
    command(directory).args(arguments).output().expect("the program starts")
}

pub fn command(directory: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.current_dir(directory);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FRONTDESK")) {
        command.env_remove(name);
    }
    command
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Sends a signal to a process of a test.
pub fn signal(name: &str, id: u32) {
    let status = Command::new("kill").args([format!("-{name}"), id.to_string()]).status().unwrap();
    assert!(status.success());
}

/// A runtime for the closures of proptest, which are not async. Other tests are `#[tokio::test]`.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}
