import { errors, type KoaContextWithOIDC, Provider } from 'oidc-provider';
import { secretMatches } from '../clients/secret.ts';
import { type ErrorLog, logFailure } from '../pages/error-handler.ts';
import { isUnavailable } from '../storage/availability.ts';
import { type ConfigurationParts, createConfiguration } from './configuration.ts';
import { allowRegisteredOrigins } from './cross-origin.ts';
import { createUniquenessCheck } from './detect-replays.ts';
import { redirectPostedRequests } from './post-authorization.ts';
import { stateOf } from './request-state.ts';
import { pushedWith, restartUrl } from './restart-request.ts';
import { refuseUnauthenticatedCallers } from './signed-introspection.ts';

/** More than any user code has, and nothing to fill a page with. */
const USER_CODE_LENGTH = 32;

export interface ProviderParts extends Omit<ConfigurationParts, 'renderError'> {
  log: ErrorLog;
}

/**
 * Wires oidc-provider to the rest. It stays on the adapter, events and documented options; the exceptions are the three
 * methods of its models that are replaced here.
 */
export function createProvider(parts: ProviderParts): Provider {
  const provider = new Provider(parts.issuer, createConfiguration({ ...parts, renderError }));

  // The registry hands over the hash of a secret in the place of the secret.
  provider.Client.prototype.compareClientSecret = function compareClientSecret(actual: string) {
    const { clientSecret } = this;
    return clientSecret !== undefined && secretMatches(Buffer.from(clientSecret, 'base64url'), actual);
  };
  // Deliveries are owed by the end itself, whatever its reason, and sent from there.
  provider.Client.prototype.backchannelLogout = async () => undefined;
  Object.assign(provider.ReplayDetection, { unique: createUniquenessCheck(parts) });

  // The request's origin is settled before it gets here, and told in these headers.
  provider.proxy = true;

  provider.use(redirectPostedRequests(parts.issuer));
  // A resume has its parameters from the interaction. Where it fails, oidc-provider would look for them in the query,
  // and fail again.
  provider.use(async (ctx, next) => {
    if (ctx.path.startsWith('/authorize/') || ctx.path.startsWith('/device/')) ctx.search = '';
    await next();
  });
  // The code of `verification_uri_complete` is for our page to show: oidc-provider would send it by itself.
  provider.use(async (ctx, next) => {
    if (ctx.path === '/device' && ctx.method !== 'POST') {
      const { user_code: userCode } = ctx.query;
      if (typeof userCode === 'string') stateOf(ctx).userCode = userCode.slice(0, USER_CODE_LENGTH);
      ctx.search = '';
    }
    await next();
  });
  provider.use(allowRegisteredOrigins(parts.db));
  provider.use(refuseUnauthenticatedCallers);
  provider.on('server_error', (ctx: KoaContextWithOIDC, error: Error) => {
    stateOf(ctx).failure = error;
  });
  provider.use(async (ctx, next) => {
    await next();
    const context = ctx as KoaContextWithOIDC;
    const { failure = unstoredTokens(context) } = stateOf(context);
    if (failure !== undefined) answerFailure(context, failure);
    else await restartIfLost(context);
    letFormPostLeave(context);
    nameUnauthorizedGrant(context);
  });

  async function renderError(
    ctx: KoaContextWithOIDC,
    out: { error: string; error_description?: string | undefined },
    error: Error,
  ): Promise<void> {
    const interaction = ctx.oidc?.entities.Interaction;
    if (error instanceof errors.SessionNotFound && interaction) {
      // The session ended after the page was sent: the request starts again, and tells why.
      await restart(ctx, interaction.params);
      return;
    }
    const description = out.error_description ?? 'The request could not be served.';
    parts.pages().error(ctx, { status: ctx.status, error: out.error, description });
  }

  /** Tokens in an answer that were not stored would be dead: that is our failure, and not to be found out by the client. */
  function unstoredTokens(ctx: KoaContextWithOIDC): Error | undefined {
    const { exchange } = stateOf(ctx);
    if (exchange === undefined || ctx.status !== 200) return undefined;
    return new Error(`the tokens for ${exchange.used.model} were not stored`);
  }

  function answerFailure(ctx: KoaContextWithOIDC, failure: unknown): void {
    const unavailable = isUnavailable(failure);
    ctx.remove('Location');
    ctx.status = unavailable ? 503 : 500;
    logFailure(parts.log, ctx, ctx.status, failure);
    if (unavailable) ctx.set('Retry-After', '5');
    const error = unavailable ? 'temporarily_unavailable' : 'server_error';
    const description = unavailable
      ? 'The database can not be reached. Try again soon.'
      : 'The request could not be served.';
    if (ctx.accepts('json', 'html') === 'html') parts.pages().error(ctx, { status: ctx.status, error, description });
    else ctx.body = { error, error_description: description };
  }

  /** An interactive request whose session ended while it was under way goes to the sign-in page, not to an error. */
  async function restartIfLost(ctx: KoaContextWithOIDC): Promise<void> {
    if (!stateOf(ctx).lost || ctx.oidc.params === undefined || ctx.oidc.prompts.has('none')) return;
    if (ctx.oidc.route === 'authorization' || ctx.oidc.route === 'resume') await restart(ctx, ctx.oidc.params);
  }

  /** `response_mode=form_post` is a form that goes to the client (OAuth 2.0 Form Post Response Mode §2). */
  function letFormPostLeave(ctx: KoaContextWithOIDC): void {
    const { params, redirectUriCheckPerformed } = ctx.oidc ?? {};
    if (params?.response_mode !== 'form_post' || !redirectUriCheckPerformed || ctx.type !== 'text/html') return;
    const { origin } = new URL(String(params.redirect_uri));
    const policy = ctx.response.get('content-security-policy');
    ctx.set(
      'Content-Security-Policy',
      policy.replace(/form-action [^;]*/, (directive) => `${directive} ${origin}`),
    );
  }

  /** A grant type that the client did not register has an error of its own, which oidc-provider does not use (RFC 6749 §5.2). */
  function nameUnauthorizedGrant(ctx: KoaContextWithOIDC): void {
    const { client, params, route } = ctx.oidc ?? {};
    const body = ctx.body as { error?: string } | undefined;
    if (route !== 'token' || body?.error !== 'invalid_request' || typeof params?.grant_type !== 'string') return;
    if (client?.grantTypeAllowed(params.grant_type) === false) ctx.body = { ...body, error: 'unauthorized_client' };
  }

  async function restart(ctx: KoaContextWithOIDC, params: object): Promise<void> {
    const { Interaction: interaction, PushedAuthorizationRequest: pushed } = ctx.oidc.entities;
    const parJti = pushed?.jti ?? pushedWith(interaction);
    ctx.status = 303;
    ctx.redirect(await restartUrl(provider, { params: params as Record<string, unknown>, parJti }));
  }

  return provider;
}
