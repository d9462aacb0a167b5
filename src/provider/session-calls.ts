import type { Context } from 'koa';
import type { Provider } from 'oidc-provider';
import type { ArtifactTombstone, LiveArtifact } from '../artifacts/artifact.ts';
import { hashArtifact, hashBearer } from '../artifacts/bearer-hash.ts';
import { findLiveArtifact, findTombstone } from '../artifacts/store.ts';
import { findClient, isRegisteredOrigin } from '../clients/registry.ts';
import { AppError } from '../errors.ts';
import type { SessionPort, SessionState } from '../pages/session-port.ts';
import type { Deadlines } from '../sessions/session.ts';
import { findLiveSession, findSessionTombstone, recordActivity } from '../sessions/store.ts';
import type { AdapterParts } from './adapter-parts.ts';
import { toEnded } from './interactions.ts';
import { readClock } from './store.ts';

export interface SessionCallParts extends Pick<AdapterParts, 'db' | 'cipher'> {
  provider: () => Provider;
}

/** What `GET /session` and `POST /session/extend` do, by the browser's own cookie or by an access token. */
export function createSessionPort({ db, cipher, provider }: SessionCallParts): SessionPort {
  const origin = (ctx: Context, clientId?: string) => ({ endpoint: 'session_extend', clientId, ip: ctx.ip });

  function cookieHash(ctx: Context): Uint8Array<ArrayBuffer> | undefined {
    const { cookies } = provider().createContext(ctx.req, ctx.res);
    const value = cookies.get(provider().cookieName('session'), { signed: true });
    return value === undefined ? undefined : hashBearer(value);
  }

  async function byCookie(ctx: Context) {
    const hash = cookieHash(ctx);
    const session = hash && (await findLiveSession(db, { cookieHash: hash }));
    if (session?.accountId) return { session };
    const ended = hash && (await findSessionTombstone(db, { cookieHash: hash }));
    return {
      ended: { state: 'ended' as const, serverTime: await readClock(db), ...(ended && { ended: toEnded(ended) }) },
    };
  }

  async function byToken(ctx: Context): Promise<{ artifact: LiveArtifact } | { ended: SessionState }> {
    const [scheme, token = ''] = ctx.get('authorization').split(' ');
    if (scheme?.toLowerCase() !== 'bearer') {
      throw new AppError('invalid_request', 'The Authorization header needs the scheme Bearer.', { status: 400 });
    }
    const idHash = hashArtifact('token', token);
    const artifact = await findLiveArtifact(db, idHash);
    if (artifact?.model !== 'AccessToken' || artifact.sid === null) {
      const dead = await findTombstone(db, idHash);
      const ended = dead?.model === 'AccessToken' ? endOf(dead) : undefined;
      return { ended: { state: 'ended', serverTime: await readClock(db), ...(ended && { ended }) } };
    }
    const { scope, jkt } = cipher.open(artifact.payload, idHash);
    if (jkt !== undefined) {
      throw new AppError('invalid_token', 'This access token is bound to a key (DPoP), and no bearer token.', {
        status: 401,
      });
    }
    if (
      !String(scope ?? '')
        .split(' ')
        .includes('openid')
    ) {
      throw new AppError('access_denied', 'The access token has no scope openid.', { status: 403 });
    }
    return { artifact };
  }

  return {
    async state(ctx, caller) {
      if (caller === 'token') {
        const found = await byToken(ctx);
        return 'ended' in found ? found.ended : live(deadlinesOf(found.artifact), found.artifact.readAt);
      }
      const found = await byCookie(ctx);
      return 'ended' in found ? found.ended : live(sessionOnly(found.session), found.session.readAt);
    },

    async extend(ctx, caller) {
      if (caller === 'cookie') {
        const found = await byCookie(ctx);
        if ('ended' in found) return found.ended;
        const { uid } = found.session;
        const deadlines = await recordActivity(db, {
          sessionUid: uid,
          movesSession: true,
          movesParticipation: false,
          origin: origin(ctx),
        });
        return deadlines ? live(deadlines, await readClock(db)) : this.state(ctx, caller);
      }
      const found = await byToken(ctx);
      if ('ended' in found) return found.ended;
      const { sessionUid, sid, clientId } = found.artifact;
      const client = clientId === null ? undefined : await findClient(db, clientId);
      if (!sessionUid || !sid || !client?.presence) {
        throw new AppError('access_denied', 'This client is not registered with presence: true.', { status: 403 });
      }
      const deadlines = await recordActivity(db, {
        sessionUid,
        sid,
        movesSession: true,
        movesParticipation: true,
        origin: origin(ctx, client.clientId),
      });
      return deadlines ? live(deadlines, await readClock(db)) : this.state(ctx, caller);
    },

    isRegisteredOrigin: (webOrigin) => isRegisteredOrigin(db, webOrigin),
  };
}

function endOf({ reason, endedAt, ...limits }: ArtifactTombstone) {
  return reason !== null && endedAt !== null ? toEnded({ reason, endedAt, ...limits }) : undefined;
}

function live(deadlines: Deadlines, serverTime: Date): SessionState {
  const earliest = (...instants: (Date | null)[]) =>
    new Date(Math.min(...instants.filter((at) => at !== null).map((at) => at.getTime())));
  return {
    state: 'live',
    idleExpiresAt: earliest(deadlines.sessionIdle, deadlines.participationIdle),
    absoluteExpiresAt: earliest(deadlines.sessionAbsolute, deadlines.participationAbsolute),
    serverTime,
  };
}

function deadlinesOf(artifact: LiveArtifact): Deadlines {
  const { sessionIdleDeadline, sessionAbsoluteDeadline } = artifact;
  if (!sessionIdleDeadline || !sessionAbsoluteDeadline) throw new Error('a participation has a session');
  return {
    sessionIdle: sessionIdleDeadline,
    sessionAbsolute: sessionAbsoluteDeadline,
    participationIdle: artifact.participationIdleDeadline,
    participationAbsolute: artifact.participationAbsoluteDeadline,
  };
}

function sessionOnly(session: { idleDeadline: Date; absoluteDeadline: Date }): Deadlines {
  return {
    sessionIdle: session.idleDeadline,
    sessionAbsolute: session.absoluteDeadline,
    participationIdle: null,
    participationAbsolute: null,
  };
}
