import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CURFEW_YAML, type Curfew, startCurfew } from '../support/curfew.ts';
import {
  deliveriesOf,
  eventsOf,
  expiredGrant,
  participationOf,
  refusalOf,
  type SignedIn,
  sessionOf,
  signedIn,
} from '../support/records.ts';
import { newBrowser, type RelyingParty, relyingParty } from '../support/relying-party.ts';

const THIS_BROWSER = 'Sign out of this browser';
const EVERYWHERE = 'Sign out everywhere';
const STAY = 'Stay signed in';

let curfew: Curfew;
let app: RelyingParty;
let other: RelyingParty;
let service: RelyingParty;

beforeAll(async () => {
  const yaml = CURFEW_YAML.replace(
    'redirect_uris: [https://other.example/cb]',
    'redirect_uris: [https://other.example/cb]\n    backchannel_logout_uri: https://other.example/backchannel',
  );
  curfew = await startCurfew({ yaml });
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  other = await relyingParty(curfew.issuer, 'other', 'https://other.example/cb');
  service = await relyingParty(curfew.issuer, 'service', 'https://unused.example/cb');
});
afterAll(() => curfew.close());

function askToSignOut({ browser }: Pick<SignedIn, 'browser'>, parameters: Record<string, string | undefined> = {}) {
  const url = new URL(`${curfew.issuer}/logout`);
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value);
  return browser.open(url.href);
}

async function signedInTwice() {
  const toApp = await signedIn(curfew, app, 'alice');
  const toOther = await signedIn(curfew, other, 'alice', { browser: toApp.browser });
  return { toApp, toOther, browser: toApp.browser };
}

const isLive = async ({ tokens }: SignedIn) => (await service.introspect(tokens.access_token)).active;

describe('sign-out that a client asks for', () => {
  it('asks the person, and ends nothing until they say so', async () => {
    const { toApp, toOther } = await signedInTwice();
    const page = await askToSignOut(toApp, { id_token_hint: toApp.tokens.id_token });
    for (const text of ['Sign out?', 'alice', THIS_BROWSER, EVERYWHERE, STAY]) expect(page.text).toContain(text);
    expect(await isLive(toApp)).toBe(true);
    expect(await isLive(toOther)).toBe(true);
  });

  it('ends the session in this browser, for all its clients, and tells each that was given tokens', async () => {
    const { toApp, toOther, browser } = await signedInTwice();
    const elsewhere = await signedIn(curfew, app, 'alice');
    await curfew.travel(20_000);
    await other.refresh(toOther.tokens.refresh_token);
    const page = await askToSignOut(toApp, { id_token_hint: toApp.tokens.id_token });
    const signedOut = await browser.submit(page, {}, THIS_BROWSER);
    expect(signedOut.text).toContain('You are signed out');
    expect(signedOut.headers.get('clear-site-data')).toBe('"cache", "storage"');

    expect(await sessionOf(curfew, toApp.sid)).toMatchObject({
      endReason: 'rp_logout',
      endedAt: expect.any(Date),
      endCommittedAt: expect.any(Date),
    });
    for (const each of [toApp, toOther]) {
      expect(await participationOf(curfew, each.sid)).toMatchObject({ endReason: 'rp_logout' });
      expect(await isLive(each)).toBe(false);
      expect(await refusalOf(app.refresh(each.tokens.refresh_token))).toMatchObject({ error: 'invalid_grant' });
    }
    expect(await refusalOf(app.refresh(toApp.tokens.refresh_token))).toEqual(expiredGrant);
    // `other` was answered with tokens less than 10 s ago, and may not have stored them yet: it is told twice.
    expect(await deliveriesOf(curfew, toApp.sid)).toEqual([expect.objectContaining({ afterSeconds: 0 })]);
    expect(await deliveriesOf(curfew, toOther.sid)).toEqual([
      expect.objectContaining({ clientId: 'other', reason: 'rp_logout', afterSeconds: 0 }),
      expect.objectContaining({ clientId: 'other', reason: 'rp_logout', afterSeconds: 15 }),
    ]);
    expect(await eventsOf(curfew, toApp.session.uid, 'session.ended')).toEqual([
      expect.objectContaining({ reason: 'rp_logout', actor: `person:${toApp.session.accountId}` }),
    ]);
    expect(await eventsOf(curfew, toApp.session.uid, 'participation.ended')).toHaveLength(2);

    expect(await isLive(elsewhere)).toBe(true);
    expect((await app.authorize(browser)).page.text).toContain('name="password"');
  });

  it('ends every session of the person where they say everywhere', async () => {
    const here = await signedIn(curfew, app, 'alice');
    const elsewhere = await signedIn(curfew, other, 'alice');
    const page = await askToSignOut(here, { id_token_hint: here.tokens.id_token });
    await here.browser.submit(page, {}, EVERYWHERE);
    for (const each of [here, elsewhere]) {
      expect(await isLive(each)).toBe(false);
      expect(await sessionOf(curfew, each.sid)).toMatchObject({ endReason: 'user_ended' });
      expect(await deliveriesOf(curfew, each.sid)).toHaveLength(2);
    }
  });

  it('ends that client’s part alone where they stay signed in, and it comes back without asking', async () => {
    const { toApp, toOther, browser } = await signedInTwice();
    const cookie = browser.cookie('curfew_session');
    const page = await askToSignOut(toApp, { id_token_hint: toApp.tokens.id_token });
    await browser.submit(page, {}, STAY);

    expect(await participationOf(curfew, toApp.sid)).toMatchObject({ endReason: 'rp_logout' });
    expect(await participationOf(curfew, toOther.sid)).toMatchObject({ endedAt: null });
    expect(await sessionOf(curfew, toApp.sid)).toMatchObject({ endedAt: null });
    expect(await isLive(toApp)).toBe(false);
    expect(await isLive(toOther)).toBe(true);
    expect(await deliveriesOf(curfew, toApp.sid)).toHaveLength(2);
    expect(await deliveriesOf(curfew, toOther.sid)).toEqual([]);
    expect(browser.cookie('curfew_session')).not.toBe(cookie);

    const back = await signedIn(curfew, app, 'alice', { browser, parameters: { prompt: 'none' } });
    expect(back.sid).not.toBe(toApp.sid);
    expect(back.session.uid).toBe(toApp.session.uid);
  });

  it('ends nothing where no client asked and they stay signed in', async () => {
    const { toApp, toOther, browser } = await signedInTwice();
    await browser.submit(await askToSignOut(toApp), {}, STAY);
    expect(await isLive(toApp)).toBe(true);
    expect(await isLive(toOther)).toBe(true);
  });

  it('is the person’s own act where no client asked', async () => {
    const { toApp, browser } = await signedInTwice();
    await browser.submit(await askToSignOut(toApp), {}, THIS_BROWSER);
    expect(await sessionOf(curfew, toApp.sid)).toMatchObject({ endReason: 'user_ended' });
  });

  it('does nothing without the secret of its form', async () => {
    const { toApp, browser } = await signedInTwice();
    const page = await askToSignOut(toApp);
    const refused = await browser.submit(page, { xsrf: 'made-up' }, THIS_BROWSER);
    expect(refused.status).toBe(400);
    expect(await isLive(toApp)).toBe(true);
  });

  it('does nothing when the form is sent again after the end', async () => {
    const { toApp, browser } = await signedInTwice();
    const page = await askToSignOut(toApp);
    await browser.submit(page, {}, THIS_BROWSER);
    const { endedAt } = await sessionOf(curfew, toApp.sid);
    expect((await browser.submit(page, {}, THIS_BROWSER)).status).toBe(400);
    expect((await sessionOf(curfew, toApp.sid)).endedAt).toEqual(endedAt);
  });
});

describe('the way back after sign-out', () => {
  it('is the registered address, with the state', async () => {
    const given = await signedIn(curfew, app, 'alice');
    const page = await askToSignOut(given, {
      id_token_hint: given.tokens.id_token,
      post_logout_redirect_uri: 'https://app.example/',
      state: 'back-here',
    });
    const { url } = await given.browser.submit(page, {}, THIS_BROWSER);
    expect(url).toBe('https://app.example/?state=back-here');
  });

  it.each([
    ['a path below', 'https://app.example/more'],
    ['another scheme', 'http://app.example/'],
    ['another host', 'https://evil.example/'],
    ['a query', 'https://app.example/?x=1'],
  ])('is refused where it is not exactly registered: %s', async (_difference, uri) => {
    const given = await signedIn(curfew, app, 'alice');
    const page = await askToSignOut(given, { client_id: 'app', post_logout_redirect_uri: uri });
    expect(page.status).toBe(400);
    expect(page.text).not.toContain('xsrf');
    expect(await isLive(given)).toBe(true);
  });

  it('is not taken from a request that names no client', async () => {
    const given = await signedIn(curfew, app, 'alice');
    const page = await askToSignOut(given, { post_logout_redirect_uri: 'https://app.example/' });
    const after = await given.browser.submit(page, {}, THIS_BROWSER);
    expect(after.url).toContain(`${curfew.issuer}/logout/success`);
  });

  it('works for a browser whose session is over already', async () => {
    const given = await signedIn(curfew, app, 'alice');
    await given.browser.submit(await askToSignOut(given), {}, THIS_BROWSER);
    const page = await askToSignOut(given, {
      id_token_hint: given.tokens.id_token,
      post_logout_redirect_uri: 'https://app.example/',
    });
    expect((await given.browser.submit(page)).url).toBe('https://app.example/');
  });
});

describe('an id_token_hint', () => {
  it('that we did not sign, or that names another client, is refused', async () => {
    const given = await signedIn(curfew, app, 'alice');
    const [header = '', payload = ''] = String(given.tokens.id_token).split('.');
    for (const hint of ['not-a-token', `${header}.${payload}.${'A'.repeat(342)}`]) {
      const page = await askToSignOut(given, { id_token_hint: hint });
      expect(page.status).toBe(400);
      expect(page.text).not.toContain('xsrf');
    }
    const mismatch = await askToSignOut(given, { id_token_hint: given.tokens.id_token, client_id: 'other' });
    expect(mismatch.status).toBe(400);
    expect(await isLive(given)).toBe(true);
  });

  it('is taken from a session that ended long ago: sign-out ends the one of today', async () => {
    const before = await signedIn(curfew, app, 'alice');
    await curfew.travel(86_400_000);
    const today = await signedIn(curfew, app, 'alice', { browser: newBrowser(curfew.issuer) });
    const page = await askToSignOut(today, { id_token_hint: before.tokens.id_token });
    await today.browser.submit(page, {}, THIS_BROWSER);
    expect(await isLive(today)).toBe(false);
  });
});
