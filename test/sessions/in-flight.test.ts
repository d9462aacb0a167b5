import { EventEmitter, once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { disableAccount, setPassword } from '../../src/accounts/accounts.ts';
import { endSessionsIn, type SessionSelector } from '../../src/sessions/end-sessions.ts';
import type { Browser, Page } from '../support/browser.ts';
import { type Curfew, PASSWORD, startCurfew } from '../support/curfew.ts';
import { byAdministrator, countOf, hasher } from '../support/given-sessions.ts';
import { holdLock, untilWaiting } from '../support/locks.ts';
import { cookieHeader, errorOf, expiredGrant, refusalOf, signedIn, stateByCookie } from '../support/records.ts';
import { newBrowser, type RelyingParty, relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;
let other: RelyingParty;
let third: RelyingParty;
let logins = 0;
let login: string;
let accountId: string;

beforeAll(async () => {
  curfew = await startCurfew();
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  other = await relyingParty(curfew.issuer, 'other', 'https://other.example/cb');
  third = await relyingParty(curfew.issuer, 'third', 'https://third.example/cb');
});
afterAll(() => curfew.close());
beforeEach(async () => {
  login = `person-${logins}`;
  logins += 1;
  accountId = (await curfew.addAccount(login)).id;
});

/** An end that has done everything but commit: others find the session live, and wait as soon as they lock it. */
async function uncommittedEnd(selector: SessionSelector): Promise<{ commit(): Promise<void> }> {
  const commands = new EventEmitter();
  const reached = once(commands, 'reached');
  const done = curfew.db.$transaction(
    async (tx) => {
      await endSessionsIn(tx, selector, byAdministrator);
      const released = once(commands, 'commit');
      commands.emit('reached');
      await released;
    },
    { timeout: 20_000 },
  );
  await reached;
  return {
    async commit() {
      commands.emit('commit');
      await done;
    },
  };
}

/** Places the end between what a request finds and what it saves. */
async function endDuring<T>(uid: string, request: () => Promise<T>): Promise<T> {
  const end = await uncommittedEnd({ uids: [uid] });
  const answer = request();
  await untilWaiting(curfew);
  await end.commit();
  return answer;
}

async function anonymousUid(): Promise<string> {
  const [row] = await curfew.query<{ uid: string }>(
    `SELECT uid FROM session WHERE kind = 'anonymous' ORDER BY began_at DESC LIMIT 1`,
  );
  return row?.uid ?? '';
}

async function expectOver(uid: string): Promise<void> {
  expect(await curfew.query('SELECT end_reason FROM session WHERE uid = $1', [uid])).toEqual([
    { end_reason: 'admin_forced' },
  ]);
  const left = [
    'live_session WHERE uid = $1',
    'session WHERE uid = $1 AND payload IS NOT NULL',
    'participation WHERE session_uid = $1 AND ended_at IS NULL',
    'artifact WHERE session_uid = $1 AND payload IS NOT NULL',
    'live_session WHERE parent_uid = $1',
  ];
  for (const what of left) expect([what, await countOf(curfew, what, [uid])]).toEqual([what, 0]);
}

const isSignInPage = (page: Page) => page.text.includes('name="password"');
const liveOfAccount = () => countOf(curfew, 'live_session WHERE account_id = $1', [accountId]);

async function expectSignedOut(browser: Browser): Promise<void> {
  expect(await stateByCookie(curfew, browser)).toMatchObject({ state: 'ended' });
  expect(errorOf(await app.authorize(browser, { prompt: 'none' }))).toMatchObject({ error: 'login_required' });
}

describe('a session that ends between find and save stays ended, when the request is', () => {
  it('an authorization that shows no page', async () => {
    const { browser, session } = await signedIn(curfew, app, login);
    const flow = await endDuring(session.uid, () => app.authorize(browser, { prompt: 'none' }));
    expect(errorOf(flow)).toMatchObject({ error: 'login_required' });
    await expectOver(session.uid);
    await expectSignedOut(browser);
  });

  it('an authorization that may: it becomes the sign-in page', async () => {
    const { browser, session } = await signedIn(curfew, app, login);
    const { page } = await endDuring(session.uid, () => app.authorize(browser));
    expect(isSignInPage(page)).toBe(true);
    await expectOver(session.uid);
    await expectSignedOut(browser);
  });

  it('the first authorization of another client', async () => {
    const { browser, session } = await signedIn(curfew, app, login);
    const { page } = await endDuring(session.uid, () => other.authorize(browser));
    expect(isSignInPage(page)).toBe(true);
    await expectOver(session.uid);
    await expectSignedOut(browser);
  });

  it('an authorization that begins an offline session', async () => {
    const { browser, session } = await signedIn(curfew, app, login);
    const parameters = { scope: 'openid offline_access', prompt: 'consent' };
    const { page } = await endDuring(session.uid, () => app.authorize(browser, parameters));
    expect(isSignInPage(page)).toBe(true);
    await expectOver(session.uid);
    expect(await liveOfAccount()).toBe(0);
  });

  it('a sign-in, after the password: no session begins in the browser that was told to end', async () => {
    const browser = newBrowser(curfew.issuer);
    // The sign-out form keeps a secret for a browser, whether or not anybody is signed in there.
    await browser.open(`${curfew.issuer}/logout`);
    const { page } = await app.authorize(browser);
    const uid = await anonymousUid();
    const answer = await endDuring(uid, () => browser.submit(page, { login, password: PASSWORD }, '/login'));
    expect(isSignInPage(answer)).toBe(true);
    await expectOver(uid);
    expect(await liveOfAccount()).toBe(0);
    await expectSignedOut(browser);
  });

  it('a sign-in again in a session of one’s own', async () => {
    const { browser, session } = await signedIn(curfew, app, login);
    const { page } = await app.authorize(browser, { prompt: 'login' });
    const answer = await endDuring(session.uid, () => browser.submit(page, { login, password: PASSWORD }, '/login'));
    expect(isSignInPage(answer)).toBe(true);
    await expectOver(session.uid);
    expect(await liveOfAccount()).toBe(0);
    await expectSignedOut(browser);
  });

  it('a consent', async () => {
    const { browser, session } = await signedIn(curfew, app, login);
    const { page } = await third.authorize(browser);
    expect(page.text).toContain('/consent"');
    const answer = await endDuring(session.uid, () => browser.submit(page, {}, '/consent'));
    expect(isSignInPage(answer)).toBe(true);
    await expectOver(session.uid);
    await expectSignedOut(browser);
  });

  it('the exchange of a code', async () => {
    const { browser, session } = await signedIn(curfew, app, login);
    const flow = await app.authorize(browser);
    expect(await endDuring(session.uid, () => refusalOf(flow.redeem()))).toEqual(expiredGrant);
    await expectOver(session.uid);
  });

  it('a refresh', async () => {
    const { session, tokens } = await signedIn(curfew, app, login);
    expect(await endDuring(session.uid, () => refusalOf(app.refresh(tokens.refresh_token)))).toEqual(expiredGrant);
    await expectOver(session.uid);
    expect(await refusalOf(app.refresh(tokens.refresh_token))).toEqual(expiredGrant);
  });

  it('the page that asks whether to sign out', async () => {
    const { browser, session } = await signedIn(curfew, app, login);
    const page = await endDuring(session.uid, () => browser.open(`${curfew.issuer}/logout`));
    expect(page.status).toBeLessThan(500);
    await expectOver(session.uid);
    await expectSignedOut(browser);
  });

  it('"stay signed in"', async () => {
    const { browser, session } = await signedIn(curfew, app, login);
    const extend = async () => {
      const headers = { cookie: cookieHeader(browser), origin: curfew.issuer, 'sec-fetch-site': 'same-origin' };
      return (await fetch(`${curfew.issuer}/session/extend`, { method: 'POST', headers })).json();
    };
    expect(await endDuring(session.uid, extend)).toMatchObject({ state: 'ended' });
    await expectOver(session.uid);
  });
});

describe('a cookie that changes between find and save', () => {
  it('is not taken back: the late answer sets none, and the session goes on', async () => {
    const { browser, session } = await signedIn(curfew, app, login);
    const lock = await holdLock(curfew, `UPDATE session SET cookie_hash = sha256('a newer one') WHERE uid = $1`, [
      session.uid,
    ]);
    const late = fetch(`${curfew.issuer}/logout`, { headers: { cookie: cookieHeader(browser), accept: 'text/html' } });
    await untilWaiting(curfew);
    await lock.release();

    const answer = await late;
    expect(answer.headers.getSetCookie().filter((cookie) => cookie.startsWith('curfew_session'))).toEqual([]);
    expect(
      await countOf(curfew, `live_session WHERE uid = $1 AND cookie_hash = sha256('a newer one')`, [session.uid]),
    ).toBe(1);
  });
});

describe('a participation that ends between find and save stays ended, when the request is', () => {
  it.each(['an authorization', 'a refresh', 'the exchange of a code'])('%s', async (what) => {
    const { browser, sid, tokens } = await signedIn(curfew, app, login);
    const flow = await app.authorize(browser);
    const lock = await holdLock(
      curfew,
      `UPDATE participation SET ended_at = curfew_instant(), end_committed_at = curfew_instant(), end_reason = 'admin_forced'
       WHERE sid = $1`,
      [sid],
    );
    const answer =
      what === 'an authorization'
        ? app.authorize(browser, { prompt: 'none' }).then(errorOf)
        : refusalOf(what === 'a refresh' ? app.refresh(tokens.refresh_token) : flow.redeem());
    await untilWaiting(curfew);
    await lock.release();

    expect(await answer).toMatchObject(what === 'an authorization' ? { error: 'login_required' } : { ...expiredGrant });
    expect(await countOf(curfew, 'live_participation WHERE sid = $1', [sid])).toBe(0);
    expect(await stateByCookie(curfew, browser)).toMatchObject({ state: 'live' });
  });
});

describe('a sign-in over HTTP', () => {
  const changes: [string, () => Promise<unknown>][] = [
    ['disabling the account', () => disableAccount(curfew.db, accountId, { actor: 'administrator:test' })],
    [
      'setting its password',
      () =>
        setPassword(
          { db: curfew.db, hasher },
          { accountId, password: 'quite another password' },
          { actor: 'administrator:test' },
        ),
    ],
  ];

  it.each(changes)('that waits for %s, its password checked, begins no session', async (_what, change) => {
    const { session } = await signedIn(curfew, app, login);
    const browser = newBrowser(curfew.issuer);
    const { page } = await app.authorize(browser);
    const lock = await holdLock(curfew, 'SELECT FROM session WHERE uid = $1 FOR UPDATE', [session.uid]);
    const changed = change();
    await untilWaiting(curfew, 1);
    const answer = browser.submit(page, { login, password: PASSWORD }, '/login');
    await untilWaiting(curfew, 2);
    await lock.release();
    await changed;

    const { url } = await answer;
    expect(new URL(url).searchParams.get('code')).toBeNull();
    expect(await liveOfAccount()).toBe(0);
    await expectSignedOut(browser);
  });

  it.each(changes)('racing %s, from many browsers, leaves no live session', async (_what, change) => {
    const pages = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const browser = newBrowser(curfew.issuer);
        return { browser, page: (await app.authorize(browser)).page };
      }),
    );
    const answers = pages.map(({ browser, page }) => browser.submit(page, { login, password: PASSWORD }, '/login'));
    await Promise.race(answers);
    await change();
    await Promise.all(answers);
    expect(await liveOfAccount()).toBe(0);
    for (const { browser } of pages) await expectSignedOut(browser);
  });
});
