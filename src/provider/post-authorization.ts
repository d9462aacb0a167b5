import type { Middleware } from 'koa';
import { AppError } from '../errors.ts';
import { readForm } from '../pages/read-form.ts';

const BROWSER_PATHS = new Set(['/authorize', '/logout']);

/** What still fits into the head of a request; longer ones are pushed first (RFC 9126). */
const QUERY_LIMIT = 8 * 1024;

/**
 * Answers an authorization or sign-out request that comes as a form by 303 to the same request as GET.
 *
 * A form of another site arrives without our Lax cookie: taken as it is, it would find nobody signed in. The redirect is
 * a navigation, and has it.
 *
 * @throws AppError `invalid_request` for a form that is malformed, repeats a parameter (413 if too large, 415 if no form)
 * @see OpenID Connect Core 1.0 §3.1.2.1 and RP-Initiated Logout 1.0 §2 (both methods), draft-ietf-httpbis-rfc6265bis §5.5 (SameSite)
 */
export function redirectPostedRequests(issuer: string): Middleware {
  return async (ctx, next) => {
    if (ctx.method !== 'POST' || !BROWSER_PATHS.has(ctx.path)) {
      await next();
      return;
    }
    const parameters = new URLSearchParams(ctx.querystring);
    for (const [name, value] of await readForm(ctx.req)) {
      if (parameters.has(name)) throw new AppError('invalid_request', 'This form is malformed.', { status: 400 });
      parameters.append(name, value);
    }
    const query = parameters.toString();
    if (query.length > QUERY_LIMIT) throw new AppError('invalid_request', 'This form is too large.', { status: 413 });
    ctx.redirect(`${issuer}${ctx.path}?${query}`);
    ctx.status = 303;
  };
}
