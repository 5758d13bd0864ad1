//! A small MCP client over stdio.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio},
};

use serde_json::{Value, json};

use super::command;

pub struct StdioClient {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    next_id: u64,
}

impl StdioClient {
    pub fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut child = command(directory)
            .arg("stdio")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().unwrap());
        Self { child, to, from, next_id: 1 }
    }

    /// Opens a session of MCP 2025-11-25.
    pub fn initialize(&mut self) -> Value {
        let answer = self.request(
            "initialize",
            json!({
                "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "0" }
            }),
        );
        self.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
        answer
    }

    pub fn write(&mut self, line: &str) {
        self.write_bytes(line.as_bytes());
    }

    pub fn write_bytes(&mut self, line: &[u8]) {
        let to = self.to.as_mut().unwrap();
        to.write_all(line).unwrap();
        to.write_all(b"\n").unwrap();
        to.flush().unwrap();
    }

    /// Writes a last line without a line break, closes standard input, and reads the remaining output.
    pub fn end_with(mut self, line: &str) -> String {
        self.to.take().unwrap().write_all(line.as_bytes()).unwrap();
        let mut rest = String::new();
        self.from.read_to_string(&mut rest).unwrap();
        rest
    }

    pub fn read(&mut self) -> Value {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("standard output holds {line:?}"))
    }

    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
        let answer = self.read();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments }))["result"].clone()
    }

    /// Sends SIGTERM while standard input is open.
    pub fn terminate(mut self) -> ExitStatus {
        super::signal("TERM", self.child.id());
        self.child.wait().unwrap()
    }

    /// Closes standard input and waits for the server to exit.
    pub fn close(mut self) -> ExitStatus {
        drop(self.to.take());
        self.child.wait().unwrap()
    }
}

impl Drop for StdioClient {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
