// A strict OpenID provider on a loopback port. Run by scripts/parts/oidc-provider, which installs what is
// imported here. Native clients: RFC 8252 lets those come back to any port of this machine.
import { Provider } from 'oidc-provider';

const port = Number(process.env.OIDC_PORT);
const client = (id, more) => ({
  client_id: id,
  client_secret: `${id}-secret`,
  application_type: 'native',
  redirect_uris: ['acme', 'other'].map((name) => `http://127.0.0.1/api/v1/auth/callback/${name}`),
  grant_types: ['authorization_code'],
  response_types: ['code'],
  token_endpoint_auth_method: 'client_secret_basic',
  ...more,
});

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [client('annals'), client('annals-post', { token_endpoint_auth_method: 'client_secret_post' })],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: async () => ({
      sub: id,
      email: `${id}@example.org`,
      email_verified: !id.startsWith('unverified'),
      name: `Name of ${id}`,
    }),
  }),
  // What is asked for by scope is at the user info endpoint only, as OpenID Connect Core 5.4 has it.
  conformIdTokenClaims: true,
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  scopes: ['openid', 'email', 'profile'],
  cookies: { keys: ['only for tests'] },
});

provider.listen(port, '127.0.0.1', () => console.log('ready'));
