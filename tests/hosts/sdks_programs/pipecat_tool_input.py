"""Pipecat's MCP client with a fixed argument: the tool input `customer_context`, which the model is not shown."""

from asked import DESK, TOKEN, answer
from mcp.client.session_group import StreamableHttpParameters
from pipecat.services.mcp_service import MCPClient


async def look_up(order, context):
    server = StreamableHttpParameters(url=f"{DESK}/mcp", headers={"Authorization": f"Bearer {TOKEN}"})
    fixed = {"lookup_order": {"customer_context": context}} if context else {}
    async with MCPClient(server, tools_arguments=fixed) as desk:
        shown = {tool.name: tool.properties for tool in (await desk.tools()).standard_tools}
        assert ("customer_context" in shown["lookup_order"]) == (context is None) and "customer_context" in shown["create_ticket"]
        # What a model makes up for it is overwritten.
        return await desk._call_tool_text("lookup_order", {"order_id": order, **({"customer_context": "made up"} if context else {})})


answer(look_up)
