import { z } from 'zod';
import { readDuration } from '../policy/durations.ts';
import { ACTIVITY_KINDS, type ChildLimits, SESSION_KINDS } from '../policy/limits.ts';
import { parseCidr } from '../policy/network.ts';
import type { Rule, RuleLimits } from '../policy/policy.ts';
import { unknownKeyMessage } from './problem-list.ts';

/** Names under which limits of no rule are reported. */
const RESERVED_RULE_NAMES = ['default', 'anonymous'];

/** Every duration key of `limits` in the file, and the limit that it sets. */
export const DURATION_KEYS = {
  idle: 'idleSeconds',
  absolute: 'absoluteSeconds',
  accessToken: 'accessTokenSeconds',
  idToken: 'idTokenSeconds',
  refreshToken: 'refreshTokenSeconds',
  warnBefore: 'warnBeforeSeconds',
} as const;

function strict<S extends z.core.$ZodLooseShape>(shape: S) {
  return z.strictObject(shape, { error: unknownKeyMessage(Object.keys(shape)) });
}

const duration = z.unknown().transform((input, ctx) => {
  const reading = readDuration(input);
  if (reading.ok) return reading.seconds;
  ctx.issues.push({ code: 'custom', message: reading.problem, input });
  return z.NEVER;
});

const name = z.string().trim().min(1).max(200);
const names = z.array(name).min(1);
const max = z.int().min(1).max(1000);

const concurrent = z.union(
  [
    max.transform((value) => ({ max: value, onLimit: 'end-oldest' as const })),
    strict({ max, onLimit: z.enum(['end-oldest', 'refuse']).default('end-oldest') }),
  ],
  { error: 'expected a whole number, or a block with max and onLimit' },
);

const childTimes = strict({
  idle: duration.optional(),
  absolute: duration.optional(),
  endWith: z.enum(['session', 'none']).optional(),
});

const child = z.union([z.literal('forbid'), childTimes], {
  error: 'expected forbid, or a block with idle, absolute, endWith',
});

const limitsShape = {
  idle: duration.optional(),
  absolute: duration.optional(),
  accessToken: duration.optional(),
  idToken: duration.optional(),
  refreshToken: duration.optional(),
  warnBefore: duration.optional(),
  activity: z.array(z.enum(ACTIVITY_KINDS)).min(1).optional(),
  concurrent: concurrent.optional(),
  offline: child.optional(),
  device: child.optional(),
};

type LimitsInFile = z.output<z.ZodObject<typeof limitsShape>>;

function toRuleLimits({ activity, concurrent: sessions, offline, device, ...durations }: LimitsInFile): RuleLimits {
  const limits: RuleLimits = {};
  for (const [key, limit] of Object.entries(DURATION_KEYS)) {
    const seconds = durations[key as keyof typeof DURATION_KEYS];
    if (seconds !== undefined) limits[limit] = seconds;
  }
  if (activity !== undefined) limits.activity = ACTIVITY_KINDS.filter((kind) => activity.includes(kind));
  if (sessions !== undefined) limits.concurrent = sessions;
  if (offline !== undefined) limits.offline = offline === 'forbid' ? offline : toChild(offline);
  if (device !== undefined) limits.device = device === 'forbid' ? device : toChild(device);
  return limits;
}

function toChild({ idle, absolute, endWith }: z.output<typeof childTimes>): Partial<ChildLimits> {
  return {
    ...(idle === undefined ? {} : { idleSeconds: idle }),
    ...(absolute === undefined ? {} : { absoluteSeconds: absolute }),
    ...(endWith === undefined ? {} : { endWith }),
  };
}

export const limitsSchema = strict(limitsShape).transform(toRuleLimits);

const cidr = z.string().refine((text) => parseCidr(text) !== undefined, {
  error: 'expected an IPv4 or IPv6 network such as 10.0.0.0/8 or 2001:db8::/32',
});

const whenShape = {
  roles: names.optional(),
  groups: names.optional(),
  clients: names.optional(),
  data: names.optional(),
  labels: names.optional(),
  acr: names.optional(),
  amr: names.optional(),
  network: z.array(cidr).min(1).optional(),
  kind: z.array(z.enum(SESSION_KINDS)).min(1).optional(),
};

export const ruleSchema = strict({
  name: name.refine((text) => !RESERVED_RULE_NAMES.includes(text), {
    error: `${RESERVED_RULE_NAMES.join(' and ')} are taken: choose another name`,
  }),
  when: strict(whenShape),
  limits: limitsSchema,
}).transform(({ name: ruleName, when, limits }): Rule => ({ name: ruleName, when: withoutUndefined(when), limits }));

function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}
