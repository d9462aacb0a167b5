import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, PASSWORD, startCurfew } from '../support/curfew.ts';
import { errorOf, MINUTES, sessionOf, sidOf, signedIn } from '../support/records.ts';
import { newBrowser, type RelyingParty, relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
});
afterAll(() => curfew.close());

const sessionsBegun = async () => (await curfew.query(`SELECT 1 FROM session WHERE kind = 'browser'`)).length;

/** A browser after its sign-in, with the page that it came by and all cookies that it had there. */
async function throughPage() {
  const browser = newBrowser(curfew.issuer);
  const flow = await app.authorize(browser);
  const before = browser.cookies();
  const { url } = await browser.submit(flow.page, { login: 'alice', password: PASSWORD }, '/login');
  expect(url).toContain('code=');
  const old = newBrowser(curfew.issuer);
  for (const [name, value] of before) old.setCookie(name, value);
  return { browser, page: flow.page, old };
}

describe('what was used once', () => {
  it('a sign-in form, is not there any more for the browser that sent it, nor for one with its old cookies', async () => {
    const { browser, page, old } = await throughPage();
    const begun = await sessionsBegun();
    for (const each of [browser, old]) {
      const answer = await each.submit(page, { login: 'alice', password: PASSWORD }, '/login');
      expect(answer.status).toBe(404);
      expect(answer.text).not.toContain('code=');
      expect((await each.open(page.url)).status).toBe(404);
    }
    expect(await sessionsBegun()).toBe(begun);
    expect(errorOf(await app.authorize(old, { prompt: 'none' })).error).toBe('login_required');
  });

  it('the address that resumes a request, leads nowhere', async () => {
    const { browser, page, old } = await throughPage();
    const resume = page.url.replace('/interaction/', '/authorize/');
    const begun = await sessionsBegun();
    for (const each of [browser, old]) {
      const answer = await each.open(resume);
      expect(answer.status).toBe(400);
      expect(answer.url).toBe(resume);
    }
    expect(await sessionsBegun()).toBe(begun);
  });

  it('a sign-in form that is sent twice at once, begins one session', async () => {
    const browser = newBrowser(curfew.issuer);
    const { page } = await app.authorize(browser);
    const begun = await sessionsBegun();
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => browser.submit(page, { login: 'alice', password: PASSWORD }, '/login')),
    );
    expect(answers.filter(({ url }) => url.includes('code=')).length).toBeGreaterThanOrEqual(1);
    expect(answers.map(({ status }) => status).every((status) => status < 500)).toBe(true);
    expect(await sessionsBegun()).toBe(begun + 1);
  });

  it('a sign-in form of one browser, is worthless in another', async () => {
    const { page } = await app.authorize(newBrowser(curfew.issuer));
    const stranger = newBrowser(curfew.issuer);
    const answer = await stranger.submit(page, { login: 'alice', password: PASSWORD }, '/login');
    expect(answer.status).toBe(404);
  });

  it('an authorization request, after the end, is the way to a new session and to nothing old', async () => {
    const { browser, sid, flow } = await signedIn(curfew, app, 'alice');
    await curfew.travel(15 * MINUTES);
    const again = await app.signIn(browser, 'alice');
    const tokens = await again.redeem();
    expect(sidOf(tokens)).not.toBe(sid);
    expect((await sessionOf(curfew, sidOf(tokens))).uid).not.toBe((await sessionOf(curfew, sid)).uid);
    await expect(flow.redeem()).rejects.toThrow();
    expect(await app.introspect(tokens.access_token)).toMatchObject({ active: true });
  });
});
