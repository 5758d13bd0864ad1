// Drives a server with the official TypeScript client: typescript_client.mjs URL | typescript_client.mjs COMMAND ARGUMENT…
import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const [target, ...args] = process.argv.slice(2);
const transport = () =>
  target.startsWith("http")
    ? new StreamableHTTPClientTransport(new URL(target))
    : new StdioClientTransport({ command: target, args });

for (const mode of ["legacy", { pin: "2026-07-28" }, "auto"]) {
  const name = JSON.stringify(mode);
  const client = new Client({ name: "test", version: "0" }, { versionNegotiation: { mode } });
  await client.connect(transport());
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map((tool) => tool.name), ["lookup_order", "create_ticket", "update_crm", "search_articles"]);
  const call = (tool, input) => client.callTool({ name: tool, arguments: input });
  const order = await call("lookup_order", { order_id: "1001" });
  assert.equal(order.structuredContent.status, "shipped");
  const foreign = await call("lookup_order", { order_id: "2001" });
  const absent = await call("lookup_order", { order_id: "9999" });
  assert.equal(foreign.isError, true);
  assert.deepEqual(foreign, absent);
  const ticket = { subject: `TypeScript ${name}`, description: "Opened by a test." };
  const first = (await call("create_ticket", ticket)).structuredContent;
  const again = (await call("create_ticket", ticket)).structuredContent;
  assert.deepEqual(again, { ...first, created: false, outcome: "repeated" });
  assert.ok(!(await call("update_crm", { company: name, note: name })).isError);
  const { resources } = await client.listResources();
  assert.equal(resources.length, 13);
  await client.readResource({ uri: resources[0].uri });
  await client.close();
  console.log(`ok ${name}`);
}
