// OpenAI Agents SDK for JavaScript: the context goes into `_meta` of each call, from the context of the run.
import readline from "node:readline";
import { Agent, MCPServerStreamableHttp, OpenAIChatCompletionsModel, run, setTracingDisabled } from "@openai/agents";
import OpenAI from "openai";

setTracingDisabled(true);
const { DESK_URL, AGENT_TOKEN, MODEL_URL } = process.env;
const desk = new MCPServerStreamableHttp({
  url: `${DESK_URL}/mcp`,
  requestInit: { headers: { Authorization: `Bearer ${AGENT_TOKEN}` } },
  toolMetaResolver: ({ runContext: { context } }) =>
    context.customerContext ? { "io.frontdesk/customer-context": context.customerContext } : null,
});
await desk.connect();
const model = new OpenAIChatCompletionsModel(new OpenAI({ baseURL: MODEL_URL, apiKey: "none" }), "fake");
const agent = new Agent({ name: "support", model, mcpServers: [desk] });

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { order, context } = JSON.parse(line);
  const result = await run(agent, `Where is my order ${order}`, { context: { customerContext: context } });
  console.log(JSON.stringify(result.finalOutput));
}
await desk.close();
