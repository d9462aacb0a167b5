import { writeDuration } from '../policy/durations.ts';
import type { ChildKind } from '../policy/limits.ts';
import type { Rule, RuleLimits } from '../policy/policy.ts';
import type { DeclaredFacts } from './client.ts';
import { DURATION_KEYS } from './policy-schema.ts';

/** Keys and values as curfew.yaml has them. */
export type Written = Record<string, unknown>;

export function writeClient(client: DeclaredFacts): Written {
  return {
    ...client.metadata,
    first_party: client.firstParty,
    data: client.data,
    labels: client.labels,
    presence: client.presence,
    introspects: client.introspects,
    allowed_origins: client.allowedOrigins,
  };
}

export function writeLimits(limits: RuleLimits): Written {
  const { activity, concurrent, offline, device } = limits;
  return {
    ...writeDurations(limits),
    ...(activity === undefined ? {} : { activity }),
    ...(concurrent === undefined ? {} : { concurrent }),
    ...(offline === undefined ? {} : { offline: writeChild(offline) }),
    ...(device === undefined ? {} : { device: writeChild(device) }),
  };
}

/** @returns the conditions and limits of a rule side by side, as `when.roles`, `limits.idle` and so on */
export function writeRule({ when, limits }: Rule): Written {
  return { ...prefixed('when', when), ...prefixed('limits', writeLimits(limits)) };
}

function prefixed(prefix: string, block: object): Written {
  return Object.fromEntries(Object.entries(block).map(([key, value]) => [`${prefix}.${key}`, value]));
}

function writeDurations(limits: Pick<RuleLimits, (typeof DURATION_KEYS)[keyof typeof DURATION_KEYS]>): Written {
  return Object.fromEntries(
    Object.entries(DURATION_KEYS).flatMap(([key, limit]) => {
      const seconds = limits[limit];
      return seconds === undefined ? [] : [[key, writeDuration(seconds)]];
    }),
  );
}

function writeChild(setting: NonNullable<RuleLimits[ChildKind]>): Written | 'forbid' {
  if (setting === 'forbid') return setting;
  const { endWith, ...times } = setting;
  return { ...writeDurations(times), ...(endWith === undefined ? {} : { endWith }) };
}
