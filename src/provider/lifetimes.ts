import { errors, type KoaContextWithOIDC } from 'oidc-provider';
import { clampSeconds } from '../policy/deadlines.ts';
import type { ParticipationLimits } from '../policy/limits.ts';
import type { Deadlines } from '../sessions/session.ts';
import { stateOf } from './request-state.ts';
import { sessionExpired } from './session-expired.ts';

export const AUTHORIZATION_CODE_SECONDS = 60;
/** A user code is short, and good for as long as it takes to walk to a desk (RFC 8628 §5.1). */
export const DEVICE_CODE_SECONDS = 600;
export const INTERACTION_SECONDS = 3_600;
const ANONYMOUS_SECONDS = 3_600;

/** oidc-provider stamps `iat` and `exp` a moment after it asks for the lifetime. */
const STAMP_DELAY_MS = 50;

/** Brings an instant of the database's clock to the host's axis, on which oidc-provider stamps `exp`. */
export type ToHost = (instant: Date) => Date;

/** The lesser of all deadlines binds access and ID tokens; the idle one moves, so that refresh tokens take the absolute ones. */
const all = (d: Deadlines) => [d.sessionIdle, d.sessionAbsolute, d.participationIdle, d.participationAbsolute];
const absolute = (d: Deadlines) => [d.sessionAbsolute, d.participationAbsolute];

/**
 * The lifetimes that oidc-provider asks for, bound by the deadlines of session and participation (law 2).
 *
 * All but the session's throw where less than a whole second is left; the session's is asked for in a `finally`, where
 * it must not, and its save refuses by itself.
 */
export function createLifetimes({
  toHost,
  serviceSeconds,
}: {
  toHost: ToHost;
  serviceSeconds: (ctx: KoaContextWithOIDC) => number;
}) {
  function left(ctx: KoaContextWithOIDC, limitSeconds: number, deadlines: (Date | null)[]): number {
    const now = new Date(Date.now() + STAMP_DELAY_MS);
    const seconds = clampSeconds({ limitSeconds, now, deadlines: deadlines.map((at) => at && toHost(at)) });
    if (seconds < 1) throw sessionExpired(ctx);
    return seconds;
  }

  function lastSecondOf(deadlines: (Date | null)[]): number {
    const instants = deadlines.filter((at) => at !== null).map((at) => toHost(at).getTime());
    return Math.floor(Math.min(...instants) / 1000);
  }

  function bound(limit: keyof ParticipationLimits & `${string}Seconds`, of: (d: Deadlines) => (Date | null)[]) {
    return (ctx: KoaContextWithOIDC): number => {
      const participation = stateOf(ctx).bound;
      if (participation === undefined) throw new errors.InvalidGrant('the token belongs to no participation');
      const decided = participation.limits[limit];
      return left(ctx, decided?.value ?? 1, of(participation.deadlines));
    };
  }

  return {
    ttl: {
      AccessToken: bound('accessTokenSeconds', all),
      IdToken: bound('idTokenSeconds', all),
      RefreshToken: bound('refreshTokenSeconds', absolute),
      ClientCredentials: serviceSeconds,
      AuthorizationCode: (ctx: KoaContextWithOIDC) => left(ctx, AUTHORIZATION_CODE_SECONDS, [sessionDeadline(ctx)]),
      DeviceCode: () => DEVICE_CODE_SECONDS,
      Grant: (ctx: KoaContextWithOIDC) => left(ctx, 400 * 86_400, [sessionDeadline(ctx)]),
      Interaction: () => INTERACTION_SECONDS,
      Session: (ctx: KoaContextWithOIDC) => {
        const deadline = sessionDeadline(ctx);
        if (deadline === null) return ANONYMOUS_SECONDS;
        return Math.max(1, Math.floor((toHost(deadline).getTime() - Date.now()) / 1000));
      },
    },

    /** Whether a whole second is left for a token; asked before anything is consumed. */
    hasTimeLeft(ctx: KoaContextWithOIDC, deadlines: Deadlines): boolean {
      try {
        // One more second, for the queries between this question and the stamp.
        return left(ctx, 2, all(deadlines)) >= 2;
      } catch {
        return false;
      }
    },

    /** When the client has to end its own session: the lesser of both absolute deadlines (IPSIE SL1 `session_expiry`). */
    sessionExpiry(deadlines: Deadlines): number {
      return lastSecondOf(absolute(deadlines));
    },

    /** The last whole second, on the host's axis, at which a token may still be good: never later than any deadline. */
    lastSecond(deadlines: Deadlines): number {
      return lastSecondOf(all(deadlines));
    },
  };
}

export type Lifetimes = ReturnType<typeof createLifetimes>;

function sessionDeadline(ctx: KoaContextWithOIDC): Date | null {
  const { begun, loaded } = stateOf(ctx);
  return (begun ?? loaded?.session)?.absoluteDeadline ?? null;
}
