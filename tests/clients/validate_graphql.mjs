// Checks GraphQL documents against Shopify's Admin schema. Standard input: a JSON list of documents. Exit status 1 if one is
// not valid. Usage: validate_graphql.mjs VERSION
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { buildClientSchema, parse, validate } from 'graphql';

const packed = new URL(`node_modules/@shopify/dev-mcp/dist/data/admin_${process.argv[2]}.json.gz`, import.meta.url);
// The schema is as Shopify ships it; only the documents are ours to judge.
const introspection = JSON.parse(gunzipSync(readFileSync(packed)).toString()).data;
const schema = buildClientSchema(introspection, { assumeValid: true });
const documents = JSON.parse(readFileSync(0).toString());
const errors = documents.flatMap((document) => validate(schema, parse(document)));
errors.forEach((error) => console.error(error.message));
console.log(`${documents.length} documents, ${errors.length} errors`);
process.exit(documents.length === 0 || errors.length > 0 ? 1 : 0);
