import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type Curfew, startCurfew } from '../../support/curfew.ts';
import { type PlainProvider, startPlainProvider } from '../../support/plain-provider.ts';
import { errorOf, MINUTES, sessionOf, signedIn } from '../../support/records.ts';
import { type Flow, newBrowser, type RelyingParty, relyingParty } from '../../support/relying-party.ts';

const SILENT = { prompt: 'none' };
const hasCode = ({ callback }: Flow): boolean => callback?.searchParams.has('code') ?? false;

describe('plain oidc-provider, with sessions of one minute', () => {
  let plain: PlainProvider;
  let app: RelyingParty;
  let travelled = 0;
  beforeEach(async () => {
    plain = await startPlainProvider({ ttl: { Session: 60, AccessToken: 3_600 } });
    app = await relyingParty(plain.issuer, 'app', 'https://app.example/cb');
    travelled = 0;
    const now = Date.now;
    jest.spyOn(Date, 'now').mockImplementation(() => now() + travelled);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await plain.close();
  });

  it('promises an hour to clients', async () => {
    const tokens = await (await app.signIn(newBrowser(plain.issuer), 'alice')).redeem();
    expect(tokens.expires_in).toBe(3_600);
    expect((await app.introspect(tokens.access_token)).exp).toBeGreaterThan(Date.now() / 1_000 + 3_000);
    expect(Number(tokens.claims()?.exp)).toBeGreaterThan(Date.now() / 1_000 + 3_000);
    travelled += 2 * MINUTES;
    expect((await app.userinfo(tokens.access_token)).status).toBe(401);
  });

  it('keeps a session that is asked for silently, with nobody there, for as long as it is asked', async () => {
    const browser = newBrowser(plain.issuer);
    await app.signIn(browser, 'alice');
    for (let minutes = 0; minutes < 60; minutes += 1) {
      travelled += 50_000;
      expect(hasCode(await app.authorize(browser, SILENT))).toBe(true);
    }
  });

  it('forgets at a second sign-in when the session began', async () => {
    const browser = newBrowser(plain.issuer);
    await app.signIn(browser, 'alice');
    const beganAt = () => [...plain.stored.values()].find(({ kind }) => kind === 'Session')?.loginTs;
    const before = beganAt();
    travelled += 50_000;
    await app.signIn(browser, 'alice', { prompt: 'login' });
    expect(beganAt()).toBeGreaterThanOrEqual(Number(before) + 50);
  });

  it('takes what has expired for 15 seconds more', async () => {
    const browser = newBrowser(plain.issuer);
    await app.signIn(browser, 'alice');
    travelled += 70_000;
    expect(hasCode(await app.authorize(browser, SILENT))).toBe(true);
    travelled += 80_000;
    expect(errorOf(await app.authorize(browser, SILENT)).error).toBe('login_required');
  });
});

describe('Curfew, with sessions of one minute and three at the longest', () => {
  const yaml = `
clients:
  - client_id: app
    redirect_uris: [https://app.example/cb]
    grant_types: [authorization_code, refresh_token]
    first_party: true
policy:
  default: { idle: 1m, absolute: 3m, accessToken: 1h, idToken: 1h, warnBefore: 10s, activity: [interactive, refresh] }
`;
  let curfew: Curfew;
  let app: RelyingParty;
  beforeEach(async () => {
    curfew = await startCurfew({ yaml });
    await curfew.addAccount('alice');
    app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  });
  afterEach(() => curfew.close());

  it('promises nothing beyond the session', async () => {
    const { tokens } = await signedIn(curfew, app, 'alice');
    expect(tokens.expires_in).toBeLessThanOrEqual(60);
    expect((await app.introspect(tokens.access_token)).exp).toBeLessThanOrEqual(Date.now() / 1_000 + 60);
    expect(Number(tokens.claims()?.exp)).toBeLessThanOrEqual(Date.now() / 1_000 + 60);
    await curfew.travel(MINUTES);
    expect((await app.userinfo(tokens.access_token)).status).toBe(401);
  });

  it('ends a session that is asked for silently, with nobody there', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    await curfew.travel(50_000);
    expect(hasCode(await app.authorize(browser, SILENT))).toBe(true);
    await curfew.travel(10_000);
    expect(errorOf(await app.authorize(browser, SILENT)).error).toBe('login_required');
  });

  it('ends a busy session at the longest that it may last, counted from the sign-in', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    for (let passed = 45; passed < 180; passed += 45) {
      await curfew.travel(45_000);
      expect(hasCode(await app.authorize(browser))).toBe(true);
    }
    await curfew.travel(45_000);
    expect(errorOf(await app.authorize(browser, SILENT)).error).toBe('login_required');
  });

  it('remembers at a second sign-in when the session began', async () => {
    const { browser, sid } = await signedIn(curfew, app, 'alice');
    const [before] = await curfew.query('SELECT began_at FROM session WHERE kind = $1', ['browser']);
    await curfew.travel(50_000);
    await app.signIn(browser, 'alice', { prompt: 'login' });
    expect(await curfew.query('SELECT began_at FROM session WHERE kind = $1', ['browser'])).toEqual([before]);
    const { authenticatedAt } = await sessionOf(curfew, sid);
    expect(Number(authenticatedAt)).toBeGreaterThanOrEqual(Number(before?.began_at) + 50_000);
  });

  it('gives nothing that has expired a second more', async () => {
    const { browser, tokens } = await signedIn(curfew, app, 'alice');
    await curfew.travel(MINUTES);
    expect(await app.introspect(tokens.access_token)).toEqual({ active: false });
    expect(await app.introspect(String(tokens.refresh_token))).toEqual({ active: false });
    expect(errorOf(await app.authorize(browser, SILENT)).error).toBe('login_required');
  });
});
