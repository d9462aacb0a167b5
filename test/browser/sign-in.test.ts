import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { PASSWORD } from '../support/curfew.ts';
import { type DemoCurfew, startDemoCurfew } from '../support/demo-curfew.ts';
import { type RelyingParty, relyingParty } from '../support/relying-party.ts';
import { giveCredentials, newVisitor, openWith, type Visitor } from '../support/visitor.ts';

const IDLE_END = 'Your session ended after 2 minutes without activity.';
const PAST_IDLE_MS = 121_000;

let browser: Browser;
let curfew: DemoCurfew;
let app: RelyingParty;
let third: RelyingParty;
let visitor: Visitor;
let page: Page;

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

beforeEach(async () => {
  curfew = await startDemoCurfew();
  app = await relyingParty(curfew.issuer, 'app', curfew.redirectUris.app);
  third = await relyingParty(curfew.issuer, 'third', curfew.redirectUris.third);
  await curfew.addAccount('ada');
  visitor = await newVisitor(browser);
  ({ page } = visitor);
});
afterEach(async () => {
  await visitor.leave();
  await curfew.close();
  expect(visitor.complaints).toEqual([]);
});

async function arrivedWith(): Promise<string[]> {
  await page.getByRole('heading', { name: 'Arrived' }).waitFor();
  return [...new URL(page.url()).searchParams.keys()];
}

describe('consent', () => {
  it('is asked for once, and remembered by another browser and after the session', async () => {
    await third.authorize(openWith(page));
    await giveCredentials(page, 'ada');
    await page.getByRole('heading', { name: 'Allow access?' }).waitFor();
    await page.getByText('Third Party').first().waitFor();
    await page.getByRole('button', { name: 'Allow', exact: true }).click();
    expect(await arrivedWith()).toContain('code');

    expect((await third.authorize(openWith(page))).callback?.searchParams.has('code')).toBe(true);

    await curfew.travel(PAST_IDLE_MS);
    const other = await newVisitor(browser);
    await third.authorize(openWith(other.page));
    await giveCredentials(other.page, 'ada');
    await other.page.getByRole('heading', { name: 'Arrived' }).waitFor();
    expect(other.page.url()).toContain('code=');
    await other.leave();
  });

  it('can be refused, and is asked for again the next time', async () => {
    await third.authorize(openWith(page));
    await giveCredentials(page, 'ada');
    await page.getByRole('button', { name: 'Do not allow' }).click();
    expect(await arrivedWith()).toContain('error');
    await third.authorize(openWith(page));
    await page.getByRole('heading', { name: 'Allow access?' }).waitFor();
  });
});

describe('a session that ends while one of our pages is open', () => {
  it('leads from the password to a new sign-in that says why, and on from there', async () => {
    await app.authorize(openWith(page));
    await giveCredentials(page, 'ada');
    await arrivedWith();
    await app.authorize(openWith(page), { prompt: 'login' });
    await page.getByText('This application asks you to sign in again.').waitFor();
    await curfew.travel(PAST_IDLE_MS);

    await giveCredentials(page, 'ada');
    await page.getByRole('status').getByText(IDLE_END).waitFor();
    await giveCredentials(page, 'ada');
    expect(await arrivedWith()).toContain('code');
  });

  it('leads from the consent page to a sign-in that says why, and then to consent', async () => {
    await third.authorize(openWith(page));
    await giveCredentials(page, 'ada');
    await page.getByRole('heading', { name: 'Allow access?' }).waitFor();
    await curfew.travel(PAST_IDLE_MS);

    await page.getByRole('button', { name: 'Allow', exact: true }).click();
    await page.getByRole('status').getByText(IDLE_END).waitFor();
    await giveCredentials(page, 'ada');
    await page.getByRole('button', { name: 'Allow', exact: true }).click();
    expect(await arrivedWith()).toContain('code');
  });
});

describe('signing in once more', () => {
  it('is asked for when the client says so, and when the last time is too long ago', async () => {
    await app.authorize(openWith(page));
    await giveCredentials(page, 'ada');
    await arrivedWith();
    await curfew.travel(60_000);

    await app.authorize(openWith(page), { max_age: '30' });
    await page.getByText('This application asks that you have signed in recently.').waitFor();
    expect(await page.inputValue('#login')).toBe('ada');
    await giveCredentials(page, 'ada');
    expect(await arrivedWith()).toContain('code');
    expect((await app.authorize(openWith(page), { max_age: '30' })).callback?.searchParams.has('code')).toBe(true);
    expect(await curfew.query(`SELECT uid FROM session WHERE kind = 'browser'`)).toHaveLength(1);
  });
});

describe('without a mouse', () => {
  it('somebody signs in, consents, and signs out', async () => {
    await third.authorize(openWith(page));
    await page.keyboard.type('ada');
    await page.keyboard.press('Tab');
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Allow access?' }).waitFor();
    await pressTabUntil('Allow');
    await page.keyboard.press('Enter');
    expect(await arrivedWith()).toContain('code');

    await page.goto(`${curfew.wiki}sign-in`);
    await page.getByText('Signed in as ada').waitFor();
    await pressTabUntil('I am still here');
    await page.keyboard.press('Enter');
    await page.getByText('You said that you are still here').waitFor();
    await pressTabUntil('Sign out');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Sign out?' }).waitFor();
    await pressTabUntil('Sign out everywhere');
    await page.keyboard.press('Space');
    await page.getByText('You are not signed in here.').waitFor();
  });

  async function pressTabUntil(name: string): Promise<void> {
    for (let presses = 0; presses < 20; presses += 1) {
      await page.keyboard.press('Tab');
      if ((await page.evaluate('document.activeElement?.textContent')) === name) return;
    }
    throw new Error(`the keyboard does not reach "${name}"`);
  }
});

describe('with a small phone', () => {
  it('nothing on the way in and out is wider than the screen', async () => {
    await page.setViewportSize({ width: 320, height: 640 });
    await page.goto(curfew.payroll);
    await fits();
    await page.getByRole('link', { name: 'Sign in with Curfew' }).click();
    await fits();
    await giveCredentials(page, 'ada');
    await page.getByText('Signed in as ada').waitFor();
    await fits();
    await curfew.travel(PAST_IDLE_MS);
    await page.goto(curfew.payroll);
    await fits();
    await page.getByRole('link', { name: 'Sign in again' }).click();
    await page.getByRole('status').waitFor();
    await fits();
  });

  async function fits(): Promise<void> {
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(320);
  }
});

describe('cookies', () => {
  it('are out of reach of scripts and other sites, and outlive the session by nothing', async () => {
    await page.goto(`${curfew.wiki}sign-in`);
    await giveCredentials(page, 'ada');
    await page.getByText('Signed in as ada').waitFor();
    const [session] = await curfew.query<{ deadline: Date }>(
      `SELECT absolute_deadline AS deadline FROM session WHERE kind = 'browser'`,
    );
    const cookies = await visitor.context.cookies();
    for (const cookie of cookies) expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Lax' });
    expect(cookies.filter(({ path }) => path === '/').map(({ name }) => name)).toEqual(
      expect.arrayContaining(['curfew_session', 'curfew_session.sig', 'team-wiki_session']),
    );
    for (const { expires } of cookies.filter(({ name }) => name.startsWith('curfew_session'))) {
      expect(expires * 1_000).toBeLessThanOrEqual((session?.deadline.getTime() ?? 0) + 1_000);
    }
  });
});
