import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { deleteAccount, disableAccount, setPassword } from '../../src/accounts/accounts.ts';
import { createPasswordHasher } from '../../src/accounts/password-hasher.ts';
import { endSessions } from '../../src/sessions/end-sessions.ts';
import { CURFEW_YAML, type Curfew, startCurfew } from '../support/curfew.ts';
import {
  deliveriesOf,
  eventsOf,
  expiredGrant,
  HOURS,
  MINUTES,
  refusalOf,
  type SignedIn,
  sessionOf,
  signedIn,
} from '../support/records.ts';
import { type RelyingParty, relyingParty } from '../support/relying-party.ts';

const OFFLINE = { scope: 'openid offline_access', prompt: 'consent' };
const byAdministrator = { actor: 'command_line:test' };

let curfew: Curfew;
let app: RelyingParty;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
});
afterAll(() => curfew.close());

/** A person with a session in a browser and, of the same sign-in, one offline. */
async function signedInOffline(login = 'alice') {
  const offline = await signedIn(curfew, app, login, { parameters: OFFLINE });
  const { browser } = offline;
  const online = await signedIn(curfew, app, login, { browser });
  return { browser, offline, online };
}

async function isLive({ tokens }: SignedIn): Promise<boolean> {
  return (await app.introspect(String(tokens.refresh_token))).active;
}

describe('an offline session', () => {
  it('begins at consent to offline_access, with a sid and limits of its own', async () => {
    const { offline, online } = await signedInOffline();
    expect(offline.sid).not.toBe(online.sid);
    expect(offline.session).toMatchObject({ kind: 'offline', parentUid: online.session.uid });
    const lasts = offline.session.absoluteDeadline.getTime() - offline.session.authenticatedAt.getTime();
    expect(lasts).toBeGreaterThan(8 * HOURS);
    expect(offline.tokens.scope).toContain('offline_access');
    expect(offline.tokens.claims()).toMatchObject({ auth_time: online.tokens.claims()?.auth_time });
    expect(await eventsOf(curfew, offline.session.uid, 'session.began')).toHaveLength(1);
  });

  it('outlives the timeout of the session that it began in', async () => {
    const { browser, offline, online } = await signedInOffline();
    await curfew.travel(9 * HOURS);
    expect(await refusalOf(app.refresh(online.tokens.refresh_token))).toEqual(expiredGrant);
    const { page } = await app.authorize(browser);
    expect(page.text).toContain('name="password"');
    const refreshed = await app.refresh(offline.tokens.refresh_token);
    expect(refreshed.claims()?.sid).toBe(offline.sid);
    expect((await app.userinfo(refreshed.access_token)).status).toBe(200);
  });

  it('outlives a plain sign-out', async () => {
    const { browser, offline, online } = await signedInOffline();
    await browser.submit(await browser.open(`${curfew.issuer}/logout`), { logout: 'yes' });
    expect(await isLive(online)).toBe(false);
    expect(await isLive(offline)).toBe(true);
  });

  it('ends by its own idle limit', async () => {
    const { offline } = await signedInOffline();
    const idle = offline.session.idleDeadline.getTime() - offline.session.authenticatedAt.getTime();
    await curfew.travel(idle - HOURS);
    const { refresh_token: refreshed } = await app.refresh(offline.tokens.refresh_token);
    await curfew.travel(2 * HOURS);
    expect((await app.introspect(String(refreshed))).active).toBe(true);
    await curfew.travel(idle);
    expect(await refusalOf(app.refresh(refreshed))).toEqual(expiredGrant);
  });

  it('ends with a sign-out everywhere', async () => {
    const { browser, offline, online } = await signedInOffline();
    await browser.submit(await browser.open(`${curfew.issuer}/logout`), { logout: 'yes', everywhere: 'yes' });
    expect(await isLive(online)).toBe(false);
    expect(await isLive(offline)).toBe(false);
    expect(await refusalOf(app.refresh(offline.tokens.refresh_token))).toEqual(expiredGrant);
    expect(await sessionOf(curfew, offline.sid)).toMatchObject({ endReason: 'user_ended' });
    expect(await deliveriesOf(curfew, offline.sid)).toEqual([
      expect.objectContaining({ reason: 'user_ended', afterSeconds: 0 }),
      expect.objectContaining({ reason: 'user_ended', afterSeconds: 15 }),
    ]);
  });

  it.each<[string, string, (accountId: string) => Promise<unknown>]>([
    [
      'an account-wide logout',
      'admin_forced',
      (accountId) => endSessions(curfew.db, { accountId }, { reason: 'admin_forced', ...byAdministrator }),
    ],
    ['disabling the account', 'account_disabled', (id) => disableAccount(curfew.db, id, byAdministrator)],
    ['deleting the account', 'account_deleted', (id) => deleteAccount(curfew.db, id, byAdministrator)],
    [
      'setting a password',
      'credential_changed',
      (accountId) => {
        const parameters = { memoryKib: 1_024, iterations: 1, parallelism: 1 };
        const hasher = createPasswordHasher({ parameters, concurrency: 1, maxWaiting: 1 });
        const password = 'another horse, another battery, another staple';
        return setPassword({ db: curfew.db, hasher }, { accountId, password }, byAdministrator);
      },
    ],
  ])('ends with %s', async (_act, reason, act) => {
    const { id, login } = await curfew.addAccount(`for-${reason}`);
    const { browser, offline, online } = await signedInOffline(login);
    await act(id);
    for (const each of [offline, online]) {
      expect(await refusalOf(app.refresh(each.tokens.refresh_token))).toEqual(expiredGrant);
      expect(await app.introspect(each.tokens.access_token)).toEqual({ active: false });
      expect((await app.userinfo(each.tokens.access_token)).status).toBe(401);
      expect(await sessionOf(curfew, each.sid)).toMatchObject({ endReason: reason });
    }
    expect((await app.authorize(browser)).page.text).toContain('name="password"');
  });
});

describe('where policy ends offline sessions with the one that they began in', () => {
  const yaml = CURFEW_YAML.replace(
    'accessToken: 1h,',
    'accessToken: 1h, offline: { idle: 14d, absolute: 30d, endWith: session },',
  );
  let tied: Curfew;
  let party: RelyingParty;
  beforeAll(async () => {
    tied = await startCurfew({ yaml });
    await tied.addAccount('alice');
    party = await relyingParty(tied.issuer, 'app', 'https://app.example/cb');
  });
  afterAll(() => tied.close());

  it('a sign-out ends both', async () => {
    const { browser, tokens, sid } = await signedIn(tied, party, 'alice', { parameters: OFFLINE });
    await browser.submit(await browser.open(`${tied.issuer}/logout`), { logout: 'yes' });
    expect(await refusalOf(party.refresh(tokens.refresh_token))).toEqual(expiredGrant);
    expect(await sessionOf(tied, sid)).toMatchObject({ kind: 'offline', endReason: 'user_ended' });
  });

  it('a timeout ends both, and at its very instant', async () => {
    const { tokens } = await signedIn(tied, party, 'alice', { parameters: OFFLINE });
    await tied.travel(16 * MINUTES);
    expect(await refusalOf(party.refresh(tokens.refresh_token))).toEqual(expiredGrant);
    expect(await party.introspect(tokens.access_token)).toEqual({ active: false });
    expect((await party.userinfo(tokens.access_token)).status).toBe(401);
  });
});

describe('where policy forbids offline sessions', () => {
  it('offline_access is left out without a word, and the refresh token ends with the session', async () => {
    const strict = await relyingParty(curfew.issuer, 'strict', 'https://strict.example/cb');
    const { tokens, session } = await signedIn(curfew, strict, 'alice', { parameters: OFFLINE });
    expect(tokens.scope).toBe('openid');
    expect(session.kind).toBe('browser');
    expect(tokens.refresh_token).toEqual(expect.any(String));
    await curfew.travel(5 * MINUTES);
    expect(await refusalOf(strict.refresh(tokens.refresh_token))).toEqual(expiredGrant);
  });
});
