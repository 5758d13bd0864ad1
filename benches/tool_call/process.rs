//! The measured processes, each on a free port.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

pub const FRONTDESK: &str = env!("CARGO_BIN_EXE_frontdesk");
/// Configuration of a server under load: no limits, no metrics, no operations server.
pub const UNLIMITED: &str = "[limits]\nagent_per_minute = 0\ncustomer_per_minute = 0\nsource_per_minute = 0\n\
    address_per_minute = 0\ncustomer_denials = 0\nagent_denials = 0\n[operations]\nenabled = false\n";
/// Ticks per second in /proc/PID/stat: constant on Linux, whatever the kernel's timer frequency.
const TICKS_PER_S: f64 = 100.0;

pub struct Server {
    child: Child,
    pub url: String,
}

impl Server {
    /// Starts a server on a store with the sample records, for one customer. `config` is added to its configuration.
    pub fn frontdesk(store: &tempfile::TempDir, config: &str) -> Result<Self> {
        let file = store.path().join("frontdesk.toml");
        let fixed = "[identity]\nmode = \"fixed\"\ncustomer = \"cus_ada\"\nemail = \"ada@example.com\"\n";
        std::fs::write(&file, format!("{fixed}{config}"))?;
        Self::start(Command::new(FRONTDESK).args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(file))
    }

    /// Starts a bare server that answers from memory, or from a store.
    pub fn bare(store: Option<&Path>) -> Result<Self> {
        Self::start(Command::new(std::env::current_exe()?).arg("bare-http").args(store))
    }

    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().context("no standard output")?).read_line(&mut line)?;
        match line.trim().strip_prefix("listening on ") {
            Some(url) => Ok(Self { url: url.to_owned(), child }),
            None => bail!("a server did not start"),
        }
    }

    /// User and system CPU time so far.
    pub fn cpu(&self) -> Result<Duration> {
        cpu(&self.child.id().to_string())
    }

    /// Number of open descriptors.
    pub fn descriptors(&self) -> Result<usize> {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).context("the server is gone")?;
        Ok(open.count())
    }

    pub fn memory_mb(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        let kilobytes: u64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
        Ok(kilobytes / 1024)
    }
}

/// User and system CPU time of a process so far.
pub fn cpu(process: &str) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold spaces; utime and stime are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit_once(')').context("no name in stat")?.1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(Duration::from_secs_f64(ticks / TICKS_PER_S))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A store with the sample records, in a directory that is removed on drop.
pub fn sample_store() -> Result<tempfile::TempDir> {
    let directory = tempfile::tempdir()?;
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/samples.jsonl");
    let store = directory.path().join("frontdesk.db");
    let status =
        Command::new(FRONTDESK).arg("import").arg("--store").arg(store).arg(samples).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "the import failed");
    Ok(directory)
}

pub fn frontdesk_stdio(store: &tempfile::TempDir) -> Command {
    let mut command = Command::new(FRONTDESK);
    command.args(["stdio", "--customer", "cus_ada", "--store"]).arg(store.path().join("frontdesk.db"));
    command
}

pub fn bare_stdio() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bare-stdio");
    Ok(command)
}

/// Time from the start of the process to the response to tools/list.
pub fn cold_start(command: &mut Command) -> Result<Duration> {
    let started = Instant::now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut to = child.stdin.take().context("no standard input")?;
    let mut from = BufReader::new(child.stdout.take().context("no standard output")?);
    let opening = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"0"}}}"#;
    let listing = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
    let mut line = String::new();
    writeln!(to, "{opening}")?;
    from.read_line(&mut line)?;
    writeln!(to, r#"{{"jsonrpc":"2.0","method":"notifications/initialized"}}"#)?;
    writeln!(to, "{listing}")?;
    line.clear();
    from.read_line(&mut line)?;
    let took = started.elapsed();
    ensure!(line.contains("lookup_order"), "tools/list was answered with {line}");
    drop(to);
    child.wait()?;
    Ok(took)
}
