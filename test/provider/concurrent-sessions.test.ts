import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CURFEW_YAML, type Curfew, PASSWORD, startCurfew } from '../support/curfew.ts';
import { deliveriesOf, errorOf, expiredGrant, refusalOf, sessionOf, signedIn } from '../support/records.ts';
import { newBrowser, type RelyingParty, relyingParty } from '../support/relying-party.ts';

describe('a person who may have one session at a time', () => {
  let curfew: Curfew;
  let app: RelyingParty;
  beforeAll(async () => {
    const refusing = `    - { name: one only, when: { roles: [single] }, limits: { concurrent: { max: 1, onLimit: refuse } } }\n`;
    curfew = await startCurfew({ yaml: CURFEW_YAML.concat(refusing) });
    await curfew.addAccount('root', ['admin']);
    await curfew.addAccount('single', ['single']);
    app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  });
  afterAll(() => curfew.close());

  it('signs in elsewhere, which ends the one before, and is told so there', async () => {
    const before = await signedIn(curfew, app, 'root');
    const after = await signedIn(curfew, app, 'root');
    expect(await sessionOf(curfew, before.sid)).toMatchObject({ endReason: 'concurrency_limit' });
    expect(await refusalOf(app.refresh(before.tokens.refresh_token))).toEqual(expiredGrant);
    expect(await deliveriesOf(curfew, before.sid)).toHaveLength(2);
    expect(await app.introspect(after.tokens.access_token)).toMatchObject({ active: true });
    expect((await app.authorize(before.browser)).page.text).toContain('You signed in somewhere else');
  });

  it('signs in again in the same browser without ending anything', async () => {
    const before = await signedIn(curfew, app, 'root');
    const after = await signedIn(curfew, app, 'root', { browser: before.browser, parameters: { prompt: 'login' } });
    expect(after.session.uid).toBe(before.session.uid);
    expect(await app.introspect(before.tokens.access_token)).toMatchObject({ active: true });
  });

  it('is refused elsewhere where policy says so, and the session goes on', async () => {
    const before = await signedIn(curfew, app, 'single');
    const browser = newBrowser(curfew.issuer);
    const { page } = await app.authorize(browser);
    const { url } = await browser.submit(page, { login: 'single', password: PASSWORD }, '/login');
    expect(new URL(url).searchParams.get('error')).toBe('access_denied');
    expect(errorOf(await app.authorize(browser, { prompt: 'none' })).error).toBe('login_required');
    expect(await sessionOf(curfew, before.sid)).toMatchObject({ endedAt: null });
    expect((await app.userinfo(before.tokens.access_token)).status).toBe(200);
  });
});
