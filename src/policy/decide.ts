import type {
  ActivityKind,
  ChildKind,
  ChildSetting,
  Decided,
  Limits,
  ParticipationLimits,
  SessionLimits,
} from './limits.ts';
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
    offline: decideChildSetting(policy, facts, 'offline'),
  };
}

/**
 * Decides the limits of the child session that consent to `offline_access` or the approval of a device begins.
 *
 * @param facts of the session it comes from; rules for the kind of the child count as well as those for that kind
 * @returns `forbid` where no such session may begin (then `offline_access` is ignored, OIDC Core §11, and a device refused)
 */
export function decideChildLimits(
  policy: Policy,
  facts: SessionFacts & ClientFacts,
  kind: ChildKind,
): 'forbid' | SessionLimits {
  const setting = policy.default[kind];
  if (setting === 'forbid' || decideChildSetting(policy, facts, kind).value === 'forbid') return 'forbid';
  const rules = matchingRules(policy, { ...facts, kind });
  const setters = [
    ...rulesAboutChild(policy, facts, kind).map(({ name, limits }) => ({ name, limits: timesOf(limits[kind]) })),
    ...rules.filter(({ when }) => when.kind?.includes(kind)),
  ];
  const idleSeconds = tighten('idleSeconds', byDefault(setting.idleSeconds), setters);
  return {
    idleSeconds,
    absoluteSeconds: tighten('absoluteSeconds', byDefault(setting.absoluteSeconds), setters),
    activity: decideActivity(policy, rules),
    warnBeforeSeconds: decideWarnBefore(policy, rules, idleSeconds),
  };
}

/** Decides whether such a child session may begin at all, and whether it ends with the session it comes from. */
export function decideChildSetting(policy: Policy, facts: Facts, kind: ChildKind): Decided<ChildSetting> {
  return fromDefault(policy, kind, rulesAboutChild(policy, facts, kind));
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
type SetWhole = Exclude<keyof Limits, ChildKind>;

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

/** Rules for the session that would be the parent and rules for the kind of the child both have a say. */
function rulesAboutChild(policy: Policy, facts: Facts, kind: ChildKind): Rule[] {
  return policy.rules.filter(({ when }) => matches(when, facts) || matches(when, { ...facts, kind }));
}

function timesOf(setting: RuleLimits[ChildKind]): RuleLimits {
  if (setting === undefined || setting === 'forbid') return {};
  return { ...withValue('idleSeconds', setting.idleSeconds), ...withValue('absoluteSeconds', setting.absoluteSeconds) };
}
