import { errors, type KoaContextWithOIDC } from 'oidc-provider';
import { stateOf } from './request-state.ts';

export const SESSION_EXPIRED = 'Session Expired: Please Reauthenticate';

/** The endpoints that a client calls with a token, and those that a browser visits: the rest call with a code or refresh token. */
const BEARER_ROUTES = new Set(['userinfo']);
const BROWSER_ROUTES = new Set(['authorization', 'resume', 'code_verification', 'device_resume']);

/**
 * The standard error that says a session is over, in the words of the endpoint: `invalid_token` at userinfo (RFC 6750
 * §3.1), `login_required` at the authorization endpoint (OpenID Connect Core §3.1.2.6), else `invalid_grant` (RFC 6749
 * §5.2). oidc-provider's classes have fixed descriptions, so it is set on the instance.
 */
export function sessionExpired(ctx: KoaContextWithOIDC | undefined): errors.OIDCProviderError {
  const route = ctx?.oidc.route ?? '';
  if (BEARER_ROUTES.has(route)) return described(new errors.InvalidToken('session ended'), SESSION_EXPIRED);
  if (BROWSER_ROUTES.has(route)) return new errors.LoginRequired('session ended');
  return described(new errors.InvalidGrant('session ended'), SESSION_EXPIRED);
}

/** The session ended between find and save: the same error, and nothing more is saved in this request. */
export function sessionLost(ctx: KoaContextWithOIDC | undefined): errors.OIDCProviderError {
  stateOf(ctx).lost = true;
  return sessionExpired(ctx);
}

/** @returns the same error */
export function described<E extends errors.OIDCProviderError>(error: E, description: string): E {
  error.error_description = description;
  return error;
}
