import type { Middleware } from 'koa';
import type { KoaContextWithOIDC } from 'oidc-provider';

/**
 * Gives a signed introspection response to callers that authenticated only: one that anybody could have asked for
 * would carry our signature on what anybody chose.
 *
 * @see RFC 9701 §5
 */
export const refuseUnauthenticatedCallers: Middleware = async (ctx, next) => {
  await next();
  const { oidc } = ctx as unknown as KoaContextWithOIDC;
  if (ctx.type !== 'application/token-introspection+jwt' || oidc?.client?.clientAuthMethod !== 'none') return;
  ctx.status = 400;
  ctx.body = {
    error: 'invalid_request',
    error_description: 'signed introspection responses are for clients that authenticate',
  };
};
