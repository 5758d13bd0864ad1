//! Other people's MCP clients: there, or skipped aloud, or demanded.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// The clients that `tests/clients/install` installs.
pub struct Clients {
    root: PathBuf,
}

/// Whether a command is there; without it the test is skipped aloud.
pub fn installed(command: &str, test: &str) -> bool {
    let there = Command::new(command).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        skip(test, command);
    }
    there
}

/// Says aloud that a test is skipped; with FRONTDESK_REQUIRE_ALL=1 that is a failure.
fn skip(test: &str, needs: &str) {
    let required = std::env::var("FRONTDESK_REQUIRE_ALL").is_ok_and(|value| value == "1");
    assert!(!required, "{test} needs {needs}");
    eprintln!("SKIPPED {test}: it needs {needs}");
}

impl Clients {
    /// None when they are not installed, unless FRONTDESK_REQUIRE_ALL=1 makes that a failure.
    pub fn find(test: &str) -> Option<Self> {
        let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-clients");
        let root = std::env::var_os("FRONTDESK_TEST_CLIENTS").map_or_else(default, PathBuf::from);
        if root.join("installed").exists() {
            return Some(Self { root });
        }
        skip(test, "the test clients; tests/clients/install brings them");
        None
    }

    pub fn python(&self, script: &str, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
        self.run(Command::new(self.root.join("python/bin/python")).arg(script).args(arguments))
    }

    /// A script of `tests/clients`, run where its packages are.
    pub fn node(&self, script: &str, arguments: &[&str]) -> Output {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
        let script = self.root.join(script);
        std::fs::copy(from, &script).unwrap();
        self.run(Command::new(self.root.join("bin/node")).arg(script).args(arguments))
    }

    /// The command of an installed package.
    pub fn package(&self, name: &str, arguments: &[&str]) -> Output {
        let bin = self.root.join("node_modules/.bin").join(name);
        self.run(Command::new(self.root.join("bin/node")).arg(std::fs::canonicalize(bin).unwrap()).args(arguments))
    }

    fn run(&self, command: &mut Command) -> Output {
        let path = format!("{}:{}", self.root.join("bin").display(), std::env::var("PATH").unwrap_or_default());
        command.env("PATH", path).current_dir(&self.root).output().unwrap()
    }
}
