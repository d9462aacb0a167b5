import type { JWK } from 'jose';
import { type Client, type ClientAuthMethod, type Configuration, errors, type KoaContextWithOIDC } from 'oidc-provider';
import type { Pages } from '../pages/pages.ts';
import { decideServiceLimits } from '../policy/decide.ts';
import { createAdapterFactory } from './adapter.ts';
import type { AdapterParts } from './adapter-parts.ts';
import { createDeviceFlowPages } from './device-pages.ts';
import { countActivity, createFindAccount } from './find-account.ts';
import { createInteractionPolicy } from './interaction-policy.ts';
import { createLifetimes, type ToHost } from './lifetimes.ts';
import { createLoadExistingGrant } from './load-grant.ts';
import { createOutgoingFetch } from './outgoing.ts';
import { registeredClient, stateOf } from './request-state.ts';
import { SIGNING_ALGORITHMS } from './signing-keys.ts';

export interface ConfigurationParts extends Omit<AdapterParts, 'lifetimes'> {
  issuer: string;
  jwks: JWK[];
  cookieKeys: string[];
  pages: () => Pages;
  renderError: NonNullable<Configuration['renderError']>;
  toHost: ToHost;
}

const AUTH_METHODS: ClientAuthMethod[] = ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'];

/** Everything that oidc-provider is told; what is off here is not in the discovery document either. */
export function createConfiguration(given: ConfigurationParts): Configuration {
  const lifetimes = createLifetimes({
    toHost: given.toHost,
    serviceSeconds: (ctx) => {
      const client = registeredClient(ctx);
      const facts = {
        clientId: client?.clientId ?? '',
        data: client?.data ?? [],
        labels: client?.labels ?? [],
        ip: ctx.ip,
      };
      return decideServiceLimits(given.policy().policy, facts).accessTokenSeconds.value;
    },
  });
  const parts: AdapterParts = { ...given, lifetimes };

  return {
    adapter: createAdapterFactory(parts),
    jwks: { keys: given.jwks as NonNullable<Configuration['jwks']>['keys'] },
    findAccount: createFindAccount(parts),
    loadExistingGrant: createLoadExistingGrant(parts),
    interactions: {
      policy: createInteractionPolicy(parts),
      url: (_ctx, interaction) => `/interaction/${interaction.uid}`,
    },
    ttl: lifetimes.ttl,
    renderError: given.renderError,
    fetch: createOutgoingFetch(),
    cookies: cookiesFor(given.issuer, given.cookieKeys),
    routes: {
      authorization: '/authorize',
      token: '/token',
      userinfo: '/userinfo',
      jwks: '/jwks',
      introspection: '/introspect',
      revocation: '/revoke',
      end_session: '/logout',
      device_authorization: '/device_authorization',
      code_verification: '/device',
      pushed_authorization_request: '/par',
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (ctx, client, token) => mayIntrospect(parts, ctx, client, token) },
      jwtIntrospection: { enabled: true },
      revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => mayRevoke(client, token) },
      userinfo: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx) => renderSignOut(given, ctx),
        postLogoutSuccessSource: (ctx) => renderSignedOut(given, ctx),
      },
      // Its metadata and `sid`; the messages are deliveries of ours, see create-provider.ts.
      backchannelLogout: { enabled: true },
      claimsParameter: { enabled: true },
      deviceFlow: { enabled: true, charset: 'base-20', mask: '****-****', ...createDeviceFlowPages(given) },
      dPoP: { enabled: true },
      pushedAuthorizationRequests: { enabled: true },
      resourceIndicators: { enabled: false },
    },
    pkce: { required: () => true },
    responseTypes: ['code'],
    subjectTypes: ['public'],
    clientAuthMethods: AUTH_METHODS,
    scopes: ['openid', 'offline_access', 'profile', 'email', 'roles', 'groups'],
    claims: {
      openid: ['sub', 'sid', 'auth_time', 'acr', 'amr', 'session_expiry'],
      profile: ['name', 'preferred_username'],
      email: ['email'],
      roles: ['roles'],
      groups: ['groups'],
    },
    acrValues: ['aal1'],
    enabledJWA: {
      dPoPSigningAlgValues: ['ES256', 'RS256', 'PS256', 'EdDSA'],
      idTokenSigningAlgValues: [...SIGNING_ALGORITHMS],
      introspectionSigningAlgValues: [...SIGNING_ALGORITHMS],
      clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'],
    },
    // The live views decide; the grace is for the assertions of clients whose clocks are off.
    clockTolerance: 15,
    expiresWithSession: () => false,
    rotateRefreshToken: () => true,
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    revokeGrantPolicy: (ctx) => ctx.oidc.route === 'revocation' && ctx.oidc.entities.RefreshToken !== undefined,
    clientBasedCORS: (ctx, origin) => registeredClient(ctx)?.allowedOrigins.includes(origin) ?? false,
    conformIdTokenClaims: true,
  };
}

/**
 * `__Host-` on https (draft-ietf-httpbis-rfc6265bis §4.1.3.2); the short-lived ones are bound to a path, which that
 * prefix forbids. Plain http is for loopback only, where neither prefix can be set.
 */
function cookiesFor(issuer: string, keys: string[]): NonNullable<Configuration['cookies']> {
  const secure = issuer.startsWith('https:');
  const [host, short] = secure ? ['__Host-', '__Secure-'] : ['', ''];
  const common = { signed: true, httpOnly: true, sameSite: 'lax' as const, secure };
  return {
    keys,
    names: {
      session: `${host}curfew_session`,
      interaction: `${short}curfew_interaction`,
      resume: `${short}curfew_resume`,
    },
    long: { ...common, path: '/' },
    short: common,
  };
}

/**
 * A client may ask about its own tokens, and about others only where that is declared (RFC 7662 §4). A public client
 * shows nothing that others can't show, so that for it nothing can be.
 */
async function mayIntrospect(
  { db }: AdapterParts,
  ctx: KoaContextWithOIDC,
  client: Client,
  token: { clientId?: string | undefined },
): Promise<boolean> {
  const mayAskAboutAny = client.clientAuthMethod !== 'none' && registeredClient(ctx)?.introspects === 'any';
  if (client.clientId !== token.clientId && !mayAskAboutAny) return false;
  const { bound } = stateOf(ctx);
  if (bound !== undefined) await countActivity(db, ctx, bound, 'introspection');
  return true;
}

/** @throws invalid_request: a client is told that the token is not its own, unless anybody could be that client (RFC 7009 §2.1) */
function mayRevoke(client: Client, token: { clientId?: string | undefined }): boolean {
  if (client.clientId === token.clientId) return true;
  if (client.clientAuthMethod === 'none') return false;
  throw new errors.InvalidRequest('the token was issued to another client');
}

async function renderSignOut({ pages, db }: ConfigurationParts, ctx: KoaContextWithOIDC): Promise<void> {
  const { session, client } = ctx.oidc;
  const state = session?.state as { secret?: string } | undefined;
  const clientName = client?.clientName ?? client?.clientId;
  const account = session?.accountId && (await db.account.findUnique({ where: { id: session.accountId } }));
  pages().signOutConfirmation(ctx, {
    action: ctx.oidc.urlFor('end_session_confirm'),
    xsrf: state?.secret ?? '',
    ...(clientName !== undefined && { clientName }),
    ...(account && { accountLogin: account.login }),
  });
}

async function renderSignedOut({ pages }: ConfigurationParts, ctx: KoaContextWithOIDC): Promise<void> {
  const { client } = ctx.oidc;
  const clientName = client?.clientName ?? client?.clientId;
  pages().signedOut(ctx, {
    ...(clientName !== undefined && { clientName }),
    ...(client?.clientUri !== undefined && { backUri: client.clientUri }),
  });
}
