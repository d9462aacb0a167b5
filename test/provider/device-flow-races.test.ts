import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { disableAccount } from '../../src/accounts/accounts.ts';
import { endSessions } from '../../src/sessions/end-sessions.ts';
import { type Curfew, PASSWORD, startCurfew } from '../support/curfew.ts';
import { approve, DEVICE_YAML, type Device, device, enterCode } from '../support/device.ts';
import { whileItEnds } from '../support/meeting-point.ts';
import { refusalOf } from '../support/records.ts';

const byAdministrator = { reason: 'admin_forced', actor: 'system:test' } as const;

let curfew: Curfew;
let tv: Device;
let terminal: Device;

beforeAll(async () => {
  curfew = await startCurfew({ yaml: DEVICE_YAML });
  await curfew.addAccount('alice');
  await curfew.addAccount('bob');
  [tv, terminal] = await Promise.all([device(curfew.issuer), device(curfew.issuer, 'terminal')]);
});
afterAll(() => curfew.close());

async function signedInBrowser(login: string) {
  return (await approve(curfew, (await tv.begin()).user_code, { login })).browser;
}

async function newestBrowserSession(): Promise<string> {
  const [row] = await curfew.query<{ uid: string }>(
    `SELECT uid FROM live_session WHERE kind = 'browser' ORDER BY began_at DESC LIMIT 1`,
  );
  return row?.uid ?? '';
}

async function liveDeviceSessions(): Promise<number> {
  const [row] = await curfew.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM live_session WHERE kind = 'device'`,
  );
  return row?.count ?? 0;
}

describe('a device code that several people decide about at once', () => {
  it('belongs to one of those who allow it', async () => {
    const browsers = await Promise.all(['alice', 'bob', 'alice', 'bob'].map(signedInBrowser));
    const before = await liveDeviceSessions();
    const { device_code, user_code } = await tv.begin();
    const asked = await Promise.all(browsers.map((browser) => enterCode(curfew, browser, user_code)));
    const answers = await Promise.all(asked.map((page, i) => browsers[i]?.submit(page, {}, 'Allow this device')));
    const isConnected = (text = '') => text.includes('Your device is connected');
    expect(answers.filter((page) => isConnected(page?.text))).toHaveLength(1);
    expect(await liveDeviceSessions()).toBe(before + 1);
    expect((await tv.poll(device_code)).access_token).toBeDefined();
  });

  it('is either allowed or refused', async () => {
    const browsers = await Promise.all(['alice', 'bob'].map(signedInBrowser));
    const before = await liveDeviceSessions();
    const { device_code, user_code } = await tv.begin();
    const asked = await Promise.all(browsers.map((browser) => enterCode(curfew, browser, user_code)));
    await Promise.all(
      asked.map((page, i) => browsers[i]?.submit(page, {}, i === 0 ? 'Allow this device' : 'Do not allow')),
    );
    const isAllowed = (await liveDeviceSessions()) > before;
    const answer = await tv.poll(device_code).then(
      () => 'tokens',
      (error: { error: string }) => error.error,
    );
    expect(answer).toBe(isAllowed ? 'tokens' : 'access_denied');
  });
});

describe('a session that ends while somebody lets a device in', () => {
  it('in everyone’s logout takes the code with it, as what clients hold for themselves', async () => {
    const browser = await signedInBrowser('alice');
    const { device_code, user_code } = await terminal.begin('openid email');
    const consent = await browser.submit(await enterCode(curfew, browser, user_code), {}, 'Allow this device');
    expect(consent.text).toContain('/consent"');
    await endSessions(curfew.db, { everyone: true }, byAdministrator);
    const restarted = await browser.submit(consent, {}, '/consent');
    expect(restarted.text).toContain('Connect a device');
    expect((await refusalOf(terminal.poll(device_code))).error).toBe('expired_token');
  });

  it('before the consent leads back to the code, which still can be used', async () => {
    const browser = await signedInBrowser('bob');
    const { device_code, user_code } = await terminal.begin('openid email');
    const consent = await browser.submit(await enterCode(curfew, browser, user_code), {}, 'Allow this device');
    await endSessions(curfew.db, { uids: [await newestBrowserSession()] }, byAdministrator);
    const restarted = await browser.submit(consent, {}, '/consent');
    expect(restarted.text).toContain(`value="${user_code}"`);
    const confirm = await browser.submit(restarted, { user_code });
    const signIn = await browser.submit(confirm, {}, 'Allow this device');
    const again = await browser.submit(signIn, { login: 'bob', password: PASSWORD }, '/login');
    const done = again.text.includes('/consent"') ? await browser.submit(again, {}, '/consent') : again;
    expect(done.text).toContain('Your device is connected');
    expect((await terminal.poll(device_code)).access_token).toBeDefined();
  });

  it('between the question and the answer leads back to the code', async () => {
    const browser = await signedInBrowser('alice');
    const { device_code, user_code } = await tv.begin();
    const question = await enterCode(curfew, browser, user_code);
    await endSessions(curfew.db, { uids: [await newestBrowserSession()] }, byAdministrator);
    const restarted = await browser.submit(question, {}, 'Allow this device');
    expect(restarted.text).toContain('This page was open for too long');
    expect(restarted.text).toContain(`value="${user_code}"`);
    const signIn = await browser.submit(await browser.submit(restarted, { user_code }), {}, 'Allow this device');
    const done = await browser.submit(signIn, { login: 'alice', password: PASSWORD }, '/login');
    expect(done.text).toContain('Your device is connected');
    expect((await tv.poll(device_code)).access_token).toBeDefined();
  });

  it('in the middle of the answer gives the device nothing, and leads back to the code', async () => {
    const browser = await signedInBrowser('alice');
    const { device_code, user_code } = await tv.begin();
    const question = await enterCode(curfew, browser, user_code);
    const uid = await newestBrowserSession();
    const restarted = await whileItEnds(curfew, uid, () => browser.submit(question, {}, 'Allow this device'));
    expect(restarted.text).toContain('Connect a device');
    expect(restarted.text).toContain(`value="${user_code}"`);
    expect((await refusalOf(tv.poll(device_code))).error).toBe('authorization_pending');
    const signIn = await browser.submit(await browser.submit(restarted, { user_code }), {}, 'Allow this device');
    await browser.submit(signIn, { login: 'alice', password: PASSWORD }, '/login');
    expect((await tv.poll(device_code)).access_token).toBeDefined();
  });

  it('never leaves a device session behind of an account that was disabled', async () => {
    for (let i = 0; i < 10; i += 1) {
      const { id, login } = await curfew.addAccount(`leaver-${i}`);
      const browser = await signedInBrowser(login);
      const { device_code, user_code } = await tv.begin();
      const question = await enterCode(curfew, browser, user_code);
      await Promise.all([
        browser.submit(question, {}, 'Allow this device'),
        disableAccount(curfew.db, id, { actor: 'system:test' }),
      ]);
      await refusalOf(tv.poll(device_code));
      const live = await curfew.query(`SELECT uid FROM live_session WHERE account_id = $1`, [id]);
      expect(live).toEqual([]);
    }
  });
});
