//! The real binary as a server on a free port.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread::JoinHandle,
    time::Duration,
};

use tempfile::TempDir;

use super::{Client, Vendor, command, frontdesk, samples, stderr};

/// Short time limits, since most tests are not about them.
const UNLIMITED: &str = "[limits]\nagent_per_minute = 0\ncustomer_per_minute = 0\nsource_per_minute = 0\n\
    address_per_minute = 0\ncustomer_denials = 0\nagent_denials = 0\n";

/// The directory, configuration and environment of a server.
pub struct Setup {
    directory: TempDir,
    config: String,
    environment: Vec<(String, String)>,
}

impl Setup {
    /// An empty directory, with a configuration to add to.
    pub fn empty() -> Self {
        let setup = Self { directory: tempfile::tempdir().unwrap(), config: String::new(), environment: Vec::new() };
        setup.config("")
    }

    /// The sample records, with Ada as the fixed customer.
    pub fn ada() -> Self {
        let setup = Self::empty().config(
            r#"
            [identity]
            mode = "fixed"
            customer = "cus_ada"
            email = "ada@example.com"
            "#,
        );
        setup.import(&samples());
        setup
    }

    /// The sample records, with customer contexts signed with `secret`.
    pub fn context(secret: &str) -> Self {
        let setup = Self::empty().environment("CONTEXT_SECRET", secret).config(
            r#"
            [identity.context]
            issuer = "https://backend.example.com"
            azp = "agent-1"
            [[identity.context.keys]]
            alg = "HS256"
            secret = { env = "CONTEXT_SECRET" }
            "#,
        );
        setup.import(&samples());
        setup
    }

    /// Connects these ports to `vendor`, a plain REST system with the same customer ids.
    pub fn shop(self, ports: &[&str], vendor: &Vendor) -> Self {
        let ports: String = ports.iter().map(|port| format!("{port} = \"shop\"\n")).collect();
        self.environment("SHOP", "canary-upstream-token").config(&format!(
            "[desk]\n{ports}[upstreams.shop]\nconnector = \"generic\"\nbase_url = \"{}\"\nsystem = \"builtin\"\n\
             auth.token = {{ env = \"SHOP\" }}\n",
            vendor.url
        ))
    }

    pub fn config(mut self, toml: &str) -> Self {
        self.config.push_str(toml);
        self.write();
        self
    }

    fn write(&self) {
        let mut text = self.config.clone();
        for (table, otherwise) in
            [("[limits]", UNLIMITED), ("[operations]", "[operations]\nlisten = \"127.0.0.1:0\"\n")]
        {
            if !self.config.contains(table) {
                text.push_str(&format!("\n{otherwise}"));
            }
        }
        std::fs::write(self.path().join("frontdesk.toml"), text).unwrap();
    }

    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn store(&self) -> PathBuf {
        self.path().join("frontdesk.db")
    }

    pub fn import(&self, file: &Path) {
        let store = self.store();
        let imported = frontdesk(self.path(), &["import", "--store", store.to_str().unwrap(), file.to_str().unwrap()]);
        assert!(imported.status.success(), "{}", stderr(&imported));
    }

    /// Starts `frontdesk serve` and waits until it listens.
    pub fn serve(&self) -> Server {
        Server::start(self, &["serve", "--listen", "127.0.0.1:0"])
    }

    /// The same, on the address in the configuration.
    pub fn serve_as_configured(&self) -> Server {
        Server::start(self, &["serve"])
    }

    /// Starts `frontdesk demo`.
    pub fn demo(&self) -> Server {
        Server::start(self, &["demo"])
    }

    /// Starts `frontdesk serve` from a shell, after the commands in `before`.
    pub fn serve_in_shell(&self, before: &str) -> Server {
        let script = format!(r#"{before}; exec "$0" serve --listen 127.0.0.1:0"#);
        Server::run(self, Command::new("sh").args(["-c", &script, super::PROGRAM]).current_dir(self.path()))
    }

    /// Starts `frontdesk serve` with a failpoint, as `insert:3`: it aborts when it passes that point for the third
    /// time.
    pub fn serve_armed(&self, failpoint: &str) -> Server {
        Server::run(
            self,
            command(self.path()).args(["serve", "--listen", "127.0.0.1:0"]).env("FRONTDESK_FAILPOINT", failpoint),
        )
    }
}

pub struct Server {
    child: Child,
    pub url: String,
    /// URL of the operations server; empty if it has none.
    pub operations: String,
    /// Reads the log: a process blocks when the pipe of its log is full.
    log: Option<JoinHandle<String>>,
}

impl Server {
    fn start(setup: &Setup, arguments: &[&str]) -> Self {
        Self::run(setup, command(setup.path()).args(arguments))
    }

    /// Starts `frontdesk serve` on what is in a directory already, on free ports.
    pub fn in_directory(directory: &Path) -> Self {
        let free = ("FRONTDESK__OPERATIONS__LISTEN", "127.0.0.1:0");
        Self::spawn(command(directory).args(["serve", "--listen", free.1]).env(free.0, free.1))
    }

    fn run(setup: &Setup, command: &mut Command) -> Self {
        Self::spawn(command.envs(setup.environment.iter().cloned()))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut line, mut second) = (String::new(), String::new());
        let mut stdout = BufReader::new(child.stdout.as_mut().unwrap());
        stdout.read_line(&mut line).unwrap();
        stdout.read_line(&mut second).unwrap();
        let operations = second.trim().strip_prefix("metrics at ").and_then(|url| url.strip_suffix("/metrics"));
        let operations = operations.unwrap_or_default().to_owned();
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            let mut why = String::new();
            child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
            panic!("the server did not start: {why}");
        };
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            let _ = stderr.read_to_string(&mut log);
            log
        });
        Self { url: url.to_owned(), operations, child, log: Some(log) }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.url)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process has exited.
    pub fn is_gone(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Kills the process by SIGKILL.
    pub fn kill_9(mut self) {
        self.kill_now();
    }

    /// The same for a server that is used further; it may be gone already.
    pub fn kill_now(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM. Returns the exit status and the log.
    pub fn terminate(self) -> (ExitStatus, String) {
        super::signal("TERM", self.child.id());
        self.wait()
    }

    /// Waits for the process. Returns the exit status and the log.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let log = self.log.take().unwrap().join().unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, log);
            }
            assert!(std::time::Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
