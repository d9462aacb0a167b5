import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, PASSWORD, startCurfew } from '../../support/curfew.ts';
import { type PlainProvider, startPlainProvider } from '../../support/plain-provider.ts';
import { MINUTES, signedIn } from '../../support/records.ts';
import { newBrowser, relyingParty } from '../../support/relying-party.ts';

describe('a sign-in page that was open when the session ended', () => {
  let plain: PlainProvider;
  let curfew: Curfew;
  beforeAll(async () => {
    plain = await startPlainProvider();
    curfew = await startCurfew();
    await curfew.addAccount('alice');
  });
  afterAll(async () => {
    await plain.close();
    await curfew.close();
  });

  it('is in plain oidc-provider answered by an error, after a password was typed', async () => {
    const app = await relyingParty(plain.issuer, 'app', 'https://app.example/cb');
    const browser = newBrowser(plain.issuer);
    await app.signIn(browser, 'alice');
    const { page } = await app.authorize(browser, { prompt: 'login' });
    const uid = [...plain.stored.values()].find(({ kind }) => kind === 'Session')?.uid;
    await plain.endSession(String(uid));
    const answer = await browser.submit(page, { login: 'alice', password: PASSWORD }, '/login');
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({ error: 'invalid_request' });
  });

  it('is in Curfew followed by another, which tells of the end and leads back to the client', async () => {
    const app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
    const { browser } = await signedIn(curfew, app, 'alice');
    const { page } = await app.authorize(browser, { prompt: 'login', state: 'kept' });
    await curfew.travel(15 * MINUTES);
    const again = await browser.submit(page, { login: 'alice', password: PASSWORD }, '/login');
    expect(again.text).toContain('Your session ended after 15 minutes without activity');
    const { url } = await browser.submit(again, { login: 'alice', password: PASSWORD }, '/login');
    expect(url).toMatch(/^https:\/\/app\.example\/cb\?code=.*state=kept/);
  });

  it('is in Curfew as good as new where it is opened again', async () => {
    const app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
    const { browser } = await signedIn(curfew, app, 'alice');
    const { page } = await app.authorize(browser, { prompt: 'login' });
    await curfew.travel(15 * MINUTES);
    expect((await browser.open(page.url)).text).toContain('Your session ended after 15 minutes without activity');
  });
});
