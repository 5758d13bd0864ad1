"""Pipecat's MCP client, without a voice pipeline: headers are of the client, and there is one client for each call."""

from asked import DESK, TOKEN, answer
from mcp.client.session_group import StreamableHttpParameters
from pipecat.services.mcp_service import MCPClient


async def look_up(order, context):
    headers = {"Authorization": f"Bearer {TOKEN}"} | ({"Customer-Context": context} if context else {})
    async with MCPClient(StreamableHttpParameters(url=f"{DESK}/mcp", headers=headers)) as desk:
        await desk.tools()
        return await desk._call_tool_text("lookup_order", {"order_id": order})


answer(look_up)
