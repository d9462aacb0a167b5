import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { launchChromium } from '../support/chromium.ts';
import { type DemoCurfew, startDemoCurfew } from '../support/demo-curfew.ts';
import { EXPIRED, expiredGrant, refusalOf, stopClock } from '../support/records.ts';
import { type RelyingParty, relyingParty } from '../support/relying-party.ts';
import { giveCredentials, newVisitor, openWith, type Visitor } from '../support/visitor.ts';

const SHORT = `
  default: { idle: 5s, absolute: 1h, activity: [interactive] }
  rules: []
`;
const WATCHED_SECONDS = 5;

let browser: Browser;
let visitor: Visitor;

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

afterEach(async () => {
  await visitor.leave();
  expect(visitor.complaints).toEqual([]);
});

describe('one account at two clients, under limits that can be watched', () => {
  let curfew: DemoCurfew;

  beforeAll(async () => {
    curfew = await startDemoCurfew({ policy: SHORT });
    await curfew.addAccount('ada');
  });
  afterAll(() => curfew.close());

  it.each([true, false])('stops at both at the second that policy set, with JavaScript: %s', async (javaScript) => {
    visitor = await newVisitor(browser, { javaScriptEnabled: javaScript });
    const { context, page: wiki } = visitor;
    await wiki.goto(curfew.wiki);
    await wiki.getByRole('link', { name: 'Sign in with Curfew' }).click();
    await wiki.getByText('You will be signed out after 5 seconds without activity and after 1 hour').waitFor();
    await giveCredentials(wiki, 'ada');
    await wiki.getByText('Signed in as ada').waitFor();

    const payroll = await context.newPage();
    await payroll.goto(curfew.payroll);
    await payroll.getByRole('link', { name: 'Sign in with Curfew' }).click();
    await payroll.getByText('Signed in as ada').waitFor();

    const [session] = await curfew.query<{ deadline: Date }>(
      `SELECT idle_deadline AS deadline FROM session WHERE kind = 'browser' ORDER BY began_at DESC LIMIT 1`,
    );
    const deadline = session?.deadline.getTime() ?? 0;
    const shown = await payroll.locator('#idle').getAttribute('datetime');
    expect(Date.parse(shown ?? '')).toBe(deadline);

    const endings = [wiki, payroll].map(async (page) => {
      await page.locator('#reason').waitFor();
      return { at: Date.now(), says: await page.textContent('#reason'), shows: await page.textContent('body') };
    });
    for (const { at, says, shows } of await Promise.all(endings)) {
      expect(at).toBeGreaterThanOrEqual(deadline);
      expect(at).toBeLessThan(deadline + 2_000);
      expect(says).toBe(`Your session ended after ${WATCHED_SECONDS} seconds without activity.`);
      expect(shows).not.toMatch(/The coffee machine|Salaries/);
    }
  });
});

describe('one account at two clients', () => {
  let curfew: DemoCurfew;
  let app: RelyingParty;

  beforeEach(async () => {
    curfew = await startDemoCurfew();
    app = await relyingParty(curfew.issuer, 'app', curfew.redirectUris.app);
    await curfew.addAccount('ada');
    visitor = await newVisitor(browser);
  });
  afterEach(() => curfew.close());

  async function openWiki() {
    const { page } = visitor;
    await page.goto(`${curfew.wiki}sign-in?return=/read/coffee`);
    await giveCredentials(page, 'ada');
    await page.getByText('Descale it on the first Monday').waitFor();
    return page;
  }

  async function openPayroll() {
    const page = await visitor.context.newPage();
    await page.goto(`${curfew.payroll}sign-in?return=/read/salaries`);
    await page.getByText('Ada Lovelace 7,200').waitFor();
    return page;
  }

  it('has every token refused at the same instant, and every page', async () => {
    const wiki = await openWiki();
    const tokens = await (await app.authorize(openWith(await visitor.context.newPage()))).redeem();
    const [session] = await curfew.query<{ deadline: Date }>(
      `SELECT idle_deadline AS deadline FROM session WHERE kind = 'browser'`,
    );
    if (session === undefined) throw new Error('no session');

    await stopClock(curfew, session.deadline, 5_000);
    await wiki.reload();
    expect(await wiki.textContent('body')).toContain('Descale it');
    expect(await app.introspect(tokens.access_token)).toMatchObject({ active: true });
    expect(await app.introspect(tokens.refresh_token ?? '')).toMatchObject({ active: true });
    expect((await app.userinfo(tokens.access_token)).status).toBe(200);

    await stopClock(curfew, session.deadline);
    await wiki.reload();
    expect(await wiki.textContent('#reason')).toBe('Your session ended after 2 minutes without activity.');
    expect(await wiki.textContent('body')).not.toContain('Descale it');
    expect(await app.introspect(tokens.access_token)).toEqual({ active: false });
    expect(await app.introspect(tokens.refresh_token ?? '')).toEqual({ active: false });
    expect(await refusalOf(app.refresh(tokens.refresh_token))).toEqual(expiredGrant);
    const userinfo = await app.userinfo(tokens.access_token);
    expect(userinfo.status).toBe(401);
    expect(userinfo.headers.get('www-authenticate')).toContain(`error_description="${EXPIRED}"`);
  });

  it('loses restricted data alone, sooner, and gets it back only for a password', async () => {
    const wiki = await openWiki();
    const payroll = await openPayroll();
    await curfew.travel(61_000);

    await payroll.locator('#reason').waitFor();
    expect(await payroll.textContent('#reason')).toBe('Your session ended after 1 minute without activity.');
    await wiki.reload();
    expect(await wiki.textContent('body')).toContain('Descale it');

    await payroll.getByRole('link', { name: 'Sign in again' }).click();
    await payroll.getByRole('heading', { name: 'Sign in again' }).waitFor();
    expect(await payroll.inputValue('#login')).toBe('ada');
    await payroll.locator('#password').fill('wrong');
    await payroll.keyboard.press('Enter');
    await payroll.getByText('The username or the password is not right.').waitFor();
    await giveCredentials(payroll, 'ada');
    await payroll.getByText('Ada Lovelace 7,200').waitFor();
    expect(payroll.url()).toBe(`${curfew.payroll}read/salaries`);

    await wiki.reload();
    expect(await wiki.textContent('body')).toContain('Descale it');
    expect(await curfew.query(`SELECT uid FROM session WHERE kind = 'browser'`)).toHaveLength(1);
  });

  it('signs in in two tabs at once, and both clients stay', async () => {
    const { page: one, context } = visitor;
    const other = await context.newPage();
    await one.goto(`${curfew.wiki}sign-in?return=/read/coffee`);
    await other.goto(`${curfew.payroll}sign-in?return=/read/salaries`);
    await Promise.all([giveCredentials(one, 'ada'), giveCredentials(other, 'ada')]);
    await one.getByText('Descale it').waitFor();
    await other.getByText('Ada Lovelace 7,200').waitFor();
    for (const page of [one, other]) {
      await page.reload();
      expect(await page.textContent('#who')).toBe('Signed in as ada');
    }
    const silent = await app.authorize(openWith(await context.newPage()), { prompt: 'none' });
    expect(silent.callback?.searchParams.has('code')).toBe(true);
  });
});
