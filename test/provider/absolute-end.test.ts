import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { endOverdueSessions } from '../../src/sessions/end-sessions.ts';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import { errorOf, eventsOf, expiredGrant, HOURS, MINUTES, refusalOf, sessionOf, signedIn } from '../support/records.ts';
import { type RelyingParty, relyingParty, type Tokens } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
});
afterAll(() => curfew.close());

describe('a session in constant use', () => {
  it('ends when the longest time that it may last is over', async () => {
    const { browser, tokens: first, sid, session } = await signedIn(curfew, app, 'alice');
    expect(session.absoluteDeadline.getTime() - session.authenticatedAt.getTime()).toBe(8 * HOURS);
    let tokens: Tokens = first;
    for (let passed = 10 * MINUTES; passed < 8 * HOURS; passed += 10 * MINUTES) {
      await curfew.travel(10 * MINUTES);
      const { callback } = await app.authorize(browser);
      expect(callback?.searchParams.has('code')).toBe(true);
      tokens = await app.refresh(tokens.refresh_token);
      expect(tokens.claims()).toMatchObject({ sid });
      expect((await app.userinfo(tokens.access_token)).status).toBe(200);
    }
    expect((await sessionOf(curfew, sid)).absoluteDeadline).toEqual(session.absoluteDeadline);

    await curfew.travel(10 * MINUTES);
    expect(await refusalOf(app.refresh(tokens.refresh_token))).toEqual(expiredGrant);
    expect(await app.introspect(tokens.access_token)).toEqual({ active: false });
    expect((await app.userinfo(tokens.access_token)).status).toBe(401);
    expect(errorOf(await app.authorize(browser, { prompt: 'none' })).error).toBe('login_required');
    const { page } = await app.authorize(browser);
    expect(page.text).toContain('Your session ended after 8 hours, the longest a session may last.');

    await endOverdueSessions(curfew.db);
    expect(await sessionOf(curfew, sid)).toMatchObject({
      endedAt: session.absoluteDeadline,
      endReason: 'absolute_timeout',
    });
    expect(await eventsOf(curfew, session.uid, 'session.ended')).toEqual([
      expect.objectContaining({ reason: 'absolute_timeout', actor: 'system:deadline' }),
    ]);
  });
});
