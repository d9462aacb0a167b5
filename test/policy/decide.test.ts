import { describe, expect, it } from '@jest/globals';
import {
  decideChildLimits,
  decideChildSetting,
  decideParticipationLimits,
  decideServiceLimits,
  decideSessionLimits,
} from '../../src/policy/decide.ts';
import type { ClientFacts, SessionFacts } from '../../src/policy/matching.ts';
import { builtInPolicy, type Policy, type Rule, type RuleLimits, type When } from '../../src/policy/policy.ts';

const employee: SessionFacts = {
  kind: 'browser',
  roles: ['staff'],
  groups: ['research'],
  acr: 'urn:example:mfa',
  amr: ['pwd', 'otp'],
  ip: '10.1.2.3',
};
const admin: SessionFacts = { ...employee, roles: ['staff', 'admin'] };
const chat: ClientFacts = { clientId: 'chat', data: ['internal'], labels: ['inference'] };

const rule = (name: string, when: When, limits: RuleLimits): Rule => ({ name, when, limits });
const policyWith = (...rules: Rule[]): Policy => ({ default: builtInPolicy.default, rules });

describe('the built-in policy', () => {
  it('gives everyone 30 minutes idle and 12 hours absolute', () => {
    expect(decideSessionLimits(builtInPolicy, employee)).toEqual({
      idleSeconds: { value: 1_800, rule: 'default' },
      absoluteSeconds: { value: 43_200, rule: 'default' },
      activity: { value: ['interactive', 'refresh'], rule: 'default' },
      warnBeforeSeconds: { value: 120, rule: 'default' },
    });
  });

  it('gives privileged people less, one session, and counts only what they do themselves', () => {
    expect(decideSessionLimits(builtInPolicy, admin)).toEqual({
      idleSeconds: { value: 600, rule: 'privileged people' },
      absoluteSeconds: { value: 14_400, rule: 'privileged people' },
      activity: { value: ['interactive'], rule: 'privileged people' },
      warnBeforeSeconds: { value: 120, rule: 'default' },
      concurrent: { value: { max: 1, onLimit: 'end-oldest' }, rule: 'privileged people' },
    });
  });

  it('gives a participation no deadlines of its own', () => {
    expect(decideParticipationLimits(builtInPolicy, { ...admin, ...chat })).toEqual({
      accessTokenSeconds: { value: 300, rule: 'default' },
      idTokenSeconds: { value: 300, rule: 'default' },
      refreshTokenSeconds: { value: 2_592_000, rule: 'default' },
      activity: { value: ['interactive'], rule: 'privileged people' },
      warnBeforeSeconds: { value: 120, rule: 'default' },
      offline: { value: { idleSeconds: 1_209_600, absoluteSeconds: 2_592_000, endWith: 'none' }, rule: 'default' },
    });
  });

  it('lets an offline session live 14 days idle and 30 days in all', () => {
    expect(decideChildLimits(builtInPolicy, { ...employee, ...chat }, 'offline')).toEqual({
      idleSeconds: { value: 1_209_600, rule: 'default' },
      absoluteSeconds: { value: 2_592_000, rule: 'default' },
      activity: { value: ['interactive', 'refresh'], rule: 'default' },
      warnBeforeSeconds: { value: 120, rule: 'default' },
    });
  });
});

describe('when a rule applies', () => {
  const all = { ...employee, ...chat };

  it.each<[string, When, boolean]>([
    ['one of the roles', { roles: ['boss', 'staff'] }, true],
    ['none of the roles', { roles: ['boss'] }, false],
    ['one of the groups', { groups: ['research'] }, true],
    ['none of the groups', { groups: ['sales'] }, false],
    ['the client', { clients: ['wiki', 'chat'] }, true],
    ['another client', { clients: ['wiki'] }, false],
    ['the data', { data: ['internal'] }, true],
    ['other data', { data: ['restricted'] }, false],
    ['the label', { labels: ['inference'] }, true],
    ['another label', { labels: ['batch'] }, false],
    ['the acr', { acr: ['urn:example:mfa'] }, true],
    ['another acr', { acr: ['urn:example:pwd'] }, false],
    ['one of the amr values', { amr: ['hwk', 'pwd'] }, true],
    ['none of the amr values', { amr: ['hwk'] }, false],
    ['the network', { network: ['192.0.2.0/24', '10.0.0.0/8'] }, true],
    ['another network', { network: ['192.0.2.0/24'] }, false],
    ['the kind', { kind: ['browser', 'device'] }, true],
    ['another kind', { kind: ['device'] }, false],
    ['every key', { roles: ['staff'], clients: ['chat'], amr: ['otp'] }, true],
    ['all keys but one', { roles: ['staff'], clients: ['chat'], amr: ['hwk'] }, false],
    ['no key at all', {}, true],
    ['an empty list', { roles: [] }, false],
  ])('%s', (_what, when, applies) => {
    const policy = policyWith(rule('r', when, { accessTokenSeconds: 60 }));
    expect(decideParticipationLimits(policy, all).accessTokenSeconds.rule).toBe(applies ? 'r' : 'default');
  });

  it('applies rules about networks to a person whose address is not known', () => {
    const policy = policyWith(rule('outside', { network: ['192.0.2.0/24'] }, { idleSeconds: 60 }));
    expect(decideSessionLimits(policy, { ...employee, ip: null }).idleSeconds.value).toBe(60);
  });

  it('does not apply a rule about an acr to a session that has none', () => {
    const policy = policyWith(rule('r', { acr: ['urn:example:mfa'] }, { idleSeconds: 60 }));
    expect(decideSessionLimits(policy, { ...employee, acr: null }).idleSeconds.rule).toBe('default');
  });
});

describe('rules about clients, data and labels', () => {
  const policy = policyWith(
    rule('restricted data', { data: ['internal'] }, { idleSeconds: 300, absoluteSeconds: 3_600 }),
    rule('admins in the chat', { roles: ['admin'], clients: ['chat'] }, { idleSeconds: 120 }),
    rule('staff', { roles: ['staff'] }, { idleSeconds: 60 }),
  );

  it('limit the participation, each limit with its rule', () => {
    const limits = decideParticipationLimits(policy, { ...admin, ...chat });
    expect(limits.idleSeconds).toEqual({ value: 120, rule: 'admins in the chat' });
    expect(limits.absoluteSeconds).toEqual({ value: 3_600, rule: 'restricted data' });
  });

  it('never limit the session', () => {
    const limits = decideSessionLimits(policy, admin);
    expect(limits.idleSeconds).toEqual({ value: 60, rule: 'staff' });
    expect(limits.absoluteSeconds).toEqual({ value: 43_200, rule: 'default' });
  });

  it('set the tokens of that client, as rules about people do', () => {
    const tokens = policyWith(
      rule('chat', { clients: ['chat'] }, { accessTokenSeconds: 60 }),
      rule('staff', { roles: ['staff'] }, { idTokenSeconds: 30, refreshTokenSeconds: 7_200 }),
    );
    expect(decideParticipationLimits(tokens, { ...employee, ...chat })).toMatchObject({
      accessTokenSeconds: { value: 60, rule: 'chat' },
      idTokenSeconds: { value: 30, rule: 'staff' },
      refreshTokenSeconds: { value: 7_200, rule: 'staff' },
    });
  });
});

describe('what is stricter', () => {
  it.each<[string, RuleLimits[], RuleLimits, string]>([
    ['the smaller number', [{ idleSeconds: 600 }, { idleSeconds: 300 }], { idleSeconds: 300 }, 'rule 1'],
    ['the first of equals', [{ idleSeconds: 300 }, { idleSeconds: 300 }], { idleSeconds: 300 }, 'rule 0'],
    ['the default, if no rule is stricter', [{ idleSeconds: 7_200 }], { idleSeconds: 1_800 }, 'default'],
    ['the default of equals', [{ idleSeconds: 1_800 }], { idleSeconds: 1_800 }, 'default'],
    ['the activity that all allow', [{ activity: ['interactive'] }], { activity: ['interactive'] }, 'rule 0'],
    [
      'no activity that only a rule allows',
      [{ activity: ['silent', 'refresh'] }],
      { activity: ['interactive', 'refresh'] },
      'default',
    ],
    ['always what people do themselves', [{ activity: ['silent'] }], { activity: ['interactive'] }, 'rule 0'],
    [
      'the last that removed an activity',
      [{ activity: ['interactive'] }, { activity: ['interactive'] }],
      { activity: ['interactive'] },
      'rule 0',
    ],
    [
      'the longer warning',
      [{ warnBeforeSeconds: 60 }, { warnBeforeSeconds: 300 }],
      { warnBeforeSeconds: 300 },
      'rule 1',
    ],
    [
      'a warning no longer than idle',
      [{ idleSeconds: 90 }, { warnBeforeSeconds: 300 }],
      { warnBeforeSeconds: 90 },
      'rule 0',
    ],
    [
      'fewer sessions',
      [{ concurrent: { max: 2, onLimit: 'refuse' } }, { concurrent: { max: 1, onLimit: 'end-oldest' } }],
      { concurrent: { max: 1, onLimit: 'end-oldest' } },
      'rule 1',
    ],
    [
      'refusing rather than ending the oldest',
      [{ concurrent: { max: 2, onLimit: 'end-oldest' } }, { concurrent: { max: 2, onLimit: 'refuse' } }],
      { concurrent: { max: 2, onLimit: 'refuse' } },
      'rule 1',
    ],
  ])('%s', (_what, limits, expected, by) => {
    const rules = limits.map((set, i) => rule(`rule ${i}`, { roles: ['staff'] }, set));
    const decided = decideSessionLimits(policyWith(...rules), employee);
    for (const [limit, value] of Object.entries(expected)) {
      expect(decided[limit as keyof typeof decided]).toEqual({ value, rule: by });
    }
  });

  it('takes the limit on concurrent sessions from the default too', () => {
    const policy: Policy = {
      default: { ...builtInPolicy.default, concurrent: { max: 3, onLimit: 'refuse' } },
      rules: [rule('five', { roles: ['staff'] }, { concurrent: { max: 5, onLimit: 'refuse' } })],
    };
    expect(decideSessionLimits(policy, employee).concurrent).toEqual({
      value: { max: 3, onLimit: 'refuse' },
      rule: 'default',
    });
  });

  it('warns no earlier than the idle limit of the participation begins', () => {
    const policy = policyWith(rule('chat', { clients: ['chat'] }, { idleSeconds: 60 }));
    expect(decideParticipationLimits(policy, { ...employee, ...chat }).warnBeforeSeconds).toEqual({
      value: 60,
      rule: 'chat',
    });
  });
});

describe('an anonymous session', () => {
  it('lasts an hour at most', () => {
    const limits = decideSessionLimits(
      { default: { ...builtInPolicy.default, idleSeconds: 7_200 }, rules: [] },
      { ...employee, kind: 'anonymous', roles: [] },
    );
    expect(limits.idleSeconds).toEqual({ value: 3_600, rule: 'anonymous' });
    expect(limits.absoluteSeconds).toEqual({ value: 3_600, rule: 'anonymous' });
  });

  it('lasts less where policy says so', () => {
    const policy = policyWith(rule('short', { kind: ['anonymous'] }, { absoluteSeconds: 600 }));
    const limits = decideSessionLimits(policy, { ...employee, kind: 'anonymous' });
    expect(limits.absoluteSeconds).toEqual({ value: 600, rule: 'short' });
  });
});

describe('an offline session', () => {
  const facts = { ...employee, ...chat };

  it('is forbidden where one matching rule forbids it', () => {
    const policy = policyWith(
      rule('week', { roles: ['staff'] }, { offline: { idleSeconds: 604_800 } }),
      rule('restricted', { data: ['internal'] }, { offline: 'forbid' }),
    );
    expect(decideChildLimits(policy, facts, 'offline')).toBe('forbid');
    expect(decideParticipationLimits(policy, facts).offline).toEqual({ value: 'forbid', rule: 'restricted' });
  });

  it.each<[string, When]>([
    ['the session that it comes from', { kind: ['browser'] }],
    ['offline sessions', { kind: ['offline'] }],
  ])('is forbidden by a rule for %s', (_what, when) => {
    const policy = policyWith(rule('none', when, { offline: 'forbid' }));
    expect(decideChildLimits(policy, facts, 'offline')).toBe('forbid');
  });

  it('is not forbidden by a rule for other sessions', () => {
    const policy = policyWith(rule('none', { kind: ['device'] }, { offline: 'forbid' }));
    expect(decideChildLimits(policy, facts, 'offline')).not.toBe('forbid');
  });

  it('is forbidden where the default forbids it, whatever a rule says', () => {
    const policy: Policy = {
      default: { ...builtInPolicy.default, offline: 'forbid' },
      rules: [rule('week', {}, { offline: { idleSeconds: 604_800, absoluteSeconds: 604_800, endWith: 'none' } })],
    };
    expect(decideChildLimits(policy, facts, 'offline')).toBe('forbid');
  });

  it('has the strictest of every offline setting and of rules for its kind', () => {
    const policy = policyWith(
      rule('staff', { roles: ['staff'] }, { idleSeconds: 60, offline: { idleSeconds: 604_800 } }),
      rule(
        'chat',
        { clients: ['chat'] },
        { absoluteSeconds: 60, offline: { absoluteSeconds: 864_000, endWith: 'session' } },
      ),
      rule('offline', { kind: ['offline'] }, { idleSeconds: 86_400, activity: ['refresh'] }),
      rule('browsers', { kind: ['browser'] }, { idleSeconds: 90, activity: ['interactive'] }),
    );
    expect(decideChildLimits(policy, facts, 'offline')).toEqual({
      idleSeconds: { value: 86_400, rule: 'offline' },
      absoluteSeconds: { value: 864_000, rule: 'chat' },
      activity: { value: ['interactive', 'refresh'], rule: 'default' },
      warnBeforeSeconds: { value: 120, rule: 'default' },
    });
    expect(decideParticipationLimits(policy, facts).offline).toEqual({
      value: { idleSeconds: 604_800, absoluteSeconds: 864_000, endWith: 'session' },
      rule: 'chat',
    });
  });

  it('is not limited by what limits the session that it comes from', () => {
    expect(decideChildLimits(builtInPolicy, { ...admin, ...chat }, 'offline')).toMatchObject({
      idleSeconds: { value: 1_209_600, rule: 'default' },
      activity: { value: ['interactive'], rule: 'privileged people' },
    });
  });
});

describe('a device session', () => {
  const facts = { ...employee, ...chat };

  it('has limits of its own, and is not forbidden by what forbids offline sessions', () => {
    const policy = policyWith(
      rule('no offline', {}, { offline: 'forbid' }),
      rule('devices', { kind: ['device'] }, { idleSeconds: 86_400, device: { endWith: 'session' } }),
      rule('staff', { roles: ['staff'] }, { idleSeconds: 60, device: { absoluteSeconds: 604_800 } }),
    );
    expect(decideChildLimits(policy, facts, 'offline')).toBe('forbid');
    expect(decideChildLimits(policy, facts, 'device')).toMatchObject({
      idleSeconds: { value: 86_400, rule: 'devices' },
      absoluteSeconds: { value: 604_800, rule: 'staff' },
    });
    expect(decideChildSetting(policy, facts, 'device').value).toMatchObject({ endWith: 'session' });
  });

  it.each<[string, When]>([
    ['the session that it comes from', { kind: ['browser'] }],
    ['devices', { kind: ['device'] }],
    ['the client', { clients: ['chat'] }],
  ])('is forbidden by a rule for %s', (_what, when) => {
    const policy = policyWith(rule('none', when, { device: 'forbid' }));
    expect(decideChildLimits(policy, facts, 'device')).toBe('forbid');
    expect(decideChildLimits(policy, facts, 'offline')).not.toBe('forbid');
  });
});

describe('a token without a session', () => {
  it('has the strictest limit of the default and rules about the client', () => {
    const policy = policyWith(
      rule('staff', { roles: ['staff'] }, { accessTokenSeconds: 10 }),
      rule('browsers', { kind: ['browser'] }, { accessTokenSeconds: 20 }),
      rule('chat', { clients: ['chat'] }, { accessTokenSeconds: 60 }),
    );
    expect(decideServiceLimits(policy, { ...chat, ip: '10.1.2.3' })).toEqual({
      accessTokenSeconds: { value: 60, rule: 'chat' },
    });
  });
});
