import Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import { loadAssets } from './assets.ts';
import { type ErrorLog, handleErrors } from './error-handler.ts';
import type { InteractionPort } from './interaction-port.ts';
import { addInteractionRoutes } from './interaction-routes.ts';
import { leaveFormChain } from './leave-form-chain.ts';
import { type Notice, openNotice, sealNotice } from './notice.ts';
import { createPages, type Pages } from './pages.ts';
import { securityHeaders } from './security-headers.ts';
import type { SessionPort } from './session-port.ts';
import { addSessionRoutes } from './session-routes.ts';

export interface PageRoutesOptions {
  issuer: string;
  /** Who runs this server, as people know them. */
  operator?: string;
  /** At least 32 random bytes, the same on every node: authenticates forms and notices. */
  key: Uint8Array;
  interactions: InteractionPort;
  sessions: SessionPort;
  log: ErrorLog;
}

export interface PageRoutes {
  /** For the provider's hooks. */
  pages: Pages;
  /** Goes round everything: answers whatever goes wrong further in. */
  errors: Middleware;
  /** Goes round everything that answers a form of ours, oidc-provider's end of session included. */
  formChain: Middleware;
  assets: Middleware;
  /** `/`, `/ended`, `/interaction/…` and `/session`; lets everything else pass. */
  routes: ReturnType<Router['routes']>;
  /** Goes right after `routes`: 405 for what these addresses can't do. */
  allowedMethods: ReturnType<Router['allowedMethods']>;
  /** The address of the page that tells of an end. */
  endedUrl(notice: Notice): string;
}

/** Puts together what people see and the calls about sessions that pages make. */
export function createPageRoutes({
  issuer: issuerId,
  operator = 'Curfew',
  key,
  interactions,
  sessions,
  log,
}: PageRoutesOptions): PageRoutes {
  const issuer = new URL(issuerId);
  const basePath = issuer.pathname.replace(/\/$/, '');
  const base = `${issuer.origin}${basePath}`;
  const assets = loadAssets(basePath);
  const pages = createPages({ operator, host: issuer.host, assets: assets.urls }, basePath);
  const router = new Router(basePath === '' ? {} : { prefix: basePath });

  router.use(securityHeaders);
  router.get('/', (ctx) => pages.home(ctx));
  router.get('/ended', (ctx) => pages.ended(ctx, openNotice(key, singleQuery(ctx, 'notice'))));
  addInteractionRoutes(router, { issuer, key, interactions, pages });
  addSessionRoutes(router, issuer, base, sessions);

  return {
    pages,
    errors: handleErrors(pages, base, log),
    formChain: leaveFormChain(pages),
    assets: assets.serve,
    routes: router.routes(),
    allowedMethods: router.allowedMethods(),
    endedUrl: (notice) => `${base}/ended?notice=${sealNotice(key, notice)}`,
  };
}

function singleQuery(ctx: Context, name: string): string | undefined {
  const value = ctx.query[name];
  return typeof value === 'string' ? value : undefined;
}
