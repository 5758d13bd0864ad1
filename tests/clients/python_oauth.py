"""Lets the official Python client find, ask for, use, renew and replace a person's access tokens by itself.

Usage: python_oauth.py SERVER_URL TOKEN_LIFETIME_S   The authorization server must let everybody in unasked.
"""

import asyncio
import base64
import json
import sys
import time
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

REDIRECT = "http://127.0.0.1/callback"  # Nothing listens there: the last redirect is read, not followed.
CLIENT = OAuthClientMetadata(redirect_uris=[REDIRECT], client_name="frontdesk test", token_endpoint_auth_method="none")
TOOLS = ["lookup_order", "create_ticket", "update_crm", "search_articles"]
REFUSED = "POST /mcp 401"
DISCOVER = ["GET /.well-known/oauth-protected-resource/mcp 200", "GET /.well-known/oauth-authorization-server 200"]
AUTHORIZED = ["POST /token authorization_code 200", "POST /mcp 200"]


class Storage:
    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Browser:
    """A person without a face: follows redirects with a cookie jar, up to the one that leads back to the client."""

    async def open(self, url):
        async with httpx2.AsyncClient() as browser:
            while not url.startswith(REDIRECT):
                response = await browser.get(url)
                assert response.has_redirect_location, (url, response.status_code, response.text)
                url = str(response.next_request.url)
        self.answer = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}

    async def result(self):
        assert "code" in self.answer, self.answer
        return AuthorizationCodeResult(**self.answer)


def claims(tokens):
    payload = tokens.access_token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


async def drive(url, lifetime, mode):
    log, storage, browser = [], Storage(), Browser()

    async def seen(response):
        request = response.request
        path = request.url.path
        assert path != "/mcp" or (response.status_code == 401) == (response.headers.get("www-authenticate") is not None)
        if path == "/token":
            path += " " + parse_qs(request.content.decode())["grant_type"][0]
        log.append(f"{request.method} {path} {response.status_code}")

    auth = OAuthClientProvider(url, CLIENT.model_copy(), storage, browser.open, browser.result)
    http = httpx2.AsyncClient(auth=auth, event_hooks={"response": [seen]}, timeout=30)
    async with http, Client(streamable_http_client(url, http_client=http), mode=mode) as client:

        async def look():
            log.clear()
            order = await client.call_tool("lookup_order", {"order_id": "1001"})
            assert not order.is_error and order.structured_content["order_id"] == "1001", order
            return storage.tokens

        # Nothing is known: 401, resource metadata, server metadata, registration, token, the same request again.
        tools = [tool.name for tool in (await client.list_tools()).tools]
        assert tools == TOOLS, tools
        start = log.copy()
        assert start[:6] == [REFUSED, *DISCOVER, "POST /reg 201", *AUTHORIZED] and REFUSED not in start[6:], start
        first = await look()
        assert log == ["POST /mcp 200"], log
        payload = claims(first)
        assert payload["aud"] == url and first.expires_in == lifetime and first.refresh_token, (payload, first)

        # The token has run out, and the client knows: it takes a new one before it calls.
        await asyncio.sleep(auth.context.token_expiry_time + 0.1 - time.time())
        second = await look()
        assert log == ["POST /token refresh_token 200", "POST /mcp 200"], log
        assert claims(second)["jti"] != payload["jti"] and claims(second)["sub"] == payload["sub"], claims(second)

        # The token is refused, and the client did not know: it starts again, as the client that it is registered as.
        second.access_token = second.access_token[:-8] + "AAAAAAAA"
        third = await look()
        assert log == [REFUSED, *DISCOVER, *AUTHORIZED], log
        assert third.access_token != second.access_token

        print(f"{mode}: sub {payload['sub']}, scope {payload['scope']!r}, auth_time {payload.get('auth_time')}")
        print(f"{mode}: {' | '.join(start)}")
    print(f"ok {mode}")


async def main(url, lifetime):
    modes = ["legacy", "2026-07-28", "auto"]
    await asyncio.wait_for(asyncio.gather(*(drive(url, lifetime, mode) for mode in modes)), 60 + lifetime)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
