/** The two instants that the deadlines of a session or participation count from. */
export interface SessionTimes {
  lastActiveAt: Date;
  authenticatedAt: Date;
}

export interface TimeoutSeconds {
  idleSeconds: number;
  absoluteSeconds: number;
}

export interface SessionDeadlines {
  idleDeadline: Date;
  absoluteDeadline: Date;
  /** The earlier of the two; the session is over *at* it. */
  deadline: Date;
  reason: 'idle_timeout' | 'absolute_timeout';
}

const addSeconds = (instant: Date, seconds: number): Date => new Date(instant.getTime() + seconds * 1000);

/**
 * Computes when a session reaches its idle timeout and its absolute timeout.
 *
 * Activity moves the idle deadline only. The absolute deadline moves with a new
 * authentication and nothing else, so that a busy session still ends.
 *
 * @returns instants; the session is over *at* the earlier one
 * @see OWASP ASVS 5.0 §7.3.1 (inactivity), §7.3.2 (absolute lifetime)
 */
export function sessionDeadlines(session: SessionTimes, limits: TimeoutSeconds): SessionDeadlines {
  const idleDeadline = addSeconds(session.lastActiveAt, limits.idleSeconds);
  const absoluteDeadline = addSeconds(session.authenticatedAt, limits.absoluteSeconds);
  return idleDeadline < absoluteDeadline
    ? { idleDeadline, absoluteDeadline, deadline: idleDeadline, reason: 'idle_timeout' }
    : { idleDeadline, absoluteDeadline, deadline: absoluteDeadline, reason: 'absolute_timeout' };
}

export interface Clamp {
  limitSeconds: number;
  now: Date;
  /** null where there is none, such as the deadlines of a client_credentials token. */
  deadlines: readonly (Date | null)[];
}

/**
 * Shortens a lifetime so that what is issued now ends no later than any of the deadlines.
 *
 * An instant that isn't one (an invalid `Date`) leaves nothing: what can't be computed isn't issued.
 *
 * @returns whole seconds, rounded down; 0 if less than one is left, and then nothing may be issued
 */
export function clampSeconds({ limitSeconds, now, deadlines }: Clamp): number {
  const left = deadlines
    .filter((deadline) => deadline !== null)
    .map((deadline) => (deadline.getTime() - now.getTime()) / 1000);
  const seconds = Math.floor(Math.min(limitSeconds, ...left));
  return seconds >= 1 && !Number.isNaN(now.getTime()) ? seconds : 0;
}
