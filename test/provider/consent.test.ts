import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, PASSWORD, startCurfew } from '../support/curfew.ts';
import { errorOf, HOURS, MINUTES, participationOf, sidOf, signedIn } from '../support/records.ts';
import { type Flow, newBrowser, type RelyingParty, relyingParty } from '../support/relying-party.ts';

const ASKS = 'Allow access?';

let curfew: Curfew;
let app: RelyingParty;
let third: RelyingParty;
let people = 0;

beforeAll(async () => {
  curfew = await startCurfew();
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  third = await relyingParty(curfew.issuer, 'third', 'https://third.example/cb');
});
afterAll(() => curfew.close());

/** Somebody who has agreed to nothing yet. */
async function newPerson(): Promise<string> {
  people += 1;
  return (await curfew.addAccount(`person-${people}`)).login;
}

const hasCode = ({ callback }: Flow): boolean => callback?.searchParams.has('code') ?? false;

describe('consent', () => {
  it('is asked for once the person signed in, and says for what', async () => {
    const browser = newBrowser(curfew.issuer);
    const login = await newPerson();
    const { page } = await third.authorize(browser);
    const asking = await browser.submit(page, { login, password: PASSWORD }, '/login');
    for (const text of [ASKS, 'Third Party', login]) expect(asking.text).toContain(text);
    const { url } = await browser.submit(asking, {}, '/consent');
    expect(url).toMatch(/^https:\/\/third\.example\/cb\?code=/);
  });

  it('is never asked for by a client of our own', async () => {
    const { browser } = await signedIn(curfew, app, await newPerson());
    expect(hasCode(await app.authorize(browser, { prompt: 'none' }))).toBe(true);
  });

  it('that is missing is consent_required for prompt=none', async () => {
    const { browser } = await signedIn(curfew, app, await newPerson());
    expect(errorOf(await third.authorize(browser, { prompt: 'none' })).error).toBe('consent_required');
    expect((await third.authorize(browser)).page.text).toContain(ASKS);
  });

  it('is remembered within the session', async () => {
    const { browser, sid } = await signedIn(curfew, third, await newPerson());
    const flow = await third.authorize(browser, { prompt: 'none' });
    expect(sidOf(await flow.redeem())).toBe(sid);
  });

  it('is remembered across sessions, browsers and timeouts', async () => {
    const login = await newPerson();
    const before = await signedIn(curfew, third, login);
    await curfew.travel(9 * HOURS);
    const browser = newBrowser(curfew.issuer);
    const { page } = await third.authorize(browser);
    const back = await browser.submit(page, { login, password: PASSWORD }, '/login');
    expect(back.url).toMatch(/^https:\/\/third\.example\/cb\?code=/);
    const after = await signedIn(curfew, third, login, { browser, parameters: { prompt: 'none' } });
    expect(after.sid).not.toBe(before.sid);
  });

  it('is asked for again where more is wanted than was agreed to', async () => {
    const { browser } = await signedIn(curfew, third, await newPerson(), { parameters: { scope: 'openid' } });
    expect(hasCode(await third.authorize(browser, { scope: 'openid', prompt: 'none' }))).toBe(true);
    expect(errorOf(await third.authorize(browser, { scope: 'openid email', prompt: 'none' })).error).toBe(
      'consent_required',
    );
    const { page } = await third.authorize(browser, { scope: 'openid email' });
    expect(page.text).toContain(ASKS);
    expect((await browser.submit(page, {}, '/consent')).url).toContain('code=');
    const { tokens } = await signedIn(curfew, third, '', {
      browser,
      parameters: { scope: 'openid email', prompt: 'none' },
    });
    expect(await (await third.userinfo(tokens.access_token)).json()).toHaveProperty('email');
  });

  it('gives no claims that were not agreed to', async () => {
    const { tokens } = await signedIn(curfew, third, await newPerson(), { parameters: { scope: 'openid' } });
    expect(await (await third.userinfo(tokens.access_token)).json()).toEqual({ sub: tokens.claims()?.sub });
  });

  it('is asked for again with prompt=consent, also by a client that has it', async () => {
    const { browser, sid } = await signedIn(curfew, third, await newPerson());
    const flow = await third.authorize(browser, { prompt: 'consent' });
    expect(flow.page.text).toContain(ASKS);
    const after = await signedIn(curfew, third, '', { browser, parameters: { prompt: 'consent' } });
    expect(after.sid).toBe(sid);
  });

  it('that is refused is access_denied, and the person stays signed in', async () => {
    const login = await newPerson();
    const { browser } = await signedIn(curfew, app, login);
    const { page } = await third.authorize(browser);
    const { url } = await browser.submit(page, {}, '/abort');
    const answer = new URL(url);
    expect(answer.origin + answer.pathname).toBe('https://third.example/cb');
    expect(answer.searchParams.get('error')).toBe('access_denied');
    expect(answer.searchParams.get('state')).toEqual(expect.any(String));
    expect(answer.searchParams.get('iss')).toBe(curfew.issuer);
    expect(hasCode(await app.authorize(browser, { prompt: 'none' }))).toBe(true);
    expect((await third.authorize(browser)).page.text).toContain(ASKS);
  });

  it('begins no part in the session before it is given', async () => {
    const { browser, session } = await signedIn(curfew, app, await newPerson());
    await third.authorize(browser);
    const parts = await curfew.query('SELECT client_id FROM participation WHERE session_uid = $1', [session.uid]);
    expect(parts).toEqual([{ client_id: 'app' }]);
  });

  it('given after the session ended starts over with a sign-in that tells of the end', async () => {
    const login = await newPerson();
    const { browser } = await signedIn(curfew, app, login);
    const { page } = await third.authorize(browser);
    await curfew.travel(15 * MINUTES);
    const again = await browser.submit(page, {}, '/consent');
    expect(again.text).toContain('Your session ended after 15 minutes without activity');
    const asking = await browser.submit(again, { login, password: PASSWORD }, '/login');
    expect(asking.text).toContain(ASKS);
    const { url } = await browser.submit(asking, {}, '/consent');
    expect(url).toMatch(/^https:\/\/third\.example\/cb\?code=/);
  });

  it('outlives the end of the client’s part, which comes back without a question of consent', async () => {
    const { browser, sid, tokens } = await signedIn(curfew, third, await newPerson());
    const logout = await browser.open(`${curfew.issuer}/logout?id_token_hint=${tokens.id_token}`);
    await browser.submit(logout, {}, 'Stay signed in');
    expect(await participationOf(curfew, sid)).toMatchObject({ endReason: 'rp_logout' });
    expect(hasCode(await third.authorize(browser, { prompt: 'none' }))).toBe(true);
  });
});
