// CopilotKit's agent, without a page: it is given an MCP client for each request, with the headers of its customer.
import readline from "node:readline";
import { createMCPClient } from "@ai-sdk/mcp";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { BuiltInAgent } from "@copilotkit/runtime/v2";

const { DESK_URL, AGENT_TOKEN, MODEL_URL } = process.env;
const model = createOpenAICompatible({ name: "fake", baseURL: MODEL_URL, apiKey: "none" })("fake");

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { order, context } = JSON.parse(line);
  const headers = { Authorization: `Bearer ${AGENT_TOKEN}`, ...(context ? { "Customer-Context": context } : {}) };
  const desk = await createMCPClient({ transport: { type: "http", url: `${DESK_URL}/mcp`, headers } });
  const agent = new BuiltInAgent({ model, mcpClients: [desk], maxSteps: 3 });
  const asked = { id: "1", role: "user", content: `Where is my order ${order}` };
  const run = { threadId: order, runId: order, state: {}, messages: [asked], tools: [], context: [], forwardedProps: {} };
  let said = "";
  await new Promise((resolve, reject) =>
    agent.run(run).subscribe({
      next: (event) => { said += event.type.startsWith("TEXT_MESSAGE") ? event.delta ?? "" : ""; },
      error: reject,
      complete: resolve,
    }),
  );
  await desk.close();
  console.log(JSON.stringify(said));
}
