import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Koa, { type Middleware } from 'koa';
import type { InteractionPort, OpenInteraction } from '../../src/pages/interaction-port.ts';
import { createPageRoutes, type PageRoutes } from '../../src/pages/routes.ts';
import type { SessionPort } from '../../src/pages/session-port.ts';

export const key = Buffer.alloc(32, 7);

export const wiki: OpenInteraction = {
  uid: 'abc123',
  prompt: 'login',
  reasons: ['no_session'],
  client: { clientId: 'wiki', name: 'Team Wiki' },
  scopes: ['openid'],
  claims: [],
};

export const inOneHour: SessionPort = {
  async state() {
    return {
      state: 'live',
      idleExpiresAt: new Date('2026-01-01T08:30:00.000Z'),
      absoluteExpiresAt: new Date('2026-01-01T20:00:00.000Z'),
      serverTime: new Date('2026-01-01T08:00:00.000Z'),
    };
  },
  async extend(ctx, caller) {
    return this.state(ctx, caller);
  },
  async isRegisteredOrigin(origin) {
    return origin === 'https://wiki.example';
  },
};

export function answering(interaction: OpenInteraction, ports: Partial<InteractionPort> = {}): InteractionPort {
  return {
    find: async () => interaction,
    signIn: async () => ({ redirectTo: '/auth/abc123' }),
    consent: async () => ({ redirectTo: '/auth/abc123' }),
    abort: async () => ({ redirectTo: '/auth/abc123' }),
    ...ports,
  };
}

export interface PageServer {
  origin: string;
  routes: PageRoutes;
  logged: object[];
  /** What stands behind the pages, where the provider is else. */
  behind: Middleware;
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  post(path: string, body: Record<string, string> | string, headers?: Record<string, string>): Promise<Response>;
  close(): Promise<void>;
}

/** Serves the pages over HTTP, with the answers of a provider given by hand. */
export async function startPageServer(
  interactions: InteractionPort = answering(wiki),
  sessions: SessionPort = inOneHour,
): Promise<PageServer> {
  const app = new Koa();
  const server = createServer(app.callback());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const origin = `http://127.0.0.1:${port}`;
  const logged: object[] = [];
  const keep = (fields: object) => void logged.push(fields);
  const log = { warn: keep, error: keep };
  const routes = createPageRoutes({ issuer: origin, key, interactions, sessions, log });
  app.use(routes.errors).use(routes.formChain).use(routes.assets).use(routes.routes).use(routes.allowedMethods);
  app.use((ctx, next) => started.behind(ctx, next));
  server.removeAllListeners('request').on('request', app.callback());
  const started: PageServer = {
    origin,
    routes,
    logged,
    behind: (_ctx, next) => next(),
    get: (path, headers = {}) =>
      fetch(origin + path, { redirect: 'manual', headers: { accept: 'text/html', ...headers } }),
    post: (path, body, headers = {}) =>
      fetch(origin + path, {
        method: 'POST',
        redirect: 'manual',
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body: typeof body === 'string' ? body : new URLSearchParams(body).toString(),
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return started;
}
