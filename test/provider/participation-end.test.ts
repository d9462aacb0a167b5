import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { endOverdueParticipations } from '../../src/sessions/end-sessions.ts';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import {
  artifactsLeft,
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
} from '../support/records.ts';
import { type RelyingParty, relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;
let strict: RelyingParty;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  strict = await relyingParty(curfew.issuer, 'strict', 'https://strict.example/cb');
});
afterAll(() => curfew.close());

async function signedInToBoth() {
  const toApp = await signedIn(curfew, app, 'alice');
  const toStrict = await signedIn(curfew, strict, 'alice', { browser: toApp.browser });
  expect(toStrict.session.uid).toBe(toApp.session.uid);
  return { browser: toApp.browser, session: toApp.session, toApp, toStrict };
}

describe('a client with a limit of its own', () => {
  it('runs out while the rest of the session goes on', async () => {
    const { session, toApp, toStrict } = await signedInToBoth();
    await curfew.travel(5 * MINUTES);

    expect(await refusalOf(strict.refresh(toStrict.tokens.refresh_token))).toEqual(expiredGrant);
    expect(await strict.introspect(toStrict.tokens.access_token)).toEqual({ active: false });
    const userinfo = await strict.userinfo(toStrict.tokens.access_token);
    expect(userinfo.status).toBe(401);
    expect(await userinfo.json()).toMatchObject({ error: 'invalid_token', error_description: EXPIRED });

    expect((await app.userinfo(toApp.tokens.access_token)).status).toBe(200);
    expect((await app.refresh(toApp.tokens.refresh_token)).access_token).toEqual(expect.any(String));

    const { idleDeadline } = await participationOf(curfew, toStrict.sid);
    await endOverdueParticipations(curfew.db);
    expect(await participationOf(curfew, toStrict.sid)).toMatchObject({
      endedAt: idleDeadline,
      endReason: 'idle_timeout',
      endCommittedAt: expect.any(Date),
    });
    expect(await artifactsLeft(curfew, toStrict.sid)).toBe(0);
    expect(await eventsOf(curfew, session.uid, 'participation.ended')).toEqual([
      expect.objectContaining({ reason: 'idle_timeout', actor: 'system:deadline', clientId: 'strict' }),
    ]);
    expect(await sessionOf(curfew, toApp.sid)).toMatchObject({ endedAt: null });
  });

  it('comes back only after a sign-in, and then as a new part of the same session', async () => {
    const { browser, toApp, toStrict } = await signedInToBoth();
    await curfew.travel(5 * MINUTES);

    expect(errorOf(await strict.authorize(browser, { prompt: 'none' })).error).toBe('login_required');
    const { page, callback } = await strict.authorize(browser);
    expect(callback).toBeUndefined();
    expect(page.text).toContain('name="password"');
    expect(page.text).toContain('5 minutes without activity');
    expect((await app.authorize(browser, { prompt: 'none' })).callback?.searchParams.has('code')).toBe(true);

    const back = await signedIn(curfew, strict, 'alice', { browser });
    expect(back.sid).not.toBe(toStrict.sid);
    expect(back.session.uid).toBe(toApp.session.uid);
    expect(await strict.introspect(back.tokens.access_token)).toMatchObject({ active: true });
    expect(await strict.introspect(toStrict.tokens.access_token)).toEqual({ active: false });
    expect((await app.userinfo(toApp.tokens.access_token)).status).toBe(200);
    expect(await participationOf(curfew, toStrict.sid)).toMatchObject({ endReason: 'idle_timeout' });
  });

  it('is not kept alive by the activity of others', async () => {
    const { browser, toApp, toStrict } = await signedInToBoth();
    await curfew.travel(3 * MINUTES);
    await app.authorize(browser);
    await app.refresh(toApp.tokens.refresh_token);
    await curfew.travel(2 * MINUTES);
    expect(await strict.introspect(toStrict.tokens.access_token)).toEqual({ active: false });
  });

  it('is kept alive by its own, up to an hour after the sign-in', async () => {
    const { browser, toStrict } = await signedInToBoth();
    for (let passed = 4; passed < 60; passed += 4) {
      await curfew.travel(4 * MINUTES);
      expect(sidOf(await (await strict.authorize(browser)).redeem())).toBe(toStrict.sid);
    }
    await curfew.travel(4 * MINUTES);
    const { page } = await strict.authorize(browser);
    expect(page.text).toContain('Your session ended after 1 hour, the longest a session may last.');
    const { absoluteDeadline } = await participationOf(curfew, toStrict.sid);
    expect(absoluteDeadline?.getTime()).toBe(toStrict.session.authenticatedAt.getTime() + 60 * MINUTES);
  });

  it('has its absolute limit counted from the sign-in, however late it joins', async () => {
    const toApp = await signedIn(curfew, app, 'alice');
    await curfew.travel(10 * MINUTES);
    const { sid, tokens } = await signedIn(curfew, strict, 'alice', { browser: toApp.browser });
    const { absoluteDeadline } = await participationOf(curfew, sid);
    expect(absoluteDeadline?.getTime()).toBe(toApp.session.authenticatedAt.getTime() + 60 * MINUTES);
    expect(tokens.claims()?.session_expiry).toBeLessThan(Number(toApp.tokens.claims()?.session_expiry));
  });

  it('asks for a sign-in when its hour is over before it joins', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    for (let passed = 0; passed < 60; passed += 10) {
      await curfew.travel(10 * MINUTES);
      await app.authorize(browser);
    }
    expect(errorOf(await strict.authorize(browser, { prompt: 'none' })).error).toBe('login_required');
    expect((await strict.authorize(browser)).page.text).toContain('name="password"');
    const { tokens } = await signedIn(curfew, strict, 'alice', { browser });
    expect(await strict.introspect(tokens.access_token)).toMatchObject({ active: true });
  });
});
