import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import { approve, DEVICE_YAML, type Device, device, enterCode } from '../support/device.ts';
import { HOURS } from '../support/records.ts';
import { newBrowser } from '../support/relying-party.ts';

const WRONG = 'This code is not right, or can’t be used any more.';

let curfew: Curfew;
let tv: Device;

beforeAll(async () => {
  curfew = await startCurfew({ yaml: DEVICE_YAML });
  await curfew.addAccount('alice');
  tv = await device(curfew.issuer);
});
afterAll(() => curfew.close());

describe('a user code', () => {
  it('is found as people type it: small letters, spaces, no dash', async () => {
    const { user_code } = await tv.begin();
    const typed = ` ${user_code.toLowerCase().replace('-', ' ')} `;
    const page = await enterCode(curfew, newBrowser(curfew.issuer), typed);
    expect(page.text).toContain('Allow this device?');
    expect(page.text).toContain(user_code);
  });

  it('is told in the same words to be wrong, used or over', async () => {
    const browser = newBrowser(curfew.issuer);
    const used = await tv.begin();
    await approve(curfew, used.user_code);
    const over = await tv.begin();
    const pages = [await enterCode(curfew, browser, 'BBBB-BBBB'), await enterCode(curfew, browser, used.user_code)];
    await curfew.travel(HOURS);
    pages.push(await enterCode(curfew, browser, over.user_code));
    for (const page of pages) {
      expect(page.status).toBe(400);
      expect(page.text).toContain(WRONG);
    }
    const without = (text: string) => text.replace(/value="[^"]*"/g, '');
    expect(new Set(pages.map(({ text }) => without(text))).size).toBe(1);
  });

  it('is stored nowhere, not even as a plain hash', async () => {
    const { user_code, device_code } = await tv.begin();
    const plain = user_code.replace('-', '');
    const rows = await curfew.query<{ row: string; hmac: Buffer }>(
      `SELECT a::text AS row, user_code_hmac AS hmac FROM artifact a WHERE model = 'DeviceCode' AND payload IS NOT NULL`,
    );
    const text = rows.map(({ row }) => row).join('\n');
    const sha256 = (value: string) => createHash('sha256').update(value).digest('hex');
    for (const value of [user_code, plain, device_code]) {
      expect(text).not.toContain(value);
      expect(text).not.toContain(sha256(value));
      expect(text).not.toContain(Buffer.from(value).toString('hex'));
    }
    expect(rows.at(-1)?.hmac).toHaveLength(32);
  });

  it('can’t be guessed more than ten times in ten minutes, and the right ones don’t count', async () => {
    const browser = newBrowser(curfew.issuer);
    await curfew.query('DELETE FROM throttle');
    const begun = await tv.begin();
    for (let i = 0; i < 12; i += 1) await enterCode(curfew, browser, begun.user_code);
    const guesses = await Promise.all(
      Array.from({ length: 15 }, () => enterCode(curfew, newBrowser(curfew.issuer), 'BBBB-BBBB')),
    );
    expect(guesses.filter(({ status }) => status === 400)).toHaveLength(10);
    const refused = guesses.filter(({ status }) => status === 429);
    expect(refused).toHaveLength(5);
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(500);
    expect((await enterCode(curfew, browser, begun.user_code)).status).toBe(429);
    const events = await curfew.query<{ type: string }>(`SELECT type FROM audit_event WHERE type LIKE 'user_code.%'`);
    expect(events.filter(({ type }) => type === 'user_code.throttled')).toHaveLength(6);
    await curfew.query('DELETE FROM throttle');
    expect((await enterCode(curfew, browser, begun.user_code)).status).toBe(200);
  });

  it.each(['POST', 'GET'])('answers a %s of nothing that a browser sends with a page', async (method) => {
    for (const path of ['/device', '/device/nothing', '/device?user_code=%00&user_code=x']) {
      const answer = await fetch(`${curfew.issuer}${path}`, { method, headers: { accept: 'text/html' } });
      expect(answer.status).toBeLessThan(500);
    }
  });

  it('needs the page: what another site sends does nothing', async () => {
    const { user_code } = await tv.begin();
    const browser = newBrowser(curfew.issuer);
    const page = await browser.open(`${curfew.issuer}/device`);
    const forged = await browser.submit(page, { user_code, xsrf: 'forged', confirm: 'yes' });
    expect(forged.status).toBe(400);
    expect(forged.text).toContain('This page was open for too long');
    const anew = await enterCode(curfew, browser, user_code);
    expect(anew.text).toContain('Allow this device?');
  });
});
