// A real OAuth 2 authorization server (oidc-provider) whose JWT access tokens are for one resource, on a free port.
// Usage: agent_oauth_server.mjs RESOURCE_URL TOKEN_LIFETIME_S [ALG]   ALG is RS256 (default) or ES256.
// Prints "listening on URL", which is the issuer; ends when its standard input does. Nobody is asked anything: whoever
// opens the authorization URL is cus_ada (or its login_hint) and agrees. Confidential clients: machine, poster.
// GET /control/counts counts requests; POST /control/rotate signs with a new key; POST /control/retire forgets the
// old ones; POST /control/token signs any token: {"claims": {…}, "header": {…}, "expires_in": S, "omit": [NAME, …]}.
import { createHmac, createPublicKey, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import * as jose from 'jose';
import { Provider, errors } from 'oidc-provider';
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';

const [resource, lifetime, alg = 'RS256'] = process.argv.slice(2);
const SCOPES = ['orders:read', 'tickets:write', 'crm:write', 'articles:read', 'orders:read:any'];
const base = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
const clients = [
  { ...base, client_id: 'machine', client_secret: 'machine-secret', token_endpoint_auth_method: 'client_secret_basic' },
  {
    client_id: 'console', client_secret: 'console-secret', grant_types: ['authorization_code'], response_types: ['code'],
    redirect_uris: (process.env.REDIRECT_URIS ?? 'http://127.0.0.1/none').split(' '), token_endpoint_auth_method: 'client_secret_basic',
  },
  { ...base, client_id: 'poster', client_secret: 'poster-secret', token_endpoint_auth_method: 'client_secret_post' },
];
const configuration = {
  adapter: createMemoryAdapter(),
  clients,
  clientDefaults: { id_token_signed_response_alg: alg },
  cookies: { keys: ['for tests alone'] },
  scopes: ['openid', 'offline_access', ...SCOPES],
  // Everybody has the role that their id ends with, as grace.operator.
  findAccount: (_, accountId) => ({
    accountId,
    claims: () => ({ sub: accountId, email: `${accountId}@example.com`, roles: [`desk-${accountId.split('.').pop()}`] }),
  }),
  claims: { openid: ['sub', 'email', 'roles'] },
  conformIdTokenClaims: false,
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  // A registration names the scopes of the first challenge. They are no limit: a later one (403) may add to them.
  extraClientMetadata: { properties: ['any'], validator: (_, __, ___, client) => { delete client.scope; } },
  issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
  extraTokenClaims({ oidc: { entities } }, token) {
    const { authTime } = entities.AuthorizationCode ?? entities.RefreshToken ?? {};
    return token.accountId && { auth_time: authTime };
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo(_, indicator) {
        if (indicator !== resource) throw new errors.InvalidTarget();
        return {
          scope: SCOPES.join(' '),
          audience: resource,
          accessTokenTTL: Number(lifetime),
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg, kid: keys[0].kid } },
        };
      },
    },
  },
};

let issuer, provider, serve, keys = [];
const counts = { metadata: 0, jwks: 0, registration: 0, authorization: 0, token: 0 };

function start() {
  provider = new Provider(issuer, { ...configuration, jwks: { keys } });
  provider.on('server_error', (_, error) => console.error(error));
  for (const event of ['grant', 'registration_create', 'authorization']) {
    provider.on(`${event}.error`, (_, error) => console.error(event, error.error, error.error_detail));
  }
  serve = provider.callback();
}

async function rotate() {
  const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  keys = [{ ...(await jose.exportJWK(privateKey)), kid: randomUUID(), use: 'sig', alg }, ...keys];
  start();
}

async function interact(request, response) {
  const { params, session } = await provider.interactionDetails(request, response);
  const { scope = '', login_hint } = params;
  const accountId = login_hint ?? session?.accountId ?? 'cus_ada';
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(scope);
  if (params.resource) grant.addResourceScope(resource, scope);
  await provider.interactionFinished(request, response, {
    login: { accountId },
    consent: { grantId: await grant.save() },
  });
}

async function sign({ claims, header, expires_in = Number(lifetime), omit = [] }) {
  const now = Math.floor(Date.now() / 1000);
  const payload = {
    iss: issuer, aud: resource, sub: 'cus_ada', client_id: 'machine', scope: SCOPES.join(' '), jti: randomUUID(),
    auth_time: now, iat: now, exp: now + expires_in, ...claims,
  };
  const protectedHeader = { alg, typ: 'at+jwt', kid: keys[0].kid, ...header };
  for (const name of omit) {
    delete payload[name];
    delete protectedHeader[name];
  }
  const key = { ...keys[0], alg: undefined };
  if (/^(none|HS)/.test(protectedHeader.alg)) {
    // Classic forgeries: no signature, or a MAC whose secret is the public key.
    const input = [protectedHeader, payload].map((part) => jose.base64url.encode(JSON.stringify(part))).join('.');
    const secret = createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    const hash = protectedHeader.alg.replace('HS', 'sha');
    return `${input}.${hash === 'none' ? '' : createHmac(hash, secret).update(input).digest('base64url')}`;
  }
  return new jose.CompactSign(new TextEncoder().encode(JSON.stringify(payload)))
    .setProtectedHeader(protectedHeader)
    .sign(await jose.importJWK(key, protectedHeader.alg), {
      crit: Object.fromEntries((protectedHeader.crit ?? []).map((name) => [name, true])),
    });
}

async function route(request, response) {
  const path = request.url.split('?')[0];
  switch (path) {
    case '/control/counts': return response.end(JSON.stringify(counts));
    case '/control/rotate': await rotate(); return response.end();
    case '/control/retire': keys = keys.slice(0, 1); start(); return response.end();
    case '/control/token': return response.end(await sign(JSON.parse((await text(request)) || '{}')));
    case '/jwks': counts.jwks += 1; break;
    case '/reg': counts.registration += 1; break;
    case '/auth': counts.authorization += 1; break;
    case '/token': counts.token += 1; break;
    default:
      if (path.startsWith('/.well-known/')) counts.metadata += 1;
      if (path.startsWith('/interaction/')) return interact(request, response);
  }
  return serve(request, response);
}

const server = createServer((request, response) => {
  route(request, response).catch((error) => response.writeHead(400).end(String(error)));
});
server.listen(0, '127.0.0.1', async () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  await rotate();
  console.log(`listening on ${issuer}`);
});
process.stdin.on('end', () => process.exit(0)).resume();
