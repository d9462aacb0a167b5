import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import type { Context } from 'koa';
import Provider, { type Adapter, type AdapterPayload, type Configuration, errors } from 'oidc-provider';
import { SECRET } from './curfew.ts';

type Operation = 'find' | 'upsert' | 'consume' | 'destroy';

/** oidc-provider as its documentation shows it, with what it stored and a way to stop it between two steps. */
export interface PlainProvider {
  issuer: string;
  provider: Provider;
  /** What it stored, by model and bearer value. */
  stored: Map<string, AdapterPayload>;
  /** Asked before each step of its adapter: what it awaits, that step waits for. */
  before(hook: (model: string, operation: Operation) => Promise<void> | void): void;
  /** Ends a session, as the documentation has it. */
  endSession(uid: string): Promise<void>;
  close(): Promise<void>;
}

/** The clients of `CURFEW_YAML` that matter here. */
const CLIENTS: NonNullable<Configuration['clients']> = ['app', 'other', 'third', 'strict'].map((clientId) => ({
  client_id: clientId,
  client_secret: SECRET,
  redirect_uris: [`https://${clientId}.example/cb`],
  post_logout_redirect_uris: [`https://${clientId}.example/`],
  grant_types: ['authorization_code', 'refresh_token'],
}));

const FEATURES: NonNullable<Configuration['features']> = {
  devInteractions: { enabled: false },
  introspection: { enabled: true, allowedPolicy: async () => true },
  revocation: { enabled: true, allowedPolicy: async () => true },
};

/** Its own defaults, in figures, so that it says nothing about them. */
const FORTNIGHT = 14 * 86_400;
const TTL: NonNullable<Configuration['ttl']> = {
  AccessToken: 3_600,
  IdToken: 3_600,
  RefreshToken: FORTNIGHT,
  Grant: FORTNIGHT,
  Session: FORTNIGHT,
  Interaction: 3_600,
};

/** @param configuration what a test is about; `firstParty`: no consent page, by the recipe of the documentation */
export async function startPlainProvider(
  configuration: Configuration = {},
  { firstParty = true }: { firstParty?: boolean } = {},
): Promise<PlainProvider> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await exportJWK(privateKey)), alg: 'RS256', kid: 'k1', use: 'sig' };
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://localhost:${(server.address() as AddressInfo).port}`;
  const stored = new Map<string, AdapterPayload>();
  let hook: Parameters<PlainProvider['before']>[0] = () => undefined;

  const provider = new Provider(issuer, {
    clients: CLIENTS,
    jwks: { keys: [jwk] } as NonNullable<Configuration['jwks']>,
    cookies: { keys: ['plain'], names: { session: 'curfew_session' } },
    adapter: (model) => asyncMap(model, stored, (operation) => hook(model, operation)),
    claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
    routes: {
      authorization: '/authorize',
      userinfo: '/userinfo',
      end_session: '/logout',
      introspection: '/introspect',
    },
    pkce: { required: () => true },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    ...(firstParty && { loadExistingGrant: grantWithoutAsking }),
    ...configuration,
    ttl: { ...TTL, ...configuration.ttl },
    features: { ...FEATURES, ...configuration.features } as NonNullable<Configuration['features']>,
  });
  provider.use(async (ctx, next) => {
    const [, step] = /^\/interaction\/[^/]+(\/\w+)?$/.exec(ctx.path) ?? [undefined, 'elsewhere'];
    await (step === 'elsewhere' ? next() : interact(provider, ctx, step));
  });
  provider.on('server_error', (_ctx, error) => void process.stderr.write(`${error.stack}\n`));
  server.on('request', provider.callback());

  return {
    issuer,
    provider,
    stored,
    before(given) {
      hook = given;
    },
    async endSession(uid) {
      await (await provider.Session.findByUid(uid))?.destroy();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** @see oidc-provider `recipes/skip_consent.md` */
const grantWithoutAsking: NonNullable<Configuration['loadExistingGrant']> = async (ctx) => {
  const { client, provider, session } = ctx.oidc;
  if (!client || !session?.accountId) return undefined;
  const grantId = session.grantIdFor(client.clientId);
  const known = grantId === undefined ? undefined : await provider.Grant.find(grantId);
  if (known) return known;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope('openid profile email offline_access');
  await grant.save();
  return grant;
};

/** The pages of the documentation's example, which anybody may sign in at. */
async function interact(provider: Provider, ctx: Context, step: string | undefined): Promise<void> {
  try {
    const { prompt, params, session, grantId, uid } = await provider.interactionDetails(ctx.req, ctx.res);
    if (step === undefined) {
      ctx.type = 'html';
      const fields = prompt.name === 'login' ? '<input name="login"><input name="password">' : 'Allow access?';
      ctx.body = `<form method="post" action="/interaction/${uid}/${prompt.name}">${fields}</form>`;
      return;
    }
    ctx.respond = false;
    if (step === '/login') {
      const login = new URLSearchParams(await bodyOf(ctx)).get('login') ?? '';
      await provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: login } });
      return;
    }
    const accountId = session?.accountId ?? '';
    const known = grantId === undefined ? undefined : await provider.Grant.find(grantId);
    const grant = known ?? new provider.Grant({ accountId, clientId: String(params.client_id) });
    grant.addOIDCScope(((prompt.details.missingOIDCScope ?? []) as string[]).join(' '));
    const result = { consent: { grantId: await grant.save() } };
    await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: true });
  } catch (error) {
    if (!(error instanceof errors.OIDCProviderError)) throw error;
    ctx.respond = true;
    ctx.status = error.statusCode;
    ctx.body = { error: error.error, error_description: error.error_description };
  }
}

async function bodyOf(ctx: Context): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of ctx.req) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** A store that takes a moment, as every database does, and forgets what has expired when it is asked for it. */
function asyncMap(
  model: string,
  stored: Map<string, AdapterPayload>,
  before: (operation: Operation) => Promise<void> | void,
): Adapter {
  const keyOf = (id: string) => `${model} ${id}`;
  const moment = () => new Promise((resolve) => setImmediate(resolve));
  const copy = (payload: AdapterPayload | undefined) => payload && structuredClone(payload);
  const all = () => [...stored].filter(([key]) => key.startsWith(`${model} `));
  return {
    async find(id) {
      await before('find');
      await moment();
      return copy(stored.get(keyOf(id)));
    },
    async findByUid(uid) {
      return copy(all().find(([, payload]) => payload.uid === uid)?.[1]);
    },
    async findByUserCode() {
      return undefined;
    },
    async upsert(id, payload) {
      await before('upsert');
      await moment();
      stored.set(keyOf(id), structuredClone(payload));
    },
    async consume(id) {
      await before('consume');
      await moment();
      const payload = stored.get(keyOf(id));
      if (payload) payload.consumed = Math.floor(Date.now() / 1000);
    },
    async destroy(id) {
      await before('destroy');
      await moment();
      stored.delete(keyOf(id));
    },
    async revokeByGrantId(grantId) {
      for (const [key, payload] of all()) if (payload.grantId === grantId) stored.delete(key);
    },
  };
}
