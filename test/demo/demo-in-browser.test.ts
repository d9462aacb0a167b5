import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { openDemoPorts } from '../../src/demo/demo-ports.ts';
import { type RunningDemo, startDemoClients } from '../../src/demo/start-demo-clients.ts';
import { launchChromium } from '../support/chromium.ts';
import { type StandInProvider, startStandInProvider } from './stand-in-provider.ts';

const secret = 'a secret that only this test knows';
const reason = 'Your session ended after 2 minutes without activity.';

let browser: Browser;
let provider: StandInProvider;
let demo: RunningDemo;
let payroll: string;

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

beforeEach(async () => {
  provider = await startStandInProvider();
  const ports = await openDemoPorts([0, 0]);
  provider.setUp(ports.numbers, secret);
  const log = { warn: () => undefined, error: () => undefined };
  demo = startDemoClients({
    issuer: provider.issuer,
    ports,
    secrets: { 'team-wiki': secret, 'payroll-admin': secret },
    log,
  });
  payroll = demo.addresses[1]?.address ?? '';
});
afterEach(async () => {
  await provider.close();
  await demo.close();
});

describe.each([true, false])('a page of a demo client that is left alone, with JavaScript: %s', (javaScriptEnabled) => {
  it('stops at the end and shows no content when one goes back', async () => {
    const context = await browser.newContext({ javaScriptEnabled });
    const page = await context.newPage();
    await page.goto(`${payroll}sign-in?return=/read/salaries`);
    await page.getByText('Ada Lovelace 7,200').waitFor();
    await page.goto(`${payroll}read/bank`);
    await page.getByText('Three payments').waitFor();
    provider.end(reason);
    await page.locator('#reason').waitFor();
    expect(await page.textContent('#reason')).toBe(reason);
    await page.goBack();
    await page.locator('#reason').waitFor();
    expect(await page.textContent('body')).not.toMatch(/Lovelace 7,200|Three payments/);
    await context.close();
  });
});

describe('a page of a demo client', () => {
  it('warns before the end, and a press of a button is enough to go on', async () => {
    provider.idleExpiresAt = new Date(Date.now() + 25_000);
    const page = await browser.newPage();
    await page.goto(`${payroll}sign-in`);
    await page.getByText('Your session is about to end.').waitFor();
    await page.getByRole('button', { name: 'I am still here' }).click();
    await page.getByText('You said that you are still here').waitFor();
    expect(await page.getByText('Your session is about to end.').count()).toBe(0);
    await page.close();
  });

  it('counts down what is left of the access token too', async () => {
    const page = await browser.newPage();
    await page.goto(`${payroll}sign-in`);
    await page.getByText(/^0:5[0-8]$/).waitFor();
    await page.close();
  });

  it('hides its content while Curfew can’t be asked', async () => {
    const page = await browser.newPage();
    await page.goto(`${payroll}sign-in`);
    await page.locator('article').waitFor();
    provider.isReachable = false;
    await page.locator('article').waitFor({ state: 'hidden' });
    provider.isReachable = true;
    await page.locator('article').waitFor({ state: 'visible' });
    await page.close();
  });
});
