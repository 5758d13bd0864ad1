//! Third-party MCP clients and tools. A test whose tool is missing is skipped with a notice, or fails with
//! FRONTDESK_REQUIRE_ALL=1.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempPath;

/// The clients that `tests/clients/install` installs.
pub struct Clients {
    root: PathBuf,
}

/// Whether a command is installed; otherwise reports that the test is skipped.
pub fn installed(command: &str, test: &str) -> bool {
    let there = Command::new(command).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        skip(test, command);
    }
    there
}

/// Reports that a test is skipped, or fails with FRONTDESK_REQUIRE_ALL=1.
pub fn skip(test: &str, needs: &str) {
    let required = std::env::var("FRONTDESK_REQUIRE_ALL").is_ok_and(|value| value == "1");
    assert!(!required, "{test} needs {needs}");
    say_skipped(&format!("{test}: it needs {needs}"));
}

/// Printed directly, since the harness hides the output of passing tests, and again after all tests by
/// tests/what_was_skipped.rs.
pub fn say_skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {what}");
    let list = Path::new(env!("CARGO_TARGET_TMPDIR")).join("skipped");
    let run = std::env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| std::os::unix::process::parent_id().to_string());
    if let Ok(mut list) = std::fs::File::options().create(true).append(true).open(list) {
        let _ = list.write_all(format!("{run}\t{what}\n").as_bytes());
    }
}

/// A running server in another language.
pub struct Script {
    pub url: String,
    child: Child,
    _copy: TempPath,
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Clients {
    /// None if they are not installed; fails with FRONTDESK_REQUIRE_ALL=1.
    pub fn find(test: &str) -> Option<Self> {
        let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-clients");
        let root = std::env::var_os("FRONTDESK_TEST_CLIENTS").map_or_else(default, PathBuf::from);
        if root.join("installed").exists() {
            return Some(Self { root });
        }
        skip(test, "the test clients; tests/clients/install brings them");
        None
    }

    /// Where they are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn python(&self, script: &str, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
        self.run(Command::new(self.root.join("python/bin/python")).arg(script).args(arguments))
    }

    /// Runs the command of an installed Python package.
    pub fn python_package(&self, name: &str, arguments: &[&str]) -> Output {
        self.run(Command::new(self.root.join("python/bin").join(name)).args(arguments))
    }

    /// A copy of a script beside its packages, for one run, since tests run in parallel.
    fn copy(&self, script: &str) -> TempPath {
        let copy = tempfile::Builder::new().suffix(script).tempfile_in(&self.root).unwrap().into_temp_path();
        std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script), &copy).unwrap();
        copy
    }

    /// Runs a script of `tests/clients` beside its packages.
    pub fn node(&self, script: &str, arguments: &[&str]) -> Output {
        let copy = self.copy(script);
        self.run(Command::new(self.root.join("bin/node")).arg(&copy).args(arguments))
    }

    /// Runs a script where it is, which finds the packages below [`Self::root`] itself.
    pub fn node_in_place(&self, script: &Path, arguments: &[&str]) -> Output {
        self.run(Command::new(self.root.join("bin/node")).arg(script).args(arguments))
    }

    /// Starts a script of `tests/clients` that serves until it is dropped.
    pub fn script(&self, script: &str, arguments: &[&str]) -> Script {
        self.script_with(script, arguments, &[])
    }

    /// The same, with an environment.
    pub fn script_with(&self, script: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Script {
        let copy = self.copy(script);
        let mut command = Command::new(self.root.join("bin/node"));
        command.arg(&copy).args(arguments).envs(environment.iter().copied()).current_dir(&self.root);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").expect("the script starts").to_owned();
        Script { url, child, _copy: copy }
    }

    /// Runs a script of `tests/clients` with standard input.
    pub fn node_with(&self, script: &str, arguments: &[&str], input: &str) -> Output {
        let copy = self.copy(script);
        let mut command = Command::new(self.root.join("bin/node"));
        let mut child = command
            .arg(&copy)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Runs the command of an installed package.
    pub fn package(&self, name: &str, arguments: &[&str]) -> Output {
        self.run(&mut self.command(name, arguments))
    }

    /// The same for a client that cannot authenticate: `token` is added to its requests.
    pub fn package_with_token(&self, name: &str, arguments: &[&str], token: &str) -> Output {
        let preload = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/with_token.mjs");
        let mut command = self.command(name, arguments);
        command.env("NODE_OPTIONS", format!("--import {}", preload.display())).env("TOKEN", token);
        self.run(&mut command)
    }

    /// The command of an installed package.
    pub fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let bin = self.root.join("node_modules/.bin").join(name);
        let mut command = Command::new(self.root.join("bin/node"));
        command.arg(std::fs::canonicalize(bin).unwrap()).args(arguments).current_dir(&self.root);
        command
    }

    fn run(&self, command: &mut Command) -> Output {
        let path = format!("{}:{}", self.root.join("bin").display(), std::env::var("PATH").unwrap_or_default());
        command.env("PATH", path).current_dir(&self.root).output().unwrap()
    }
}
