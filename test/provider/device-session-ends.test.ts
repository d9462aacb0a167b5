import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { deleteAccount, disableAccount, setPassword } from '../../src/accounts/accounts.ts';
import { createPasswordHasher } from '../../src/accounts/password-hasher.ts';
import { endParticipations, endSessions } from '../../src/sessions/end-sessions.ts';
import type { Browser } from '../support/browser.ts';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import { approve, DEVICE_YAML, type Device, device, enterCode } from '../support/device.ts';
import {
  artifactsLeft,
  deliveriesOf,
  eventsOf,
  expiredGrant,
  HOURS,
  MINUTES,
  refusalOf,
  type SessionRecord,
  sessionOf,
  sidOf,
} from '../support/records.ts';
import { newBrowser, type Tokens } from '../support/relying-party.ts';

const DAYS = 24 * HOURS;
const byAdministrator = { actor: 'command_line:test' };

interface Connected {
  browser: Browser;
  tokens: Tokens;
  sid: string;
  session: SessionRecord;
  deviceCode: string;
}

async function connected(
  on: Curfew,
  party: Device,
  login = 'alice',
  browser = newBrowser(on.issuer),
): Promise<Connected> {
  const { device_code: deviceCode, user_code } = await party.begin();
  await approve(on, user_code, { login, browser });
  const tokens = await party.poll(deviceCode);
  const sid = sidOf(tokens);
  return { browser, tokens, sid, session: await sessionOf(on, sid), deviceCode };
}

async function expectDead(on: Curfew, party: Device, { tokens, sid }: Connected, reason: string): Promise<void> {
  expect(await refusalOf(party.refresh(tokens.refresh_token))).toEqual(expiredGrant);
  expect(await party.introspect(tokens.access_token)).toEqual({ active: false });
  const userinfo = await fetch(`${on.issuer}/userinfo`, {
    headers: { authorization: `Bearer ${tokens.access_token}` },
  });
  expect(userinfo.status).toBe(401);
  expect(await sessionOf(on, sid)).toMatchObject({ kind: 'device', endReason: reason });
  expect(await artifactsLeft(on, sid)).toBe(0);
  expect(await deliveriesOf(on, sid)).toContainEqual(expect.objectContaining({ clientId: 'tv', reason }));
}

let curfew: Curfew;
let tv: Device;

beforeAll(async () => {
  curfew = await startCurfew({ yaml: DEVICE_YAML });
  await curfew.addAccount('alice');
  tv = await device(curfew.issuer);
});
afterAll(() => curfew.close());

describe('a device session', () => {
  it('outlives the timeout of the session that it was allowed in', async () => {
    const { browser, tokens, session, sid } = await connected(curfew, tv);
    await curfew.travel(9 * HOURS);
    expect((await browser.open(`${curfew.issuer}/session`)).text).toContain('"ended"');
    const refreshed = await tv.refresh(tokens.refresh_token);
    expect(refreshed.claims()?.sid).toBe(sid);
    const { idleDeadline } = await sessionOf(curfew, sid);
    expect(idleDeadline.getTime()).toBeGreaterThan(session.idleDeadline.getTime() + 8 * HOURS);
  });

  it('outlives a plain sign-out', async () => {
    const { browser, tokens } = await connected(curfew, tv);
    await browser.submit(await browser.open(`${curfew.issuer}/logout`), { logout: 'yes' });
    expect((await tv.introspect(tokens.access_token)).active).toBe(true);
  });

  it('ends by its own idle limit', async () => {
    const { tokens, session } = await connected(curfew, tv);
    await curfew.travel(2 * DAYS);
    expect(await refusalOf(tv.refresh(tokens.refresh_token))).toEqual(expiredGrant);
    await endSessions(curfew.db, { uids: [session.uid] }, { reason: 'admin_forced', ...byAdministrator });
    const [ended] = await eventsOf(curfew, session.uid, 'session.ended');
    expect(ended).toMatchObject({ reason: 'idle_timeout', details: { kind: 'device' } });
  });

  it('ends by its own absolute limit, however busy', async () => {
    const { tokens } = await connected(curfew, tv);
    let refreshToken = tokens.refresh_token;
    for (let day = 0; day < 9; day += 1) {
      await curfew.travel(DAYS);
      refreshToken = (await tv.refresh(refreshToken)).refresh_token;
    }
    await curfew.travel(DAYS);
    expect(await refusalOf(tv.refresh(refreshToken))).toEqual(expiredGrant);
  });

  it.each<[string, string, (accountId: string, session: SessionRecord) => Promise<unknown>]>([
    [
      'its own end',
      'admin_forced',
      (_, { uid }) => endSessions(curfew.db, { uids: [uid] }, { reason: 'admin_forced', ...byAdministrator }),
    ],
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
    [
      'the logout of its client',
      'client_removed',
      () => endParticipations(curfew.db, { clientId: 'tv' }, { reason: 'client_removed', ...byAdministrator }),
    ],
  ])('ends with %s', async (act, reason, end) => {
    const { id, login } = await curfew.addAccount(act.replaceAll(' ', '-').toLowerCase());
    const connection = await connected(curfew, tv, login);
    await end(id, connection.session);
    await expectDead(curfew, tv, connection, reason);
  });

  it('ends with a sign-out everywhere', async () => {
    const connection = await connected(curfew, tv);
    const { browser } = connection;
    await browser.submit(await browser.open(`${curfew.issuer}/logout`), { logout: 'yes', everywhere: 'yes' });
    await expectDead(curfew, tv, connection, 'user_ended');
  });

  it('ends when a refresh token of it is used twice', async () => {
    const connection = await connected(curfew, tv);
    const rotated = await tv.refresh(connection.tokens.refresh_token);
    await curfew.travel(11_000);
    await refusalOf(tv.refresh(connection.tokens.refresh_token));
    await expectDead(curfew, tv, { ...connection, tokens: rotated }, 'token_reuse');
  });

  it('ends when its device code is used twice', async () => {
    const connection = await connected(curfew, tv);
    await curfew.travel(11_000);
    expect((await refusalOf(tv.poll(connection.deviceCode))).error).toBe('invalid_grant');
    await expectDead(curfew, tv, connection, 'token_reuse');
  });

  it('that ended before the device asked gives it nothing, and says why', async () => {
    const { id } = await curfew.addAccount('early');
    const { device_code, user_code } = await tv.begin();
    await approve(curfew, user_code, { login: 'early' });
    await endSessions(curfew.db, { accountId: id }, { reason: 'admin_forced', ...byAdministrator });
    expect(await refusalOf(tv.poll(device_code))).toEqual(expiredGrant);
  });
});

describe('where policy says more about device sessions', () => {
  async function withPolicy(device_: string): Promise<{ other: Curfew; party: Device }> {
    const yaml = DEVICE_YAML.replace('device: { idle: 2d, absolute: 10d }', device_);
    const other = await startCurfew({ yaml });
    await other.addAccount('alice');
    return { other, party: await device(other.issuer) };
  }

  it('they end with the session that they were allowed in', async () => {
    const { other, party } = await withPolicy('device: { endWith: session }');
    try {
      const connection = await connected(other, party);
      const { browser } = connection;
      await browser.submit(await browser.open(`${other.issuer}/logout`), { logout: 'yes' });
      await expectDead(other, party, connection, 'user_ended');
      const second = await connected(other, party);
      await other.travel(16 * MINUTES);
      expect(await refusalOf(party.refresh(second.tokens.refresh_token))).toEqual(expiredGrant);
    } finally {
      await other.close();
    }
  });

  it('they are forbidden by device: forbid, which the device is told', async () => {
    const { other, party } = await withPolicy('device: forbid');
    try {
      const { device_code, user_code } = await party.begin();
      const { page } = await approve(other, user_code);
      expect(page.text).toContain('device sessions are not allowed here');
      expect((await refusalOf(party.poll(device_code))).error).toBe('access_denied');
    } finally {
      await other.close();
    }
  });

  it('they are not forbidden by offline: forbid', async () => {
    const { other, party } = await withPolicy('offline: forbid');
    try {
      expect((await connected(other, party)).session.kind).toBe('device');
    } finally {
      await other.close();
    }
  });

  it('they begin with a new sign-in where the last one was too long ago for them', async () => {
    const { other, party } = await withPolicy('device: { idle: 5m, absolute: 5m }');
    try {
      const { browser } = await connected(other, party);
      await other.travel(6 * MINUTES);
      const { device_code, user_code } = await party.begin();
      const page = await browser.submit(await enterCode(other, browser, user_code), {}, 'Allow this device');
      expect(page.text).toContain('name="password"');
      const again = await party.begin();
      await approve(other, again.user_code, { browser });
      expect((await party.poll(again.device_code)).access_token).toBeDefined();
      expect((await refusalOf(party.poll(device_code))).error).toBe('authorization_pending');
    } finally {
      await other.close();
    }
  });
});
