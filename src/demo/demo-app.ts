import Router from '@koa/router';
import Koa, { type Context } from 'koa';
import { AppError } from '../errors.ts';
import type { ErrorLog } from '../pages/error-handler.ts';
import { readForm } from '../pages/read-form.ts';
import { requireSameOrigin } from '../pages/request-forgery.ts';
import type { CurfewClient } from './curfew-client.ts';
import { findDemoPage } from './demo-content.ts';
import { askForPage, checkLiveness, reportPresence } from './demo-liveness.ts';
import { contentPage, endedPage, statusAnswer, unreachablePage, welcomePage } from './demo-pages.ts';
import { addEvent, createDemoSessions, type DemoSession, endDemoSession } from './demo-session.ts';
import { type DemoSite, loadDemoAssets } from './demo-views.ts';

export interface DemoAppOptions {
  site: DemoSite;
  origin: string;
  /** Its own: cookies ignore ports. */
  cookieName: string;
  client: CurfewClient;
  log: ErrorLog;
}

/** A small client as any team would write it, with the one habit it is to show: it asks before every answer. */
export function createDemoApp({ site, origin, cookieName, client, log }: DemoAppOptions): Koa {
  const sessions = createDemoSessions();
  const assets = loadDemoAssets();
  const router = new Router();

  router.get(['/', '/read/:slug'], async (ctx) => {
    const page = findDemoPage(site.kind, ctx.path);
    if (page === undefined) throw new AppError('not_found', 'There is no such page.', { status: 404 });
    const session = sessions.find(ctx.cookies.get(cookieName));
    if (session?.signedIn === undefined) {
      show(ctx, session?.ended === undefined ? welcomePage(site, page, session) : endedPage(site, page, session));
      return;
    }
    const answer = await checkLiveness(client, session, ctx.query.watch === undefined ? 'person' : 'page');
    if (answer.state === 'ended') show(ctx, endedPage(site, page, session));
    else if (answer.state === 'live' && session.signedIn !== undefined)
      show(ctx, contentPage(site, page, session, answer));
    else show(ctx, unreachablePage(site, page), 503);
  });

  router.get('/status', async (ctx) => {
    const session = sessions.find(ctx.cookies.get(cookieName));
    ctx.body =
      session === undefined ? { state: 'ended' } : statusAnswer(session, await checkLiveness(client, session, 'page'));
  });

  router.get('/sign-in', async (ctx) => {
    const returnTo = typeof ctx.query.return === 'string' ? ctx.query.return : '/';
    const page = findDemoPage(site.kind, returnTo);
    const { url, pending } = await client.authorizationUrl(page?.path ?? '/');
    const session = sessions.find(ctx.cookies.get(cookieName)) ?? begin(ctx);
    session.pending = pending;
    ctx.redirect(url.href);
  });

  router.get('/callback', async (ctx) => {
    const id = ctx.cookies.get(cookieName);
    const session = sessions.find(id);
    if (id === undefined || session?.pending === undefined) return ctx.redirect('/');
    const { pending } = session;
    delete session.pending;
    await signIn(session, pending.returnTo, async () => client.redeem(ctx.search, pending));
    setCookie(ctx, sessions.rename(id));
    ctx.redirect(session.signedIn === undefined ? '/' : pending.returnTo);
  });

  router.post('/still-here', async (ctx) => {
    requireSameOrigin(ctx, origin, 'required');
    const form = await readForm(ctx.req);
    const session = sessions.find(ctx.cookies.get(cookieName));
    if (session !== undefined) await reportPresence(client, session);
    ctx.redirect(findDemoPage(site.kind, form.get('page') ?? '')?.path ?? '/');
    ctx.status = 303;
  });

  router.post('/sign-out', async (ctx) => {
    requireSameOrigin(ctx, origin, 'required');
    const session = sessions.find(ctx.cookies.get(cookieName));
    const idToken = session?.signedIn?.tokens.idToken;
    if (session !== undefined) {
      delete session.signedIn;
      addEvent(session, 'You signed out here.');
    }
    ctx.redirect(idToken === undefined ? '/' : (await client.endSessionUrl(idToken)).href);
    ctx.status = 303;
  });

  /** @see OpenID Connect Back-Channel Logout 1.0 §2.5 to §2.8 */
  router.post('/backchannel-logout', async (ctx) => {
    const token = (await readForm(ctx.req)).get('logout_token') ?? '';
    try {
      const subject = await client.verifyLogoutToken(token);
      await Promise.all(sessions.withSubject(subject).map(endAsTold));
      ctx.body = '';
    } catch (error) {
      log.error({ err: error }, `${site.name}: a logout token was refused`);
      ctx.status = 400;
      ctx.body = { error: 'invalid_request', error_description: 'The logout token can’t be accepted.' };
    }
  });

  /** The message itself says no reason: whoever holds the dead token may ask for it. */
  async function endAsTold(session: DemoSession): Promise<void> {
    const { signedIn } = session;
    if (signedIn === undefined) return;
    delete session.signedIn;
    const answer = await askForPage(client, signedIn);
    session.signedIn ??= signedIn;
    endDemoSession(session, answer.state === 'ended' ? answer.message : 'Your session ended.');
  }

  async function signIn(session: DemoSession, returnTo: string, redeem: () => ReturnType<CurfewClient['redeem']>) {
    try {
      session.signedIn = await redeem();
      delete session.ended;
      addEvent(session, `You signed in${returnTo === '/' ? '' : ', and came back to where you were'}.`);
    } catch (error) {
      log.error({ err: error }, `${site.name}: signing in did not work`);
      addEvent(session, 'Signing in did not work, or was cancelled.');
    }
  }

  function begin(ctx: Context): DemoSession {
    const { id, session } = sessions.begin();
    setCookie(ctx, id);
    return session;
  }

  function setCookie(ctx: Context, id: string): void {
    ctx.cookies.set(cookieName, id, { httpOnly: true, sameSite: 'lax', path: '/', overwrite: true });
  }

  const app = new Koa();
  app.silent = true;
  app.use(async (ctx, next) => {
    setHeaders(ctx, site.issuer);
    try {
      await next();
    } catch (error) {
      if (error instanceof AppError) {
        ctx.status = error.status;
        ctx.body = error.message;
        return;
      }
      log.error({ err: error }, `${site.name}: a request failed`);
      show(ctx, unreachablePage(site, { path: '/' }), 503);
    }
  });
  app.use(async (ctx, next) => {
    const asset = assets.get(ctx.path);
    if (asset === undefined) return next();
    ctx.type = asset.type;
    ctx.body = asset.content;
  });
  app.use(router.routes()).use(router.allowedMethods());
  return app;
}

function show(ctx: Context, html: string, status = 200): void {
  ctx.status = status;
  ctx.type = 'text/html; charset=utf-8';
  ctx.body = html;
}

/** Signing out is a form that is answered by a redirect to Curfew, so its origin is one that forms may lead to. */
function setHeaders(ctx: Context, issuer: string): void {
  const forms = `form-action 'self' ${new URL(issuer).origin}`;
  ctx.set(
    'Content-Security-Policy',
    `default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; ${forms}; frame-ancestors 'none'; base-uri 'none'`,
  );
  ctx.set('Cache-Control', 'no-store');
  ctx.set('X-Content-Type-Options', 'nosniff');
  ctx.set('Referrer-Policy', 'same-origin');
}
