import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import Provider, { type Adapter, type AdapterPayload, type Configuration } from 'oidc-provider';
import type { DemoPortNumbers } from '../../src/demo/demo-declaration.ts';
import { demoDeclaration } from '../../src/demo/demo-declaration.ts';

/**
 * A provider that others wrote, with the calls about sessions that are Curfew's own: enough to see what the demo
 * clients do with its answers. It signs everybody in as `ada` without asking.
 */
export interface StandInProvider {
  issuer: string;
  /** What was asked of it, such as `GET /session`. */
  requests: string[];
  /** Runs when a request such as `GET /session` arrives, before it is answered. */
  onRequest(request: string): void;
  accessTokenSeconds: number;
  idleExpiresAt: Date;
  /** From now on every session is over, and its tokens are dead. */
  end(message: string): void;
  isReachable: boolean;
  logoutToken(claims: Record<string, unknown>, typ?: string): Promise<string>;
  setUp(ports: DemoPortNumbers, secret: string): void;
  close(): Promise<void>;
}

export async function startStandInProvider(): Promise<StandInProvider> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk: JWK = { ...(await exportJWK(privateKey)), alg: 'RS256', kid: 'k1', use: 'sig' };
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://localhost:${(server.address() as AddressInfo).port}`;
  let ended: string | undefined;

  const standIn: StandInProvider = {
    issuer,
    requests: [],
    onRequest: () => undefined,
    accessTokenSeconds: 60,
    idleExpiresAt: new Date(Date.now() + 120_000),
    isReachable: true,
    end(message) {
      ended = message;
    },
    logoutToken: (claims, typ = 'logout+jwt') =>
      new SignJWT({
        events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
        jti: String(Math.random()),
        ...claims,
      })
        .setProtectedHeader({ alg: 'RS256', kid: 'k1', typ })
        .setIssuer(issuer)
        .setAudience('team-wiki')
        .setIssuedAt()
        .setExpirationTime('2m')
        .sign(privateKey),
    setUp(ports, secret) {
      const clients = demoDeclaration({ ports }).clients.map(({ metadata }) => ({
        ...metadata,
        client_secret: secret,
      }));
      serve(server, standIn, configure(clients, jwk, standIn), () => ended);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return standIn;
}

function configure(clients: object[], jwk: JWK, standIn: StandInProvider): Configuration {
  const stored = new Map<string, AdapterPayload>();
  return {
    clients: clients as NonNullable<Configuration['clients']>,
    jwks: { keys: [jwk] },
    features: {
      devInteractions: { enabled: false },
      introspection: { enabled: true, allowedPolicy: async () => true },
      rpInitiatedLogout: {
        logoutSource: async (ctx) => {
          ctx.body = 'Sign out?';
        },
      },
      backchannelLogout: { enabled: true },
    },
    claims: { openid: ['sub', 'sid'], profile: ['name'], email: ['email'] },
    cookies: { keys: ['stand-in'] },
    clockTolerance: 0,
    adapter: (model) => inMemory(model, stored),
    ttl: {
      AccessToken: () => standIn.accessTokenSeconds,
      RefreshToken: 600,
      IdToken: 600,
      Grant: 600,
      Interaction: 600,
      Session: 600,
    },
    issueRefreshToken: async () => true,
    rotateRefreshToken: true,
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub, name: 'Ada Lovelace' }) }),
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client?.clientId ?? '',
        accountId: ctx.oidc.session?.accountId ?? '',
      });
      grant.addOIDCScope('openid profile email');
      await grant.save();
      return grant;
    },
  };
}

function serve(
  server: Server,
  standIn: StandInProvider,
  configuration: Configuration,
  ended: () => string | undefined,
): void {
  const provider = new Provider(standIn.issuer, configuration);
  provider.use(async (ctx, next) => {
    standIn.requests.push(`${ctx.method} ${ctx.path}`);
    standIn.onRequest(`${ctx.method} ${ctx.path}`);
    if (!standIn.isReachable) {
      ctx.status = 503;
      return;
    }
    if (ctx.path.startsWith('/interaction/')) {
      await provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: 'ada' } });
      ctx.respond = false;
      return;
    }
    if (ctx.path === '/session' || ctx.path === '/session/extend') {
      const token = await provider.AccessToken.find(ctx.get('authorization').slice('Bearer '.length));
      answerSession(ctx, standIn, token !== undefined, ended());
      return;
    }
    if (ended() !== undefined && ctx.path === '/token') {
      ctx.status = 400;
      ctx.body = { error: 'invalid_grant', error_description: 'Session Expired: Please Reauthenticate' };
      return;
    }
    if (ended() !== undefined && ctx.path === '/token/introspection') {
      ctx.body = { active: false };
      return;
    }
    await next();
  });
  server.removeAllListeners('request').on('request', provider.callback());
}

function answerSession(
  ctx: { path: string; status: number; body: unknown },
  standIn: StandInProvider,
  isTokenLive: boolean,
  ended: string | undefined,
): void {
  if (ended !== undefined || !isTokenLive) {
    ctx.status = 401;
    ctx.body = {
      error: 'invalid_token',
      ...(ended !== undefined && { state: 'ended', reason: 'idle_timeout', message: ended }),
    };
    return;
  }
  if (ctx.path === '/session/extend') standIn.idleExpiresAt = new Date(Date.now() + 120_000);
  ctx.body = {
    state: 'live',
    idle_expires_at: standIn.idleExpiresAt.toISOString(),
    absolute_expires_at: new Date(Date.now() + 600_000).toISOString(),
    server_time: new Date().toISOString(),
  };
}

/** Quieter than the one that comes with oidc-provider. */
function inMemory(model: string, stored: Map<string, AdapterPayload>): Adapter {
  const find = async (id: string) => stored.get(`${model} ${id}`);
  return {
    find,
    findByUid: async (uid) =>
      [...stored].find(([key, { uid: own }]) => key.startsWith(`${model} `) && own === uid)?.[1],
    findByUserCode: async () => undefined,
    upsert: async (id, payload) => void stored.set(`${model} ${id}`, payload),
    consume: async (id) => void Object.assign((await find(id)) ?? {}, { consumed: Math.floor(Date.now() / 1_000) }),
    destroy: async (id) => void stored.delete(`${model} ${id}`),
    revokeByGrantId: async (grantId) => {
      for (const [key, payload] of stored) if (payload.grantId === grantId) stored.delete(key);
    },
  };
}
