"""pydantic-ai: the headers of the toolset are a function of the run's dependencies. First, what two denials do by default."""

import asyncio

from asked import DESK, MODEL, TOKEN, answer
from pydantic_ai import Agent, RunContext
from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


def headers(ctx: RunContext[str | None]) -> dict[str, str]:
    agent = {"Authorization": f"Bearer {TOKEN}"}
    return agent | {"Customer-Context": ctx.deps} if ctx.deps else agent


def agent(model, **more):
    return Agent(model, deps_type=str, toolsets=[MCPToolset(f"{DESK}/mcp", headers=headers, **more)])


async def look_up(order, context):
    model = OpenAIChatModel("fake", provider=OpenAIProvider(base_url=MODEL, api_key="none"))
    return (await agent(model, tool_error_behavior="failed").run(f"Where is my order {order}", deps=context)).output


async def denied_twice(**more):
    """Whether a run goes on after a customer has typed two wrong numbers."""

    def asks_twice(messages, _):
        if len(messages) < 5:
            return ModelResponse(parts=[ToolCallPart("lookup_order", {"order_id": f"99{len(messages)}"})])
        return ModelResponse(parts=[TextPart("goes on")])

    try:
        return (await agent(FunctionModel(asks_twice), **more).run("two wrong numbers", deps=None)).output
    except UnexpectedModelBehavior:
        return "ends"


said = asyncio.run(denied_twice()), asyncio.run(denied_twice(tool_error_behavior="failed"))
assert said == ("ends", "goes on"), said
answer(look_up)
