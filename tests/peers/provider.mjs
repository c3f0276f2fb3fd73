// A certified OpenID provider for the tests: node provider.mjs PORT PEOPLE REDIRECTS…
// PEOPLE is JSON: {"subject": {claims}}. Its sign-in form asks for the subject alone; it remembers who signed in, as providers do.
import { createRequire } from 'module';
import { pathToFileURL } from 'url';

const [port, people, ...redirects] = process.argv.slice(2);
const require = createRequire(pathToFileURL(process.cwd() + '/'));
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));
const users = JSON.parse(people);
const provider = new Provider(`http://localhost:${port}`, {
  clients: [{ client_id: 'portal', client_secret: 'a-secret-of-the-portal-at-its-provider', redirect_uris: redirects }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  cookies: { keys: ['only-for-tests'] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_ctx, interaction) => `/i/${interaction.uid}` },
  findAccount: (_ctx, id) => users[id] && { accountId: id, claims: () => ({ sub: id, ...users[id] }) },
  loadExistingGrant: async ({ oidc }) => {
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope('openid email profile');
    await grant.save();
    return grant;
  },
});
provider.use(async (ctx, next) => {
  if (!/^\/i\/[\w-]+$/.test(ctx.path)) return next();
  if (ctx.method === 'GET') {
    ctx.type = 'html';
    ctx.body = '<!doctype html><title>Provider</title><form method=post><input name=login aria-label=Who><button>Sign in at the provider</button></form>';
    return undefined;
  }
  let body = '';
  for await (const part of ctx.req) body += part;
  const login = new URLSearchParams(body).get('login');
  if (!users[login]) {
    ctx.status = 401;
    return undefined;
  }
  await provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: login } });
  ctx.respond = false;
  return undefined;
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
