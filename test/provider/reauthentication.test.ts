import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CURFEW_YAML, type Curfew, PASSWORD, startCurfew } from '../support/curfew.ts';
import { errorOf, eventsOf, HOURS, MINUTES, participationOf, sessionOf, signedIn } from '../support/records.ts';
import { newBrowser, type RelyingParty, relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;
let strict: RelyingParty;
let recent: RelyingParty;

beforeAll(async () => {
  const yaml = CURFEW_YAML.replace(
    '  - client_id: service',
    `  - client_id: recent
    redirect_uris: [https://recent.example/cb]
    default_max_age: 60
    first_party: true
  - client_id: service`,
  );
  curfew = await startCurfew({ yaml });
  await curfew.addAccount('alice');
  await curfew.addAccount('bob');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  strict = await relyingParty(curfew.issuer, 'strict', 'https://strict.example/cb');
  recent = await relyingParty(curfew.issuer, 'recent', 'https://recent.example/cb');
});
afterAll(() => curfew.close());

describe('prompt=login', () => {
  it('starts both limits again, with a new cookie and the same session', async () => {
    const before = await signedIn(curfew, app, 'alice');
    const cookie = before.browser.cookie('curfew_session');
    await curfew.travel(10 * MINUTES);
    const after = await signedIn(curfew, app, 'alice', { browser: before.browser, parameters: { prompt: 'login' } });

    expect(after.session.uid).toBe(before.session.uid);
    expect(after.sid).toBe(before.sid);
    expect(before.browser.cookie('curfew_session')).not.toBe(cookie);
    const moved = Number(after.session.authenticatedAt) - Number(before.session.authenticatedAt);
    expect(moved).toBeGreaterThanOrEqual(10 * MINUTES);
    expect(Number(after.session.absoluteDeadline)).toBe(Number(after.session.authenticatedAt) + 8 * HOURS);
    expect(Number(after.session.idleDeadline)).toBeGreaterThanOrEqual(
      Number(after.session.authenticatedAt) + 15 * MINUTES,
    );
    expect(Number(after.tokens.claims()?.auth_time)).toBe(Math.floor(Number(after.session.authenticatedAt) / 1000));
    expect(await eventsOf(curfew, before.session.uid, 'session.reauthenticated')).toHaveLength(1);
    expect(await app.introspect(before.tokens.access_token)).toMatchObject({ active: true });
  });

  it('asks although somebody is signed in, and changes nothing until they answer', async () => {
    const given = await signedIn(curfew, app, 'alice');
    const { page, callback } = await app.authorize(given.browser, { prompt: 'login' });
    expect(callback).toBeUndefined();
    expect(page.text).toContain('This application asks you to sign in again.');
    expect(page.text).toContain('value="alice"');
    const { authenticatedAt, absoluteDeadline } = await sessionOf(curfew, given.sid);
    expect({ authenticatedAt, absoluteDeadline }).toEqual({
      authenticatedAt: given.session.authenticatedAt,
      absoluteDeadline: given.session.absoluteDeadline,
    });
  });

  it('makes the cookie from before worthless, without ending the session', async () => {
    const { browser, sid } = await signedIn(curfew, app, 'alice');
    const old = newBrowser(curfew.issuer);
    for (const name of ['curfew_session', 'curfew_session.sig']) old.setCookie(name, String(browser.cookie(name)));
    await app.signIn(browser, 'alice', { prompt: 'login' });
    expect(errorOf(await app.authorize(old, { prompt: 'none' })).error).toBe('login_required');
    expect((await app.authorize(old)).page.text).toContain('name="password"');
    expect(await sessionOf(curfew, sid)).toMatchObject({ endedAt: null });
    expect((await app.authorize(browser, { prompt: 'none' })).callback?.searchParams.has('code')).toBe(true);
  });

  it('gives a client with limits of its own a new hour', async () => {
    const before = await signedIn(curfew, strict, 'alice');
    await curfew.travel(4 * MINUTES);
    const { sid, session } = await signedIn(curfew, strict, 'alice', {
      browser: before.browser,
      parameters: { prompt: 'login' },
    });
    expect(sid).toBe(before.sid);
    const { absoluteDeadline, idleDeadline } = await participationOf(curfew, sid);
    expect(Number(absoluteDeadline)).toBe(Number(session.authenticatedAt) + HOURS);
    expect(Number(idleDeadline)).toBeGreaterThanOrEqual(Number(session.authenticatedAt) + 5 * MINUTES);
  });

  it('leaves the session as it was after a wrong password', async () => {
    const given = await signedIn(curfew, app, 'alice');
    const { page } = await app.authorize(given.browser, { prompt: 'login' });
    const refused = await given.browser.submit(page, { login: 'alice', password: 'a wrong one' }, '/login');
    expect(refused.status).toBe(403);
    expect(await sessionOf(curfew, given.sid)).toMatchObject({
      authenticatedAt: given.session.authenticatedAt,
      endedAt: null,
    });
    const back = await given.browser.submit(refused, { login: 'alice', password: PASSWORD }, '/login');
    expect(back.url).toContain('code=');
  });

  it('that the person cancels is told to the client, and leaves them signed in', async () => {
    const given = await signedIn(curfew, app, 'alice');
    const { page } = await app.authorize(given.browser, { prompt: 'login' });
    const { url } = await given.browser.submit(page, {}, '/abort');
    expect(new URL(url).searchParams.get('error')).toBe('access_denied');
    expect((await app.authorize(given.browser, { prompt: 'none' })).callback?.searchParams.has('code')).toBe(true);
  });
});

describe('max_age', () => {
  it.each<[string, number, 'code' | 'asks']>([
    ['is met by a sign-in that is recent enough', 59_000, 'code'],
    ['asks for a sign-in that is too long ago', 62_000, 'asks'],
  ])('%s', async (_behaviour, passed, expected) => {
    const { browser } = await signedIn(curfew, app, 'alice');
    await curfew.travel(passed);
    const silent = await app.authorize(browser, { max_age: '60', prompt: 'none' });
    const shown = await app.authorize(browser, { max_age: '60' });
    if (expected === 'code') {
      expect(silent.callback?.searchParams.has('code')).toBe(true);
      expect(shown.callback?.searchParams.has('code')).toBe(true);
    } else {
      expect(errorOf(silent).error).toBe('login_required');
      expect(shown.page.text).toContain('This application asks that you have signed in recently.');
    }
  });

  it('is met by the sign-in that it asked for', async () => {
    const { browser, session } = await signedIn(curfew, app, 'alice');
    await curfew.travel(2 * MINUTES);
    const after = await signedIn(curfew, app, 'alice', { browser, parameters: { max_age: '60' } });
    expect(after.session.uid).toBe(session.uid);
    expect(Number(after.session.authenticatedAt)).toBeGreaterThan(Number(session.authenticatedAt));
  });

  it('of 0 always asks, as prompt=login does', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    expect((await app.authorize(browser, { max_age: '0' })).page.text).toContain('name="password"');
    expect(errorOf(await app.authorize(browser, { max_age: '0', prompt: 'none' })).error).toBe('login_required');
    const { tokens } = await signedIn(curfew, app, 'alice', { browser, parameters: { max_age: '0' } });
    expect(tokens.claims()).toHaveProperty('auth_time');
  });

  it('is taken from the registration of a client that says nothing', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    expect((await recent.authorize(browser)).callback?.searchParams.has('code')).toBe(true);
    await curfew.travel(62_000);
    expect((await recent.authorize(browser)).page.text).toContain('name="password"');
  });

  it('that is no number is refused', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    expect(errorOf(await app.authorize(browser, { max_age: '-1' })).error).toBe('invalid_request');
  });
});

describe('id_token_hint', () => {
  it('of the person who is signed in is met silently', async () => {
    const { browser, tokens } = await signedIn(curfew, app, 'alice');
    const hint = { id_token_hint: String(tokens.id_token), prompt: 'none' };
    expect((await app.authorize(browser, hint)).callback?.searchParams.has('code')).toBe(true);
  });

  it('of somebody else is login_required, or asks', async () => {
    const bob = await signedIn(curfew, app, 'bob');
    const { browser } = await signedIn(curfew, app, 'alice');
    const hint = { id_token_hint: String(bob.tokens.id_token) };
    expect(errorOf(await app.authorize(browser, { ...hint, prompt: 'none' })).error).toBe('login_required');
    expect((await app.authorize(browser, hint)).page.text).toContain('name="password"');
  });

  it('of a session that ended is still a hint, and no way in', async () => {
    const { browser, tokens } = await signedIn(curfew, app, 'alice');
    await curfew.travel(15 * MINUTES);
    const hint = { id_token_hint: String(tokens.id_token), prompt: 'none' };
    expect(errorOf(await app.authorize(browser, hint)).error).toBe('login_required');
  });
});

describe('login_hint', () => {
  it('is filled in on the sign-in page, and never trusted', async () => {
    const browser = newBrowser(curfew.issuer);
    const { page } = await app.authorize(browser, { login_hint: 'bob"><b>' });
    expect(page.text).toContain('value="bob&quot;&gt;&lt;b&gt;"');
    expect(errorOf(await app.authorize(browser, { login_hint: 'bob', prompt: 'none' })).error).toBe('login_required');
  });
});
