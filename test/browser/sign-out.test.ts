import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { type DemoCurfew, startDemoCurfew } from '../support/demo-curfew.ts';
import { giveCredentials, newVisitor, type Visitor } from '../support/visitor.ts';

let browser: Browser;
let curfew: DemoCurfew;
let laptop: Visitor;
let phone: Visitor;

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

beforeEach(async () => {
  curfew = await startDemoCurfew();
  await curfew.addAccount('ada');
  laptop = await newVisitor(browser);
  phone = await newVisitor(browser, { viewport: { width: 360, height: 740 } });
  for (const { page } of [laptop, phone]) await signIn(page, curfew.wiki);
});
afterEach(async () => {
  await laptop.leave();
  await phone.leave();
  await curfew.close();
  expect([...laptop.complaints, ...phone.complaints]).toEqual([]);
});

async function signIn(page: Page, client: string): Promise<void> {
  await page.goto(`${client}sign-in`);
  if (page.url().startsWith(curfew.issuer)) await giveCredentials(page, 'ada');
  await page.getByText('Signed in as ada').waitFor();
}

/** What the client shows on a fresh look. */
async function look(page: Page, client = curfew.wiki): Promise<string> {
  await page.goto(client);
  return page.innerText('main');
}

async function askToSignOut(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign out?' }).waitFor();
  await page.getByText('Team Wiki asks to sign you out. You are signed in as ada').waitFor();
}

describe('signing out', () => {
  it('of this browser ends every client in it, and leaves the other browser alone', async () => {
    const payroll = await laptop.context.newPage();
    await signIn(payroll, curfew.payroll);
    await askToSignOut(laptop.page);
    const cleared = laptop.page.waitForResponse((answer) => answer.url().endsWith('/logout/confirm'));
    await laptop.page.getByRole('button', { name: 'Sign out of this browser' }).click();
    expect(await (await cleared).headerValue('clear-site-data')).toBe('"cache", "storage"');
    await laptop.page.getByText('You are not signed in here.').waitFor();

    await payroll.locator('#reason').waitFor();
    expect(await payroll.textContent('#reason')).toBe('You signed out from an application.');
    expect(await look(phone.page)).toContain('Signed in as ada');
    await laptop.page.goto(`${curfew.wiki}sign-in`);
    await laptop.page.getByRole('heading', { name: 'Sign in' }).waitFor();
  });

  it('everywhere ends the other browser too, which says why', async () => {
    await askToSignOut(laptop.page);
    await laptop.page.getByRole('button', { name: 'Sign out everywhere' }).click();
    await laptop.page.getByText('You are not signed in here.').waitFor();
    await phone.page.locator('#reason').waitFor();
    expect(await phone.page.textContent('#reason')).toBe('You ended this session, here or on another device.');
    expect(await phone.page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
  });

  it('can be thought better of: the person stays signed in, and comes back without a password', async () => {
    const payroll = await laptop.context.newPage();
    await signIn(payroll, curfew.payroll);
    await askToSignOut(laptop.page);
    await laptop.page.getByRole('button', { name: 'Stay signed in' }).click();
    await laptop.page.getByText('You are not signed in here.').waitFor();
    expect(await look(payroll, curfew.payroll)).toContain('Signed in as ada');
    await laptop.page.getByRole('link', { name: 'Sign in with Curfew' }).click();
    await laptop.page.getByText('Signed in as ada').waitFor();
  });

  it('works where no client asks: at our own address', async () => {
    await laptop.page.goto(`${curfew.issuer}/logout`);
    await laptop.page.getByRole('button', { name: 'Sign out of this browser' }).click();
    await laptop.page.getByRole('heading', { name: 'You are signed out' }).waitFor();
    expect(await look(laptop.page)).toContain('You ended this session');
  });
});
