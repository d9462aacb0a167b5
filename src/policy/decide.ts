import type { ActivityKind, Decided, Limits, OfflineSetting, ParticipationLimits, SessionLimits } from './limits.ts';
import {
  type ClientFacts,
  type Facts,
  isClientSpecific,
  matches,
  matchingRules,
  type SessionFacts,
} from './matching.ts';
import type { Policy, Rule, RuleLimits } from './policy.ts';
import { strictest } from './strictness.ts';
import { capWarnBefore, type Setter, tighten } from './tighten.ts';

/** A browser that nobody signed in at is kept for an hour at most, whatever policy says. */
const ANONYMOUS_MAX_SECONDS = 3_600;

/**
 * Decides the limits of a session: the strictest of the default and of every matching rule that isn't about
 * particular clients. Those bind the participation, so that one strict client doesn't end the session of all.
 */
export function decideSessionLimits(policy: Policy, facts: SessionFacts): SessionLimits {
  const rules = matchingRules(policy, facts).filter((rule) => !isClientSpecific(rule));
  const setters = facts.kind === 'anonymous' ? [...rules, anonymousCap] : rules;
  const idleSeconds = fromDefault(policy, 'idleSeconds', setters);
  return {
    idleSeconds,
    absoluteSeconds: fromDefault(policy, 'absoluteSeconds', setters),
    activity: decideActivity(policy, setters),
    warnBeforeSeconds: decideWarnBefore(policy, setters, idleSeconds),
    ...withValue('concurrent', decideConcurrent(policy, setters)),
  };
}

/**
 * Decides the limits of one client's part in a session.
 *
 * Only rules about clients, data or labels give it an idle or absolute limit of its own; everything else is the
 * strictest of the default and all matching rules.
 */
export function decideParticipationLimits(policy: Policy, facts: SessionFacts & ClientFacts): ParticipationLimits {
  const rules = matchingRules(policy, facts);
  const own = rules.filter(isClientSpecific);
  const idleSeconds = fromRules('idleSeconds', own);
  return {
    ...withValue('idleSeconds', idleSeconds),
    ...withValue('absoluteSeconds', fromRules('absoluteSeconds', own)),
    accessTokenSeconds: fromDefault(policy, 'accessTokenSeconds', rules),
    idTokenSeconds: fromDefault(policy, 'idTokenSeconds', rules),
    refreshTokenSeconds: fromDefault(policy, 'refreshTokenSeconds', rules),
    activity: decideActivity(policy, rules),
    warnBeforeSeconds: decideWarnBefore(policy, rules, idleSeconds ?? fromDefault(policy, 'idleSeconds', rules)),
    offline: decideOffline(policy, facts),
  };
}

/**
 * Decides the limits of the child session that consent to `offline_access` begins.
 *
 * @param facts of the session it comes from; rules for `kind: offline` count as well as those for that kind
 * @returns `forbid` where no such session may begin (then `offline_access` is ignored, OIDC Core §11)
 */
export function decideOfflineLimits(policy: Policy, facts: SessionFacts & ClientFacts): 'forbid' | SessionLimits {
  const { offline } = policy.default;
  if (offline === 'forbid' || decideOffline(policy, facts).value === 'forbid') return 'forbid';
  const rules = matchingRules(policy, { ...facts, kind: 'offline' });
  const setters = [
    ...rulesAboutOffline(policy, facts).map(({ name, limits }) => ({ name, limits: timesOf(limits.offline) })),
    ...rules.filter(({ when }) => when.kind?.includes('offline')),
  ];
  const idleSeconds = tighten('idleSeconds', byDefault(offline.idleSeconds), setters);
  return {
    idleSeconds,
    absoluteSeconds: tighten('absoluteSeconds', byDefault(offline.absoluteSeconds), setters),
    activity: decideActivity(policy, rules),
    warnBeforeSeconds: decideWarnBefore(policy, rules, idleSeconds),
  };
}

/** Decides how long a token without a session lives (client_credentials, RFC 6749 §4.4): rules about people don't match. */
export function decideServiceLimits(
  policy: Policy,
  facts: ClientFacts & Pick<SessionFacts, 'ip'>,
): Pick<ParticipationLimits, 'accessTokenSeconds'> {
  const rules = matchingRules(policy, { ...facts, roles: [], groups: [], acr: null, amr: [] });
  return { accessTokenSeconds: fromDefault(policy, 'accessTokenSeconds', rules) };
}

const anonymousCap: Setter = {
  name: 'anonymous',
  limits: { idleSeconds: ANONYMOUS_MAX_SECONDS, absoluteSeconds: ANONYMOUS_MAX_SECONDS },
};

const byDefault = <T>(value: T): Decided<T> => ({ value, rule: 'default' });

const withValue = <K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });

type AlwaysSet = Exclude<keyof Limits, 'concurrent'>;
type SetWhole = Exclude<keyof Limits, 'offline'>;

function fromDefault<L extends AlwaysSet>(policy: Policy, limit: L, setters: readonly Setter[]): Decided<Limits[L]> {
  return tighten(limit, byDefault(policy.default[limit] as Limits[L]), setters);
}

function fromRules<L extends SetWhole>(limit: L, setters: readonly Setter[]): Decided<Limits[L]> | undefined {
  for (const { name, limits } of setters) {
    const value: RuleLimits[SetWhole] = limits[limit];
    if (value !== undefined) return tighten(limit, { value: value as Limits[L], rule: name }, setters);
  }
  return undefined;
}

function decideConcurrent(policy: Policy, setters: readonly Setter[]): SessionLimits['concurrent'] {
  const { concurrent } = policy.default;
  return concurrent === undefined
    ? fromRules('concurrent', setters)
    : tighten('concurrent', byDefault(concurrent), setters);
}

function decideActivity(policy: Policy, setters: readonly Setter[]): Decided<ActivityKind[]> {
  const { activity } = policy.default;
  return tighten('activity', byDefault(strictest.activity(activity, activity)), setters);
}

function decideWarnBefore(policy: Policy, setters: readonly Setter[], idle: Decided<number>): Decided<number> {
  return capWarnBefore(fromDefault(policy, 'warnBeforeSeconds', setters), idle);
}

/** Rules for the session that would be the parent and rules for offline sessions both have a say. */
function rulesAboutOffline(policy: Policy, facts: Facts): Rule[] {
  return policy.rules.filter(({ when }) => matches(when, facts) || matches(when, { ...facts, kind: 'offline' }));
}

function decideOffline(policy: Policy, facts: Facts): Decided<OfflineSetting> {
  return fromDefault(policy, 'offline', rulesAboutOffline(policy, facts));
}

function timesOf(offline: RuleLimits['offline']): RuleLimits {
  if (offline === undefined || offline === 'forbid') return {};
  return { ...withValue('idleSeconds', offline.idleSeconds), ...withValue('absoluteSeconds', offline.absoluteSeconds) };
}
