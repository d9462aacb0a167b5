import type { Middleware } from 'koa';
import type { Pages } from './pages.ts';

/**
 * Turns the redirect that answers a form into a page that goes on by itself.
 *
 * Browsers hold every redirect after a form's submission against the `form-action` of the page with the form. Where a
 * client sends people on from its redirect URI (another host of its own, say) can't be known here, so the chain is cut:
 * `form-action 'self'` then stays strict and true. Callers that take no HTML, and forms of other sites, get the redirect.
 *
 * @see W3C Content Security Policy Level 3 §6.4.1.1 (form-action pre-navigation check)
 */
export function leaveFormChain(pages: Pages): Middleware {
  return async (ctx, next) => {
    await next();
    const site = ctx.get('sec-fetch-site');
    const location = ctx.response.get('location');
    if (ctx.method !== 'POST' || (ctx.status !== 302 && ctx.status !== 303) || location === '') return;
    if (!ctx.get('accept').includes('text/html') || (site !== '' && site !== 'same-origin')) return;
    if (/^(?:javascript|data|vbscript|blob):/i.test(location)) return;
    ctx.remove('Location');
    pages.continueTo(ctx, location);
  };
}
