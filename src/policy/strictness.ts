import { ACTIVITY_KINDS, type ChildKind, type ChildSetting, type ConcurrentLimit, type Limits } from './limits.ts';
import type { RuleLimits } from './policy.ts';

type Strictness = {
  readonly [L in keyof Limits]: (one: Limits[L], other: NonNullable<RuleLimits[L]>) => Limits[L];
};

/**
 * What "stricter" means, limit by limit: each entry gives the strictest of two.
 *
 * Every entry is commutative, associative and idempotent, so that neither the order nor the number of rules
 * matters, and one more rule never loosens anything.
 */
export const strictest: Strictness = {
  idleSeconds: Math.min,
  absoluteSeconds: Math.min,
  accessTokenSeconds: Math.min,
  idTokenSeconds: Math.min,
  refreshTokenSeconds: Math.min,
  warnBeforeSeconds: Math.max,
  activity: (one, other) =>
    ACTIVITY_KINDS.filter((kind) => kind === 'interactive' || (one.includes(kind) && other.includes(kind))),
  concurrent: strictestConcurrent,
  offline: strictestChild,
  device: strictestChild,
};

function strictestConcurrent(one: ConcurrentLimit, other: ConcurrentLimit): ConcurrentLimit {
  if (one.max !== other.max) return one.max < other.max ? one : other;
  return other.onLimit === 'refuse' ? other : one;
}

function strictestChild(one: ChildSetting, other: NonNullable<RuleLimits[ChildKind]>): ChildSetting {
  if (one === 'forbid' || other === 'forbid') return 'forbid';
  return {
    idleSeconds: Math.min(one.idleSeconds, other.idleSeconds ?? one.idleSeconds),
    absoluteSeconds: Math.min(one.absoluteSeconds, other.absoluteSeconds ?? one.absoluteSeconds),
    endWith: one.endWith === 'session' || other.endWith === 'session' ? 'session' : 'none',
  };
}
