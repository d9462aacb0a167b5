import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import {
  cookieHeader,
  EXPIRED,
  MINUTES,
  participationOf,
  sessionOf,
  signedIn,
  stateByCookie,
} from '../support/records.ts';
import { newBrowser, type RelyingParty, relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;
let other: RelyingParty;
let strict: RelyingParty;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  other = await relyingParty(curfew.issuer, 'other', 'https://other.example/cb');
  strict = await relyingParty(curfew.issuer, 'strict', 'https://strict.example/cb');
});
afterAll(() => curfew.close());

const ask = (token: string) => fetch(`${curfew.issuer}/session`, { headers: { authorization: `Bearer ${token}` } });
const extend = (headers: Record<string, string>) =>
  fetch(`${curfew.issuer}/session/extend`, { method: 'POST', headers });
const extendByToken = (token: string) => extend({ authorization: `Bearer ${token}` });

describe('GET /session', () => {
  it('tells the browser’s own page the deadlines of the session', async () => {
    const { browser, session } = await signedIn(curfew, strict, 'alice');
    expect(await stateByCookie(curfew, browser)).toEqual({
      state: 'live',
      idle_expires_at: session.idleDeadline.toISOString(),
      absolute_expires_at: session.absoluteDeadline.toISOString(),
      server_time: expect.any(String),
    });
  });

  it('tells a client the lesser of session and participation', async () => {
    const { tokens, sid } = await signedIn(curfew, strict, 'alice');
    const { idleDeadline, absoluteDeadline } = await participationOf(curfew, sid);
    const answer = await ask(tokens.access_token);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(await answer.json()).toMatchObject({
      state: 'live',
      idle_expires_at: idleDeadline?.toISOString(),
      absolute_expires_at: absoluteDeadline?.toISOString(),
    });
    const toApp = await signedIn(curfew, app, 'alice');
    expect(await (await ask(toApp.tokens.access_token)).json()).toMatchObject({
      idle_expires_at: toApp.session.idleDeadline.toISOString(),
      absolute_expires_at: toApp.session.absoluteDeadline.toISOString(),
    });
  });

  it('is no activity, however often it is asked', async () => {
    const { browser, tokens, sid, session } = await signedIn(curfew, app, 'alice');
    for (let asked = 0; asked < 3; asked += 1) {
      await curfew.travel(5 * MINUTES - 1_000);
      await stateByCookie(curfew, browser);
      await ask(tokens.access_token);
    }
    expect(await sessionOf(curfew, sid)).toMatchObject({ idleDeadline: session.idleDeadline });
    await curfew.travel(3_000);
    expect(await stateByCookie(curfew, browser)).toMatchObject({
      state: 'ended',
      reason: 'idle_timeout',
      message: 'Your session ended after 15 minutes without activity.',
      ended_at: session.idleDeadline.toISOString(),
    });
    const dead = await ask(tokens.access_token);
    expect(dead.status).toBe(401);
    expect(dead.headers.get('www-authenticate')).toBe(`Bearer error="invalid_token", error_description="${EXPIRED}"`);
    expect(await dead.json()).toMatchObject({ error: 'invalid_token', error_description: EXPIRED, state: 'ended' });
  });

  it('tells a browser without a session that there is none', async () => {
    expect(await stateByCookie(curfew, newBrowser(curfew.issuer))).toEqual({
      state: 'ended',
      server_time: expect.any(String),
    });
    const stranger = newBrowser(curfew.issuer);
    await app.authorize(stranger);
    expect(await stateByCookie(curfew, stranger)).toMatchObject({ state: 'ended' });
  });

  it('believes no cookie that we did not sign', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    const thief = newBrowser(curfew.issuer);
    thief.setCookie('curfew_session', String(browser.cookie('curfew_session')));
    expect(await stateByCookie(curfew, thief)).toMatchObject({ state: 'ended' });
  });

  it('tells nothing for a refresh token, an unknown one, or one of another scheme', async () => {
    const { tokens } = await signedIn(curfew, app, 'alice');
    expect((await ask(String(tokens.refresh_token))).status).toBe(401);
    expect((await ask('never-issued')).status).toBe(401);
    const basic = await fetch(`${curfew.issuer}/session`, { headers: { authorization: 'Basic eDp5' } });
    expect(basic.status).toBe(400);
  });
});

describe('POST /session/extend by cookie', () => {
  it('is activity, when our own page sends it', async () => {
    const { browser, sid, session } = await signedIn(curfew, app, 'alice');
    await curfew.travel(10 * MINUTES);
    const answer = await extend({ cookie: cookieHeader(browser), origin: curfew.issuer });
    expect(answer.status).toBe(200);
    const { idleDeadline, absoluteDeadline } = await sessionOf(curfew, sid);
    expect(await answer.json()).toMatchObject({ state: 'live', idle_expires_at: idleDeadline.toISOString() });
    expect(Number(idleDeadline)).toBeGreaterThanOrEqual(Number(session.idleDeadline) + 10 * MINUTES);
    expect(absoluteDeadline).toEqual(session.absoluteDeadline);
  });

  it.each<[string, Record<string, string>]>([
    ['another site', { origin: 'https://evil.example' }],
    ['a registered client’s page', { origin: 'https://app.example' }],
    ['nobody who says so', {}],
    ['a page without an origin', { origin: 'null' }],
    ['another site that hides where it is', { 'sec-fetch-site': 'cross-site' }],
  ])('is refused when it comes from %s', async (_sender, headers) => {
    const { browser, sid, session } = await signedIn(curfew, app, 'alice');
    await curfew.travel(MINUTES);
    expect((await extend({ cookie: cookieHeader(browser), ...headers })).status).toBe(403);
    expect(await sessionOf(curfew, sid)).toMatchObject({ idleDeadline: session.idleDeadline });
  });

  it('revives nothing', async () => {
    const { browser, sid, session } = await signedIn(curfew, app, 'alice');
    await curfew.travel(15 * MINUTES);
    const answer = await extend({ cookie: cookieHeader(browser), origin: curfew.issuer });
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({ state: 'ended', reason: 'idle_timeout' });
    expect(await sessionOf(curfew, sid)).toMatchObject({ idleDeadline: session.idleDeadline });
  });
});

describe('POST /session/extend by access token', () => {
  it('is activity for a client that is registered to report presence', async () => {
    const { tokens, sid, session } = await signedIn(curfew, app, 'alice');
    await curfew.travel(10 * MINUTES);
    const answer = await extendByToken(tokens.access_token);
    expect(answer.status).toBe(200);
    const { idleDeadline } = await sessionOf(curfew, sid);
    expect(Number(idleDeadline)).toBeGreaterThanOrEqual(Number(session.idleDeadline) + 10 * MINUTES);
    expect(await answer.json()).toMatchObject({ state: 'live', idle_expires_at: idleDeadline.toISOString() });
  });

  it('is refused for every other client', async () => {
    const { tokens, sid, session } = await signedIn(curfew, other, 'alice');
    await curfew.travel(MINUTES);
    expect((await extendByToken(tokens.access_token)).status).toBe(403);
    expect(await sessionOf(curfew, sid)).toMatchObject({ idleDeadline: session.idleDeadline });
  });

  it('revives nothing', async () => {
    const { tokens, sid, session } = await signedIn(curfew, app, 'alice');
    await curfew.travel(15 * MINUTES);
    expect((await extendByToken(tokens.access_token)).status).toBe(401);
    expect(await sessionOf(curfew, sid)).toMatchObject({ idleDeadline: session.idleDeadline });
  });
});
