import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import * as client from 'openid-client';
import { endOverdueSessions } from '../../src/sessions/end-sessions.ts';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import {
  artifactsLeft,
  databaseTime,
  deliveriesOf,
  EXPIRED,
  errorOf,
  eventsOf,
  expiredGrant,
  MINUTES,
  participationOf,
  refusalOf,
  sessionOf,
  sidOf,
  signedIn,
  stateByCookie,
  stopClock,
} from '../support/records.ts';
import { type RelyingParty, relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;
let other: RelyingParty;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  other = await relyingParty(curfew.issuer, 'other', 'https://other.example/cb');
});
afterEach(() => curfew.travel(0));
afterAll(() => curfew.close());

describe('a session that ran out of activity', () => {
  it('is live a millisecond before its deadline and dead at it', async () => {
    const { browser, tokens, session } = await signedIn(curfew, app, 'alice');
    await stopClock(curfew, session.idleDeadline, 1);
    expect(await stateByCookie(curfew, browser)).toMatchObject({ state: 'live' });
    expect(await app.introspect(String(tokens.refresh_token))).toMatchObject({ active: true });
    await stopClock(curfew, session.idleDeadline);
    expect(await stateByCookie(curfew, browser)).toMatchObject({ state: 'ended', reason: 'idle_timeout' });
    expect(await app.introspect(String(tokens.refresh_token))).toEqual({ active: false });
  });

  it('refuses its refresh token and says why', async () => {
    const { tokens } = await signedIn(curfew, app, 'alice');
    await curfew.travel(15 * MINUTES);
    expect(await refusalOf(app.refresh(tokens.refresh_token))).toEqual(expiredGrant);
  });

  it('refuses a code that was given out before and says why', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    const flow = await app.authorize(browser);
    await curfew.travel(15 * MINUTES);
    expect(await refusalOf(flow.redeem())).toEqual(expiredGrant);
  });

  it('answers 401 invalid_token at userinfo', async () => {
    const { tokens } = await signedIn(curfew, app, 'alice');
    await curfew.travel(15 * MINUTES);
    const answer = await app.userinfo(tokens.access_token);
    expect(answer.status).toBe(401);
    expect(await answer.json()).toEqual({ error: 'invalid_token', error_description: EXPIRED });
    const challenge = answer.headers.get('www-authenticate');
    expect(challenge).toContain('error="invalid_token"');
    expect(challenge).toContain(`error_description="${EXPIRED}"`);
  });

  it('is inactive at introspection, for every kind of token, and nothing else is told', async () => {
    const { tokens } = await signedIn(curfew, app, 'alice');
    await curfew.travel(15 * MINUTES);
    expect(await app.introspect(tokens.access_token)).toEqual({ active: false });
    expect(await app.introspect(String(tokens.refresh_token))).toEqual({ active: false });
    expect(await app.introspect('never-issued')).toEqual({ active: false });
  });

  it('lets a client revoke what is dead already', async () => {
    const { tokens } = await signedIn(curfew, app, 'alice');
    await curfew.travel(15 * MINUTES);
    await client.tokenRevocation(app.configuration, tokens.access_token);
    await client.tokenRevocation(app.configuration, String(tokens.refresh_token));
    expect(await app.introspect(tokens.access_token)).toEqual({ active: false });
  });

  it('answers login_required to prompt=none', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    expect((await app.authorize(browser, { prompt: 'none' })).callback?.searchParams.has('code')).toBe(true);
    await curfew.travel(15 * MINUTES);
    expect(errorOf(await app.authorize(browser, { prompt: 'none' })).error).toBe('login_required');
  });

  it('shows the sign-in page, which tells what happened', async () => {
    const { browser, sid } = await signedIn(curfew, app, 'alice');
    await curfew.travel(15 * MINUTES);
    const { page, callback } = await app.authorize(browser);
    expect(callback).toBeUndefined();
    expect(page.text).toContain('Your session ended after 15 minutes without activity');
    expect(page.text).toContain('name="password"');
    expect(page.headers.get('clear-site-data')).toBe('"cache", "storage"');

    const again = await app.signIn(browser, 'alice');
    expect(sidOf(await again.redeem())).not.toBe(sid);
  });

  it('is told of in every tab, after silent requests too, until somebody signs in', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    await curfew.travel(15 * MINUTES);
    const notice = 'Your session ended after 15 minutes without activity';
    for (const party of [app, other]) {
      expect(errorOf(await party.authorize(browser, { prompt: 'none' })).error).toBe('login_required');
      expect((await party.authorize(browser)).page.text).toContain(notice);
    }
    const { page } = await app.authorize(browser);
    const cancelled = await browser.submit(page, {}, '/abort');
    expect(cancelled.url).toContain('error=access_denied');
    await app.signIn(browser, 'alice');
    expect((await app.authorize(browser, { prompt: 'login' })).page.text).not.toContain(notice);
  });

  it('leaves no row for a browser that nobody signs in at', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    await curfew.travel(15 * MINUTES);
    const count = async () => (await curfew.query('SELECT 1 FROM session')).length;
    const before = await count();
    await app.authorize(browser);
    await app.authorize(browser, { prompt: 'none' });
    expect(await count()).toBe(before);
  });

  it('stays dead when the clock steps back', async () => {
    const { tokens, session, sid } = await signedIn(curfew, app, 'alice');
    await curfew.travel(15 * MINUTES);
    await endOverdueSessions(curfew.db);
    await curfew.travel(-15 * MINUTES);
    expect((await sessionOf(curfew, sid)).endedAt).toEqual(session.idleDeadline);
    expect(await app.introspect(tokens.access_token)).toEqual({ active: false });
    expect(await refusalOf(app.refresh(tokens.refresh_token))).toEqual(expiredGrant);
  });

  it('is stored as ended at the deadline to the millisecond, with what is owed', async () => {
    const { browser, sid, session } = await signedIn(curfew, app, 'alice');
    const second = await signedIn(curfew, other, 'alice', { browser });
    const { idleDeadline } = await sessionOf(curfew, sid);
    await curfew.travel(20 * MINUTES);
    const before = await databaseTime(curfew);
    await endOverdueSessions(curfew.db);

    const ended = await sessionOf(curfew, sid);
    expect(ended).toMatchObject({ endedAt: idleDeadline, endReason: 'idle_timeout' });
    expect(ended.endCommittedAt?.getTime()).toBeGreaterThanOrEqual(before.getTime());
    for (const each of [sid, second.sid]) {
      expect(await participationOf(curfew, each)).toMatchObject({ endedAt: idleDeadline, endReason: 'idle_timeout' });
      expect(await artifactsLeft(curfew, each)).toBe(0);
    }
    expect(await eventsOf(curfew, session.uid, 'session.ended')).toEqual([
      expect.objectContaining({
        reason: 'idle_timeout',
        actor: 'system:deadline',
        clientId: 'other',
        details: expect.objectContaining({ endedAt: idleDeadline.toISOString() }),
      }),
    ]);
    expect(await eventsOf(curfew, session.uid, 'participation.ended')).toHaveLength(2);
    // `other` registered no address for logout tokens.
    expect(await deliveriesOf(curfew, sid)).toEqual([
      { clientId: 'app', accountId: session.accountId, reason: 'idle_timeout', afterSeconds: 0 },
    ]);
    expect(await deliveriesOf(curfew, second.sid)).toEqual([]);

    await endOverdueSessions(curfew.db);
    expect(await eventsOf(curfew, session.uid, 'session.ended')).toHaveLength(1);
    expect(await deliveriesOf(curfew, sid)).toHaveLength(1);
  });
});
