import type { Context } from 'koa';
import type { EndedSession } from './interaction-port.ts';

/** How a caller showed which session it asks about: with the browser's own cookie, or with an access token. */
export type SessionCaller = 'cookie' | 'token';

/** How long a session, and for an access token the lesser of session and participation, still lasts. */
export type SessionState =
  | { state: 'live'; idleExpiresAt: Date; absoluteExpiresAt: Date; serverTime: Date }
  | { state: 'ended'; ended?: EndedSession; serverTime: Date };

/** What `GET /session` and `POST /session/extend` need. A request with an `Authorization` header is judged by that alone. */
export interface SessionPort {
  /** Only looks: asking is no activity. */
  state(ctx: Context, caller: SessionCaller): Promise<SessionState>;
  /**
   * Counts as interactive activity.
   *
   * @throws AppError `access_denied` for the token of a client that isn't registered with `presence: true`
   */
  extend(ctx: Context, caller: SessionCaller): Promise<SessionState>;
  /** Whether a client registered this web origin for calls from its pages. */
  isRegisteredOrigin(origin: string): Promise<boolean>;
}
