import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as client from 'openid-client';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import { approve, DEVICE_YAML, type Device, device, enterCode } from '../support/device.ts';
import { eventsOf, HOURS, MINUTES, refusalOf, sessionOf, sidOf } from '../support/records.ts';
import { newBrowser } from '../support/relying-party.ts';

const DAYS = 24 * HOURS;

let curfew: Curfew;
let tv: Device;
let terminal: Device;

beforeAll(async () => {
  curfew = await startCurfew({ yaml: DEVICE_YAML });
  await curfew.addAccount('alice');
  [tv, terminal] = await Promise.all([device(curfew.issuer), device(curfew.issuer, 'terminal')]);
});
afterAll(() => curfew.close());

const codeOf = (asked: Promise<unknown>) => refusalOf(asked).then(({ error }) => error);

describe('the device flow', () => {
  it('gives a device tokens of a session of its own, once a person allowed it', async () => {
    const begun = await tv.begin();
    expect(begun).toMatchObject({
      user_code: expect.stringMatching(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/),
      verification_uri: `${curfew.issuer}/device`,
      verification_uri_complete: `${curfew.issuer}/device?user_code=${begun.user_code}`,
      expires_in: 600,
    });
    expect(await codeOf(tv.poll(begun.device_code))).toBe('authorization_pending');
    const { browser, page } = await approve(curfew, begun.user_code);
    expect(page.text).toContain('Your device is connected');
    const tokens = await client.pollDeviceAuthorizationGrant(tv.configuration, { ...begun, interval: 0.01 });

    const session = await sessionOf(curfew, sidOf(tokens));
    expect(session).toMatchObject({ kind: 'device', endReason: null });
    const lasts = (deadline: Date) => deadline.getTime() - session.authenticatedAt.getTime();
    expect(lasts(session.absoluteDeadline)).toBe(10 * DAYS);
    expect(lasts(session.idleDeadline)).toBeGreaterThanOrEqual(2 * DAYS);
    expect(tokens.claims()).toMatchObject({ session_expiry: Math.floor(session.absoluteDeadline.getTime() / 1000) });
    expect((await tv.introspect(tokens.access_token)).active).toBe(true);
    expect((await tv.refresh(tokens.refresh_token)).claims()?.sid).toBe(sidOf(tokens));
    expect(await eventsOf(curfew, session.uid, 'session.began')).toEqual([
      expect.objectContaining({ details: expect.objectContaining({ kind: 'device', parentUid: session.parentUid }) }),
    ]);
    const page2 = await browser.open(`${curfew.issuer}/session`);
    expect(page2.text).toContain('live');
  });

  it('asks a person who is signed in for nothing but the confirmation', async () => {
    const { browser } = await approve(curfew, (await tv.begin()).user_code);
    const begun = await tv.begin();
    const page = await browser.submit(await enterCode(curfew, browser, begun.user_code), {}, 'Allow this device');
    expect(page.text).toContain('Your device is connected');
    expect((await tv.poll(begun.device_code)).access_token).toBeDefined();
  });

  it('asks for consent to the scopes of a client that is not our own', async () => {
    const begun = await terminal.begin('openid email offline_access');
    const browser = newBrowser(curfew.issuer);
    const { page } = await approve(curfew, begun.user_code, { browser });
    expect(page.text).toContain('Your device is connected');
    const tokens = await terminal.poll(begun.device_code);
    expect(tokens.scope).toBe('openid email offline_access');
    expect(await sessionOf(curfew, sidOf(tokens))).toMatchObject({ kind: 'device' });
  });

  it('leads by verification_uri_complete to the confirmation, and does nothing without it', async () => {
    const begun = await tv.begin();
    const browser = newBrowser(curfew.issuer);
    const prefilled = await browser.open(String(begun.verification_uri_complete));
    expect(prefilled.text).toContain(`value="${begun.user_code}"`);
    const page = await browser.submit(prefilled, { user_code: begun.user_code });
    expect(page.text).toContain('Allow this device?');
    expect(page.text).toContain(begun.user_code);
    expect(page.text).toContain('See your name and profile');
    expect(await codeOf(tv.poll(begun.device_code))).toBe('authorization_pending');
  });

  it('tells a device that the person does not want it', async () => {
    const begun = await tv.begin();
    const browser = newBrowser(curfew.issuer);
    const page = await browser.submit(await enterCode(curfew, browser, begun.user_code), {}, 'Do not allow');
    expect(page.text).toContain('The device was not connected');
    expect(await codeOf(tv.poll(begun.device_code))).toBe('access_denied');
    expect(await codeOf(tv.poll(begun.device_code))).toBe('access_denied');
    const events = await curfew.query(
      `SELECT client_id, outcome, address FROM audit_event WHERE type = 'device.refused'`,
    );
    expect(events).toEqual([{ client_id: 'tv', outcome: 'denied', address: '127.0.0.1' }]);
  });

  it('tells a device that the person did not sign in', async () => {
    const begun = await tv.begin();
    const browser = newBrowser(curfew.issuer);
    const signIn = await browser.submit(await enterCode(curfew, browser, begun.user_code), {}, 'Allow this device');
    const page = await browser.submit(signIn, {}, '/abort');
    expect(page.text).toContain('The device was not connected');
    expect(await codeOf(tv.poll(begun.device_code))).toBe('access_denied');
  });

  it('tells a device that nobody came in time', async () => {
    const begun = await tv.begin();
    await curfew.travel(10 * MINUTES);
    expect(await codeOf(tv.poll(begun.device_code))).toBe('expired_token');
    const page = await enterCode(curfew, newBrowser(curfew.issuer), begun.user_code);
    expect(page.text).toContain('This code is not right');
  });

  it('tells a device that polls too often to slow down, by five seconds more each time', async () => {
    const { device_code } = await tv.begin();
    const poll = () => codeOf(tv.poll(device_code));
    expect(await poll()).toBe('authorization_pending');
    expect(await poll()).toBe('slow_down');
    await curfew.travel(6_000);
    expect(await poll()).toBe('slow_down');
    await curfew.travel(15_000);
    expect(await poll()).toBe('authorization_pending');
    await curfew.travel(13_000);
    expect(await poll()).toBe('slow_down');
  });

  it('gives the tokens to one of fifty polls at once', async () => {
    const begun = await tv.begin();
    await approve(curfew, begun.user_code);
    const polls = await Promise.allSettled(Array.from({ length: 50 }, () => tv.poll(begun.device_code)));
    expect(polls.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await codeOf(tv.poll(begun.device_code))).toBe('invalid_grant');
  });

  it('gives nothing to another client', async () => {
    const begun = await tv.begin();
    await approve(curfew, begun.user_code);
    expect(await codeOf(terminal.poll(begun.device_code))).toBe('invalid_grant');
    expect((await tv.poll(begun.device_code)).access_token).toBeDefined();
  });
});
