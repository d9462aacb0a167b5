import { createRemoteJWKSet, type JWTVerifyGetKey, jwtVerify } from 'jose';
import * as oidc from 'openid-client';
import { z } from 'zod';
import type { PendingSignIn, Tokens } from './demo-session.ts';

/** What Curfew says of a session. `unknown` when it could not be asked: then nothing is shown. */
export type Answer =
  | { state: 'live'; idleExpiresAt?: Date; absoluteExpiresAt?: Date; serverTime?: Date }
  | { state: 'ended'; message: string }
  | { state: 'token_expired' }
  | { state: 'unknown' };

export interface CurfewClientOptions {
  issuer: string;
  clientId: string;
  clientSecret: string;
  origin: string;
}

export interface Redeemed {
  tokens: Tokens;
  sub: string;
  sid: string;
  name: string;
}

const ENDED = 'Your session ended.';
const ASK_TIMEOUT_MS = 5_000;
const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout';

const instant = z.iso.datetime().transform((text) => new Date(text));
const live = z.object({
  state: z.literal('live'),
  idle_expires_at: instant,
  absolute_expires_at: instant,
  server_time: instant,
});
const ended = z.object({ state: z.literal('ended'), reason: z.string(), message: z.string().default(ENDED) });
const logoutClaims = z.object({
  sid: z.string().optional(),
  sub: z.string().optional(),
  jti: z.string(),
  nonce: z.never().optional(),
  events: z.record(z.string(), z.unknown()).refine((events) => LOGOUT_EVENT in events),
});

export type CurfewClient = ReturnType<typeof createCurfewClient>;

/** What a client does with Curfew, on openid-client: nothing here is particular to Curfew but `/session`. */
export function createCurfewClient({ issuer, clientId, clientSecret, origin }: CurfewClientOptions) {
  const redirectUri = `${origin}/callback`;
  let discovered: Promise<oidc.Configuration> | undefined;
  let keys: JWTVerifyGetKey | undefined;
  const seenLogoutTokens = new Map<string, number>();

  /** Discovers at first use, and again if that failed: the provider may start later. */
  function configuration(): Promise<oidc.Configuration> {
    const execute = new URL(issuer).protocol === 'http:' ? [oidc.allowInsecureRequests] : [];
    const authentication = oidc.ClientSecretBasic(clientSecret);
    discovered ??= oidc.discovery(new URL(issuer), clientId, {}, authentication, { execute });
    discovered.catch(() => {
      discovered = undefined;
    });
    return discovered;
  }

  return {
    async authorizationUrl(returnTo: string): Promise<{ url: URL; pending: PendingSignIn }> {
      const pending = {
        state: oidc.randomState(),
        nonce: oidc.randomNonce(),
        codeVerifier: oidc.randomPKCECodeVerifier(),
        returnTo,
      };
      const url = oidc.buildAuthorizationUrl(await configuration(), {
        redirect_uri: redirectUri,
        scope: 'openid profile email',
        state: pending.state,
        nonce: pending.nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(pending.codeVerifier),
        code_challenge_method: 'S256',
      });
      return { url, pending };
    },

    async redeem(query: string, { state, nonce, codeVerifier }: PendingSignIn): Promise<Redeemed> {
      const config = await configuration();
      const response = await oidc.authorizationCodeGrant(config, new URL(`${redirectUri}${query}`), {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: codeVerifier,
        idTokenExpected: true,
      });
      const claims = response.claims();
      if (claims === undefined || typeof claims.sid !== 'string') throw new Error('the ID token has no sid');
      const tokens = tokensOf(response);
      const person = await oidc.fetchUserInfo(config, tokens.accessToken, claims.sub);
      const name = person.name ?? person.preferred_username ?? person.email ?? claims.sub;
      return { tokens, sub: claims.sub, sid: claims.sid, name };
    },

    /** @returns `undefined` when the refresh token is dead, and the session with it */
    async refresh(tokens: Tokens): Promise<Tokens | undefined> {
      if (tokens.refreshToken === undefined) return undefined;
      try {
        return tokensOf(await oidc.refreshTokenGrant(await configuration(), tokens.refreshToken), tokens);
      } catch (error) {
        if (error instanceof oidc.ResponseBodyError && error.error === 'invalid_grant') return undefined;
        throw error;
      }
    },

    /** Asks how long the session lasts. No activity: `GET /session` moves no deadline. */
    findSession: ({ accessToken }: Tokens): Promise<Answer> => askSession(`${issuer}/session`, 'GET', accessToken),

    /** Reports that somebody is there: the client is registered with `presence: true`. */
    extendSession: ({ accessToken }: Tokens): Promise<Answer> =>
      askSession(`${issuer}/session/extend`, 'POST', accessToken),

    /** Asks whether the session is live where the access token has run out, which is no activity and refreshes nothing. */
    async introspect({ refreshToken }: Tokens): Promise<Answer> {
      if (refreshToken === undefined) return { state: 'token_expired' };
      try {
        const hint = { token_type_hint: 'refresh_token' };
        const { active } = await oidc.tokenIntrospection(await configuration(), refreshToken, hint);
        return active ? { state: 'live' } : { state: 'ended', message: ENDED };
      } catch {
        return { state: 'unknown' };
      }
    },

    async endSessionUrl(idToken: string): Promise<URL> {
      return oidc.buildEndSessionUrl(await configuration(), {
        id_token_hint: idToken,
        post_logout_redirect_uri: `${origin}/`,
      });
    },

    /** @see OpenID Connect Back-Channel Logout 1.0 §2.6 */
    async verifyLogoutToken(token: string): Promise<{ sid?: string | undefined; sub?: string | undefined }> {
      const { issuer: iss, jwks_uri: jwksUri } = (await configuration()).serverMetadata();
      if (jwksUri === undefined) throw new Error('the provider has no jwks_uri');
      keys ??= createRemoteJWKSet(new URL(jwksUri));
      const { payload } = await jwtVerify(token, keys, {
        issuer: iss,
        audience: clientId,
        typ: 'logout+jwt',
        maxTokenAge: '2m',
        clockTolerance: 5,
        requiredClaims: ['exp', 'iat', 'jti', 'events'],
      });
      const { sid, sub, jti } = logoutClaims.parse(payload);
      if (sid === undefined && sub === undefined) throw new Error('the logout token names nobody');
      for (const [seen, expiresAt] of seenLogoutTokens) if (expiresAt < Date.now()) seenLogoutTokens.delete(seen);
      if (seenLogoutTokens.has(jti)) throw new Error('the logout token was used before');
      seenLogoutTokens.set(jti, (payload.exp ?? 0) * 1_000 + 5_000);
      return { sid, sub };
    },
  };
}

async function askSession(url: string, method: 'GET' | 'POST', accessToken: string): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method,
      headers: { authorization: `Bearer ${accessToken}`, accept: 'application/json' },
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    });
    return readAnswer(response.status, await response.json());
  } catch {
    return { state: 'unknown' };
  }
}

/** Reads an answer of `/session`. A 401 without a reason is about the token alone, which runs out before its session. */
export function readAnswer(status: number, body: unknown): Answer {
  if (status === 200) {
    const said = live.safeParse(body);
    if (!said.success) return { state: 'unknown' };
    const {
      idle_expires_at: idleExpiresAt,
      absolute_expires_at: absoluteExpiresAt,
      server_time: serverTime,
    } = said.data;
    return { state: 'live', idleExpiresAt, absoluteExpiresAt, serverTime };
  }
  if (status !== 401) return { state: 'unknown' };
  const said = ended.safeParse(body);
  return said.success ? { state: 'ended', message: said.data.message } : { state: 'token_expired' };
}

function tokensOf(response: oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers, before?: Tokens): Tokens {
  const refreshToken = response.refresh_token ?? before?.refreshToken;
  return {
    accessToken: response.access_token,
    accessTokenExpiresAt: new Date(Date.now() + (response.expiresIn() ?? 0) * 1_000),
    idToken: response.id_token ?? before?.idToken ?? '',
    ...(refreshToken !== undefined && { refreshToken }),
  };
}
