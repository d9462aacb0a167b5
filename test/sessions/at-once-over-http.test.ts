import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, SECRET, startCurfew } from '../support/curfew.ts';
import { countOf } from '../support/given-sessions.ts';
import { cookieHeader, errorOf, refusalOf, sessionOf, sidOf, signedIn, stateByCookie } from '../support/records.ts';
import { newBrowser, type RelyingParty, relyingParty, type Tokens } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;
let other: RelyingParty;
/** Any client but the two, so that these have no part in the session yet. */
let spa: RelyingParty;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  other = await relyingParty(curfew.issuer, 'other', 'https://other.example/cb');
  spa = await relyingParty(curfew.issuer, 'public', 'https://spa.example/cb');
});
afterAll(() => curfew.close());

/** What one of many gets, and what all others do. */
async function oneOf(exchanges: Promise<Tokens>[]): Promise<Tokens> {
  const results = await Promise.allSettled(exchanges);
  const [winner, ...more] = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  if (winner === undefined || more.length > 0) throw new Error(`${more.length + (winner ? 1 : 0)} succeeded`);
  const refused = exchanges.filter((_, n) => results[n]?.status === 'rejected').map(refusalOf);
  for (const refusal of await Promise.all(refused)) {
    expect(refusal).toMatchObject({ status: 400, error: 'invalid_grant' });
  }
  return winner;
}

async function expectWorking(tokens: Tokens): Promise<void> {
  expect((await app.userinfo(tokens.access_token)).status).toBe(200);
  expect(await app.introspect(tokens.access_token)).toMatchObject({ active: true });
  expect((await app.refresh(tokens.refresh_token)).access_token).toEqual(expect.any(String));
}

describe('fifty redemptions at once', () => {
  it('of one code give exactly one success, and what it got works', async () => {
    const flow = await app.signIn(newBrowser(curfew.issuer), 'alice');
    await expectWorking(await oneOf(Array.from({ length: 50 }, () => flow.redeem())));
  });

  it('of one refresh token give exactly one success, and what it got works', async () => {
    const { tokens } = await signedIn(curfew, app, 'alice');
    await expectWorking(await oneOf(Array.from({ length: 50 }, () => app.refresh(tokens.refresh_token))));
  });

  it('of one code on two nodes give exactly one success', async () => {
    const node = await curfew.startNode();
    const flow = await app.signIn(newBrowser(curfew.issuer), 'alice');
    const body = new URLSearchParams({
      grant_type: 'authorization_code',
      code: flow.callback?.searchParams.get('code') ?? '',
      redirect_uri: app.redirectUri,
      code_verifier: flow.verifier,
    });
    const authorization = `Basic ${Buffer.from(`app:${SECRET}`).toString('base64')}`;
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        fetch(`${n % 2 === 0 ? curfew.issuer : node.issuer}/token`, {
          method: 'POST',
          body,
          headers: { authorization },
        }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(49).fill(400)]);
    await node.close();
  });
});

describe('authorization requests at once in one browser', () => {
  it('of two clients keep both parts, and the codes of both work', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { browser, session } = await signedIn(curfew, spa, 'alice');
      const flows = await Promise.all([
        app.authorize(browser),
        other.authorize(browser),
        app.authorize(browser, { prompt: 'none' }),
        other.authorize(browser, { prompt: 'none' }),
      ]);
      const tokens = await Promise.all(flows.map((flow) => flow.redeem()));
      const sids = tokens.map(sidOf);
      expect(sids[0]).toBe(sids[2]);
      expect(sids[1]).toBe(sids[3]);
      expect(sids[0]).not.toBe(sids[1]);
      for (const sid of sids) expect((await sessionOf(curfew, sid)).uid).toBe(session.uid);
      expect(await stateByCookie(curfew, browser)).toMatchObject({ state: 'live' });
      expect(errorOf(await app.authorize(browser, { prompt: 'none' })).error).toBeNull();
    }
  });

  it('of one client, twenty of them, share one sid', async () => {
    const { browser, session } = await signedIn(curfew, other, 'alice');
    const flows = await Promise.all(Array.from({ length: 20 }, () => app.authorize(browser, { prompt: 'none' })));
    const tokens = await Promise.all(flows.map((flow) => flow.redeem()));
    expect(new Set(tokens.map(sidOf)).size).toBe(1);
    expect(await countOf(curfew, `participation WHERE session_uid = $1 AND client_id = 'app'`, [session.uid])).toBe(1);
  });

  it('one of which came before the cookie changed takes nothing from the other', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    const before = cookieHeader(browser);
    const slow = newBrowser(curfew.issuer);
    for (const [name, value] of browser.cookies()) slow.setCookie(name, value);
    await app.signIn(browser, 'alice', { prompt: 'login' });
    expect(cookieHeader(browser)).not.toBe(before);
    expect(errorOf(await app.authorize(slow, { prompt: 'none' }))).toMatchObject({ error: 'login_required' });
    expect(await stateByCookie(curfew, browser)).toMatchObject({ state: 'live' });
  });
});

describe('sign-ins at once where one session is allowed', () => {
  it('leave exactly one live session', async () => {
    const { id } = await curfew.addAccount('root', ['admin']);
    for (let round = 0; round < 3; round += 1) {
      const browsers = Array.from({ length: 6 }, () => newBrowser(curfew.issuer));
      await Promise.all(browsers.map((browser) => app.signIn(browser, 'root')));
      expect(await countOf(curfew, 'live_session WHERE account_id = $1', [id])).toBe(1);
      const states = await Promise.all(browsers.map(async (browser) => (await stateByCookie(curfew, browser)).state));
      expect(states.sort()).toEqual([...Array(5).fill('ended'), 'live']);
    }
  });
});
