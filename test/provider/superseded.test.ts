import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, PASSWORD, startCurfew } from '../support/curfew.ts';
import { deliveriesOf, eventsOf, expiredGrant, refusalOf, sessionOf, sidOf, signedIn } from '../support/records.ts';
import { newBrowser, type RelyingParty, relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;
let other: RelyingParty;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  await curfew.addAccount('bob');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  other = await relyingParty(curfew.issuer, 'other', 'https://other.example/cb');
});
afterAll(() => curfew.close());

async function expectSuperseded({ tokens, sid, session }: Awaited<ReturnType<typeof signedIn>>): Promise<void> {
  expect(await sessionOf(curfew, sid)).toMatchObject({ endReason: 'superseded', endedAt: expect.any(Date) });
  expect(await refusalOf(app.refresh(tokens.refresh_token))).toEqual(expiredGrant);
  expect(await eventsOf(curfew, session.uid, 'session.ended')).toEqual([
    expect.objectContaining({ reason: 'superseded' }),
  ]);
  expect(await deliveriesOf(curfew, sid)).not.toEqual([]);
}

describe('another account that signs in in the same browser', () => {
  it('ends the session that was there, and begins one of its own', async () => {
    const alice = await signedIn(curfew, app, 'alice');
    const bob = await signedIn(curfew, app, 'bob', { browser: alice.browser, parameters: { prompt: 'login' } });
    expect(bob.session.uid).not.toBe(alice.session.uid);
    expect(bob.tokens.claims()?.sub).not.toBe(alice.tokens.claims()?.sub);
    expect(bob.sid).not.toBe(alice.sid);
    await expectSuperseded(alice);
    expect(await eventsOf(curfew, alice.session.uid, 'session.ended')).toEqual([
      expect.objectContaining({ actor: `person:${bob.session.accountId}` }),
    ]);
    const next = await (await app.authorize(alice.browser, { prompt: 'none' })).redeem();
    expect(sidOf(next)).toBe(bob.sid);
  });

  it('does so from a sign-in page that was open before, in another tab', async () => {
    const browser = newBrowser(curfew.issuer);
    const first = await app.authorize(browser);
    const second = await other.authorize(browser);
    await browser.submit(first.page, { login: 'alice', password: PASSWORD }, '/login');
    const alice = await signedIn(curfew, app, 'alice', { browser });

    let page = await browser.submit(second.page, { login: 'bob', password: PASSWORD }, '/login');
    // oidc-provider signs the first account out by a form that sends itself.
    if (page.text.includes('/logout/confirm')) page = await browser.submit(page);
    expect(page.url).toMatch(/^https:\/\/other\.example\/cb\?.*code=/);
    await expectSuperseded(alice);
    const bob = await signedIn(curfew, other, 'bob', { browser, parameters: { prompt: 'none' } });
    expect(bob.session.accountId).not.toBe(alice.session.accountId);
  });

  it('gives the first account’s clients nothing of the second', async () => {
    const alice = await signedIn(curfew, app, 'alice');
    const flow = await app.authorize(alice.browser);
    await signedIn(curfew, app, 'bob', { browser: alice.browser, parameters: { prompt: 'login' } });
    expect(await refusalOf(flow.redeem())).toEqual(expiredGrant);
    expect(await app.introspect(alice.tokens.access_token)).toEqual({ active: false });
  });
});

describe('the same account that signs in in a second tab', () => {
  it('goes on with the session', async () => {
    const browser = newBrowser(curfew.issuer);
    const first = await app.authorize(browser);
    const second = await other.authorize(browser);
    await browser.submit(first.page, { login: 'alice', password: PASSWORD }, '/login');
    const before = await signedIn(curfew, app, 'alice', { browser });
    const page = await browser.submit(second.page, { login: 'alice', password: PASSWORD }, '/login');
    expect(page.url).toMatch(/^https:\/\/other\.example\/cb\?.*code=/);
    const after = await signedIn(curfew, other, 'alice', { browser, parameters: { prompt: 'none' } });
    expect(after.session.uid).toBe(before.session.uid);
    expect(await app.introspect(before.tokens.access_token)).toMatchObject({ active: true });
  });
});
