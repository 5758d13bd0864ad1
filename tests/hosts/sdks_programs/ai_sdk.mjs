// Vercel AI SDK: an MCP client for each request of the chat, with the headers of its customer.
import readline from "node:readline";
import { createMCPClient } from "@ai-sdk/mcp";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, isStepCount } from "ai";

const { DESK_URL, AGENT_TOKEN, MODEL_URL } = process.env;
const model = createOpenAICompatible({ name: "fake", baseURL: MODEL_URL, apiKey: "none" })("fake");

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { order, context } = JSON.parse(line);
  const headers = { Authorization: `Bearer ${AGENT_TOKEN}`, ...(context ? { "Customer-Context": context } : {}) };
  const desk = await createMCPClient({ transport: { type: "http", url: `${DESK_URL}/mcp`, headers } });
  const tools = await desk.tools();
  const run = await generateText({ model, tools, stopWhen: isStepCount(3), prompt: `Where is my order ${order}` });
  await desk.close();
  console.log(JSON.stringify(run.text));
}
