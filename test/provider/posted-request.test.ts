import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as client from 'openid-client';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import { signedIn } from '../support/records.ts';
import { type RelyingParty, relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
});
afterAll(() => curfew.close());

/** A form as another site sends it: without our Lax cookie. */
function post(body: string, headers: Record<string, string> = {}, path = '/authorize'): Promise<Response> {
  return fetch(`${curfew.issuer}${path}`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'cross-site', ...headers },
    body,
  });
}

async function requestOf(verifier: string, more: Record<string, string> = {}): Promise<string> {
  const url = client.buildAuthorizationUrl(app.configuration, {
    redirect_uri: app.redirectUri,
    scope: 'openid',
    state: 'a b&c=d',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...more,
  });
  return url.searchParams.toString();
}

describe('an authorization request that is posted', () => {
  it('goes on as the same request with the cookie of who is signed in', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    const verifier = client.randomPKCECodeVerifier();
    const body = await requestOf(verifier, { prompt: 'none' });
    const answer = await post(body);
    expect(answer.status).toBe(303);
    const location = String(answer.headers.get('location'));
    expect(location).toBe(`${curfew.issuer}/authorize?${body}`);
    const { url } = await browser.open(location);
    const tokens = await client.authorizationCodeGrant(app.configuration, new URL(url), {
      pkceCodeVerifier: verifier,
      expectedState: 'a b&c=d',
    });
    expect(tokens).toHaveProperty('id_token');
  });

  it.each<[string, number, string, Record<string, string>]>([
    ['repeats a parameter', 400, 'client_id=app&client_id=other', {}],
    ['is broken', 400, 'client_id=%zz', {}],
    ['is no form', 415, '{"client_id":"app"}', { 'content-type': 'application/json' }],
    ['is larger than a form may be', 413, `state=${'x'.repeat(17 * 1024)}`, {}],
    ['is larger than an address may be', 413, `state=${'x'.repeat(9 * 1024)}`, {}],
  ])('is refused where it %s', async (_way, status, body, headers) => {
    const answer = await post(body, headers);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('location')).toBeNull();
  });
});

describe('a sign-out request that is posted', () => {
  it('finds who is signed in, and asks', async () => {
    const { browser, tokens } = await signedIn(curfew, app, 'alice');
    const answer = await post(
      new URLSearchParams({ id_token_hint: String(tokens.id_token) }).toString(),
      {},
      '/logout',
    );
    expect(answer.status).toBe(303);
    const page = await browser.open(String(answer.headers.get('location')));
    expect(page.text).toContain('alice');
    expect(page.text).toContain('xsrf');
  });

  it('with the hint of another person asks too, and ends nothing by itself', async () => {
    await curfew.addAccount('bob');
    const alice = await signedIn(curfew, app, 'alice');
    const bob = await signedIn(curfew, app, 'bob');
    const hint = new URLSearchParams({ id_token_hint: String(alice.tokens.id_token) }).toString();
    const page = await bob.browser.open(String((await post(hint, {}, '/logout')).headers.get('location')));
    expect(page.text).toContain('xsrf');
    for (const { tokens } of [alice, bob]) {
      expect(await app.introspect(tokens.access_token)).toMatchObject({ active: true });
    }
  });
});
