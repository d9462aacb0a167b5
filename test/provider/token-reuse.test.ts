import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import {
  artifactsLeft,
  deliveriesOf,
  eventsOf,
  expiredGrant,
  participationOf,
  type Refusal,
  refusalOf,
  sessionOf,
  signedIn,
} from '../support/records.ts';
import { type RelyingParty, relyingParty } from '../support/relying-party.ts';

const SECONDS = 1_000;
const alreadyUsed: Refusal = {
  status: 400,
  error: 'invalid_grant',
  description: 'grant request is invalid: already used',
};

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

describe('refresh token rotation', () => {
  it('gives a new refresh token each time, of the same participation', async () => {
    const { tokens, sid } = await signedIn(curfew, app, 'alice');
    const second = await app.refresh(tokens.refresh_token);
    const third = await app.refresh(second.refresh_token);
    expect(new Set([tokens.refresh_token, second.refresh_token, third.refresh_token]).size).toBe(3);
    expect(third.claims()).toMatchObject({ sid, auth_time: tokens.claims()?.auth_time });
  });
});

describe('a second use of a refresh token', () => {
  it('within 10 s is refused and ends nothing: two tabs are not thieves', async () => {
    const { tokens, sid } = await signedIn(curfew, app, 'alice');
    const rotated = await app.refresh(tokens.refresh_token);
    await curfew.travel(8 * SECONDS);
    expect(await refusalOf(app.refresh(tokens.refresh_token))).toEqual(alreadyUsed);
    expect(await participationOf(curfew, sid)).toMatchObject({ endedAt: null });
    expect((await app.userinfo(rotated.access_token)).status).toBe(200);
    expect((await app.refresh(rotated.refresh_token)).access_token).toEqual(expect.any(String));
  });

  it('from 10 s on ends the participation, with everything that came of the theft, and nothing else', async () => {
    const { browser, tokens, sid, session } = await signedIn(curfew, app, 'alice');
    const toOther = await signedIn(curfew, other, 'alice', { browser });
    const rotated = await app.refresh(tokens.refresh_token);
    await curfew.travel(11 * SECONDS);
    expect(await refusalOf(app.refresh(tokens.refresh_token))).toEqual(alreadyUsed);

    expect(await participationOf(curfew, sid)).toMatchObject({ endedAt: expect.any(Date), endReason: 'token_reuse' });
    expect(await artifactsLeft(curfew, sid)).toBe(0);
    expect(await refusalOf(app.refresh(rotated.refresh_token))).toEqual(expiredGrant);
    expect(await app.introspect(rotated.access_token)).toEqual({ active: false });
    expect((await app.userinfo(rotated.access_token)).status).toBe(401);
    expect(await eventsOf(curfew, session.uid, 'participation.ended')).toEqual([
      expect.objectContaining({ reason: 'token_reuse', actor: 'client:app', clientId: 'app' }),
    ]);
    expect(await deliveriesOf(curfew, sid)).toEqual([expect.objectContaining({ reason: 'token_reuse' })]);

    expect(await sessionOf(curfew, sid)).toMatchObject({ endedAt: null });
    expect((await other.userinfo(toOther.tokens.access_token)).status).toBe(200);
    const { page } = await app.authorize(browser);
    expect(page.text).toContain('Something used your session twice');
    expect((await signedIn(curfew, app, 'alice', { browser })).sid).not.toBe(sid);
  });

  it('fifty times at once succeeds once and ends nothing', async () => {
    const { tokens, sid } = await signedIn(curfew, app, 'alice');
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, () =>
        app.refresh(tokens.refresh_token).then(
          () => 'refreshed',
          () => 'refused',
        ),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'refreshed')).toHaveLength(1);
    expect(await participationOf(curfew, sid)).toMatchObject({ endedAt: null });
  });

  it('by another client is refused without a word, and ends nothing', async () => {
    const { tokens, sid } = await signedIn(curfew, app, 'alice');
    await app.refresh(tokens.refresh_token);
    await curfew.travel(11 * SECONDS);
    const refusal = await refusalOf(other.refresh(tokens.refresh_token));
    expect(refusal).toMatchObject({ status: 400, error: 'invalid_grant', description: 'grant request is invalid' });
    expect(await participationOf(curfew, sid)).toMatchObject({ endedAt: null });
  });

  it('ends the offline session that the token belongs to, and not the one in the browser', async () => {
    const consented = { scope: 'openid offline_access', prompt: 'consent' };
    const { browser, tokens, sid } = await signedIn(curfew, app, 'alice', { parameters: consented });
    expect(await sessionOf(curfew, sid)).toMatchObject({ kind: 'offline' });
    const rotated = await app.refresh(tokens.refresh_token);
    await curfew.travel(11 * SECONDS);
    expect(await refusalOf(app.refresh(tokens.refresh_token))).toEqual(alreadyUsed);
    expect(await sessionOf(curfew, sid)).toMatchObject({ endReason: 'token_reuse' });
    expect(await refusalOf(app.refresh(rotated.refresh_token))).toEqual(expiredGrant);
    expect((await app.authorize(browser, { prompt: 'none' })).callback?.searchParams.has('code')).toBe(true);
  });
});

describe('a second use of an authorization code', () => {
  it('within 10 s is refused and ends nothing', async () => {
    const { flow, tokens, sid } = await signedIn(curfew, app, 'alice');
    expect(await refusalOf(flow.redeem())).toEqual(alreadyUsed);
    expect(await participationOf(curfew, sid)).toMatchObject({ endedAt: null });
    expect((await app.userinfo(tokens.access_token)).status).toBe(200);
  });

  it.each([
    ['while the code could still be used', 11],
    ['long after the code ran out', 120],
  ])('%s ends the participation that it began', async (_when, seconds) => {
    const { flow, tokens, sid } = await signedIn(curfew, app, 'alice');
    await curfew.travel(seconds * SECONDS);
    expect(await refusalOf(flow.redeem())).toEqual(alreadyUsed);
    expect(await participationOf(curfew, sid)).toMatchObject({ endReason: 'token_reuse' });
    expect(await refusalOf(app.refresh(tokens.refresh_token))).toEqual(expiredGrant);
    expect((await app.userinfo(tokens.access_token)).status).toBe(401);
  });

  it('within 10 s is refused and ends nothing where the code ran out meanwhile', async () => {
    const { browser, sid } = await signedIn(curfew, app, 'alice');
    const flow = await app.authorize(browser);
    await curfew.travel(58 * SECONDS);
    const tokens = await flow.redeem();
    await curfew.travel(5 * SECONDS);
    expect(await refusalOf(flow.redeem())).toEqual(alreadyUsed);
    expect(await participationOf(curfew, sid)).toMatchObject({ endedAt: null });
    expect((await app.userinfo(tokens.access_token)).status).toBe(200);
  });

  it('fifty times at once succeeds once and ends nothing', async () => {
    const { browser, sid } = await signedIn(curfew, app, 'alice');
    const flow = await app.authorize(browser);
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, () =>
        flow.redeem().then(
          () => 'redeemed',
          () => 'refused',
        ),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'redeemed')).toHaveLength(1);
    expect(await participationOf(curfew, sid)).toMatchObject({ endedAt: null });
  });

  it('that ran out unused is refused, and ends nothing', async () => {
    const { browser, sid } = await signedIn(curfew, app, 'alice');
    const flow = await app.authorize(browser);
    await curfew.travel(61 * SECONDS);
    expect(await refusalOf(flow.redeem())).toMatchObject({ error: 'invalid_grant' });
    expect(await participationOf(curfew, sid)).toMatchObject({ endedAt: null });
  });
});
