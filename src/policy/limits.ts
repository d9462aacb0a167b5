/** What can move an idle deadline; which of these count is policy. */
export const ACTIVITY_KINDS = ['interactive', 'silent', 'refresh', 'introspection', 'userinfo'] as const;
export type ActivityKind = (typeof ACTIVITY_KINDS)[number];

export const SESSION_KINDS = ['browser', 'offline', 'device', 'anonymous'] as const;
export type SessionKind = (typeof SESSION_KINDS)[number];

/** How many sessions of a kind a person may have, and what happens at one more. */
export type ConcurrentLimit = { max: number; onLimit: 'end-oldest' | 'refuse' };

/** Kinds of sessions that come from a browser's, and the limits that rule them. */
export type ChildKind = 'offline' | 'device';

/** `endWith: session` ends the child session with the session it came from, a timeout or sign-out of it included. */
export type ChildLimits = { idleSeconds: number; absoluteSeconds: number; endWith: 'session' | 'none' };
export type ChildSetting = 'forbid' | ChildLimits;

/** Everything that policy limits. Types rather than interfaces here: they are stored as JSON. */
export type Limits = {
  idleSeconds: number;
  absoluteSeconds: number;
  accessTokenSeconds: number;
  idTokenSeconds: number;
  refreshTokenSeconds: number;
  warnBeforeSeconds: number;
  activity: ActivityKind[];
  concurrent: ConcurrentLimit;
  offline: ChildSetting;
  device: ChildSetting;
};

/** A limit together with the rule that set it: `default`, `anonymous` (the built-in cap), or the name of a rule. */
export type Decided<T> = { value: T; rule: string };

export type SessionLimits = {
  idleSeconds: Decided<number>;
  absoluteSeconds: Decided<number>;
  activity: Decided<ActivityKind[]>;
  warnBeforeSeconds: Decided<number>;
  concurrent?: Decided<ConcurrentLimit>;
};

/**
 * What holds for one client's part in a session.
 *
 * `idleSeconds` and `absoluteSeconds` are there only where a rule about clients, data or labels sets them: else
 * the deadlines of the session are the only ones.
 */
export type ParticipationLimits = {
  idleSeconds?: Decided<number>;
  absoluteSeconds?: Decided<number>;
  accessTokenSeconds: Decided<number>;
  idTokenSeconds: Decided<number>;
  refreshTokenSeconds: Decided<number>;
  activity: Decided<ActivityKind[]>;
  warnBeforeSeconds: Decided<number>;
  offline: Decided<ChildSetting>;
};
