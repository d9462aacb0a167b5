import type { Middleware } from 'koa';

/** What a response sets; koa's context and oidc-provider's both have it. */
export interface HeaderTarget {
  set(field: string, value: string): void;
}

export interface PolicyOptions {
  /** Origins of images besides our own: a client's logo. */
  imageOrigins?: readonly string[];
  /** Whether the page has a form of ours. A form's redirects leave it by {@link leaveFormChain}, so `'self'` is enough. */
  forms?: boolean;
}

/**
 * The Content-Security-Policy of a page: our own files and nothing else, no frame around it, no inline script or style.
 *
 * @see W3C Content Security Policy Level 3
 */
export function contentSecurityPolicy({ imageOrigins = [], forms = false }: PolicyOptions = {}): string {
  return [
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    ["img-src 'self'", ...imageOrigins].join(' '),
    `form-action ${forms ? "'self'" : "'none'"}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ');
}

/**
 * Sets what every answer with content carries.
 *
 * `same-origin` rather than `no-referrer`: under the latter a form's POST has the Origin `null` (Fetch §3.2), and
 * our own check of it would refuse everybody.
 */
export function setSecurityHeaders(target: HeaderTarget, policy = contentSecurityPolicy()): void {
  target.set('Content-Security-Policy', policy);
  target.set('Cache-Control', 'no-store');
  target.set('Referrer-Policy', 'same-origin');
  target.set('X-Content-Type-Options', 'nosniff');
  target.set('X-Frame-Options', 'DENY');
  target.set('Cross-Origin-Opener-Policy', 'same-origin');
  target.set('Cross-Origin-Resource-Policy', 'same-origin');
}

/**
 * Asks the browser to forget what it kept of us, at the end of a session.
 *
 * Not `"cookies"`: that clears the whole registrable domain, cookies set by this very answer included.
 */
export function clearSiteData(target: HeaderTarget): void {
  target.set('Clear-Site-Data', '"cache", "storage"');
}

/** Sets the headers first, so that an answer that goes wrong half way has them too; pages then set their own policy. */
export const securityHeaders: Middleware = async (ctx, next) => {
  setSecurityHeaders(ctx);
  await next();
};
