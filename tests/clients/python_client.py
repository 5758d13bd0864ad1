"""Drives a server with the official Python client: python_client.py URL | python_client.py COMMAND ARGUMENT…"""

import asyncio
import sys

from mcp import Client, StdioServerParameters


async def drive(server, mode):
    async with Client(server, mode=mode) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        assert tools == ["lookup_order", "create_ticket", "update_crm", "search_articles"], tools
        order = await client.call_tool("lookup_order", {"order_id": "1001", "detail": "full"})
        assert not order.is_error and order.structured_content["totals"]["total"]["currency"] == "GBP", order
        foreign = await client.call_tool("lookup_order", {"order_id": "2001"})
        absent = await client.call_tool("lookup_order", {"order_id": "9999"})
        assert foreign.is_error and foreign == absent, foreign
        ticket = {"subject": f"Python {mode}", "description": "Opened by a test."}
        first = (await client.call_tool("create_ticket", ticket)).structured_content
        again = (await client.call_tool("create_ticket", ticket)).structured_content
        assert again == {**first, "created": False, "outcome": "repeated"}, (first, again)
        update = await client.call_tool("update_crm", {"company": f"Python {mode}"})
        assert not update.is_error, update
        found = (await client.call_tool("search_articles", {"query": "gift cards"})).structured_content["articles"]
        article = await client.read_resource(f"article://{found[0]['article_id']}")
        assert "Gift cards" in article.contents[0].text, article
        print(f"ok {mode}")


def server():
    if sys.argv[1].startswith("http"):
        return sys.argv[1]
    return StdioServerParameters(command=sys.argv[1], args=sys.argv[2:])


for era in ["legacy", "2026-07-28", "auto"]:
    asyncio.run(asyncio.wait_for(drive(server(), era), 30))
