"""LangGraph with langchain-mcp-adapters: an interceptor sets the header of each call, from the context of the run."""

from dataclasses import dataclass

from asked import DESK, MODEL, TOKEN, answer
from langchain.agents import create_agent
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_openai import ChatOpenAI


@dataclass
class Conversation:
    customer_context: str | None


async def customer(request, handler):
    context = request.runtime.context.customer_context
    return await handler(request.override(headers={"Customer-Context": context}) if context else request)


async def look_up(order, context):
    server = {"transport": "http", "url": f"{DESK}/mcp", "headers": {"Authorization": f"Bearer {TOKEN}"}}
    client = MultiServerMCPClient({"frontdesk": server}, tool_interceptors=[customer])
    model = ChatOpenAI(model="fake", base_url=MODEL, api_key="none", use_responses_api=False)
    agent = create_agent(model, await client.get_tools(), context_schema=Conversation)
    asked = {"messages": [{"role": "user", "content": f"Where is my order {order}"}]}
    return (await agent.ainvoke(asked, context=Conversation(context)))["messages"][-1].content


answer(look_up)
