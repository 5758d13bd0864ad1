// Signs a webhook and posts it: node sign.mjs body.json http://127.0.0.1:8080/webhooks/escalation
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";

const [file, url] = process.argv.slice(2);
const body = readFileSync(file); // the bytes that are signed are the bytes that are sent
const signature = createHmac("sha256", process.env.WEBHOOK_SECRET).update(body).digest("hex");
const response = await fetch(url, {
  method: "POST",
  headers: { "Content-Type": "application/json", "x-webhook-signature": signature },
  body,
});
console.log(response.status, await response.text());
