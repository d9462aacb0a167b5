// Takes the pictures of the README from a demo that runs: npm start, then
//   node --import ./test/support/typescript.js docs/images/make.ts <Team Wiki> <Payroll Admin> <login> <password>
// It waits for the demo's real limits: a good minute.
import type { Page } from 'playwright-core';
import { launchChromium } from '../../test/support/chromium.ts';

const [wikiAddress = '', payrollAddress = '', login = '', password = ''] = process.argv.slice(2);
const browser = await launchChromium();
const context = await browser.newContext({ viewport: { width: 880, height: 600 }, deviceScaleFactor: 1.5 });
const wiki = await context.newPage();

await wiki.goto(wikiAddress);
await wiki.getByRole('link', { name: 'Sign in with Curfew' }).click();
await picture(wiki, 'sign-in');
await wiki.locator('#login').fill(login);
await wiki.locator('#password').fill(password);
await wiki.keyboard.press('Enter');
await wiki.getByText('Signed in as').waitFor();

const payroll = await context.newPage();
await payroll.goto(`${payrollAddress}sign-in?return=/read/salaries`);
await payroll.getByText('Ada Lovelace').waitFor();
await wiki.bringToFront();
await wiki.waitForTimeout(12_000);
await picture(wiki, 'wiki');
await stayAwhile();
await payroll.locator('#reason').waitFor({ timeout: 90_000 });
await picture(payroll, 'payroll-ended');
await payroll.getByRole('link', { name: 'Sign in again' }).click();
await payroll.getByRole('status').waitFor();
await picture(payroll, 'sign-in-again');

await stayAwhile();
await wiki.setViewportSize({ width: 375, height: 700 });
await picture(wiki, 'phone', { fullPage: false });
await wiki.setViewportSize({ width: 880, height: 600 });
await wiki.getByRole('button', { name: 'Sign out' }).click();
await wiki.getByRole('heading', { name: 'Sign out?' }).waitFor();
await picture(wiki, 'sign-out');
await browser.close();

async function stayAwhile(): Promise<void> {
  await wiki.getByRole('button', { name: 'I am still here' }).click();
  await wiki.getByText('You said that you are still here').first().waitFor();
}

async function picture(page: Page, name: string, { fullPage = true } = {}): Promise<void> {
  await page.bringToFront();
  await page.screenshot({ path: new URL(`${name}.png`, import.meta.url).pathname, fullPage });
}
