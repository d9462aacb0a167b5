import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { type DemoCurfew, startDemoCurfew } from '../support/demo-curfew.ts';
import { giveCredentials, newVisitor, type Visitor } from '../support/visitor.ts';

const COFFEE = 'Descale it on the first Monday';
const IDLE_END = 'Your session ended after 2 minutes without activity.';
const PAST_IDLE_MS = 121_000;

let browser: Browser;
let curfew: DemoCurfew;
let visitor: Visitor;
let page: Page;

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

beforeEach(async () => {
  curfew = await startDemoCurfew();
  await curfew.addAccount('ada');
});
afterEach(async () => {
  await visitor.leave();
  await curfew.close();
  expect(visitor.complaints).toEqual([]);
});

async function readTheWiki({ javaScriptEnabled = true }: { javaScriptEnabled?: boolean } = {}): Promise<void> {
  visitor = await newVisitor(browser, { javaScriptEnabled });
  ({ page } = visitor);
  await page.goto(`${curfew.wiki}sign-in?return=/read/coffee`);
  await giveCredentials(page, 'ada');
  await page.getByText(COFFEE).waitFor();
}

/** What is read on every page that the browser can go back to. */
async function readHistory(): Promise<string> {
  const texts: string[] = [];
  while ((await page.goBack()) !== null) texts.push(await page.innerText('body'));
  return texts.join('\n');
}

describe.each([true, false])('after the end, with JavaScript: %s', (javaScriptEnabled) => {
  beforeEach(() => readTheWiki({ javaScriptEnabled }));

  it('going back shows no content, neither at the client nor here', async () => {
    await page.getByRole('link', { name: 'On-call handbook' }).click();
    await page.getByText('Hand over at ten').waitFor();
    await curfew.travel(PAST_IDLE_MS);
    await page.goto(curfew.wiki);
    await page.locator('#reason').getByText(IDLE_END).waitFor();
    const history = await readHistory();
    expect(history).toContain(IDLE_END);
    expect(history).not.toMatch(/Descale it|Hand over at ten|Signed in as/);
    expect(history).toContain('It was for one sign-in, which is over.');
  });

  it('going back after signing out shows no content either', async () => {
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('button', { name: 'Sign out of this browser' }).click();
    await page.getByText('You are not signed in here.').waitFor();
    const history = await readHistory();
    expect(history).toContain('You are not signed in here.');
    expect(history).not.toMatch(/Descale it|Signed in as/);
  });

  it('the sign-in page says which end it was, and leads back to where one was', async () => {
    await curfew.travel(PAST_IDLE_MS);
    await page.goto(`${curfew.wiki}read/coffee`);
    await page.getByRole('link', { name: 'Sign in again' }).click();
    await page.getByRole('heading', { name: 'Sign in again' }).waitFor();
    expect(await page.getByRole('status').innerText()).toContain(IDLE_END);
    await giveCredentials(page, 'ada');
    await page.getByText(COFFEE).waitFor();
    expect(page.url()).toBe(`${curfew.wiki}read/coffee`);
  });
});

describe('after the end', () => {
  beforeEach(() => readTheWiki());

  it('a page that the browser kept in memory hides, and is asked for again when one goes back to it', async () => {
    await dispatch('pagehide');
    expect(await page.locator('article').isVisible()).toBe(false);
    await curfew.travel(PAST_IDLE_MS);
    await dispatch('pageshow');
    await page.locator('#reason').waitFor();
    expect(await page.innerText('body')).not.toContain(COFFEE);
  });

  it('so does a page of ours', async () => {
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You are signed in as ada').waitFor();
    await dispatch('pagehide');
    expect(await page.getByText('You are signed in as ada').isVisible()).toBe(false);
    await curfew.travel(PAST_IDLE_MS);
    await dispatch('pageshow');
    await page.getByRole('heading', { level: 1 }).waitFor();
    expect(await page.innerText('body')).not.toContain('signed in as ada');
  });

  /** Headless Chromium keeps no page that may not be stored; other browsers do, and tell it in these words. */
  async function dispatch(type: 'pagehide' | 'pageshow'): Promise<void> {
    await page.evaluate(`dispatchEvent(new PageTransitionEvent('${type}', { persisted: true }))`);
  }

  it('the browser forgets what this origin stored, and nothing of the clients', async () => {
    const here = await visitor.context.newPage();
    await here.goto(curfew.issuer);
    await here.evaluate(`localStorage.setItem('kept', 'yes')`);
    await page.evaluate(`localStorage.setItem('kept', 'yes')`);
    await curfew.travel(PAST_IDLE_MS);
    const answer = page.waitForResponse((response) => response.url().includes('/interaction/'));
    await page.goto(`${curfew.wiki}sign-in`);
    expect(await (await answer).headerValue('clear-site-data')).toBe('"cache", "storage"');
    await here.reload();
    expect(await here.evaluate(`localStorage.getItem('kept')`)).toBeNull();
    await page.goto(curfew.wiki);
    expect(await page.evaluate(`localStorage.getItem('kept')`)).toBe('yes');
  });
});
