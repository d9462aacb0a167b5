import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import argon2 from 'argon2';
import { exportJWK, generateKeyPair } from 'jose';
import { type AdapterConstructor, type AdapterFactory, type Configuration, Provider } from 'oidc-provider';
import { APP, JWT_RESOURCE, POLICY, REDIRECT_URI, SECRET, SERVICE } from '../fixtures.ts';

export interface PlainAccount {
  id: string;
  login: string;
  passwordHash: string;
  email: string;
  name: string;
}

export interface PlainParts {
  adapter: AdapterFactory | AdapterConstructor | undefined;
  findAccount(id: string): Promise<PlainAccount | undefined>;
  findAccountByLogin(login: string): Promise<PlainAccount | undefined>;
}

/** Serves oidc-provider by itself: the features, algorithms and answers of Curfew, without what Curfew adds. */
export async function servePlainProvider(parts: PlainParts): Promise<void> {
  const provider = new Provider(process.env.ISSUER ?? '', await configurationOf(parts));
  const handle = provider.callback();
  const server = createServer((req, res) => {
    if (!req.url?.startsWith('/interaction/')) return handle(req, res);
    interact(provider, parts, req, res).catch((error: unknown) => {
      res.writeHead(500).end(String(error));
    });
  });
  process.once('SIGTERM', () => process.exit(0));
  server.listen(Number(process.env.PORT), '127.0.0.1', () => process.stdout.write('is ready\n'));
}

async function configurationOf(parts: PlainParts): Promise<Configuration> {
  const keys = await Promise.all(
    (['RS256', 'ES256'] as const).map(async (alg) => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true, modulusLength: 2048 });
      return { ...(await exportJWK(privateKey)), alg, use: 'sig' };
    }),
  );
  return {
    ...(parts.adapter && { adapter: parts.adapter }),
    jwks: { keys } as NonNullable<Configuration['jwks']>,
    clients: [
      {
        client_id: APP,
        client_secret: SECRET,
        redirect_uris: [REDIRECT_URI],
        grant_types: ['authorization_code', 'refresh_token'],
      },
      {
        client_id: SERVICE,
        client_secret: SECRET,
        redirect_uris: [],
        response_types: [],
        grant_types: ['client_credentials'],
      },
    ],
    findAccount: async (_ctx, sub) => {
      const account = await parts.findAccount(sub);
      return (
        account && {
          accountId: sub,
          claims: () => ({ sub, name: account.name, preferred_username: account.login, email: account.email }),
        }
      );
    },
    // Clients of one's own need no consent: the grant is made as oidc-provider's recipes have it.
    loadExistingGrant: async (ctx) => {
      const { session, client, params } = ctx.oidc;
      if (!session?.accountId || !client) return undefined;
      const known = session.grantIdFor(client.clientId);
      if (known) return ctx.oidc.provider.Grant.find(known);
      const grant = new ctx.oidc.provider.Grant({ accountId: session.accountId, clientId: client.clientId });
      grant.addOIDCScope(String(params?.scope ?? 'openid'));
      await grant.save();
      return grant;
    },
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    cookies: { keys: ['one-that-signs-the-cookies'] },
    routes: { authorization: '/authorize', token: '/token', introspection: '/introspect', userinfo: '/userinfo' },
    scopes: ['openid', 'offline_access', 'profile', 'email'],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email'] },
    ttl: {
      AccessToken: POLICY.accessTokenSeconds,
      ClientCredentials: POLICY.accessTokenSeconds,
      IdToken: POLICY.accessTokenSeconds,
      RefreshToken: POLICY.absoluteSeconds,
      Grant: POLICY.absoluteSeconds,
      Session: POLICY.absoluteSeconds,
      Interaction: 3_600,
      AuthorizationCode: 60,
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: '',
          audience: JWT_RESOURCE,
          accessTokenTTL: POLICY.accessTokenSeconds,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    pkce: { required: () => true },
    rotateRefreshToken: () => true,
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    // The dearer default would look a session up at every use of a token.
    expiresWithSession: () => false,
    conformIdTokenClaims: true,
  };
}

/** The sign-in page, and what its form does. */
async function interact(
  provider: Provider,
  { findAccountByLogin }: PlainParts,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const { uid } = await provider.interactionDetails(req, res);
  if (req.method === 'GET') {
    res.setHeader('content-type', 'text/html; charset=utf-8');
    res.end(`<!doctype html><title>Sign in</title><form method="post" action="/interaction/${uid}/login">
      <input name="login"><input type="password" name="password"><button>Sign in</button></form>`);
    return;
  }
  const form = new URLSearchParams(await text(req));
  const account = await findAccountByLogin(form.get('login') ?? '');
  if (!account || !(await argon2.verify(account.passwordHash, form.get('password') ?? ''))) {
    res.writeHead(401).end('wrong login or password');
    return;
  }
  await provider.interactionFinished(req, res, { login: { accountId: account.id, acr: 'aal1', amr: ['pwd'] } });
}
