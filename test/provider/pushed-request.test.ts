import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as client from 'openid-client';
import type { Page } from '../support/browser.ts';
import { CURFEW_YAML, type Curfew, PASSWORD, startCurfew } from '../support/curfew.ts';
import { refusalOf, signedIn } from '../support/records.ts';
import { newBrowser, type RelyingParty, relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;
let third: RelyingParty;

beforeAll(async () => {
  const required = CURFEW_YAML.replace(
    'client_id: third\n',
    'client_id: third\n    require_pushed_authorization_requests: true\n',
  );
  curfew = await startCurfew({ yaml: required });
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  third = await relyingParty(curfew.issuer, 'third', 'https://third.example/cb');
});
afterAll(() => curfew.close());

async function push(party: RelyingParty, more: Record<string, string> = {}): Promise<{ url: URL; verifier: string }> {
  const verifier = client.randomPKCECodeVerifier();
  const url = await client.buildAuthorizationUrlWithPAR(party.configuration, {
    redirect_uri: party.redirectUri,
    scope: 'openid profile',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...more,
  });
  return { url, verifier };
}

const redeem = (party: RelyingParty, at: string, pkceCodeVerifier: string) =>
  client.authorizationCodeGrant(party.configuration, new URL(at), { pkceCodeVerifier });

const hasCode = ({ url }: Page): boolean => new URL(url).searchParams.has('code');

describe('a pushed authorization request', () => {
  it('leads through sign-in and consent to a code', async () => {
    const { url, verifier } = await push(third);
    expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri']);
    const browser = newBrowser(curfew.issuer);
    let page = await browser.open(url.href);
    page = await browser.submit(page, { login: 'alice', password: PASSWORD }, '/login');
    page = await browser.submit(page, {}, '/consent');
    expect(await redeem(third, page.url, verifier)).toHaveProperty('id_token');
  });

  it('leads to one code when it is used many times at once, and to none after', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    const { url, verifier } = await push(app);
    const pages = await Promise.all(Array.from({ length: 10 }, () => browser.open(url.href)));
    const led = pages.filter(hasCode);
    expect(led).toHaveLength(1);
    expect(await redeem(app, led[0]?.url ?? '', verifier)).toHaveProperty('id_token');
    expect(hasCode(await browser.open(url.href))).toBe(false);
  });

  it('runs out after a minute by the clock of the database', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    const { url } = await push(app);
    await curfew.travel(60_000);
    const page = await browser.open(url.href);
    expect(new URL(page.url).searchParams.get('error')).toBe('invalid_request_uri');
  });

  it('is of no use to another client', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    const { url } = await push(app);
    url.searchParams.set('client_id', 'other');
    const page = await browser.open(url.href);
    expect(hasCode(page)).toBe(false);
    expect(new URL(page.url).searchParams.get('error')).toMatch(/^invalid_request/);
  });

  it('is pushed by a client that shows who it is', async () => {
    const stranger = await client.discovery(
      new URL(curfew.issuer),
      'app',
      {},
      client.ClientSecretBasic('x'.repeat(40)),
      {
        execute: [client.allowInsecureRequests],
      },
    );
    expect(await refusalOf(push({ ...app, configuration: stranger }))).toMatchObject({ error: 'invalid_client' });
  });

  it('is the only way for a client that declares so', async () => {
    const flow = await third.authorize(newBrowser(curfew.issuer));
    expect(flow.callback?.searchParams.get('error')).toBe('invalid_request');
  });

  it('starts again, with what was pushed, where the session ends on the way', async () => {
    const first = await signedIn(curfew, app, 'alice');
    const { url, verifier } = await push(third, { prompt: 'consent', login_hint: 'alice' });
    const open = await first.browser.open(url.href);
    expect(open.text).toContain('/consent"');
    await curfew.travel(16 * 60_000);
    let page = await first.browser.submit(open, {}, '/consent');
    expect(page.text).toContain('name="password"');
    page = await first.browser.submit(page, { login: 'alice', password: PASSWORD }, '/login');
    page = await first.browser.submit(page, {}, '/consent');
    expect(await redeem(third, page.url, verifier)).toHaveProperty('id_token');
  });
});
