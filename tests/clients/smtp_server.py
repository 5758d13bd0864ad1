"""A mail server for the tests: STARTTLS, implicit TLS or none, with or without authentication.

Prints `listening on PORT`, then one line of JSON for each message, and what clients have authenticated as.
"""

import argparse
import asyncio
import json
import ssl
import sys
from email import message_from_bytes, policy

from aiosmtpd.smtp import SMTP, AuthResult

parser = argparse.ArgumentParser()
parser.add_argument("--tls", choices=["starttls", "implicit", "none"], default="none")
parser.add_argument("--certificate")
parser.add_argument("--key")
parser.add_argument("--user")
parser.add_argument("--password")
parser.add_argument("--refuse", help="recipients that hold this text are refused")
parser.add_argument("--without-starttls", action="store_true", help="does not offer what the client wants")
options = parser.parse_args()


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if options.refuse and options.refuse in address:
            return f"550 5.1.1 <{address}> is unknown here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = message_from_bytes(envelope.content, policy=policy.default)
        line = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in message.items()},
            "text": message.get_content(),
            "encrypted": session.ssl is not None or options.tls == "implicit",
            "authenticated": session.authenticated,
        }
        print(json.dumps(line), flush=True)
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, data):
    right = (data.login.decode(), data.password.decode()) == (options.user, options.password)
    return AuthResult(success=right, handled=False) if not right else AuthResult(success=True)


context = None
if options.tls != "none":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
settings = {"hostname": "mail.test", "enable_SMTPUTF8": True}
if options.user:
    settings.update(authenticator=authenticate, auth_required=True, auth_require_tls=options.tls == "starttls")
if options.tls == "starttls" and not options.without_starttls:
    settings.update(tls_context=context, require_starttls=True)


async def serve():
    loop = asyncio.get_running_loop()
    of_connection = context if options.tls == "implicit" else None
    server = await loop.create_server(lambda: SMTP(Handler(), **settings), "127.0.0.1", 0, ssl=of_connection)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    # Until the test is over.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(serve())
