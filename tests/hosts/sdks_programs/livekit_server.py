"""LiveKit Agents' MCP server, without a room: headers are of the server object, and there is one for each session."""

from asked import DESK, TOKEN, answer
from livekit.agents.llm import ToolError
from livekit.agents.llm.mcp import MCPServerHTTP


async def look_up(order, context):
    headers = {"Authorization": f"Bearer {TOKEN}"} | ({"Customer-Context": context} if context else {})
    desk = MCPServerHTTP(f"{DESK}/mcp", headers=headers, client_session_timeout_seconds=15)
    await desk.initialize()
    try:
        tools = {tool.info.raw_schema["name"]: tool for tool in await desk.list_tools()}
        return await tools["lookup_order"]({"order_id": order})
    except ToolError as error:
        return error.message
    finally:
        await desk.aclose()


answer(look_up)
