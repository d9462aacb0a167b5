import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Browser } from '../../support/browser.ts';
import { type Curfew, PASSWORD, startCurfew } from '../../support/curfew.ts';
import { createGate, whileItEnds, whileWaiting } from '../../support/meeting-point.ts';
import { type PlainProvider, startPlainProvider } from '../../support/plain-provider.ts';
import { errorOf, expiredGrant, refusalOf, sessionOf, signedIn } from '../../support/records.ts';
import { type Flow, newBrowser, type RelyingParty, relyingParty } from '../../support/relying-party.ts';

const SILENT = { prompt: 'none' };
const hasCode = ({ callback }: Flow): boolean => callback?.searchParams.has('code') ?? false;

/** A browser with the cookies that another one has at this moment. */
function copyOf(browser: Browser, issuer: string): Browser {
  const copy = newBrowser(issuer);
  for (const name of ['curfew_session', 'curfew_session.sig']) copy.setCookie(name, String(browser.cookie(name)));
  return copy;
}

describe('plain oidc-provider, which saves the session at the end of every request', () => {
  let plain: PlainProvider;
  let app: RelyingParty;
  beforeEach(async () => {
    plain = await startPlainProvider();
    app = await relyingParty(plain.issuer, 'app', 'https://app.example/cb');
  });
  afterEach(() => plain.close());

  /** A silent request that has found its session, and is held before it saves it. */
  async function heldBeforeSave(browser: Browser) {
    const gate = createGate();
    plain.before((model, operation) => (model === 'Session' && operation === 'upsert' ? gate.pass() : undefined));
    const late = app.authorize(browser, SILENT);
    await gate.reached();
    plain.before(() => undefined);
    return async () => {
      gate.open();
      await late;
    };
  }

  it('revives a session that was ended meanwhile', async () => {
    const browser = newBrowser(plain.issuer);
    await app.signIn(browser, 'alice');
    const uid = [...plain.stored.values()].find(({ kind }) => kind === 'Session')?.uid ?? '';
    const goOn = await heldBeforeSave(browser);
    await plain.endSession(uid);
    expect(await plain.provider.Session.findByUid(uid)).toBeUndefined();
    await goOn();
    expect(hasCode(await app.authorize(browser, SILENT))).toBe(true);
  });

  it('lets a cookie that was replaced at a sign-in work again', async () => {
    const browser = newBrowser(plain.issuer);
    await app.signIn(browser, 'alice');
    const thief = copyOf(browser, plain.issuer);
    const goOn = await heldBeforeSave(thief);
    await app.signIn(browser, 'alice', { prompt: 'login' });
    expect(errorOf(await app.authorize(copyOf(thief, plain.issuer), SILENT)).error).toBe('login_required');
    await goOn();
    expect(hasCode(await app.authorize(thief, SILENT))).toBe(true);
  });
});

describe('Curfew', () => {
  let curfew: Curfew;
  let app: RelyingParty;
  let other: RelyingParty;
  beforeAll(async () => {
    curfew = await startCurfew();
    await curfew.addAccount('alice');
    app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
    other = await relyingParty(curfew.issuer, 'other', 'https://other.example/cb');
  });
  afterAll(() => curfew.close());

  it('revives nothing by a silent request that was under way, and answers login_required', async () => {
    const { browser, sid, session, tokens } = await signedIn(curfew, app, 'alice');
    const late = await whileItEnds(curfew, session.uid, () => app.authorize(browser, SILENT));
    expect(errorOf(late).error).toBe('login_required');
    await expectDead(browser, sid);
    expect(await refusalOf(app.refresh(tokens.refresh_token))).toEqual(expiredGrant);
  });

  it('revives nothing by a request that a person waits for, and shows the sign-in page', async () => {
    const { browser, sid, session } = await signedIn(curfew, app, 'alice');
    const late = await whileItEnds(curfew, session.uid, () => app.authorize(browser));
    expect(late.page.text).toContain('name="password"');
    await expectDead(browser, sid);
  });

  it('revives nothing by a page that only saves the session', async () => {
    const { browser, sid, session } = await signedIn(curfew, app, 'alice');
    await whileItEnds(curfew, session.uid, () => browser.open(`${curfew.issuer}/logout`));
    await expectDead(browser, sid);
  });

  it('revives nothing by a refresh, a code, userinfo or a sign of presence that was under way', async () => {
    const { browser, sid, session, tokens } = await signedIn(curfew, app, 'alice');
    const flow = await app.authorize(browser);
    const refused = await whileItEnds(
      curfew,
      session.uid,
      () =>
        Promise.all([
          refusalOf(app.refresh(tokens.refresh_token)),
          refusalOf(flow.redeem()),
          fetch(`${curfew.issuer}/session/extend`, {
            method: 'POST',
            headers: { authorization: `Bearer ${tokens.access_token}` },
          }).then(({ status }) => status),
        ]),
      { waiting: 3 },
    );
    expect(refused).toEqual([expiredGrant, expiredGrant, 401]);
    await expectDead(browser, sid);
  });

  it('begins no new session by a second sign-in that was under way', async () => {
    const { browser, sid, session } = await signedIn(curfew, app, 'alice');
    const { page } = await app.authorize(browser, { prompt: 'login' });
    const late = await whileItEnds(curfew, session.uid, () =>
      browser.submit(page, { login: 'alice', password: PASSWORD }, '/login'),
    );
    expect(late.text).toContain('name="password"');
    await expectDead(browser, sid);
  });

  it('keeps a replaced cookie worthless, and the new one good', async () => {
    const { browser, sid } = await signedIn(curfew, app, 'alice');
    const thief = copyOf(browser, curfew.issuer);
    const lock = { lock: `SELECT FROM client WHERE client_id = 'other' FOR UPDATE` };
    const late = await whileWaiting(
      curfew,
      lock,
      () => other.authorize(thief, SILENT),
      () => app.signIn(browser, 'alice', { prompt: 'login' }),
    );
    // It came with the cookie of then, of a session that is live.
    expect(hasCode(late)).toBe(true);
    expect(errorOf(await app.authorize(thief, SILENT)).error).toBe('login_required');
    expect(hasCode(await app.authorize(browser, SILENT))).toBe(true);
    expect(await sessionOf(curfew, sid)).toMatchObject({ endedAt: null });
  });

  async function expectDead(browser: Browser, sid: string): Promise<void> {
    expect(await sessionOf(curfew, sid)).toMatchObject({ endReason: 'admin_forced', endedAt: expect.any(Date) });
    expect(errorOf(await app.authorize(browser, SILENT)).error).toBe('login_required');
    const [{ live } = { live: -1 }] = await curfew.query<{ live: number }>(
      'SELECT count(*)::int AS live FROM artifact WHERE payload IS NOT NULL AND session_uid IN (SELECT session_uid FROM participation WHERE sid = $1)',
      [sid],
    );
    expect(live).toBe(0);
  }
});
