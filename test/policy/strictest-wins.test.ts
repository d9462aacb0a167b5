import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decideChildLimits, decideParticipationLimits, decideSessionLimits } from '../../src/policy/decide.ts';
import {
  ACTIVITY_KINDS,
  type ChildSetting,
  type Decided,
  SESSION_KINDS,
  type SessionLimits,
} from '../../src/policy/limits.ts';
import type { ClientFacts, SessionFacts } from '../../src/policy/matching.ts';
import type { Policy, PolicyDefault, Rule, RuleLimits, When } from '../../src/policy/policy.ts';
import { tightenParticipationLimits, tightenSessionLimits } from '../../src/policy/tighten.ts';

const seconds = fc.integer({ min: 1, max: 10_000 });
const some = <T>(...values: T[]): fc.Arbitrary<T[]> => fc.subarray(values, { minLength: 1 });
const words = some('a', 'b', 'c');
const activity = some(...ACTIVITY_KINDS);
const concurrent = fc.record({
  max: fc.integer({ min: 1, max: 5 }),
  onLimit: fc.constantFrom('end-oldest' as const, 'refuse' as const),
});
const childParts = {
  idleSeconds: seconds,
  absoluteSeconds: seconds,
  endWith: fc.constantFrom('session' as const, 'none' as const),
};
const forbid = { weight: 1, arbitrary: fc.constant('forbid' as const) };
const numbers = {
  idleSeconds: seconds,
  absoluteSeconds: seconds,
  accessTokenSeconds: seconds,
  idTokenSeconds: seconds,
  refreshTokenSeconds: seconds,
  warnBeforeSeconds: seconds,
  activity,
};
const wholeChild = fc.oneof(forbid, { weight: 9, arbitrary: fc.record(childParts) });
const partOfChild = fc.oneof(forbid, { weight: 9, arbitrary: fc.record(childParts, { requiredKeys: [] }) });
const policyDefault: fc.Arbitrary<PolicyDefault> = fc.record(
  { ...numbers, concurrent, offline: wholeChild, device: wholeChild },
  { requiredKeys: [...(Object.keys(numbers) as (keyof typeof numbers)[]), 'offline', 'device'] },
);
const limits: fc.Arbitrary<RuleLimits> = fc.record(
  { ...numbers, concurrent, offline: partOfChild, device: partOfChild },
  { requiredKeys: [] },
);
const when: fc.Arbitrary<When> = fc.record(
  {
    roles: words,
    groups: words,
    clients: words,
    data: words,
    labels: words,
    acr: words,
    amr: words,
    network: some('10.0.0.0/8', '2001:db8::/32'),
    kind: some(...SESSION_KINDS),
  },
  { requiredKeys: [] },
);
const rule: fc.Arbitrary<Rule> = fc.record({ name: fc.string(), when, limits });
const rules = fc.array(rule, { maxLength: 6 });
const facts: fc.Arbitrary<SessionFacts & ClientFacts> = fc.record({
  kind: fc.constantFrom(...SESSION_KINDS),
  roles: words,
  groups: words,
  acr: fc.constantFrom('a', 'b', null),
  amr: words,
  ip: fc.constantFrom('10.1.2.3', '192.0.2.1', '2001:db8::1', null),
  clientId: fc.constantFrom('a', 'b'),
  data: words,
  labels: words,
});

type AnyLimits = { [limit: string]: Decided<unknown> | undefined };

/** What "not looser" means, stated a second time and apart from the code under test. */
function expectNotLooser(stricter: AnyLimits, looser: AnyLimits): void {
  for (const [limit, before] of Object.entries(looser)) {
    const after = stricter[limit]?.value;
    if (before === undefined || limit === 'warnBeforeSeconds') continue;
    if (typeof before.value === 'number') expect(after).toBeLessThanOrEqual(before.value);
    if (limit === 'activity') expect(before.value).toEqual(expect.arrayContaining(after as string[]));
    if (limit === 'concurrent') expectFewerSessions(after, before.value);
    if (limit === 'offline') expectOfflineNotLooser(after as ChildSetting, before.value as ChildSetting);
  }
}

function expectFewerSessions(after: unknown, before: unknown): void {
  const rank = (value: unknown): number => {
    const { max, onLimit } = value as { max: number; onLimit: string };
    return max * 2 - (onLimit === 'refuse' ? 1 : 0);
  };
  expect(rank(after)).toBeLessThanOrEqual(rank(before));
}

function expectOfflineNotLooser(after: ChildSetting, before: ChildSetting): void {
  if (after === 'forbid') return;
  if (before === 'forbid') throw new Error('offline sessions were forbidden and are not any more');
  expect(after.idleSeconds).toBeLessThanOrEqual(before.idleSeconds);
  expect(after.absoluteSeconds).toBeLessThanOrEqual(before.absoluteSeconds);
  if (before.endWith === 'session') expect(after.endWith).toBe('session');
}

function expectWarning(after: SessionLimits, before: SessionLimits): void {
  const idle = after.idleSeconds.value;
  expect(after.warnBeforeSeconds.value).toBeGreaterThanOrEqual(Math.min(before.warnBeforeSeconds.value, idle));
  expect(after.warnBeforeSeconds.value).toBeLessThanOrEqual(idle);
}

function expectChildNotLooser(after: 'forbid' | SessionLimits, before: 'forbid' | SessionLimits): void {
  if (after === 'forbid') return;
  if (before === 'forbid') throw new Error('child sessions were forbidden and are not any more');
  expectNotLooser(after, before);
  expectWarning(after, before);
}

const valuesOf = (decided: 'forbid' | AnyLimits): unknown =>
  decided === 'forbid' ? decided : Object.fromEntries(Object.entries(decided).map(([limit, by]) => [limit, by?.value]));

const everyDecision = (policy: Policy, known: SessionFacts & ClientFacts) => ({
  session: decideSessionLimits(policy, known),
  participation: decideParticipationLimits(policy, known),
  offline: decideChildLimits(policy, known, 'offline'),
  device: decideChildLimits(policy, known, 'device'),
});

describe('strictest wins', () => {
  it('one more rule, wherever it stands, never loosens a limit', () => {
    fc.assert(
      fc.property(policyDefault, rules, rule, fc.nat(6), facts, (byDefault, old, extra, place, known) => {
        const before = everyDecision({ default: byDefault, rules: old }, known);
        const after = everyDecision({ default: byDefault, rules: old.toSpliced(place, 0, extra) }, known);
        expectNotLooser(after.session, before.session);
        expectWarning(after.session, before.session);
        expectNotLooser(after.participation, before.participation);
        expectChildNotLooser(after.offline, before.offline);
        expectChildNotLooser(after.device, before.device);
      }),
      { numRuns: 1000 },
    );
  });

  it('the order of the rules changes no value', () => {
    const shuffled = rules.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length, maxLength: list.length })),
    );
    fc.assert(
      fc.property(policyDefault, shuffled, facts, (byDefault, [one, other], known) => {
        const first = everyDecision({ default: byDefault, rules: one }, known);
        const second = everyDecision({ default: byDefault, rules: other }, known);
        expect(valuesOf(second.session)).toEqual(valuesOf(first.session));
        expect(valuesOf(second.participation)).toEqual(valuesOf(first.participation));
        expect(valuesOf(second.offline)).toEqual(valuesOf(first.offline));
        expect(valuesOf(second.device)).toEqual(valuesOf(first.device));
      }),
    );
  });

  it('no session lives longer or counts more activity than the default says', () => {
    fc.assert(
      fc.property(policyDefault, rules, facts, (byDefault, list, known) => {
        const { session } = everyDecision({ default: byDefault, rules: list }, known);
        expect(session.idleSeconds.value).toBeLessThanOrEqual(byDefault.idleSeconds);
        expect(session.absoluteSeconds.value).toBeLessThanOrEqual(byDefault.absoluteSeconds);
        expect(session.activity.value).toContain('interactive');
        expect(['interactive', ...byDefault.activity]).toEqual(expect.arrayContaining(session.activity.value));
      }),
    );
  });

  it('what a limit is credited to did set it', () => {
    fc.assert(
      fc.property(policyDefault, rules, facts, (byDefault, list, known) => {
        const named = list.map((one, i) => ({ ...one, name: `rule ${i}` }));
        const { session } = everyDecision({ default: byDefault, rules: named }, { ...known, kind: 'browser' });
        for (const limit of ['idleSeconds', 'absoluteSeconds'] as const) {
          const { value, rule: by } = session[limit];
          const setter = by === 'default' ? byDefault : named.find(({ name }) => name === by)?.limits;
          expect(setter?.[limit]).toBe(value);
        }
      }),
    );
  });
});

describe('a policy that changes under a session', () => {
  it('tightens what is at once and loosens nothing', () => {
    const policies = fc.tuple(policyDefault, rules).map(([byDefault, list]) => ({ default: byDefault, rules: list }));
    fc.assert(
      fc.property(policies, policies, facts, (old, next, known) => {
        const before = everyDecision(old, known);
        const wanted = everyDecision(next, known);
        const session = tightenSessionLimits(before.session, wanted.session);
        expectNotLooser(session, before.session);
        expectNotLooser(session, wanted.session);
        expectWarning(session, before.session);
        const participation = tightenParticipationLimits(before.participation, wanted.participation);
        expectNotLooser(participation, before.participation);
        expectNotLooser(participation, wanted.participation);
      }),
    );
  });

  it('keeps the rule that set a limit where the new policy says the same', () => {
    const kept: SessionLimits = {
      idleSeconds: { value: 600, rule: 'old' },
      absoluteSeconds: { value: 3_600, rule: 'old' },
      activity: { value: ['interactive'], rule: 'old' },
      warnBeforeSeconds: { value: 60, rule: 'old' },
    };
    const next: SessionLimits = {
      idleSeconds: { value: 300, rule: 'new' },
      absoluteSeconds: { value: 3_600, rule: 'new' },
      activity: { value: ['interactive', 'refresh'], rule: 'new' },
      warnBeforeSeconds: { value: 60, rule: 'new' },
      concurrent: { value: { max: 1, onLimit: 'refuse' }, rule: 'new' },
    };
    expect(tightenSessionLimits(kept, next)).toEqual({
      ...kept,
      idleSeconds: { value: 300, rule: 'new' },
      concurrent: { value: { max: 1, onLimit: 'refuse' }, rule: 'new' },
    });
  });
});
