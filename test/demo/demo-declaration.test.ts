import { describe, expect, it } from '@jest/globals';
import { readAnswer } from '../../src/demo/curfew-client.ts';
import { demoDeclaration } from '../../src/demo/demo-declaration.ts';
import { timeLeft } from '../../src/demo/demo-views.ts';

describe('the declaration of the demo', () => {
  it('is one that curfew.yaml could hold, for the ports that are there', () => {
    const { clients, policy } = demoDeclaration({ ports: [5001, 5002] });
    expect(clients.map(({ clientId, presence, data }) => ({ clientId, presence, data }))).toEqual([
      { clientId: 'team-wiki', presence: true, data: [] },
      { clientId: 'payroll-admin', presence: true, data: ['restricted'] },
    ]);
    expect(clients[1]?.metadata.redirect_uris).toEqual(['http://127.0.0.1:5002/callback']);
    expect(policy.default).toMatchObject({ idleSeconds: 120, absoluteSeconds: 600 });
  });

  it('keeps to what is demanded of a warning: at least 20 seconds before the end', () => {
    const { policy } = demoDeclaration({ ports: [5001, 5002] });
    for (const { limits } of policy.rules)
      expect(limits.warnBeforeSeconds ?? policy.default.warnBeforeSeconds).toBeGreaterThanOrEqual(20);
  });
});

describe('an answer of /session', () => {
  const live = {
    state: 'live',
    idle_expires_at: '2026-01-01T08:30:00.000Z',
    absolute_expires_at: '2026-01-01T20:00:00.000Z',
    server_time: '2026-01-01T08:00:00.000Z',
  };

  it.each([
    ['live with deadlines', 200, live, 'live'],
    ['ended with a reason', 401, { state: 'ended', reason: 'idle_timeout', message: 'So.' }, 'ended'],
    ['about the token alone', 401, { error: 'invalid_token' }, 'token_expired'],
    ['an error of the server', 503, { state: 'live' }, 'unknown'],
    ['no deadlines', 200, { state: 'live' }, 'unknown'],
    ['nothing at all', 200, null, 'unknown'],
  ])('means, when it is %s, what it says and no more', (_what, status, body, state) => {
    expect(readAnswer(status, body).state).toBe(state);
  });
});

describe('the time left', () => {
  const now = new Date('2026-01-01T08:00:00.000Z');
  it.each([
    [65_000, '1:05'],
    [60_000, '1:00'],
    [1, '0:01'],
    [0, '0:00'],
    [-5_000, '0:00'],
  ])('%i ms is %s', (ms, text) => {
    expect(timeLeft(new Date(now.getTime() + ms), now)).toBe(text);
  });
});
