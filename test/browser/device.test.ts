import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import { DEVICE_YAML, type Device, device } from '../support/device.ts';
import { refusalOf } from '../support/records.ts';
import { giveCredentials, newVisitor, type Visitor } from '../support/visitor.ts';

let chromium: Browser;
let curfew: Curfew;
let tv: Device;
let terminal: Device;
let visitor: Visitor;
let page: Page;

beforeAll(async () => {
  chromium = await launchChromium();
  curfew = await startCurfew({ yaml: DEVICE_YAML });
  await curfew.addAccount('ada');
  [tv, terminal] = await Promise.all([device(curfew.issuer), device(curfew.issuer, 'terminal')]);
});
afterAll(async () => {
  await curfew.close();
  await chromium.close();
});

beforeEach(async () => {
  visitor = await newVisitor(chromium, { viewport: { width: 320, height: 568 } });
  ({ page } = visitor);
});
afterEach(async () => {
  await visitor.leave();
  expect(visitor.complaints).toEqual([]);
});

async function expectAccessible(): Promise<void> {
  expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1);
  const nameless = `[...document.querySelectorAll('input:not([type=hidden])')].filter(({ labels }) => !labels.length).length`;
  expect(await page.evaluate(nameless)).toBe(0);
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(320);
}

describe('connecting a device, in a real browser', () => {
  it('goes from the code through the question, the sign-in and the consent, on a small phone', async () => {
    const begun = await terminal.begin('openid email');
    await page.goto(begun.verification_uri);
    await expectAccessible();
    await page.getByLabel('Code').fill('bbbb bbbb');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('alert').getByText('This code is not right').waitFor();
    expect(await page.getByLabel('Code').getAttribute('aria-invalid')).toBe('true');

    await page.getByLabel('Code').fill(begun.user_code.toLowerCase());
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Allow this device?' }).waitFor();
    await page.getByText(begun.user_code).waitFor();
    await page.getByText('Terminal').first().waitFor();
    await page.getByText('127.0.0.1').waitFor();
    await expectAccessible();
    await page.getByRole('button', { name: 'Allow this device' }).click();
    await page.getByRole('button', { name: 'Cancel, and do not connect the device' }).waitFor();
    await giveCredentials(page, 'ada');
    await page.getByRole('button', { name: 'Allow', exact: true }).click();
    await page.getByRole('heading', { name: 'Your device is connected' }).waitFor();
    await expectAccessible();
    expect((await terminal.poll(begun.device_code)).scope).toBe('openid email');
  });

  it('starts with the code filled in where the device shows a link, and can be refused', async () => {
    const begun = await tv.begin();
    await page.goto(String(begun.verification_uri_complete));
    expect(await page.getByLabel('Code').inputValue()).toBe(begun.user_code);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('button', { name: 'Do not allow' }).click();
    await page.getByRole('heading', { name: 'The device was not connected' }).waitFor();
    expect((await refusalOf(tv.poll(begun.device_code))).error).toBe('access_denied');
  });

  it('starts again in a browser that forgot us between the question and the answer', async () => {
    const begun = await tv.begin();
    await page.goto(String(begun.verification_uri_complete));
    await page.getByRole('button', { name: 'Continue' }).click();
    await visitor.context.clearCookies();
    await page.getByRole('button', { name: 'Allow this device' }).click();
    await page.getByRole('heading', { name: 'Connect a device' }).waitFor();
    await page.getByLabel('Code').fill(begun.user_code);
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('button', { name: 'Allow this device' }).click();
    await giveCredentials(page, 'ada');
    await page.getByRole('heading', { name: 'Your device is connected' }).waitFor();
    expect((await tv.poll(begun.device_code)).access_token).toBeDefined();
  });
});
