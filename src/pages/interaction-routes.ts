import type Router from '@koa/router';
import type { RouterContext } from '@koa/router';
import type { Context } from 'koa';
import { z } from 'zod';
import type { InteractionPort, OpenInteraction, RestartInteraction } from './interaction-port.ts';
import { openNotice, sealNotice } from './notice.ts';
import type { Pages } from './pages.ts';
import { readForm } from './read-form.ts';
import { csrfToken, requireCsrfToken, requireSameOrigin } from './request-forgery.ts';

export interface InteractionRoutesOptions {
  issuer: URL;
  /** Secret for the tokens in forms and the seals of notices; the same on every node. */
  key: Uint8Array;
  interactions: InteractionPort;
  pages: Pages;
}

const printable = /^\P{Cc}+$/u;
/** Longer than any address for mail (RFC 5321 §4.5.3.1) and any sensible passphrase. */
const credentials = z.object({
  login: z.string().trim().max(320).regex(printable),
  password: z.string().min(1).max(1024),
});

/** Long enough to follow a redirect, short enough to be about this end only. */
const NOTICE_SECONDS = 60;

/** Adds what a person meets between an authorization request and its answer. */
export function addInteractionRoutes(
  router: Router,
  { issuer, key, interactions, pages }: InteractionRoutesOptions,
): void {
  const noticeCookie = issuer.protocol === 'https:' ? '__Host-curfew_ended' : 'curfew_ended';
  const secure = issuer.protocol === 'https:' ? '; Secure' : '';

  router.get('/interaction/:uid', async (ctx) => {
    const found = await interactions.find(ctx);
    if ('restartAt' in found) return restart(ctx, found);
    const csrf = csrfToken(key, found.uid);
    if (found.prompt === 'consent') return pages.consent(ctx, { interaction: found, csrf });
    return pages.signIn(ctx, { interaction: found, csrf, ...takeNotice(ctx) });
  });

  router.post('/interaction/:uid/login', async (ctx) => {
    const fields = await readOwnForm(ctx);
    const found = await interactions.find(ctx);
    if ('restartAt' in found) return restart(ctx, found);
    const given = credentials.safeParse(Object.fromEntries(fields));
    const page = { interaction: found, csrf: csrfToken(key, found.uid), login: fields.get('login') ?? '' };
    if (!given.success) return pages.signIn(ctx, { ...page, problem: 'incomplete' });
    const outcome = await interactions.signIn(ctx, given.data);
    if ('problem' in outcome) return pages.signIn(ctx, { ...page, ...outcome });
    return go(ctx, outcome);
  });

  router.post('/interaction/:uid/consent', async (ctx) => {
    await readOwnForm(ctx);
    return go(ctx, await interactions.consent(ctx));
  });

  router.post('/interaction/:uid/abort', async (ctx) => {
    await readOwnForm(ctx);
    return go(ctx, await interactions.abort(ctx));
  });

  async function readOwnForm(ctx: RouterContext): Promise<Map<string, string>> {
    requireSameOrigin(ctx, issuer.origin, 'if_sent');
    const fields = await readForm(ctx.req);
    requireCsrfToken(key, ctx.params.uid ?? '', fields.get('csrf'));
    return fields;
  }

  function go(ctx: Context, outcome: { redirectTo: string } | RestartInteraction): void {
    if ('restartAt' in outcome) restart(ctx, outcome);
    else seeOther(ctx, outcome.redirectTo);
  }

  /** Starts the authorization request again, and lets the sign-in page that follows say why. */
  function restart(ctx: Context, { restartAt, ended }: RestartInteraction): void {
    if (ended !== undefined) setNotice(ctx, sealNotice(key, { ended }), NOTICE_SECONDS);
    seeOther(ctx, restartAt);
  }

  function takeNotice(ctx: Context): Pick<OpenInteraction, 'ended'> {
    const notice = openNotice(key, ctx.cookies.get(noticeCookie, { signed: false }));
    if (notice?.ended === undefined) return {};
    setNotice(ctx, '', 0);
    return { ended: notice.ended };
  }

  function setNotice(ctx: Context, value: string, maxAge: number): void {
    ctx.append('Set-Cookie', `${noticeCookie}=${value}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${maxAge}${secure}`);
  }
}

/** 303 rather than 302: the next request is a GET, whatever this one was. @see RFC 9700 §4.12 */
function seeOther(ctx: Context, address: string): void {
  ctx.redirect(address);
  ctx.status = 303;
}
