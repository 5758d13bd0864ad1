// Prints a customer context: node mint.mjs cus_ada [ada@example.com]
import { createHmac, createPrivateKey, randomUUID, sign } from "node:crypto";
import { readFileSync } from "node:fs";

const [sub, email] = process.argv.slice(2);
const now = Math.floor(Date.now() / 1000);
const claims = {
  iss: "https://shop.example.com", // identity.context.issuer
  aud: "frontdesk",
  sub, // the customer who has signed in
  lvl: "verified",
  cid: randomUUID(), // the conversation
  iat: now,
  exp: now + 900,
  ...(email && { email, email_verified: true }),
};

const keyFile = process.env.CONTEXT_KEY;
const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const signed = `${part({ typ: "cctx+jwt", alg: keyFile ? "EdDSA" : "HS256" })}.${part(claims)}`;
const signature = keyFile
  ? sign(null, Buffer.from(signed), createPrivateKey(readFileSync(keyFile))).toString("base64url")
  : createHmac("sha256", process.env.CONTEXT_SECRET).update(signed).digest("base64url");
console.log(`${signed}.${signature}`);
