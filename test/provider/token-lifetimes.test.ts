import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import {
  databaseTime,
  expiredGrant,
  HOURS,
  MINUTES,
  participationOf,
  refusalOf,
  sessionOf,
  signedIn,
  stateByCookie,
  stopClock,
} from '../support/records.ts';
import { type RelyingParty, relyingParty, type Tokens } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;
let strict: RelyingParty;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  strict = await relyingParty(curfew.issuer, 'strict', 'https://strict.example/cb');
});
afterEach(() => curfew.travel(0));
afterAll(() => curfew.close());

const second = (instant: Date | null): number => Math.floor(Number(instant) / 1000);

/** When each of a token answer's lifetimes is over, in seconds of the database's clock. */
async function lastSeconds(party: RelyingParty, tokens: Tokens) {
  // Tokens are stamped by the host's clock: what lies between the two was known to the server as well.
  const offset = Math.round((Number(await databaseTime(curfew)) - Date.now()) / 1000);
  const { exp } = await party.introspect(tokens.access_token);
  const refresh = await party.introspect(String(tokens.refresh_token));
  return {
    accessToken: Number(exp) + offset,
    idToken: Number(tokens.claims()?.exp) + offset,
    refreshToken: Number(refresh.exp) + offset,
    sessionExpiry: Number(tokens.claims()?.session_expiry) + offset,
    /** Counted from before the answer came, which is earlier than a client counts. */
    expiresIn: Number(tokens.expires_in),
  };
}

/** At the deadline's second, or the one before it: rounding down never goes further. */
function expectClamped(lastSecond: number, deadline: Date | null, toleranceSeconds = 1): void {
  expect(lastSecond).toBeLessThanOrEqual(second(deadline));
  expect(lastSecond).toBeGreaterThanOrEqual(second(deadline) - toleranceSeconds);
}

/** A refresh is activity and moves the idle deadline: here the absolute one is as near, where nothing helps. */
async function atItsLastDeadline(sid: string): Promise<Date> {
  await curfew.query('UPDATE participation SET absolute_deadline = idle_deadline WHERE sid = $1', [sid]);
  return (await participationOf(curfew, sid)).absoluteDeadline ?? new Date(0);
}

describe('what a token answer promises', () => {
  it('ends with the idle deadline at the latest, and the refresh token with the absolute one', async () => {
    const { tokens, sid } = await signedIn(curfew, app, 'alice');
    const { idleDeadline, absoluteDeadline } = await sessionOf(curfew, sid);
    const last = await lastSeconds(app, tokens);
    // One hour is the limit; fifteen minutes are left.
    expectClamped(last.accessToken, idleDeadline);
    expectClamped(last.idToken, idleDeadline);
    expectClamped(last.refreshToken, absoluteDeadline);
    expect(last.sessionExpiry).toBe(second(absoluteDeadline));
    expect(last.expiresIn).toBeLessThanOrEqual(15 * 60);
    expect(last.expiresIn).toBeGreaterThanOrEqual(15 * 60 - 2);
  });

  it('ends with the absolute deadline where that is the next', async () => {
    const { browser, tokens: first } = await signedIn(curfew, app, 'alice');
    let tokens = first;
    for (let passed = 0; passed < 8 * HOURS - 10 * MINUTES; passed += 10 * MINUTES) {
      await curfew.travel(10 * MINUTES);
      await app.authorize(browser);
    }
    tokens = await app.refresh(tokens.refresh_token);
    const { absoluteDeadline } = await sessionOf(curfew, String(tokens.claims()?.sid));
    const last = await lastSeconds(app, tokens);
    for (const each of [last.accessToken, last.idToken, last.refreshToken, last.sessionExpiry]) {
      expectClamped(each, absoluteDeadline);
    }
    expect(last.expiresIn).toBeLessThanOrEqual(10 * 60);
  });

  it('ends with the deadlines of the client where those are stricter', async () => {
    const { tokens, sid } = await signedIn(curfew, strict, 'alice');
    const { idleDeadline, absoluteDeadline } = await participationOf(curfew, sid);
    const last = await lastSeconds(strict, tokens);
    expectClamped(last.accessToken, idleDeadline);
    expectClamped(last.idToken, idleDeadline);
    expectClamped(last.refreshToken, absoluteDeadline);
    expect(last.sessionExpiry).toBe(second(absoluteDeadline));
    expect(last.expiresIn).toBeLessThanOrEqual(5 * 60);
  });

  it('is longer after activity, and an earlier promise is kept as it was given', async () => {
    const { tokens, sid, session } = await signedIn(curfew, app, 'alice');
    await curfew.travel(10 * MINUTES);
    const later = await app.refresh(tokens.refresh_token);
    const { idleDeadline } = await sessionOf(curfew, sid);
    expect(Number(idleDeadline)).toBeGreaterThanOrEqual(Number(session.idleDeadline) + 10 * MINUTES - 1000);
    expectClamped((await lastSeconds(app, later)).accessToken, idleDeadline);
    await curfew.travel(5 * MINUTES);
    expect(await app.introspect(tokens.access_token)).toEqual({ active: false });
    expect(await app.introspect(later.access_token)).toMatchObject({ active: true });
  });

  it('is never given when less than a second is left', async () => {
    const { browser, tokens, sid } = await signedIn(curfew, strict, 'alice');
    const deadline = await atItsLastDeadline(sid);
    await curfew.travel(deadline.getTime() - (await databaseTime(curfew)).getTime() - 5_000);
    const flow = await strict.authorize(browser, { prompt: 'none' });
    await stopClock(curfew, deadline, 999);
    expect(await stateByCookie(curfew, browser)).toMatchObject({ state: 'live' });
    expect(await refusalOf(strict.refresh(tokens.refresh_token))).toEqual(expiredGrant);
    expect(await refusalOf(flow.redeem())).toEqual(expiredGrant);
    const consumed = await curfew.query(
      `SELECT 1 FROM artifact WHERE sid = $1 AND consumed_at IS NOT NULL AND model = 'RefreshToken'`,
      [sid],
    );
    expect(consumed).toEqual([]);
  });

  it.each([2_500, 3_400, 4_999])('passes no deadline with %i ms left, whatever the answer', async (left) => {
    const { tokens, sid } = await signedIn(curfew, strict, 'alice');
    const deadline = await atItsLastDeadline(sid);
    await curfew.travel(deadline.getTime() - (await databaseTime(curfew)).getTime() - left);
    const asked = await databaseTime(curfew);
    const answer = await strict.refresh(tokens.refresh_token);
    expect(Number(answer.expires_in)).toBeGreaterThanOrEqual(1);
    expect(asked.getTime() + Number(answer.expires_in) * 1000).toBeLessThanOrEqual(deadline.getTime());
    const last = await lastSeconds(strict, answer);
    expect(last.idToken).toBeLessThanOrEqual(second(deadline));
    expect(last.accessToken).toBeLessThanOrEqual(second(deadline));
  });
});
