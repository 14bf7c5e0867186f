// A real OpenID provider for the tests. Prints its address once it listens. Whoever comes with a header
// `x-account: ann` is signed in as ann and consents at once; with none, the sign-in is denied. Each start has new keys
// (RS256), and a clock that may be behind.

import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const [client_id, client_secret, redirect_uri, port, behind_s] = process.argv.slice(2);
const now = Date.now;
Date.now = () => now() - Number(behind_s) * 1000;
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const server = createServer();
await new Promise((resolve) => server.listen(Number(port), '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{ client_id, client_secret, redirect_uris: [redirect_uri], response_types: ['code'] }],
  claims: { openid: ['sub'], profile: ['name', 'preferred_username'], roles: ['roles'] },
  cookies: { keys: ['only for tests'] },
  features: { devInteractions: { enabled: false } },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      name: `${id} of the provider`,
      preferred_username: id,
      roles: id === 'root' ? ['tributary-operator'] : ['reader'],
    }),
  }),
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig' }] },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  pkce: { required: () => true },
  scopes: ['openid', 'profile', 'roles'],
});

async function interact(request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const accountId = request.headers['x-account'];
  let result = { error: 'access_denied', error_description: 'the <user> said no' };
  if (accountId) {
    const grant = new provider.Grant({ accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    result = { login: { accountId }, consent: { grantId: await grant.save() } };
  }
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

const answer = provider.callback();
server.on('request', (request, response) => {
  if (!request.url.startsWith('/interaction/')) return answer(request, response);
  interact(request, response).catch((error) => {
    response.statusCode = 500;
    response.end(String(error.stack));
  });
});
console.log(issuer);
