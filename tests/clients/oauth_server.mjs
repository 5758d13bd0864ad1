// A real OAuth 2 authorization server (oidc-provider) and an order API that accepts its tokens alone, on one free port.
// Usage: oauth_server.mjs TOKEN_LIFETIME_S [PUBLIC_KEY_PEM]   Prints "listening on URL"; ends when its standard input does.
// GET /control/counts tells requests so far; POST /control/rotate takes the signing key back; /control/down and /control/up.
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import * as jose from 'jose';
import { Provider } from 'oidc-provider';

const [lifetime, publicKey] = process.argv.slice(2);
const AUDIENCE = 'https://orders.example.com';
const SECRET = 'p@ss w%rd:&=+/~';
const base = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
const clients = [
  { ...base, client_id: 'basic:client', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_basic' },
  { ...base, client_id: 'post', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_post' },
];
if (publicKey) {
  const jwk = createPublicKey(readFileSync(publicKey)).export({ format: 'jwk' });
  const keys = [{ ...jwk, kid: 'client-key', use: 'sig', alg: 'RS256' }];
  clients.push({ ...base, client_id: 'signed', token_endpoint_auth_method: 'private_key_jwt', jwks: { keys } });
}

let current, trusted, down = false;
const counts = { token: 0, refused: 0, api: 0 };

async function rotate(issuer) {
  const { privateKey, publicKey } = await jose.generateKeyPair('RS256', { extractable: true });
  const kid = `key-${Date.now()}`;
  const provider = new Provider(issuer, {
    clients,
    jwks: { keys: [{ ...(await jose.exportJWK(privateKey)), kid, use: 'sig', alg: 'RS256' }] },
    scopes: ['orders:read', 'orders:write'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'orders:read orders:write',
          audience: AUDIENCE,
          accessTokenTTL: Number(lifetime),
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
  provider.on('server_error', (_, error) => console.error(error));
  provider.on('grant.error', (_, error) => console.error(error.error, error.error_detail));
  [current, trusted] = [provider.callback(), publicKey];
}

async function api(request, response) {
  counts.api += 1;
  const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
  try {
    const { payload } = await jose.jwtVerify(token, trusted, { audience: AUDIENCE, clockTolerance: 0 });
    const order = { id: request.url.split('/').pop(), customerId: 'cus_ada', status: 'shipped', scope: payload.scope };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(order));
  } catch {
    counts.refused += 1;
    response.writeHead(401).end('{"error":"invalid_token"}');
  }
}

const server = createServer(async (request, response) => {
  const { url, method } = request;
  if (url.startsWith('/orders/')) return api(request, response);
  if (url === '/control/counts') return response.end(JSON.stringify(counts));
  if (url === '/control/rotate') { await rotate(issuer); return response.end(); }
  if (url === '/control/down' || url === '/control/up') { down = url.endsWith('down'); return response.end(); }
  if (url === '/token' && method === 'POST') {
    counts.token += 1;
    if (down) return request.socket.destroy();
  }
  return current(request, response);
});
let issuer;
server.listen(0, '127.0.0.1', async () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  await rotate(issuer);
  console.log(`listening on ${issuer}`);
});
process.stdin.on('end', () => process.exit(0)).resume();
