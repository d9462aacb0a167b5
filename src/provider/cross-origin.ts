import type { Middleware } from 'koa';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { isRegisteredOrigin } from '../clients/registry.ts';
import type { Database } from '../storage/database.ts';

/** What these answer holds no secret, and pages of any origin may read it. */
const OPEN_ROUTES = /^(?:cors\.)?(?:discovery|jwks)$/;

const ALLOW_ORIGIN = 'Access-Control-Allow-Origin';

/**
 * Lets pages of registered origins alone read what the endpoints for clients answer.
 *
 * oidc-provider asks once it knows the client: what it refuses before, and every preflight, it would let anybody read.
 *
 * @see Fetch Standard §3.3 (CORS protocol)
 */
export function allowRegisteredOrigins(db: Database): Middleware {
  return async (ctx, next) => {
    await next();
    const { oidc } = ctx as unknown as KoaContextWithOIDC;
    if (ctx.response.get(ALLOW_ORIGIN) === '' || OPEN_ROUTES.test(oidc?.route ?? '')) return;
    const origin = ctx.get('origin');
    if (origin === '' || !(await isRegisteredOrigin(db, origin))) ctx.remove(ALLOW_ORIGIN);
  };
}
