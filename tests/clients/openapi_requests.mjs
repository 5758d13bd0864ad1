// Prints, as JSON, what an OpenAPI description says of the requests to some of its paths: one of megabytes keeps the mock
// busy for minutes. js-yaml comes with the mock. Usage: openapi_requests.mjs FILE PATH…     (FILE may be gzipped)
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import yaml from 'js-yaml';

const [file, ...paths] = process.argv.slice(2);
const bytes = readFileSync(file);
const whole = yaml.load((file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString());
const answer = { 200: { description: '', content: { 'application/json': { example: {} } } } };
const components = { securitySchemes: whole.components.securitySchemes };

// Keeps what a part refers to, and what that refers to.
function follow(part) {
  if (part === null || typeof part !== 'object') return;
  for (const [key, member] of Object.entries(part)) {
    if (key !== '$ref' || typeof member !== 'string') {
      follow(member);
      continue;
    }
    const [, , kind, name] = member.split('/');
    components[kind] ??= {};
    if (name in components[kind]) continue;
    components[kind][name] = whole.components[kind][name];
    follow(components[kind][name]);
  }
}

const kept = {};
for (const path of paths) {
  kept[path] = whole.paths[path];
  if (!kept[path]) throw new Error(`there is no path ${path}`);
  Object.values(kept[path]).filter((operation) => operation.responses).forEach((operation) => {
    operation.responses = answer;
  });
}
follow(kept);
console.log(JSON.stringify({ openapi: whole.openapi, info: whole.info, security: whole.security, paths: kept, components }));
