"""OpenAI Agents SDK for Python: the context goes into `_meta` of each call, from the context of the run."""

from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from asked import DESK, MODEL, TOKEN, answer
from openai import AsyncOpenAI

set_tracing_disabled(True)


def customer(call):
    context = call.run_context.context["customer_context"]
    return {"io.frontdesk/customer-context": context} if context else None


async def look_up(order, context):
    async with MCPServerStreamableHttp(
        params={"url": f"{DESK}/mcp", "headers": {"Authorization": f"Bearer {TOKEN}"}},
        client_session_timeout_seconds=15,
        tool_meta_resolver=customer,
    ) as desk:
        model = OpenAIChatCompletionsModel("fake", AsyncOpenAI(base_url=MODEL, api_key="none"))
        agent = Agent(name="support", model=model, mcp_servers=[desk])
        run = await Runner.run(agent, f"Where is my order {order}", context={"customer_context": context})
        return run.final_output


answer(look_up)
