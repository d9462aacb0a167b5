import { isDeepStrictEqual } from 'node:util';
import type { Decided, Limits, ParticipationLimits, SessionLimits } from './limits.ts';
import type { Rule, RuleLimits } from './policy.ts';
import { strictest } from './strictness.ts';

/** Whatever sets limits under a name. */
export type Setter = Pick<Rule, 'name' | 'limits'>;

/** Folds what is set into `start`. A rule is named only if it made the limit stricter, so of equals the first is. */
export function tighten<L extends keyof Limits>(
  limit: L,
  start: Decided<Limits[L]>,
  setters: readonly Setter[],
): Decided<Limits[L]> {
  return setters.reduce((decided, { name, limits }) => {
    const set = limits[limit];
    if (set === undefined) return decided;
    const value = strictest[limit](decided.value, set as NonNullable<RuleLimits[L]>);
    return isDeepStrictEqual(value, decided.value) ? decided : { value, rule: name };
  }, start);
}

function strictestOf<L extends keyof Limits>(
  limit: L,
  current: Decided<Limits[L]> | undefined,
  next: Decided<Limits[L]> | undefined,
): { [K in L]?: Decided<Limits[L]> } {
  const decided =
    current && next
      ? tighten(limit, current, [{ name: next.rule, limits: { [limit]: next.value } }])
      : (current ?? next);
  return decided === undefined ? {} : ({ [limit]: decided } as { [K in L]?: Decided<Limits[L]> });
}

/** A warning can't come before the time that it warns about begins, so the idle limit is its upper bound. */
export function capWarnBefore(warnBefore: Decided<number>, idle: Decided<number> | undefined): Decided<number> {
  return idle !== undefined && warnBefore.value > idle.value ? idle : warnBefore;
}

/**
 * What holds for a session that began under `current` now that policy or facts say `next`: the strictest of both,
 * limit by limit, so that tightening acts at once and loosening never lengthens what is.
 */
export function tightenSessionLimits(current: SessionLimits, next: SessionLimits): SessionLimits {
  const limits = {
    ...current,
    ...strictestOf('idleSeconds', current.idleSeconds, next.idleSeconds),
    ...strictestOf('absoluteSeconds', current.absoluteSeconds, next.absoluteSeconds),
    ...strictestOf('activity', current.activity, next.activity),
    ...strictestOf('warnBeforeSeconds', current.warnBeforeSeconds, next.warnBeforeSeconds),
    ...strictestOf('concurrent', current.concurrent, next.concurrent),
  };
  return { ...limits, warnBeforeSeconds: capWarnBefore(limits.warnBeforeSeconds, limits.idleSeconds) };
}

/** The same for a participation; a limit of its own that only one of the two has is kept. */
export function tightenParticipationLimits(
  current: ParticipationLimits,
  next: ParticipationLimits,
): ParticipationLimits {
  const limits = {
    ...current,
    ...strictestOf('idleSeconds', current.idleSeconds, next.idleSeconds),
    ...strictestOf('absoluteSeconds', current.absoluteSeconds, next.absoluteSeconds),
    ...strictestOf('accessTokenSeconds', current.accessTokenSeconds, next.accessTokenSeconds),
    ...strictestOf('idTokenSeconds', current.idTokenSeconds, next.idTokenSeconds),
    ...strictestOf('refreshTokenSeconds', current.refreshTokenSeconds, next.refreshTokenSeconds),
    ...strictestOf('activity', current.activity, next.activity),
    ...strictestOf('warnBeforeSeconds', current.warnBeforeSeconds, next.warnBeforeSeconds),
    ...strictestOf('offline', current.offline, next.offline),
  };
  return { ...limits, warnBeforeSeconds: capWarnBefore(limits.warnBeforeSeconds, limits.idleSeconds) };
}
