import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as client from 'openid-client';
import { CURFEW_YAML, type Curfew, startCurfew } from '../support/curfew.ts';
import { signedIn } from '../support/records.ts';
import { relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;

const nativeClient = (id: string, more = '') => `  - client_id: ${id}
    application_type: native
    token_endpoint_auth_method: none
    redirect_uris: ['https://app.example/claimed', 'com.example.app:/cb', 'http://127.0.0.1/cb', 'http://[::1]/cb']
${more}`;

beforeAll(async () => {
  const clients = `${nativeClient('mobile', '    first_party: true\n')}${nativeClient('foreign')}policy:`;
  curfew = await startCurfew({ yaml: CURFEW_YAML.replace('policy:', clients) });
  await curfew.addAccount('alice');
});
afterAll(() => curfew.close());

async function ask(clientId: string, redirectUri: string) {
  const app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  const { browser } = await signedIn(curfew, app, 'alice');
  const configuration = await client.discovery(new URL(curfew.issuer), clientId, {}, client.None(), {
    execute: [client.allowInsecureRequests],
  });
  const pkceCodeVerifier = client.randomPKCECodeVerifier();
  const { href } = client.buildAuthorizationUrl(configuration, {
    redirect_uri: redirectUri,
    scope: 'openid',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  });
  let page = await browser.open(href);
  const isAsked = page.text.includes('/consent"');
  if (isAsked) page = await browser.submit(page, {}, '/consent');
  const redeem = () => client.authorizationCodeGrant(configuration, new URL(page.url), { pkceCodeVerifier });
  return { page, isAsked, redeem };
}

describe('a native client', () => {
  it.each([
    ['a claimed https address', 'https://app.example/claimed'],
    ['a scheme of its own', 'com.example.app:/cb'],
    ['any port of its own machine', 'http://127.0.0.1:49152/cb'],
    ['any port of its own machine, IPv6', 'http://[::1]:49153/cb'],
  ])('is sent back to %s', async (_kind, redirectUri) => {
    const { page, isAsked, redeem } = await ask('mobile', redirectUri);
    expect(page.url.startsWith(redirectUri)).toBe(true);
    expect(isAsked).toBe(false);
    expect(await redeem()).toHaveProperty('id_token');
  });

  it.each([
    ['another path of its own machine', 'http://127.0.0.1:49152/other'],
    ['a port of a claimed address', 'https://app.example:8443/claimed'],
    ['another scheme', 'com.example.other:/cb'],
  ])('is not sent to %s', async (_kind, redirectUri) => {
    const { page } = await ask('mobile', redirectUri);
    expect(page.status).toBe(400);
    expect(page.url.startsWith(curfew.issuer)).toBe(true);
  });

  it('of others is asked about every time, for anybody can claim to be it', async () => {
    for (let visit = 0; visit < 2; visit += 1) {
      expect((await ask('foreign', 'com.example.app:/cb')).isAsked).toBe(true);
    }
  });
});
