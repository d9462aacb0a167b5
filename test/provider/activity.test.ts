import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import { databaseTime, MINUTES, participationOf, sessionOf, signedIn, stateByCookie } from '../support/records.ts';
import { type RelyingParty, relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;
let strict: RelyingParty;

const WITH_EVERYTHING = `
clients:
  - client_id: app
    redirect_uris: [https://app.example/cb]
    grant_types: [authorization_code, refresh_token]
    first_party: true
policy:
  default: { idle: 15m, absolute: 8h, activity: [interactive, silent, refresh, introspection, userinfo] }
`;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  await curfew.addAccount('root', ['admin']);
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  strict = await relyingParty(curfew.issuer, 'strict', 'https://strict.example/cb');
});
afterAll(() => curfew.close());

/** Where the idle deadline is after something was done five minutes into a session, against where it was. */
async function movedBy(
  login: string,
  act: (given: Awaited<ReturnType<typeof signedIn>>) => Promise<unknown>,
): Promise<'moved' | 'stayed'> {
  const given = await signedIn(curfew, app, login);
  await curfew.travel(5 * MINUTES);
  const before = await databaseTime(curfew);
  await act(given);
  const after = await databaseTime(curfew);
  const { idleDeadline } = await sessionOf(curfew, given.sid);
  if (idleDeadline.getTime() === given.session.idleDeadline.getTime()) return 'stayed';
  const limit = login === 'root' ? 10 * MINUTES : 15 * MINUTES;
  expect(idleDeadline.getTime()).toBeGreaterThanOrEqual(before.getTime() + limit);
  expect(idleDeadline.getTime()).toBeLessThanOrEqual(after.getTime() + limit);
  return 'moved';
}

type Act = Parameters<typeof movedBy>[1];
const interactive: Act = async ({ browser }) => {
  expect((await app.authorize(browser)).callback?.searchParams.has('code')).toBe(true);
};
const silent: Act = async ({ browser }) => {
  expect((await app.authorize(browser, { prompt: 'none' })).callback?.searchParams.has('code')).toBe(true);
};
const refresh: Act = async ({ tokens }) => app.refresh(tokens.refresh_token);
const introspection: Act = async ({ tokens }) => {
  expect(await app.introspect(tokens.access_token)).toMatchObject({ active: true });
};
const introspectionOfRefreshToken: Act = async ({ tokens }) => app.introspect(String(tokens.refresh_token));
const userinfo: Act = async ({ tokens }) => expect((await app.userinfo(tokens.access_token)).status).toBe(200);
const asking: Act = async ({ browser }) =>
  expect(await stateByCookie(curfew, browser)).toMatchObject({ state: 'live' });
const askingByToken: Act = async ({ tokens }) => {
  const headers = { authorization: `Bearer ${tokens.access_token}` };
  expect((await fetch(`${curfew.issuer}/session`, { headers })).status).toBe(200);
};
const redeeming: Act = async ({ browser }) => {
  const flow = await app.authorize(browser, { prompt: 'none' });
  await flow.redeem();
};
const signOutPage: Act = async ({ browser }) => {
  expect((await browser.open(`${curfew.issuer}/logout`)).text).toContain('Sign out?');
};
const unknownClient: Act = async ({ browser }) => {
  expect((await browser.open(`${curfew.issuer}/authorize?client_id=nobody`)).status).toBe(400);
};

describe('activity', () => {
  it.each<[string, Act, 'moved' | 'stayed']>([
    ['an authorization request that a person waits for moves the idle deadline', interactive, 'moved'],
    ['a refresh moves it where policy says so', refresh, 'moved'],
    ['a silent authorization request does not', silent, 'stayed'],
    ['redeeming a code does not', redeeming, 'stayed'],
    ['introspection does not', introspection, 'stayed'],
    ['introspection of a refresh token does not', introspectionOfRefreshToken, 'stayed'],
    ['userinfo does not', userinfo, 'stayed'],
    ['asking how long the session lasts does not', asking, 'stayed'],
    ['asking with an access token does not', askingByToken, 'stayed'],
    ['looking at the sign-out page does not', signOutPage, 'stayed'],
    ['a request that no registered client made does not', unknownClient, 'stayed'],
  ])('%s', async (_behaviour, act, expected) => {
    expect(await movedBy('alice', act)).toBe(expected);
  });

  it.each<[string, Act, 'moved' | 'stayed']>([
    ['for an administrator a request that they wait for counts', interactive, 'moved'],
    ['for an administrator a refresh does not', refresh, 'stayed'],
    ['for an administrator a silent request does not', silent, 'stayed'],
  ])('%s', async (_behaviour, act, expected) => {
    expect(await movedBy('root', act)).toBe(expected);
  });

  it('moves the deadline of the client that it came through, and of no other', async () => {
    const toStrict = await signedIn(curfew, strict, 'alice');
    const before = await participationOf(curfew, toStrict.sid);
    await curfew.travel(MINUTES);
    await app.authorize(toStrict.browser);
    expect(await participationOf(curfew, toStrict.sid)).toEqual(before);
    await strict.authorize(toStrict.browser, { prompt: 'none' });
    expect(await participationOf(curfew, toStrict.sid)).toEqual(before);
    await strict.refresh(toStrict.tokens.refresh_token);
    const after = await participationOf(curfew, toStrict.sid);
    expect(Number(after.idleDeadline)).toBeGreaterThan(Number(before.idleDeadline));
    expect(after.absoluteDeadline).toEqual(before.absoluteDeadline);
  });
});

describe('activity where policy counts every kind', () => {
  let counting: Curfew;
  beforeAll(async () => {
    counting = await startCurfew({ yaml: WITH_EVERYTHING });
    await counting.addAccount('alice');
  });
  afterAll(() => counting.close());

  it('is silent requests, introspection and userinfo as well', async () => {
    const party = await relyingParty(counting.issuer, 'app', 'https://app.example/cb');
    const { browser, tokens, sid, session } = await signedIn(counting, party, 'alice');
    const acts = [
      () => party.authorize(browser, { prompt: 'none' }),
      () => party.introspect(String(tokens.refresh_token)),
      () => party.userinfo(tokens.access_token),
      () => party.refresh(tokens.refresh_token),
    ];
    let last = session.idleDeadline;
    for (const act of acts) {
      await counting.travel(MINUTES);
      await act();
      const { idleDeadline } = await sessionOf(counting, sid);
      expect(idleDeadline.getTime()).toBeGreaterThanOrEqual(last.getTime() + MINUTES);
      last = idleDeadline;
    }
  });
});
